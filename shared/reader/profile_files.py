"""Files and folders on this machine become a profile, read as a drop is read but for its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

import drift
from shared.errors import InputRejected
from shared.files import partitions
from shared.files.drop_files import JUDGED_AS, MIB, DropFile, Limits, ReadSpec
from shared.files.parquet import Parquet
from shared.files.part import SAID_NUMBERS, Part
from shared.files.partitions import table_of
from shared.intake.rejections import listed, quoted, rejected
from shared.reader.batches import Sources, open_sources
from shared.redaction import printable
from shared.tables import delta_table, mltable
from shared.tables.snapshot import LOG
from shared.values.column_kinds import DATETIME, INTEGER, NOTHING, NUMBER, STRING
from shared.values.number_text import COMMA, POINT
from shared.values.texts import Contradicted

_COMMIT = re.compile(r"(.+)@(\d{1,18})")
_ANY = 1 << 50
_LIMITS = Limits(max_bytes=_ANY, max_rows=_ANY, max_columns=20_000, max_field_bytes=32 * MIB)
_KINDS = {"category": STRING, "text": STRING, "datetime": DATETIME}
_NUMBERS = {"double": NUMBER, "float": NUMBER, "int64": INTEGER}


@dataclass(frozen=True)
class Profiled:
    """A profile, what people should know of how its files were read, and what they show of others of their kind."""

    profile: drift.Profile
    findings: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    there: frozenset[str] = frozenset()
    """All columns of the files, those that are left out as well."""
    signs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The currencies and units around numbers, of columns that a person says are numbers."""
    columns: Mapping[str, str] = field(default_factory=dict)
    nulls: tuple[str, ...] = ()
    """What a person said of them."""
    guessed: frozenset[str] = frozenset()
    """Columns of which nothing in the files shows how they are written."""

    def stored(self) -> drift.Profile:
        """The profile with what others of its kind are read by."""
        signs = {name: sorted(found) for name, found in self.signs.items()}
        told = {
            "hints": dict(self.hints),
            "signs": signs,
            "columns": dict(self.columns),
            "nulls": self.nulls,
            "findings": self.findings,
        }
        return replace(self.profile, reading={key: value for key, value in told.items() if value})

    @classmethod
    def of(cls, kept: drift.Profile) -> Profiled:
        """A stored one; `drift.DataError` where what stands there of its reading makes no sense."""
        try:
            hints, signs, columns = (dict(kept.reading.get(key, {})) for key in ("hints", "signs", "columns"))
            return cls(
                kept,
                findings=tuple(map(str, kept.reading.get("findings", ()))),
                hints=hints,
                there=frozenset((*kept.columns, *kept.ignored)),
                signs={name: frozenset(found) for name, found in signs.items()},
                columns={name: str(kind) for name, kind in columns.items()},
                nulls=tuple(map(str, kept.reading.get("nulls", ()))),
            )
        except (TypeError, ValueError) as error:
            raise drift.DataError(
                "this stored profile is damaged", remedy="Restore it, or profile the data again."
            ) from error


def files_of(path: Path, told: list[str] | None = None) -> list[DropFile]:
    """The data files of a path: itself, or those of a folder and its partitions, without what `passed_over` names; of a
    Delta table those of its newest commit, or of the one that TABLE@N names.

    What people should know of those that are left out is added to `told`.
    """
    told = [] if told is None else told
    if not path.exists() and (at := _COMMIT.fullmatch(path.name)) and (path.with_name(at[1]) / LOG).is_dir():
        return delta_table.of_folder(path.with_name(at[1]), int(at[2]), told)
    if not path.exists():
        raise rejected("no-data", f"there is no file or folder {printable(str(path))}")
    if (path / LOG).is_dir():
        return delta_table.of_folder(path, told=told)
    _check_in_no_table(path)
    if path.is_file() and path.name != mltable.NAME:
        return [DropFile(path, path.name, path.stat().st_size)]
    folder = path.parent if path.is_file() else path
    below = [(each, each.relative_to(folder)) for each in sorted(folder.rglob("*"))]
    if nested := next((name for _, name in below if name.name == LOG), None):
        where = quoted(str(folder / nested.parent))
        raise rejected(
            "delta-table", f"{where} is a Delta table: name that folder, without what lies beside it"
        )
    if table := table_of(f"{name.as_posix()}{'/.' * each.is_dir()}" for each, name in below):
        raise rejected(
            "delta-table", f"{quoted(str(folder))} holds {table}, whose files hold deleted rows as well"
        )
    files = {name.as_posix(): each for each, name in below if each.is_file()}
    return _of_mltable(files) if mltable.NAME in files else _of_folder(folder, files, told)


def _check_in_no_table(path: Path) -> None:
    """What lies in a Delta table is read by its log alone: its files hold rows that are deleted."""
    if table := next((each for each in path.resolve().parents if (each / LOG).is_dir()), None):
        raise InputRejected(
            "delta-table",
            f"it lies in a Delta table, whose files hold deleted rows as well; name {quoted(str(table))}",
        )


def _of_folder(folder: Path, files: Mapping[str, Path], told: list[str]) -> list[DropFile]:
    """As the app reads a folder."""
    left_out = listed(partitions.left_out(list(files)))
    kept = {name: each for name, each in files.items() if partitions.is_part(name)}
    if not kept:
        but = f", but {left_out} in folders that are no partitions: name one of these" if left_out else ""
        raise rejected("no-data", f"the folder {quoted(str(folder))} holds no data file{but}")
    told += [f"{left_out} of the folder: in no partition of it, not read"] if left_out else []
    return [DropFile(each, name, each.stat().st_size, below=name) for name, each in kept.items()]


def _of_mltable(files: Mapping[str, Path]) -> list[DropFile]:
    """The files that an MLTable names, with what it does to them."""
    read = mltable.read(files[mltable.NAME].read_bytes())
    return [
        DropFile(files[name], name, files[name].stat().st_size, steps=read.steps)
        for name in read.chosen(files)
    ]


def profile(
    path: Path,
    *,
    ignore: tuple[str, ...] = (),
    columns: Mapping[str, str] | None = None,
    by: Sequence[str] | None = None,
    grid: drift.Profile | None = None,
    hints: Mapping[str, str] | None = None,
    nulls: tuple[str, ...] = (),
) -> Profiled:
    """Profile a file or a folder.

    `columns` says what columns are (`loopfile.value_kinds.COLUMN_KINDS`); `grid` is the reference, as for
    `drift.profile`; `hints` are those of the reference's files; `nulls` are texts that mean no value.
    """
    said = dict(columns or {})
    known = {name: _known(column) for name, column in grid.columns.items()} if grid else {}
    spec = replace(_spec(ignore, said, nulls), hints=hints or {}, known_columns=known)
    left_out: list[str] = []
    sources = open_sources(files_of(path, left_out), spec)
    sources.told[:0] = left_out
    kinds = {name: JUDGED_AS[kind] for name, kind in sources.spec.columns.items() if kind in JUDGED_AS}
    while True:
        profiler = drift.Profiler(grid, ignore=spec.ignore, columns=kinds, by=by)
        try:
            _count(sources, profiler, segments=bool(by or (grid and grid.by)))
        except Contradicted as late:
            sources.learn(late)
            continue
        counted = profiler.finish()
        _check_finite(counted, sources)
        signs = {name: _signs(sources, name) for name, kind in said.items() if kind in SAID_NUMBERS}
        told = tuple(sources.findings())
        return Profiled(counted, told, sources.hints, sources.there, signs, said, nulls, sources.guessed)


def hints(path: Path, **how: Any) -> Mapping[str, str]:
    """What files show of others of their kind, by their first rows; as `profile` is asked."""
    return open_sources(files_of(path), _spec(**how)).hints


def _spec(
    ignore: tuple[str, ...] = (), columns: Mapping[str, str] | None = None, nulls: tuple[str, ...] = ()
) -> ReadSpec:
    return ReadSpec(target="", ignore=ignore, columns=dict(columns or {}), limits=_LIMITS, nulls=nulls)


def _signs(sources: Sources, name: str) -> frozenset[str]:
    """What stands around the numbers of a column; an empty text for numbers by themselves."""
    looks = [part.looks[name] for part in sources.parts if name in part.looks]
    bare = any(look.rows[POINT] or look.rows[COMMA] for look in looks)
    return frozenset({sign for look in looks for sign in look.signs} | ({""} if bare else set()))


def _check_finite(counted: drift.Profile, sources: Sources) -> None:
    """As for a drop: infinite numbers are broken exports."""
    for name, column in counted.columns.items():
        if column.grid is not None and column.grid.infinite:
            raise sources.infinite(name)


def _known(column: drift.ColumnProfile) -> str:
    if column.kind in _KINDS and (column.kind != "category" or column.type in ("string", "large_string")):
        return _KINDS[column.kind]
    return _NUMBERS.get(column.type, NOTHING)


def _count(sources: Sources, profiler: drift.Profiler, *, segments: bool) -> None:
    plain = [part.file for part in sources.parts if isinstance(part.file, Parquet) and _is_plain(part)]
    alike = all(file.schema.equals(plain[0].schema) for file in plain)
    if not segments and alike and len(plain) == len(sources.parts) and not sources.spec.columns:
        for file in plain:
            assert isinstance(file.path, Path)  # `compare` reads what lies here
            profiler.read_parquet(file.path)  # each column by itself: the fastest way
        return
    types = {name: _type(sources, name) for name in sources.found}
    rows = 0
    for batch in sources.coded(types):
        rows += batch.num_rows
        profiler.update(batch)
    if not rows:
        profiler.update(pa.table({name: pa.nulls(0) for name in types}))


def _is_plain(part: Part) -> bool:
    """Whether nothing is to be done to a file's columns."""
    as_they_are = list(part.names) == list(part.names.values()) == list(part.file.columns)
    return isinstance(part.file, Parquet) and part.file.plain and as_they_are and not part.constants


def _type(sources: Sources, name: str) -> str:
    kind = sources.settled(name)
    known = sources.spec.known_columns.get(name) == STRING and name not in sources.spec.columns
    return STRING if known and kind != NOTHING and name in sources.texts else kind

"""The files of a drop become one stream of canonical batches, which can be begun again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from shared.intake.reader.columns import (
    ARROW,
    NOTHING,
    STRING,
    TextColumn,
    canonical,
    from_arrow,
    from_text,
    join,
)
from shared.intake.reader.delimited import Delimited, open_delimited
from shared.intake.reader.drop_files import DropFile, ReadSpec
from shared.intake.reader.formats import Budget, is_parquet, open_text
from shared.intake.reader.parquet import Parquet, open_parquet
from shared.intake.rejections import listed, quoted, rejected

Source = Delimited | Parquet


@dataclass
class Sources:
    """All files of one drop, opened, with the types that their columns suggest."""

    files: list[Source]
    spec: ReadSpec
    budget: Budget
    texts: dict[str, TextColumn]
    found: dict[str, str]
    dropped: list[str]
    """Ignored columns of types for which there is no use."""

    @property
    def text(self) -> bool:
        """Whether all files are text, which can stay text."""
        return all(isinstance(file, Delimited) for file in self.files)

    def settled(self, name: str) -> str:
        """The type of a column when nothing is known of it before."""
        return STRING if self.found[name] == NOTHING else self.found[name]

    def batches(self, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        """All rows of these columns as their settled types; file by file in the order of their names."""
        schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
        rows, budget = 0, replace(self.budget)
        for file in self.files:
            for batch in (
                file.batches() if isinstance(file, Delimited) else file.batches(list(columns), budget)
            ):
                rows += batch.num_rows
                if rows > self.spec.limits.max_rows:
                    limit = f"the limit is {self.spec.limits.max_rows:,}"
                    raise rejected(
                        "too-many-rows", f"{quoted(file.name)} brings the drop to {rows:,} rows, {limit}"
                    )
                arrays = [self._column(batch, file, name, kind) for name, kind in columns.items()]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _column(self, batch: pa.RecordBatch, file: Source, name: str, kind: str) -> pa.Array:
        column = batch.column(batch.schema.names.index(name))
        if isinstance(file, Delimited):
            return from_text(column, name, kind, self.texts[name].decimal_commas)
        return from_arrow(column, name, kind)


def open_sources(files: Sequence[DropFile], spec: ReadSpec) -> Sources:
    """Open every file, check that they belong together, and see what the columns of text can be read as."""
    most = spec.limits.max_bytes
    if (total := sum(file.path.stat().st_size for file in files)) > most:
        first = listed([file.name for file in files], 1)
        raise rejected("too-large", f"{first} has {total:,} bytes, the limit is {most:,}")
    budget = Budget(most, most)
    opened = [_open(file, spec, budget) for file in sorted(files, key=lambda file: file.name)]
    _check_same_columns(opened)
    sources = Sources(opened, spec, budget, {}, {}, [])
    _see_texts(sources)
    for name in opened[0].columns:
        kind = _found(sources, name)
        if kind is None:
            sources.dropped.append(name)
        else:
            sources.found[name] = kind
    return sources


def _open(file: DropFile, spec: ReadSpec, budget: Budget) -> Source:
    if is_parquet(file, spec):
        return open_parquet(file.path, file.name, spec.limits)
    return open_delimited(open_text(file, budget), spec.limits, spec.target)


def _check_same_columns(files: Sequence[Source]) -> None:
    first = files[0]
    for other in files[1:]:
        if set(other.columns) != set(first.columns):
            different = sorted(set(other.columns) ^ set(first.columns))
            raise rejected(
                "mixed-schemas",
                f"{quoted(first.name)} and {quoted(other.name)} differ in the columns {listed(different)}",
            )


def _see_texts(sources: Sources) -> None:
    """One pass over the text; columns that are known to be text need no look."""
    files = [file for file in sources.files if isinstance(file, Delimited)]
    if not files:
        return
    commas = all(file.separator != "," for file in files)
    sources.texts = {name: TextColumn(commas) for name in files[0].columns}
    for file in files:
        for batch in file.batches():
            for name, column in zip(file.columns, batch.columns, strict=True):
                sources.texts[name].see(column)


def _found(sources: Sources, name: str) -> str | None:
    """The type that the values of a column suggest; None when it is ignored and of no use."""
    spec, found = sources.spec, NOTHING
    for file in sources.files:
        kind = _text_type(sources, name) if isinstance(file, Delimited) else _arrow_type(file, name, spec)
        if kind is None:
            return None
        joined = join(found, kind)
        if joined is None:
            raise rejected(
                "mixed-schemas",
                f"column {quoted(name)} is {kind} in {quoted(file.name)} and {found} before it",
            )
        found = joined
    return found


def _arrow_type(file: Parquet, name: str, spec: ReadSpec) -> str | None:
    kind = canonical(file.schema.field(name).type)
    if kind is None and name not in spec.ignore:
        shape = quoted(str(file.schema.field(name).type)[:100])
        raise rejected("unsupported-column", f"{quoted(file.name)} has column {quoted(name)} of type {shape}")
    return kind


def _text_type(sources: Sources, name: str) -> str:
    text, spec = sources.texts[name], sources.spec
    before = spec.known_columns.get(name)
    if text.spoilt_numbers and before != STRING and name not in (*spec.ignore, spec.id):
        share = f"{text.values:,} values, nearly all of them numbers, and among them {quoted(text.odd)}"
        raise rejected("unparsable-numbers", f"column {quoted(name)} holds {share}")
    return text.type

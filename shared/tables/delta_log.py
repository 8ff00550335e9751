"""The log of a Delta table: which of its files tell of a commit, and what the table was then.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md. JSON commits and Parquet checkpoints are read: classic, in
parts, and those of the second version with their sidecars. Compacted logs, checksums and `_last_checkpoint` only save
time, and what is not read cannot contradict. A log is hostile input: paths lead nowhere but below the table's own
folder, and its sizes have limits.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.intake.rejections import listed, quoted, rejected
from shared.tables.snapshot import Deleted, InTable, Snapshot, Table, TableColumn, TablePart, below

MOST_COMMITS = 10_000
"""Commits that are read after a checkpoint."""
MOST_FILES = 50_000
"""Files of a table that are read."""

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(
    r"(?P<n>\d{20})\.checkpoint\.(?:(?P<o>\d{10})\.(?P<p>\d{10})\.parquet|(?P<u>[0-9A-Za-z-]{36})\.(?:json|parquet)|parquet)"
)
_SIDECARS = "_sidecars/"

READS = frozenset(
    ("columnMapping", "deletionVectors", "timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint",
     "vacuumProtocolCheck")
)  # fmt: skip
"""Reader features of the protocol that are honoured; a table that asks for another is refused."""

_LEAVES = (
    "add.path",
    "add.partitionValues",
    "add.size",
    "add.deletionVector",
    "metaData",
    "protocol",
    "sidecar",
)
"""Of a checkpoint; statistics are most of its bytes."""
_WRONG = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Needed:
    """Names below the log's folder: a checkpoint, in one file or in parts, and the commits after it."""

    version: int
    checkpoint: tuple[str, ...]
    commits: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.checkpoint, *self.commits)


def newest(names: Iterable[str]) -> int | None:
    """The newest commit that some names below the log's folder tell of."""
    found = [int(one[1]) for name in names if (one := _COMMIT.fullmatch(name) or _CHECKPOINT.fullmatch(name))]
    return max(found, default=None)


def needed(names: Iterable[str], version: int, table: str) -> Needed:
    """The files of a log that tell what the table was at a commit, of those that are there."""
    there = list(names)
    commits = {int(one[1]): name for name in there if (one := _COMMIT.fullmatch(name))}
    start, checkpoint = max(
        ((n, files) for n, files in _checkpoints(there).items() if n <= version), default=(-1, ())
    )
    if version - start > MOST_COMMITS:
        since = f"since its checkpoint {start}" if checkpoint else "and no checkpoint"
        raise rejected("delta-log-too-large", f"{table} has {version - start:,} commits {since}")
    wanted = range(start + 1, version + 1)
    if absent := [number for number in wanted if number not in commits]:
        since = f"after its checkpoint {start}" if checkpoint else "and has no checkpoint before them"
        which = f"commit {absent[0]}" + (f" and {len(absent) - 1} more" if len(absent) > 1 else "")
        raise rejected("delta-log-gap", f"the log of {table} lacks {which} {since}")
    own = [commits[version]] if version in commits and version <= start else []
    return Needed(version, checkpoint, (*own, *(commits[number] for number in wanted)))


def _checkpoints(names: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """The whole checkpoints: of several of one commit, which are alike, one."""
    found: dict[int, tuple[str, ...]] = {}
    parts: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
    for name in sorted(names):
        if (one := _CHECKPOINT.fullmatch(name)) is None:
            continue
        if one["p"]:
            parts[int(one["n"]), int(one["p"])][int(one["o"])] = name
        elif not one["u"] or int(one["n"]) not in found:
            found[int(one["n"])] = (name,)
    for (number, count), files in parts.items():
        if set(files) == set(range(1, count + 1)):
            found.setdefault(number, tuple(files[part] for part in sorted(files)))
    return found


@dataclass
class _State:
    """What the actions come to so far."""

    protocol: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """By path and deletion vector."""
    sidecars: list[str] = field(default_factory=list)
    added: set[tuple[str, str]] = field(default_factory=set)
    """Files that the last commit brought; nothing but a commit changes rows."""
    removes: bool = False
    """Whether the last commit took rows away."""
    changed_at: int = -1

    def take(self, actions: list[Mapping[str, Any]]) -> None:
        """One commit, or some of a checkpoint; what it removes goes before what it adds."""
        self.added, self.removes = set(), False
        for action in actions:
            if (removed := action.get("remove")) is not None:
                self.files.pop(_key(removed), None)
                self.removes = self.removes or bool(removed.get("dataChange", True))
        for action in actions:
            if (added := action.get("add")) is not None:
                self.files[key := _key(added)] = added
                self.added |= {key} if added.get("dataChange", True) else set()
            self.protocol = action.get("protocol") or self.protocol
            self.meta = action.get("metaData") or self.meta
            if sidecar := action.get("sidecar"):
                self.sidecars.append(_sidecar(str(sidecar["path"])))
        if len(self.files) > MOST_FILES:
            raise rejected("delta-log-too-large", f"the table has more than {MOST_FILES:,} files")


def _key(action: Mapping[str, Any]) -> tuple[str, str]:
    vector = action.get("deletionVector") or {}
    of = "".join(str(vector.get(key) or "") for key in ("storageType", "pathOrInlineDv", "offset"))
    return below(str(action["path"])), of


def _sidecar(path: str) -> str:
    """A file of the log's own folder for them, named alone or by where it lies."""
    name = below(path.rpartition(f"/_delta_log/{_SIDECARS}")[2])
    if "/" in name:
        raise rejected("delta-elsewhere", f"a checkpoint names {quoted(path)}")
    return f"{_SIDECARS}{name}"


@dataclass(frozen=True)
class Wanting:
    """Sidecars of a checkpoint that must be there, too; names below the log's folder."""

    names: tuple[str, ...]


def replay(wanted: Needed, files: Mapping[str, Path], table: str) -> Snapshot | Wanting:
    """The table at a commit, from the files of its log: name below the log's folder -> where it lies here."""
    state = _State()
    for name in wanted.checkpoint:
        _take(state, name, files[name])
    sidecars = tuple(state.sidecars)
    if absent := tuple(name for name in sidecars if name not in files):
        return Wanting(absent)
    for name in sidecars:
        _take(state, name, files[name])
    first = wanted.version + 1 - len(wanted.commits)
    state.changed_at = first - 1
    for number, name in enumerate(wanted.commits, first):
        _take(state, name, files[name])
        state.changed_at = number if state.added or state.removes else state.changed_at
    try:
        return _snapshot(state, wanted.version)
    except _WRONG as error:
        raise _bad(f"the log of {table}", error) from error


def _bad(what: str, error: Exception) -> Exception:
    if isinstance(error, KeyError):
        why = f"lacks {quoted(str(error.args[0]))} in one of its actions"
    elif isinstance(error, (TypeError, AttributeError)):
        why = "has an action of another form"
    else:
        why = f"cannot be read: {quoted(str(error) or type(error).__name__)}"
    return rejected("bad-delta-log", f"{what} {why}")


def _take(state: _State, name: str, path: Path) -> None:
    """The actions of a file; those of a commit all together, because they count as one."""
    try:
        if name.endswith(".json"):
            with path.open(encoding="utf-8") as lines:
                state.take([json.loads(line) for line in lines if line.strip()])
        else:
            for actions in _of_parquet(path):
                state.take(actions)
    except _WRONG as error:
        raise _bad(quoted(name), error) from error


def _of_parquet(path: Path) -> Iterator[list[Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from shared.files.parquet import guards

    try:
        with pq.ParquetFile(path, **guards(), pre_buffer=False) as file:
            for batch in file.iter_batches(4096, columns=list(_LEAVES), use_threads=False):
                yield [
                    {kind: _plain(value)}
                    for kind in batch.schema.names
                    for value in batch.column(kind).drop_null().to_pylist()
                ]
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error


def _plain(value: Any) -> Any:
    """Maps, which Parquet gives as pairs, as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(each, tuple) for each in value):
        return dict(value)
    return value


# --- what the actions mean -----------------------------------------------------------------------


def _snapshot(state: _State, version: int) -> Snapshot:
    mapped = _check_protocol(state.protocol)
    if not state.meta:
        raise ValueError("no metaData tells the table's schema")
    provider = (state.meta.get("format") or {}).get("provider", "parquet")
    if provider != "parquet":
        raise rejected("delta-feature", f"the table's files are {quoted(str(provider))}")
    mode = str((state.meta.get("configuration") or {}).get("delta.columnMapping.mode", "none"))
    mode = mode if mapped else "none"
    table = Table(tuple(_columns(json.loads(state.meta["schemaString"]), mode)), mode == "id")
    by_name = {column.name: column for column in table.columns}
    partitions = [by_name[name] for name in state.meta.get("partitionColumns") or ()]
    files, told = [], set()
    if len({path for path, _ in state.files}) < len(state.files):
        raise ValueError("a file is in the table twice")
    for key, added in sorted(state.files.items()):
        given = added.get("partitionValues") or {}
        values = {one.name: given.get(one.physical) or None for one in partitions}
        told |= {
            one.name for one in partitions if one.type == "timestamp" and not _has_zone(values[one.name])
        }
        vector = added.get("deletionVector")
        part = TablePart(table, values, Deleted.of(vector) if vector else None)
        files.append(InTable(key[0], int(added["size"]), part, key in state.added))
    zoneless = (
        f"partition column {quoted(name)} has times without a zone, read as UTC" for name in sorted(told)
    )
    return Snapshot(version, state.changed_at, state.removes, table, tuple(files), tuple(zoneless))


def _has_zone(value: str | None) -> bool:
    return value is None or value.endswith("Z")


def _check_protocol(protocol: Mapping[str, Any]) -> bool:
    """Refuse what a reader must honour and this one does not; whether columns may be mapped."""
    if not protocol:
        raise ValueError("no protocol tells what a reader must know")
    reader = int(protocol["minReaderVersion"])
    features = set(protocol.get("readerFeatures") or ()) if reader >= 3 else set()
    unknown = sorted(features - READS)
    if reader > 3 or unknown:
        what = f"the reader features {listed(unknown)}" if unknown else f"reader version {reader}"
        raise rejected("delta-feature", f"the table asks for {what}, which Driftloop does not read")
    return reader == 2 or "columnMapping" in features


def _columns(schema: Mapping[str, Any], mode: str) -> Iterator[TableColumn]:
    if mode not in ("none", "name", "id"):
        raise rejected("delta-feature", f"the table maps its columns by {quoted(mode)}")
    for one in schema["fields"]:
        name, kind, meta = str(one["name"]), one["type"], one.get("metadata") or {}
        if kind == "void":
            continue  # it holds nothing, and lies in no file
        physical = name if mode == "none" else str(meta["delta.columnMapping.physicalName"])
        field_id = int(meta["delta.columnMapping.id"]) if mode == "id" else None
        yield TableColumn(name, kind if isinstance(kind, str) else _list(kind), physical, field_id)


def _list(kind: Mapping[str, Any]) -> str:
    """A list of a primitive type, as Delta's SQL writes it; empty for any other nested type."""
    element = kind.get("elementType") if kind.get("type") == "array" else None
    return f"array<{element}>" if isinstance(element, str) else ""

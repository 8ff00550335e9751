"""The blobs of a drop: one file, those of a folder that has ended, those that its manifest names, or a Delta table.

A Delta table is read at each of its commits: a version is the whole table as it was then (decision 47).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.reason import Code, Reason, reason
from shared.errors import DependencyUnavailable, InputRejected
from shared.files import partitions
from shared.inbox import recorder
from shared.inbox.landings import FOLDER_END
from shared.intake import manifest
from shared.intake.manifest import Promised
from shared.intake.rejections import listed, quoted, rejected
from shared.ports import Blob
from shared.runtime.unit_of_work import Unit
from shared.state import rows
from shared.tables import mltable
from shared.tables.snapshot import LOG, commit_of

if TYPE_CHECKING:
    from shared.domain.version import DataVersion
    from shared.loopfile import Data
    from shared.tables.mltable import Steps
    from shared.tables.snapshot import TablePart

LOOK_AGAIN_S = 30.0
"""How soon a folder is looked at whose manifest names files that have not landed."""


class NoDrop(Exception):
    """What landed is no drop, or none any more; nobody need do anything about it."""

    def __init__(self, why: Reason, state: InboxState = InboxState.IGNORED) -> None:
        super().__init__(why.code)
        self.why, self.state = why, state


@dataclass(frozen=True)
class Parts:
    """`folder` is their common beginning, with its slash; empty for one file."""

    folder: str
    blobs: Sequence[Blob]
    promised: Mapping[str, Promised] = field(default_factory=dict)
    """By name below the folder, where a manifest names them."""
    told: tuple[str, ...] = ()
    tables: Mapping[str, TablePart] = field(default_factory=dict)
    """By name below the folder, of a Delta table."""
    steps: Steps | None = None
    """What an MLTable does to them."""


def parts(
    unit: Unit,
    record: InboxRecord,
    blob: Blob,
    scratch: Path,
    max_bytes: int,
    key: str = "data.limits.max_size_mb",
    *,
    by_job: bool = False,
) -> Parts:
    """What `blob` stands for. InputRejected where it is not complete; DependencyUnavailable where it may be yet; NoDrop
    where there is nothing to read. `by_job`: a job is to read it, which takes minutes and machines."""
    data = unit.published().definition.data
    if _being_copied([blob]):
        raise NoDrop(copied_yet(blob))
    found = _found(unit, record, blob, data, scratch, by_job=by_job)
    if names := _being_copied(found.blobs):
        words = f"{listed(names)} of {found.folder} is being copied"
        _wait(unit, record, f"{words}; the folder waits", code=Code.COPY_UNDER_WAY)
        raise rejected("copy-incomplete", words)
    if (total := sum(part.size_bytes for part in found.blobs)) > max_bytes:
        raise InputRejected(
            "too-large",
            f"{blob.name} has {total:,} bytes, the loop's limit is {max_bytes:,}; "
            f"split the drop or raise `{key}`",
        )
    return found


def _being_copied(blobs: Sequence[Blob]) -> list[str]:
    """Names of those that a copy is yet to fill; InputRejected where one never will."""
    if broken := [one for one in blobs if one.copy not in ("", "pending")]:
        words = f"{listed([one.name for one in broken])} has no content: its copy ended as {broken[0].copy}"
        raise rejected("copy-incomplete", words)
    return [one.name for one in blobs if one.copy]


def copied_yet(blob: Blob) -> Reason:
    """Once its copy has ended it is another blob, which the sweep finds."""
    words = f"{quoted(blob.name)} is being copied; it is read within a quarter of an hour after its copy has ended"
    return reason(Code.COPY_UNDER_WAY, text=words)


def folder_of(record: InboxRecord, blob: Blob, data: Data) -> str:
    """The folder, with its slash, that this blob ends; empty for a file that is a drop of its own."""
    if quiet := record.body.get("folder"):
        return quiet
    wanted = data.complete.manifest if data.complete and record.kind is EventKind.BLOB else None
    folder, slash, base = blob.name.rpartition("/")
    return folder + slash if base == (wanted or FOLDER_END) else ""


def _found(unit: Unit, record: InboxRecord, blob: Blob, data: Data, scratch: Path, *, by_job: bool) -> Parts:
    if (commit := commit_of(blob.name)) is not None:
        return _of_table(unit, record, blob, *commit, scratch, by_job=by_job)
    folder = folder_of(record, blob, data)
    if not folder and blob.name.rpartition("/")[2] == mltable.NAME:
        raise rejected("bad-mltable", "MLTable lies in the landing prefix itself, without its folder")
    if not folder:
        return Parts("", [blob])
    quiet, blobs = "folder" in record.body, list(unit.ports.blobs.list(blob.container, folder))
    if any(one.name.startswith(f"{folder}{LOG}/") for one in blobs):
        raise NoDrop(reason(Code.TABLE_FOLDER, folder=f"{blob.container}/{folder}"))
    if table := partitions.table_of(one.name[len(folder) :] for one in blobs):
        raise rejected("delta-table", f"{folder} holds {table}, whose files hold deleted rows as well")
    if not quiet and blob.name != f"{folder}{FOLDER_END}":
        named = _named(unit, record, blob, folder, blobs, scratch)
        return _as_mltable(unit, named, named.blobs, scratch)
    found = [one for one in blobs if partitions.is_part(one.name[len(folder) :])]
    if quiet and any(one.created_at > blob.created_at for one in found):
        raise NoDrop(not_quiet(data, f"{blob.container}/{folder.rstrip('/')}"), InboxState.SUPERSEDED)
    left_out = [] if data.complete and data.complete.quiet else _left_out(folder, blobs)
    if not found:
        raise rejected("empty-folder", f"{folder} holds {FOLDER_END} but no data file{_but(left_out)}")
    told = (f"{listed(left_out)} of the folder: in no partition of it, not read",) if left_out else ()
    return _as_mltable(
        unit, Parts(folder, sorted(found, key=lambda one: one.name), told=told), blobs, scratch
    )


def _left_out(folder: str, blobs: Sequence[Blob]) -> list[str]:
    """Data in folders below it that are none of its partitions; an MLTable may name them."""
    names = [one.name[len(folder) :] for one in blobs]
    return [] if mltable.NAME in names else partitions.left_out(names, FOLDER_END)


def _but(left_out: list[str]) -> str:
    return f", but {listed(left_out)} in folders that are no partitions" if left_out else ""


def _as_mltable(unit: Unit, parts: Parts, among: Sequence[Blob], scratch: Path) -> Parts:
    """Where an MLTable lies in the folder, what it names, which may lie in folders of any name below."""
    below = {one.name[len(parts.folder) :]: one for one in among}
    if (blob := below.get(mltable.NAME)) is None:
        return parts
    if blob.size_bytes > mltable.MOST_BYTES:
        raise rejected("bad-mltable", f"MLTable has {blob.size_bytes:,} bytes")
    file = scratch / mltable.NAME
    unit.ports.blobs.download(blob, file)
    read = mltable.read(file.read_bytes())
    return replace(parts, blobs=[below[name] for name in read.chosen(below)], steps=read.steps)


def _named(
    unit: Unit, record: InboxRecord, blob: Blob, folder: str, blobs: Sequence[Blob], scratch: Path
) -> Parts:
    if blob.size_bytes > manifest.MOST_BYTES:
        raise rejected("bad-manifest", f"{blob.name} has {blob.size_bytes:,} bytes")
    file = scratch / "manifest"
    unit.ports.blobs.download(blob, file)
    promised = {one.name: one for one in manifest.read(file.read_bytes(), blob.name.rpartition("/")[2])}
    below = {one.name[len(folder) :]: one for one in blobs if one.name != blob.name and not one.copy}
    absent = manifest.absent(promised.values(), {name: one.size_bytes for name, one in below.items()})
    if absent:
        words = (
            f"{folder}: {'; '.join(absent[:5])}{f' and {len(absent) - 5} more' if len(absent) > 5 else ''}"
        )
        _wait(unit, record, f"{words}; its manifest waits", code=Code.MANIFEST_WAITS)
        raise rejected("manifest-differs", words)
    left_out = sorted(name for name in below.keys() - promised.keys() if partitions.is_part(name))
    told = (f"{listed(left_out)} of the folder: not in the manifest, not read",) if left_out else ()
    return Parts(folder, [below[name] for name in sorted(promised)], promised, told)


def _wait(unit: Unit, record: InboxRecord, words: str, *, code: Code) -> None:
    """Not for ever: what is named may still be on its way."""
    from shared.loopfile.definition import Complete

    complete = unit.published().definition.data.complete or Complete()
    if unit.ports.clock.now() < record.received_at + complete.wait:
        raise DependencyUnavailable(words, LOOK_AGAIN_S, code=code)


def not_quiet(data: Data, place: str) -> Reason:
    """Of a file whose folder, container/name, is read once nothing lands there."""
    return reason(Code.FOLDER_NOT_QUIET, folder=place, quiet=quiet_of(data).total_seconds())


def quiet_of(data: Data) -> timedelta:
    return (data.complete.quiet if data.complete else None) or timedelta(0)


def read_as(unit: Unit, place: str) -> int:
    """Number of the newest version that this folder was read as; 0 before the first."""
    found = unit.ports.store.read(unit.loop, rows.folder_key(place))
    return int(found.doc) if found else 0


def is_of(unit: Unit, version: int, blob: Blob) -> bool:
    """Whether the version of a folder was read from this blob; of older rows, whether it had landed by then."""
    read = unit.version(version)[0]
    if read.files:
        files: dict[str, str] = json.loads(unit.ports.documents.get(read.files))
        return files.get(blob.name) == blob.etag
    return read.landed_at is None or blob.created_at <= read.landed_at


# --- Delta tables --------------------------------------------------------------------------------


def _of_table(
    unit: Unit, record: InboxRecord, blob: Blob, folder: str, number: int, scratch: Path, *, by_job: bool
) -> Parts:
    """The table as it was at this commit, unless it changed no row, or a later one is read instead."""
    from shared.files.drop_files import Limits
    from shared.tables import delta_table

    whole_blobs = (one for one in unit.ports.blobs.list(blob.container, folder) if not one.copy)
    there = {one.name[len(folder) :]: one for one in whole_blobs}
    later = [n for name in there if (found := commit_of(name)) and (n := found[1]) > number and not found[0]]
    words = f"the Delta table {folder.rstrip('/')}"
    data = unit.published().definition.data
    whole, limits = data.delta == "snapshot", Limits.of(data.limits)
    read = _read_version(unit, blob, folder) if whole else None
    anew = read is not None and _is_made_anew(read, number, there)
    if whole and _is_overtaken(unit, blob, number, None if anew else read, newest=not later, anew=anew):
        raise NoDrop(_overtaken(blob, number), InboxState.SUPERSEDED)
    if whole and by_job and later and _is_to_come(unit, there[f"{LOG}/{max(later):020d}.json"]):
        raise NoDrop(_overtaken(blob, number), InboxState.SUPERSEDED)
    try:
        snapshot, blobs, tables = delta_table.of_blobs(
            unit.ports.blobs, there, words, number, scratch, limits, appended=not whole
        )
    except InputRejected as rejection:
        if rejection.code not in _MAY_BE_YET:
            raise
        if whole and later:
            raise NoDrop(_overtaken(blob, number), InboxState.SUPERSEDED) from None
        _wait(unit, record, str(rejection), code=Code.MANIFEST_WAITS)
        raise
    known = number - 1 if not whole else -1 if read is None or anew else _commit_read(read)
    if snapshot.changed_at <= known:
        raise NoDrop(reason(Code.DELTA_NO_CHANGE, commit=number, table=words))
    if not snapshot.files:
        raise NoDrop(reason(Code.DELTA_EMPTY, commit=number, table=words))
    return Parts(folder, blobs, told=snapshot.told, tables=tables)


_MAY_BE_YET = (Code.DELTA_LOG_GAP, Code.DELTA_FILES_MISSING)
"""Who copies a table may copy its log first."""


def table_of(blob: Blob, data: Data) -> str:
    """container/folder of the Delta table that a version of this blob is the whole of; empty for any other drop."""
    commit = commit_of(blob.name) if data.delta == "snapshot" else None
    return f"{blob.container}/{commit[0].rstrip('/')}" if commit else ""


def goes_back(unit: Unit, blob: Blob, same: int) -> bool:
    """Whether a table holds again what that version held, and was read otherwise in between (RESTORE, a DELETE of what
    was added): it is a version all the same, or the rows that it no longer has would stay in the training window."""
    table = table_of(blob, unit.published().definition.data)
    read = read_as(unit, f"{table}/{LOG}") if table else 0
    return read not in (0, same)


def _read_version(unit: Unit, blob: Blob, folder: str) -> DataVersion | None:
    """The newest version that is the whole of a table."""
    number = read_as(unit, f"{blob.container}/{folder}{LOG}")
    return unit.version(number)[0] if number else None


def _commit_read(read: DataVersion) -> int:
    commit = commit_of(read.source)
    assert commit is not None  # the source of what is the whole of a table
    return commit[1]


def _is_made_anew(read: DataVersion, number: int, there: Mapping[str, Blob]) -> bool:
    """Whether this commit is of another table in the same place: no later than the one that was read, which is gone or
    was written again. A log that is cleaned up loses commits before this one alone."""
    commit = _commit_read(read)
    now = there.get(f"{LOG}/{commit:020d}.json")
    return number <= commit and (now is None or now.etag != read.etag)


def _is_overtaken(
    unit: Unit, blob: Blob, number: int, read: DataVersion | None, *, newest: bool, anew: bool
) -> bool:
    """Whether a later commit was read before it; or it is not the newest of a table that is from before the loop, or
    that was made anew."""
    if not newest and (anew or blob.created_at < unit.state.published_at):
        return True
    if read is None or read.landed_at is None:
        return False
    return blob.created_at < read.landed_at or number < _commit_read(read)


def _is_to_come(unit: Unit, blob: Blob) -> bool:
    """Whether this commit waits as well, or nobody has told of it yet. It has all rows of its table; one that is
    committed to more often than a job can read it would fall behind for ever."""
    row = unit.ports.store.read(
        unit.loop, rows.inbox_key(recorder.blob_key(blob.container, blob.name, blob.etag))
    )
    return row is None or rows.decode(InboxRecord, row).state is InboxState.NEW


def _overtaken(blob: Blob, number: int) -> Reason:
    return reason(Code.DELTA_OVERTAKEN, commit=number, table=blob.name.rpartition(f"/{LOG}/")[0])

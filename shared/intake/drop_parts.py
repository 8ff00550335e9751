"""The blobs of a drop: one file, the files of a folder that has ended, or those that its manifest names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.event import EventKind, InboxRecord
from shared.domain.reason import Code
from shared.errors import DependencyUnavailable, InputRejected
from shared.inbox.landings import FOLDER_END
from shared.intake import manifest
from shared.intake.manifest import Promised
from shared.intake.reader import partitions
from shared.intake.rejections import listed, rejected
from shared.ports import Blob
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.loopfile import Data

LOOK_AGAIN_S = 30.0
"""How soon a folder is looked at whose manifest names files that have not landed."""


class NotQuiet(Exception):
    """More has landed in a folder since it was quiet, and before it was read: it is read once it is quiet again."""


@dataclass(frozen=True)
class Parts:
    """`folder` is their common beginning, with its slash; empty for one file."""

    folder: str
    blobs: Sequence[Blob]
    promised: Mapping[str, Promised] = field(default_factory=dict)
    """By name below the folder, where a manifest names them."""
    told: tuple[str, ...] = ()


def parts(unit: Unit, record: InboxRecord, blob: Blob, scratch: Path) -> Parts:
    """What `blob` stands for. InputRejected where it is not complete; DependencyUnavailable or NotQuiet where it may be
    yet."""
    data = unit.published().definition.data
    found = _found(unit, record, blob, data, scratch)
    limit = int(data.limits.max_size_mb * 1024 * 1024)
    if (total := sum(part.size_bytes for part in found.blobs)) > limit:
        raise InputRejected(
            "too-large",
            f"{blob.name} has {total:,} bytes, the loop's limit is {limit:,}; "
            "split the drop or raise `data.limits.max_size_mb`",
        )
    return found


def folder_of(record: InboxRecord, blob: Blob, data: Data) -> str:
    """The folder, with its slash, that this blob ends; empty for a file that is a drop of its own."""
    if quiet := record.body.get("folder"):
        return quiet
    wanted = data.complete.manifest if data.complete and record.kind is EventKind.BLOB else None
    folder, slash, base = blob.name.rpartition("/")
    return folder + slash if base == (wanted or FOLDER_END) else ""


def _found(unit: Unit, record: InboxRecord, blob: Blob, data: Data, scratch: Path) -> Parts:
    folder = folder_of(record, blob, data)
    if not folder:
        return Parts("", [blob])
    quiet, blobs = "folder" in record.body, list(unit.ports.blobs.list(blob.container, folder))
    if table := partitions.table_of(one.name[len(folder) :] for one in blobs):
        raise rejected("delta-table", f"{folder} is {table}, whose files hold deleted rows as well")
    if not quiet and blob.name != f"{folder}{FOLDER_END}":
        return _named(unit, record, blob, folder, blobs, scratch)
    found = [one for one in blobs if partitions.is_part(one.name[len(folder) :])]
    if quiet and any(one.created_at > blob.created_at for one in found):
        raise NotQuiet
    if not found:
        raise InputRejected(
            "empty-folder", f"{folder} holds {FOLDER_END} but no data file; land the part files first"
        )
    return Parts(folder, sorted(found, key=lambda one: one.name))


def _named(
    unit: Unit, record: InboxRecord, blob: Blob, folder: str, blobs: Sequence[Blob], scratch: Path
) -> Parts:
    if blob.size_bytes > manifest.MOST_BYTES:
        raise rejected("bad-manifest", f"{blob.name} has {blob.size_bytes:,} bytes")
    file = scratch / "manifest"
    unit.ports.blobs.download(blob, file)
    promised = {one.name: one for one in manifest.read(file.read_bytes(), blob.name.rpartition("/")[2])}
    below = {one.name[len(folder) :]: one for one in blobs if one.name != blob.name}
    absent = manifest.absent(promised.values(), {name: one.size_bytes for name, one in below.items()})
    complete, now = unit.published().definition.data.complete, unit.ports.clock.now()
    if absent:
        words = (
            f"{folder}: {'; '.join(absent[:5])}{f' and {len(absent) - 5} more' if len(absent) > 5 else ''}"
        )
        if now < record.received_at + (complete.wait if complete else timedelta(0)):
            raise DependencyUnavailable(
                f"{words}; its manifest waits", LOOK_AGAIN_S, code=Code.MANIFEST_WAITS
            )
        raise rejected("manifest-differs", words)
    left_out = sorted(name for name in below.keys() - promised.keys() if partitions.is_part(name))
    told = (f"{listed(left_out)} of the folder: not in the manifest, not read",) if left_out else ()
    return Parts(folder, [below[name] for name in sorted(promised)], promised, told)

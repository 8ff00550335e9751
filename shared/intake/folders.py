"""A folder is complete once nothing has landed in it for a while; what lands after it was read is told by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.reason import Code, reason
from shared.files import partitions
from shared.inbox import recorder
from shared.inbox.blob_events import Landed
from shared.inbox.landings import FOLDER_END
from shared.intake import drop_parts, drops
from shared.ports import Blob, Change, Delete, Insert, Row
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows

MOST_FOLDERS = 90
"""Folders that are looked after at once: the loop's own row names them, and one transaction changes as many rows."""


def take(unit: Unit, record: InboxRecord, row: Row) -> None:
    """A landed blob: a drop, or a file of a folder that is one once it is quiet."""
    place = record.body.get("part_of")
    if not place:
        drops.take(unit, record, row)
        return
    blob = unit.ports.blobs.find(record.body["container"], record.body["name"])
    if blob is None or blob.etag != record.body["etag"]:
        code = Code.DELETED if blob is None else Code.OVERWRITTEN
        drops.close(unit, record, row, InboxState.SUPERSEDED, reason(code))
    elif not (version := drop_parts.read_as(unit, place)):
        _begun(unit, record, row, blob, place)
    elif blob.copy == "pending":
        drops.close(unit, record, row, InboxState.IGNORED, drop_parts.copied_yet(blob))
    else:
        _after(unit, record, row, blob, version)


def _begun(unit: Unit, record: InboxRecord, row: Row, blob: Blob, place: str) -> None:
    """The folder's quiet time begins with its newest file, and not before that was told of: what is renamed keeps the
    time at which it was written (MicrosoftDocs/azure-docs#47857)."""
    known, state = unit.state.folders, unit.state
    newest = max(blob.created_at, record.received_at)
    why = drop_parts.not_quiet(unit.published().definition.data, place)
    closed = replace(record, state=InboxState.IGNORED, reason=why)
    changes: list[Change] = [update(row, closed), Delete(rows.todo_key(record))]
    if place in known or (len(known) < MOST_FOLDERS and not state.more_folders):
        state = replace(state, folders={**known, place: max(newest, known.get(place, newest))})
    else:
        state = replace(state, more_folders=True)
        if unit.ports.store.read(unit.loop, rows.folder_waits_key(place)) is None:
            changes.append(Insert(rows.folder_waits_key(place), f"{newest.isoformat()} {place}"))
    unit.commit(state, changes=changes)


def _after(unit: Unit, record: InboxRecord, row: Row, blob: Blob, version: int) -> None:
    if drop_parts.is_of(unit, version, blob):
        why = reason(Code.FOLDER_READ, folder=record.body["part_of"], version=version)
        drops.close(unit, record, row, InboxState.IGNORED, why)
        return
    late = reason(Code.LATE_FILE, folder=record.body["part_of"], version=version)
    unit.ports.blobs.quarantine(blob, f"{late.code.value}: the folder was read as version {version}")
    drops.close(unit, record, row, InboxState.QUARANTINED, late)


def quiet(unit: Unit) -> timedelta:
    return drop_parts.quiet_of(unit.published().definition.data)


def next_at(unit: Unit) -> datetime | None:
    """When the next folder may be complete; None when none is waited for."""
    newest = min(unit.state.folders.values(), default=None)
    return newest + quiet(unit) if newest else None


def answer(unit: Unit) -> bool:
    """Make a drop of a folder whose time is over; False when there is none."""
    now, span = unit.ports.clock.now(), quiet(unit)
    for place, newest in sorted(unit.state.folders.items()):
        if now >= newest + span:
            _look(unit, place, now - span)
            return True
    return _next(unit)


def _next(unit: Unit) -> bool:
    """Folders for which there was no room, as soon as there is some; False when none has come nearer."""
    room = MOST_FOLDERS - len(unit.state.folders)
    if not unit.state.more_folders or room <= 0:
        return False
    found = unit.ports.store.range(unit.loop, rows.FOLDER_WAITS, limit=room)
    folders = dict(unit.state.folders)
    for row in found:
        landed, _, place = row.doc.partition(" ")
        folders.setdefault(place, datetime.fromisoformat(landed))
    state = replace(unit.state, folders=folders, more_folders=len(found) == room)
    unit.commit(state, changes=[Delete(row.key) for row in found])
    return True


def _look(unit: Unit, place: str, before: datetime) -> None:
    """Read what lies there: a file whose event is on its way still keeps the folder open."""
    container, _, folder = place.partition("/")
    listed = list(unit.ports.blobs.list(container, f"{folder}/"))
    found = [one for one in listed if partitions.is_part(one.name[len(folder) + 1 :])]
    now = unit.ports.clock.now()
    newest = max(found, key=lambda one: (one.created_at, one.name), default=None)
    left = {name: at for name, at in unit.state.folders.items() if name != place}
    ends = [one.created_at for one in listed if one.name == f"{folder}/{FOLDER_END}"]
    if newest is None or any(at >= newest.created_at for at in ends):  # or a _SUCCESS has ended it
        unit.commit(replace(unit.state, folders=left))
    elif _first_seen(unit, found) or any(one.copy == "pending" for one in found):
        unit.commit(replace(unit.state, folders={**left, place: now}))
    elif newest.created_at > before:
        unit.commit(replace(unit.state, folders={**left, place: newest.created_at}))
    else:
        record = InboxRecord(
            key=rows.key_of("folder", place, *(f"{one.name} {one.etag}" for one in found)),
            kind=EventKind.BLOB,
            received_at=now,
            body={"container": container, "name": newest.name, "etag": newest.etag, "folder": f"{folder}/"},
        )
        known = unit.ports.store.read(unit.loop, rows.inbox_key(record.key)) is not None
        new = [
            Insert(rows.inbox_key(record.key), rows.encode(record)),
            Insert(rows.todo_key(record), record.key),
        ]
        unit.commit(replace(unit.state, folders=left), changes=[] if known else new)


def _first_seen(unit: Unit, found: Sequence[Blob]) -> bool:
    """Whether files lie there that nobody has told of; now they are on record, as by the sweep."""
    known, overview = recorder.known(unit.ports, unit.loop), unit.ports.store.overview(unit.loop)
    assert overview is not None  # of a loop that is published
    new = [
        Landed(one.container, one.name, one.etag, "")
        for one in found
        if recorder.blob_key(one.container, one.name, one.etag) not in known and one.copy != "pending"
    ]
    for one in new:
        recorder.land(unit.ports, overview, one)
    return bool(new)

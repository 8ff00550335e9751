"""A drop becomes exactly one data version, or is quarantined with its reason."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import LoopState, SetAside
from shared.domain.reason import Code, Reason, bounded, reason
from shared.domain.version import DataVersion, VersionState
from shared.errors import Conflict, InputRejected
from shared.intake import drop_parts, job_orders, manifest
from shared.intake.rejections import quoted, rejected
from shared.intake.returns import with_returns
from shared.port_rules import ROW_LIMIT_BYTES, bytes_in_table
from shared.ports import Blob, Change, Delete, Insert, Replace, Row
from shared.redaction import reason_of, words_of
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.tables.snapshot import LOG
from shared.verdict import version_verdict

if TYPE_CHECKING:
    from shared.intake import Reading, ReadSpec


MOST_ASIDE = 10
"""Events in quarantine that a loop's own row names; all of them are listed beside it."""


@dataclass(frozen=True)
class Landing:
    """A landed blob at work: its loop and its inbox record, in one unit of work."""

    unit: Unit
    record: InboxRecord
    row: Row

    def close(self, state: InboxState, why: Reason, version: int | None = None) -> None:
        close(self.unit, self.record, self.row, state, why, version=version)


@dataclass(frozen=True)
class Read:
    """What reading a blob gave."""

    blob: Blob
    path: str
    """Of its parts, in the versions container."""
    reading: Reading
    files: Mapping[str, str]
    """ETag of each blob that was read."""
    folder: Path | None
    """Of its parts, here; None where a job read it."""
    how: Reason | None = None
    """Which job, where one did."""


Keep = Callable[[Landing, Read], Unit | None]
"""What becomes of what was read; the loop as it was left, where there is more to do at once."""


def take(unit: Unit, record: InboxRecord, row: Row) -> None:
    """A landed blob is read, registered and judged, a transaction each; where a worker died, the next one goes on."""
    if record.version is None:
        spec = spec_of(unit)
        numbered = read(
            Landing(unit, record, row), spec, partial(number, reference=spec.reference), jobs=True
        )
        if numbered is None:
            return
        unit, row = numbered, numbered.written[row.key]
        record = rows.decode(InboxRecord, row)
    register(unit, record, row)


def read(landing: Landing, spec: ReadSpec, keep: Keep, *, jobs: bool = False) -> Unit | None:
    """Read the blob as it was when its event was written, or let a job read it where `jobs` may; what cannot be read is
    closed with its reason."""
    blob, gone = found(landing.unit, landing.record)
    if gone is not None:
        landing.close(*gone)
    return _read(landing, blob, spec, keep, jobs=jobs) if blob is not None else None


def found(unit: Unit, record: InboxRecord) -> tuple[Blob | None, tuple[InboxState, Reason] | None]:
    """The blob of exactly this event, or how the event ends without it."""
    body = record.body
    try:
        blob = unit.ports.blobs.find(body["container"], body["name"])
        if (blob is None or blob.etag != body["etag"]) and (written := body.get("written")):
            blob = unit.ports.blobs.find(body["container"], written) or blob
    except InputRejected as rejection:
        return None, (InboxState.QUARANTINED, reason_of(rejection))
    if blob is None:
        return None, (InboxState.SUPERSEDED, reason(Code.DELETED))
    if blob.etag != body["etag"]:
        return None, (InboxState.SUPERSEDED, reason(Code.OVERWRITTEN))
    return blob, None


def _read(landing: Landing, blob: Blob, spec: ReadSpec, keep: Keep, *, jobs: bool) -> Unit | None:
    unit, record, row = landing.unit, landing.record, landing.row
    try:
        spec = landed(spec, blob)
        with tempfile.TemporaryDirectory(prefix="driftloop-") as folder:
            if jobs and job_orders.first(unit, record):
                job_orders.ask(unit, record, row, blob, spec, Path(folder))
                return None
            out = Path(folder) / "out"
            found = drop_parts.parts(unit, record, blob, Path(folder), spec.limits.max_bytes)
            reading = _reading(unit, found, spec, Path(folder))
            path = f"{unit.loop}/{record.key}/{_reading_of(unit)}"
            for part in sorted(out.rglob("*.parquet")):
                unit.ports.versions.write(f"{path}/{part.relative_to(out).as_posix()}", part)
            files = {one.name: one.etag for one in found.blobs}
            return keep(landing, Read(blob, path, reading, files, out))
    except drop_parts.NoDrop as nothing:
        landing.close(nothing.state, nothing.why)
    except InputRejected as rejection:
        if jobs and not job_orders.first(unit, record) and job_orders.is_beyond(unit, rejection):
            job_orders.note(unit, record, row, rejection)
        else:
            refuse(landing, blob, rejection)
    except Conflict:
        if (now := unit.ports.blobs.find(blob.container, blob.name)) and now.etag == blob.etag:
            raise
        landing.close(InboxState.SUPERSEDED, reason(Code.OVERWRITTEN))
    return None


def refuse(landing: Landing, blob: Blob, rejection: InputRejected) -> None:
    landing.unit.ports.blobs.quarantine(blob, f"{rejection.code}: {words_of(rejection)}")
    landing.close(InboxState.QUARANTINED, reason_of(rejection))


def landed(spec: ReadSpec, blob: Blob) -> ReadSpec:
    return replace(spec, landed_at=blob.created_at.isoformat())


def _reading_of(unit: Unit) -> str:
    """What else the bytes depend on: a reading that was given up never meets one under other circumstances."""
    champion = unit.state.champion.profile if unit.state.champion else ""
    return rows.key_of(unit.state.definition, str(unit.state.next_version), champion)[:8]


def _reading(unit: Unit, found: drop_parts.Parts, spec: ReadSpec, scratch: Path) -> Reading:
    from shared.intake import DropFile, read_drop

    places = {scratch / f"in-{index:05d}": part for index, part in enumerate(found.blobs)}
    unit.ports.blobs.download_all(places)
    files = []
    for local, part in places.items():
        below = part.name.removeprefix(found.folder)
        if (promised := found.promised.get(below)) is not None:
            manifest.check_content(promised, local)
        file = DropFile(local, part.name, part.size_bytes, "" if found.steps else below)
        files.append(replace(file, table=found.tables.get(below), steps=found.steps))
    reading = read_drop(files, spec, scratch / "out")
    return replace(reading, findings=(*found.told, *reading.findings))


def spec_of(unit: Unit) -> ReadSpec:
    from shared.intake import ReadSpec

    champion, definition = unit.state.champion, unit.published().definition
    spec = ReadSpec.of(
        definition.data,
        unit.newest_columns(),
        unit.ports.documents.get(champion.profile) if champion else b"",
        definition.drift.cluster or "",
        definition.slices,
    )
    return spec if champion else replace(spec, hints=hints(unit))


def hints(unit: Unit) -> Mapping[str, str]:
    """How the champion's data were written, or before there is one those of the newest version."""
    import drift

    newest, champion = unit.state.next_version - 1, unit.state.champion
    if champion is None and not newest:
        return {}
    stored = champion.profile if champion else unit.version(newest)[0].profile
    try:
        profile = drift.Profile.from_bytes(unit.ports.documents.get(stored))
    except (drift.DataError, drift.UnknownSchemaError):
        return {}
    return dict(profile.reading.get("hints", {}))


def number(landing: Landing, read: Read, *, reference: bytes) -> Unit | None:
    """Give the version its number: in one transaction, so that numbers have no gaps and no twins."""
    unit, record, blob, reading = landing.unit, landing.record, read.blob, read.reading
    if read.folder is not None:
        reading = with_returns(reading, read.folder, unit.published().definition, reference)
    twin = unit.ports.store.read(unit.loop, rows.content_key(reading.content_hash))
    if twin is not None and not drop_parts.goes_back(unit, blob, int(twin.doc)):
        same = int(twin.doc)
        landing.close(InboxState.DUPLICATE, reason(Code.SAME_CONTENT, version=same), version=same)
        return None
    version = _version(landing, replace(read, reading=reading))
    _check_fits(version)
    newest = unit.state.newest_landed_at or blob.created_at
    return unit.commit(
        replace(
            unit.state,
            next_version=version.number + 1,
            newest_labelled=version.number if version.labelled else unit.newest_labelled(),
            task=unit.state.task or reading.task,
            newest_landed_at=max(blob.created_at, newest),
        ),
        [_told("version.created", version, record, after="written")],
        [
            Insert(rows.version_key(version.number), rows.encode(version)),
            _content(version, twin),
            update(landing.row, replace(record, version=version.number, state=InboxState.NEW)),
            *([Insert(rows.todo_key(record), record.key)] if record.state is InboxState.READING else []),
            *_folder_read(unit, version),
        ],
    )


def _content(version: DataVersion, twin: Row | None) -> Change:
    """By this the same rows are known again; of a table that went back to them it names the newest version."""
    key, number = rows.content_key(version.content_hash), str(version.number)
    return Replace(key, number, twin.etag) if twin else Insert(key, number)


def _folder_read(unit: Unit, version: DataVersion) -> list[Change]:
    """By this a file is known to be late that lands in the folder afterwards, or a table's commit to be overtaken."""
    place = f"{version.table}/{LOG}" if version.table else version.source.rstrip("/")
    if place == version.source:
        return []
    key = rows.folder_key(place)
    before = unit.ports.store.read(unit.loop, key)
    number = str(version.number)
    return [Replace(key, number, before.etag) if before else Insert(key, number)]


def _version(landing: Landing, read: Read) -> DataVersion:
    unit, blob, reading = landing.unit, read.blob, read.reading
    data = unit.published().definition.data
    folder = drop_parts.folder_of(landing.record, blob, data)
    return DataVersion(
        number=unit.state.next_version,
        state=VersionState.WRITTEN,
        source=f"{blob.container}/{folder or blob.name}",
        etag=blob.etag,
        inbox_key=landing.record.key,
        path=read.path,
        content_hash=reading.content_hash,
        rows=reading.rows,
        train_rows=reading.train_rows,
        holdout_rows=reading.holdout_rows,
        columns=reading.columns,
        labelled=reading.labelled,
        profile=unit.ports.documents.put(reading.profile),
        tags=reading.tags,
        created_at=unit.ports.clock.now(),
        landed_at=blob.created_at,
        findings=(
            *(reason(Code.FINDING, text=text) for text in reading.findings),
            *([read.how] if read.how else []),
        ),
        rejected_rows=reading.rejected_rows,
        own_labels=reading.own_labels,
        table=drop_parts.table_of(blob, data),
        contract=unit.ports.documents.put(_contract(reading)) if reading.contract else "",
        files=unit.ports.documents.put(_listed(read.files)) if folder else "",
    )


def _check_fits(version: DataVersion) -> None:
    """A version that no row of a table holds is refused by name, and not tried for ever."""
    if (size := bytes_in_table(rows.encode(version))) > ROW_LIMIT_BYTES:
        raise rejected(
            "version-too-large",
            f"{quoted(version.source)} has {len(version.columns):,} columns and {len(version.findings):,} findings, "
            f"which take {size:,} bytes in a table; it takes {ROW_LIMIT_BYTES:,}",
        )


def _listed(files: Mapping[str, str]) -> bytes:
    return json.dumps(files, sort_keys=True, ensure_ascii=False).encode()


def _contract(reading: Reading) -> bytes:
    """What each rule came to, as it is stored."""
    return json.dumps({"rules": reading.contract}, sort_keys=True, ensure_ascii=False).encode()


def register(unit: Unit, record: InboxRecord, row: Row) -> None:
    """The data asset in Azure ML, under the version's own number; then it is judged."""
    assert record.version is not None
    version, version_row = unit.version(record.version)
    if version.state is not VersionState.READY:
        registered = _registered(unit, record, version, version_row)
        if registered is None:
            return
        unit = registered
    version_verdict.judge(unit, record, row)


def _registered(unit: Unit, record: InboxRecord, version: DataVersion, version_row: Row) -> Unit | None:
    asset_id = unit.ports.versions.register(
        asset=unit.loop,
        version=str(version.number),
        folder=version.path,
        tags={
            **version.tags,
            "source": version.source,
            "etag": version.etag,
            "content": version.content_hash,
        },
        description=f"Data version {version.number} of loop {unit.loop}",
    )
    ready = replace(version, state=VersionState.READY, asset_id=asset_id)
    return unit.commit(
        drafts=[_told("version.registered", ready, record, before="written", after="ready")],
        changes=[update(version_row, ready)],
    )


def _told(what: str, version: DataVersion, record: InboxRecord, before: str = "", after: str = "") -> Draft:
    detail = {
        "source": version.source,
        "rows": str(version.rows),
        "content": version.content_hash,
        "asset": version.asset_id,
        "path": version.path,
        "train": str(version.train_rows),
        "holdout": str(version.holdout_rows),
        "profile": version.profile,
    }
    if version.contract:
        detail |= {"contract": version.contract, "rejected": str(version.rejected_rows)}
    return Draft(what, f"version {version.number}", "driftloop", record.key, before, after, detail)


def close(
    unit: Unit, record: InboxRecord, row: Row, state: InboxState, why: Reason, *, version: int | None = None
) -> None:
    """End an inbox record: it is work no more, and the ledger says what became of it."""
    closed = replace(record, state=state, reason=why, version=version or record.version)
    ended = Draft(
        f"drop.{state.value}",
        record.subject,
        "driftloop",
        record.key,
        before=record.state.value,
        after=state.value,
        detail={"code": why.code.value, "note": why},
    )
    changes: list[Change] = [update(row, closed), Delete(rows.todo_key(record))]
    if state is not InboxState.QUARANTINED:
        unit.commit(drafts=[ended], changes=changes)
        return
    changes.append(Insert(rows.aside_key(closed.received_at, closed.key), closed.key))
    aside = SetAside(record.key, record.kind, record.received_at, record.subject, bounded(why))
    unit.commit(replace(unit.state, set_aside=(*unit.state.set_aside, aside)[-MOST_ASIDE:]), [ended], changes)


def made_good(state: LoopState, record: InboxRecord) -> LoopState:
    """The loop once this event was used: what was set aside of its kind before it needs nobody any more."""
    left = (
        one
        for one in state.set_aside
        if one.key != record.key and (one.kind is not record.kind or one.received_at > record.received_at)
    )
    return replace(state, set_aside=tuple(left))

"""A drop that is beyond the app is given to a Spark job: whether it may be, what is asked of the job, what waits."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import DropJob, LoopState
from shared.domain.reason import Code
from shared.errors import DependencyUnavailable, InputRejected
from shared.intake import drop_parts
from shared.loopfile.published import Published
from shared.ports import Blob, Delete, Row
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.files.drop_files import ReadSpec
    from shared.spark.read_order import Order

LOOK_AGAIN = timedelta(seconds=15)
"""How soon a job that reads is looked at again; it takes minutes to begin."""
DAY = timedelta(days=1)
MOST_ROWS = 2**40
_BEYOND = frozenset({"too-large", "decompressed-too-large", "too-many-rows", "too-much-memory", "too-slow"})
"""Rejections that say what the app can bear, not what is wrong with a drop."""


def may(published: Published) -> bool:
    """Whether drops of this loop may be read by jobs: older publications have no program for it."""
    return bool(published.assets.reader) and published.definition.reads_by_jobs


def first(unit: Unit, record: InboxRecord) -> bool:
    """Whether a job reads it, and the app does not try."""
    published = unit.published()
    return may(published) and bool(record.by_job or published.definition.data.reader == "spark")


def is_beyond(unit: Unit, rejection: InputRejected) -> bool:
    return may(unit.published()) and rejection.code in _BEYOND


def note(unit: Unit, record: InboxRecord, row: Row, rejection: InputRejected) -> None:
    """The app could not; from now on it does not try."""
    unit.commit(changes=[update(row, replace(record, by_job=rejection.code))])


def charged(state: LoopState, now: datetime) -> LoopState:
    """The loop after its job that reads has ended."""
    assert state.reading is not None
    took = (now - state.reading.asked_at).total_seconds()
    return replace(state, reading=None, read_by_jobs=(*_recent(state, now), (now, took)))


def _recent(state: LoopState, now: datetime) -> tuple[tuple[datetime, float], ...]:
    return tuple((at, seconds) for at, seconds in state.read_by_jobs if now - at < DAY)


def ask(unit: Unit, record: InboxRecord, row: Row, blob: Blob, spec: ReadSpec, scratch: Path) -> None:
    """Give the drop to a job, which is submitted by who looks at it first. DependencyUnavailable where it must wait."""
    _check_turn(unit, record)
    order = _order(unit, record, blob, spec, scratch)
    digest = unit.ports.documents.put(order.to_bytes())
    name = f"{unit.loop}-read-{record.key[:12]}-{digest[:8]}-{record.jobs + 1}"
    champion = unit.state.champion
    job = DropJob(
        key=record.key,
        source=record.subject,
        job=name,
        order=digest,
        circumstances=circumstances(spec),
        reference=champion.profile if champion else "",
        asked_at=unit.ports.clock.now(),
        size_bytes=sum(file.size for file in order.files),
        after=record.reason,
    )
    given = replace(record, state=InboxState.READING, jobs=record.jobs + 1)
    detail = {"job": name, "order": digest, "beyond": record.by_job}
    told = Draft(
        "drop.reading",
        record.subject,
        "driftloop",
        record.key,
        record.state.value,
        given.state.value,
        detail,
    )
    unit.commit(replace(unit.state, reading=job), [told], [update(row, given), Delete(rows.todo_key(record))])


def circumstances(spec: ReadSpec) -> str:
    """What a version depends on beside its blobs; the limits of the app are none of it."""
    told = {**spec.to_document(), "limits": None}
    reference = hashlib.sha256(spec.reference).hexdigest()
    return rows.key_of(json.dumps(told, sort_keys=True, default=dict), reference)


def _check_turn(unit: Unit, record: InboxRecord) -> None:
    state, now = unit.state, unit.ports.clock.now()
    if state.reading is not None:
        raise DependencyUnavailable(
            f"{record.subject} waits: Azure ML job {state.reading.job} reads another drop",
            LOOK_AGAIN.total_seconds(),
            code=Code.READING_WAITS,
        )
    limit, recent = unit.published().definition.data.spark.compute_per_day, _recent(state, now)
    took = timedelta(seconds=sum(seconds for _, seconds in recent))
    if recent and took >= limit:
        until = min(at for at, _ in recent) + DAY
        raise DependencyUnavailable(
            f"{record.subject} waits until {until:%Y-%m-%d %H:%M} UTC: jobs that read drops took {took} in a day, and "
            f"data.spark.compute_per_day is {limit}",
            (until - now).total_seconds(),
            code=Code.READING_USED_UP,
        )


def _order(unit: Unit, record: InboxRecord, blob: Blob, spec: ReadSpec, scratch: Path) -> Order:
    from shared.files.drop_files import Limits
    from shared.spark.read_order import Order, OrderedFile

    spark = unit.published().definition.data.spark
    most = int(spark.max_size_gb * 1024**3)
    found = drop_parts.parts(unit, record, blob, scratch, most, "data.spark.max_size_gb", by_job=True)
    files = []
    for part in found.blobs:
        below = part.name.removeprefix(found.folder)
        promised, part_of = found.promised.get(below), found.tables.get(below)
        shown = "" if found.steps else below
        files.append(OrderedFile.of(part, shown, part_of, promised.md5 if promised else None))
    limits: Limits = replace(
        spec.limits,
        max_bytes=most,
        max_rows=MOST_ROWS,
        memory_mb=spark.memory_mb,
        seconds=spark.timeout.total_seconds(),
    )
    table = next((one.table for one in found.tables.values()), None)
    return Order(
        files=tuple(files),
        spec=replace(spec, limits=limits).to_document(),
        told=tuple(found.told),
        table=table.to_document() if table else None,
        steps=vars(found.steps) if found.steps else None,
        vectors=dict(_vectors(found)),
    )


def _vectors(found: drop_parts.Parts) -> Iterator[tuple[str, str]]:
    """What a Delta table deleted: those files have been fetched with its log."""
    for part in found.tables.values():
        if part.deleted and part.deleted.file:
            yield part.deleted.file, base64.b64encode(Path(part.deleted.file).read_bytes()).decode()

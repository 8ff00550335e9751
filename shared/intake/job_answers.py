"""What became of the job that reads a drop: looked at until it ends, and then taken, tried again, or given up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import DropJob, LoopState
from shared.domain.reason import Code, Reason, bounded, reason
from shared.errors import Conflict, InputRejected, InvariantBroken
from shared.intake import drops, job_orders
from shared.loopfile.prices import price
from shared.port_rules import READING_TAG
from shared.ports import Blob, Change, Insert, JobSeen, ReadingSpec, Row
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.loopfile import Definition
    from shared.spark.read_answer import Answer, Read

HOUR = timedelta(hours=1)
PACKING_S = 60.0
"""For a profile that a job left, which is read in the process for what is hostile."""


def answer(unit: Unit) -> bool:
    """Look at the job once; False when there is none, or nothing has happened."""
    if (job := unit.state.reading) is None:
        return False
    row = unit.ports.store.read(unit.loop, rows.inbox_key(job.key))
    if row is None:
        raise InvariantBroken(
            f"{unit.loop}: the drop that job {job.job} reads has no inbox record; run `driftloop doctor`",
            code=Code.ROW_MISSING,
        )
    return _Look(unit, job, rows.decode(InboxRecord, row), row).happened()


def standing(state: LoopState, definition: Definition, now: datetime) -> Reason | None:
    """How far the job is, for people; None when there is none."""
    job = state.reading
    if job is None:
        return None
    took = now - job.asked_at
    return reason(
        Code.READING_BY_JOB,
        *([job.after] if job.after else []),
        job=job.job,
        source=job.source,
        took=took.total_seconds(),
        size=job.size_bytes,
        read=job.read_bytes,
        tasks=job.tasks,
        alone=job.alone,
        again=job.after is not None,
        money=cost(definition, took),
        currency=definition.cost.currency,
    )


def cost(definition: Definition, took: timedelta) -> float | None:
    """Of all its machines, the driver's as well; None where the size has no price."""
    spark = definition.data.spark
    an_hour = price(definition.cost, spark.instance_type)
    return None if an_hour is None else round((1 + spark.executors) * an_hour * (took / HOUR), 4)


@dataclass(frozen=True)
class _Look:
    unit: Unit
    job: DropJob
    record: InboxRecord
    row: Row

    def happened(self) -> bool:
        blob, gone = drops.found(self.unit, self.record)
        if gone is not None or blob is None:
            self.unit.ports.readings.cancel(self.job.job)
            assert gone is not None
            self._ended.close(*gone)
            return True
        spec = drops.landed(drops.spec_of(self.unit), blob)
        if (
            not job_orders.may(self.unit.published())
            or job_orders.circumstances(spec) != self.job.circumstances
        ):
            self.unit.ports.readings.cancel(self.job.job)
            self._again(reason(Code.READING_ANEW, job=self.job.job), failed=0)
            return True
        seen = self.unit.ports.readings.ensure(self._asked())
        if seen.status == "running":
            return self._late() or self._goes_on()
        self._take(blob, seen)
        return True

    @property
    def _is_late(self) -> bool:
        return self._took > self.unit.published().definition.data.spark.timeout

    def _asked(self) -> ReadingSpec:
        published, documents = self.unit.published(), self.unit.ports.documents
        spark = published.definition.data.spark
        return ReadingSpec(
            name=self.job.job,
            experiment=self.unit.loop,
            code=published.assets.reader,
            instance_type=spark.instance_type,
            cores=spark.cores,
            executors=spark.executors,
            memory_mb=spark.memory_mb,
            order=documents.get(self.job.order),
            reference=documents.get(self.job.reference) if self.job.reference else b"",
            tags={"driftloop.loop": self.unit.loop, READING_TAG: self.job.order},
        )

    # --- while it runs

    def _late(self) -> bool:
        if not self._is_late:
            return False
        self.unit.ports.readings.cancel(self.job.job)
        self._again(reason(Code.READING_TIMED_OUT, job=self.job.job))
        return True

    def _goes_on(self) -> bool:
        """What is new is kept, for people."""
        now = replace(self.job, **self._told())
        if now == self.job:
            return False
        self.unit.commit(replace(self.unit.state, reading=now))
        return True

    def _told(self) -> dict[str, Any]:
        """How far it is, and how many tasks read, or why one does."""
        from shared.spark.read_answer import ALONE, MOST_TASKS, PROGRESS

        try:
            told = json.loads(self.unit.ports.readings.left(self.job.job, PROGRESS, 1000) or b"{}")
            alone = str(told.get("alone", ""))
            return {
                "read_bytes": min(max(0, int(told.get("read", 0))), self.job.size_bytes),
                "tasks": min(max(0, int(told.get("tasks", 0))), MOST_TASKS),
                "alone": alone if ALONE.fullmatch(alone) else "",
            }
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}  # nothing rests on it

    # --- once it has ended

    def _take(self, blob: Blob, seen: JobSeen) -> None:
        from shared.spark.read_answer import Changed, Refused, Unbelievable

        try:
            found = self._answer()
        except Unbelievable as error:
            self._failed("answered what cannot be used", str(error))
            return
        if found is None:
            self._failed(seen.status, seen.error, by_hand=seen.status == "canceled" and not self._is_late)
        elif isinstance(found, Refused):
            drops.refuse(self._ended, blob, InputRejected(found.code, found.text))
        elif isinstance(found, Changed):
            self._again(reason(Code.READING_CHANGED, job=self.job.job, file=found.name))
        else:
            try:
                self._number(blob, found)
            except InputRejected as rejection:
                drops.refuse(self._ended, blob, rejection)

    def _answer(self) -> Answer | None:
        """Whatever the job's status: where an answer lies, all that it names does."""
        from shared.files.drop_files import Limits
        from shared.reader import child_pool
        from shared.spark.read_answer import ANSWER, MOST_ANSWER, MOST_PROFILE, PROFILE, believed

        readings, name = self.unit.ports.readings, self.job.job
        content = readings.left(name, ANSWER, MOST_ANSWER)
        if not content:
            return None
        own = self.unit.published().definition.data.limits.memory_mb  # never less than the app has by default
        limits = Limits(memory_mb=max(own, Limits().memory_mb), seconds=PACKING_S)
        packed_anew = partial(child_pool.packed_anew, limits=limits, names=self.job.source)
        return believed(content, self.job.order, readings.left(name, PROFILE, MOST_PROFILE), packed_anew)

    def _number(self, blob: Blob, found: Read) -> None:
        from shared.spark.read_order import Order

        path = f"{self.unit.loop}/{self.record.key}/{self.job.job.rpartition('-read-')[2]}"
        try:
            etags = {name: part.etag for name, part in found.parts.items()}
            self.unit.ports.readings.take(self.job.job, etags, path)
        except Conflict as other:
            self._failed("left other files than it named", str(other))
            return
        order = Order.from_bytes(self.unit.ports.documents.get(self.job.order))
        reading = replace(found.reading, findings=(*order.told, *found.reading.findings))
        definition = self.unit.published().definition
        how = reason(
            Code.READ_BY_JOB,
            job=self.job.job,
            why=self.record.by_job,
            tasks=found.tasks,
            alone=found.alone,
            took=self._took.total_seconds(),
            money=cost(definition, self._took),
            currency=definition.cost.currency,
        )
        files = {one.name: one.etag for one in order.files}
        drops.number(self._ended, drops.Read(blob, path, reading, files, None, how), reference=b"")

    def _failed(self, status: str, error: str, *, by_hand: bool = False) -> None:
        """What a person has cancelled is not begun again: machines were not to be paid for it."""
        why = reason(Code.READING_FAILED, job=self.job.job, status=status, error=error)
        self._again(why, self.unit.published().definition.data.spark.attempts if by_hand else 1)

    def _again(self, why: Reason, failed: int = 1) -> None:
        """Another job, where the loop's attempts allow it; else the drop is set aside."""
        tries = self.record.failed_jobs + failed
        after = replace(self.record, state=InboxState.NEW, failed_jobs=tries, reason=bounded(why))
        if after.failed_jobs >= self.unit.published().definition.data.spark.attempts:
            self._ended.close(InboxState.QUARANTINED, why)
            return
        told = Draft(
            "drop.read_again",
            after.subject,
            "driftloop",
            after.key,
            self.record.state.value,
            after.state.value,
            {"job": self.job.job, "note": why},
        )
        changes: Sequence[Change] = [
            update(self.row, after),
            Insert(rows.todo_key(after), after.key),
        ]
        self._ended.unit.commit(drafts=[told], changes=changes)

    @property
    def _took(self) -> timedelta:
        return self.unit.ports.clock.now() - self.job.asked_at

    @cached_property
    def _ended(self) -> drops.Landing:
        """The drop, of a loop in which no job reads it any more."""
        state = job_orders.charged(self.unit.state, self.unit.ports.clock.now())
        return drops.Landing(replace(self.unit, state=state), self.record, self.row)

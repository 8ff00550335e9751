"""A drop is planned in the driver, read by tasks of executors, and put together in the driver again.

What the tasks come to merges to what one pass gives, to the byte (decision 53).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from shared.errors import InputRejected
from shared.files.place import FileChanged, Place
from shared.reader import one_pass
from shared.reader.drop_plan import Plan, Span, plan
from shared.reader.part_summary import PartReading, read_part
from shared.spark import span_task
from shared.spark.blob_places import BlobFile
from shared.spark.read_answer import ROWS
from shared.spark.signed_blobs import NotDelegated
from shared.spark.span_task import Beyond, Change, Contradiction, Done, Outcome, Rejection, Task
from shared.values.texts import Contradicted

if TYPE_CHECKING:
    from shared.files.drop_files import DropFile, Reading, ReadSpec
    from shared.spark.blob_places import BlobFolder

log = logging.getLogger("driftloop")

SPANS_A_SLOT, MOST_SPANS = 3, 96
"""Some spans take longer than others; each has files of its own in the version, which are copied one by one."""
NOT_DELEGATED, ONE_STRETCH, BEYOND = "not-delegated", "small", "beyond"
"""Why one task reads, beside what `drop_plan.Alone` names."""


class Executors(Protocol):
    """Where tasks run."""

    @property
    def slots(self) -> int:
        """How many tasks run at once."""

    @property
    def side_by_side(self) -> int:
        """How many of them share the memory of one machine."""

    @property
    def fetched(self) -> int:
        """Bytes that came to them so far, about."""

    def each(self, plan: Plan, tasks: Sequence[Task]) -> Sequence[Outcome]:
        """`span_task.run` of each task, in their order; FileUnavailable when one failed each time it was tried."""


class Wire(Protocol):
    """The blobs between driver and tasks."""

    def reads(self, file: BlobFile) -> str:
        """Its address, signed for reading; NotDelegated."""

    def writes(self, name: str) -> str:
        """The address of a file of the job's folder, signed for writing; NotDelegated."""


class Shares:
    """Reads one drop; `tasks`, `alone` and `rows` say how it was done."""

    def __init__(self, executors: Executors, wire: Wire, rows: BlobFolder, memory_mb: int) -> None:
        self._executors, self._wire, self._folder = executors, wire, rows
        self._memory_mb = memory_mb
        self.tasks, self.alone = 1, ""
        self.rows: dict[str, int] = {}

    def read(self, files: Sequence[DropFile], spec: ReadSpec, output: BlobFolder) -> Reading:
        settled = plan(files, spec)
        while True:
            try:
                return self._read(settled, output)
            except Contradicted as late:
                settled = settled.learned(late)

    def _read(self, settled: Plan, output: BlobFolder) -> Reading:
        if tasks := self._tasks(settled):
            if parts := self._parts(settled, tasks):
                return one_pass.merged(settled, parts, output)
            self.tasks, self.alone = 1, BEYOND
        reading = one_pass.merged(settled, [read_part(settled, Span(0), output)], output)
        self.rows = one_pass.rows_of(reading)
        return reading

    def _tasks(self, settled: Plan) -> list[Task]:
        """Nothing where one task reads it all, and then `alone` says why."""
        self.tasks, self.alone = 1, ",".join(settled.alone)
        if self.alone:
            return []
        spans = settled.spans(min(MOST_SPANS, SPANS_A_SLOT * self._executors.slots))
        if len(spans) < 2:
            self.alone = ONE_STRETCH
            return []
        places = {part.file.name: part.place for part in settled.sources.parts}
        try:
            tasks = [self._task(span, places) for span in spans]
        except NotDelegated:
            self.alone = NOT_DELEGATED
            return []
        self.tasks = min(len(tasks), self._executors.slots)
        return tasks

    def _task(self, span: Span, places: Mapping[str, Place]) -> Task:
        files = [place for name in span.files if isinstance(place := places[name], BlobFile)]
        reads = {file.name: self._wire.reads(file) for file in files}
        parts = {name: self._wire.writes(f"{ROWS}/{name}") for name in span_task.names(span.part)}
        return Task(span, reads, parts, self._memory_mb)

    def _parts(self, settled: Plan, tasks: Sequence[Task]) -> list[PartReading]:
        """What all spans came to; what the first that came to nothing says is said of the drop, as one pass would."""
        done = []
        for outcome in self._executors.each(settled, tasks):
            if isinstance(outcome, Beyond):
                log.warning(
                    "A task cannot go on with its share (%s); the driver reads the drop alone.", outcome.why
                )
                return []
            done.append(_demand(outcome))
        self.rows.clear()
        self._folder.written.clear()
        for one in done:
            self.rows.update(one.rows)
            self._folder.written.update(one.etags)
        return [one.reading for one in done]


def _demand(outcome: Done | Contradiction | Rejection | Change) -> Done:
    if isinstance(outcome, Contradiction):
        raise Contradicted(outcome.column, outcome.what, outcome.value)
    if isinstance(outcome, Rejection):
        raise InputRejected(outcome.code, outcome.text)
    if isinstance(outcome, Change):
        raise FileChanged(outcome.name)
    return outcome

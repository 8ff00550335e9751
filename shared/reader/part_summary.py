"""What some rows of a drop come to. Readings of other rows merge into it, in any order, to what one reading gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import drift
from shared.files.place import Folder
from shared.reader.contract_pass import ContractPass, any_of
from shared.reader.drop_plan import Plan, Span
from shared.reader.even_batches import even
from shared.reader.evidence_sample import Samples
from shared.reader.met import Met
from shared.reader.one_of_each import OneOfEach
from shared.reader.origins import Origins
from shared.reader.row_hash import ContentHash, RowHashes
from shared.reader.target_task import TargetTask
from shared.reader.version_sides import Sides


@dataclass
class PartReading:
    """A bounded summary, which travels by pickle: of rows it holds those of the samples, and a rule's first ones."""

    content: ContentHash
    profiler: drift.Profiler
    contract: ContractPass
    samples: Samples
    origins: Origins
    task: TargetTask
    met: Met = field(default_factory=Met)
    split: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    """Rows of train, holdout and unlabelled."""
    targets: int = 0
    start: int | None = None
    """Microseconds since 1970, as all times here: Python's own end with the year 9999."""
    end: int | None = None

    def merge(self, other: PartReading) -> None:
        """Rows that another has read; it is used for nothing else afterwards."""
        self.content.merge(other.content)
        self.profiler.merge(other.profiler)
        self.contract.merge(other.contract)
        self.samples.merge(other.samples)
        self.origins.merge(other.origins)
        self.task.merge(other.task)
        self.met.merge(other.met)
        self.split = self.split + other.split
        self.targets += other.targets
        self.span(other.start, other.end)

    def span(self, start: int | None, end: int | None) -> None:
        """Times between these were seen."""
        self.start = min((m for m in (self.start, start) if m is not None), default=None)
        self.end = max((m for m in (self.end, end) if m is not None), default=None)


def read_part(plan: Plan, span: Span, output: Folder) -> PartReading:
    """Read some rows of a drop and write them under `output`.

    Raises
    ------
    Contradicted
        A row makes of a column something else than the plan took it for: `Plan.learned`, and begin again.
    """
    spec = plan.sources.spec
    came_to = PartReading(
        content=ContentHash(),
        profiler=plan.profiler(),
        contract=ContractPass(spec.contract, plan.columns, spec.landed_at, span.first),
        samples=Samples(plan.schema, spec.target),
        origins=Origins.of(spec),
        task=TargetTask(plan.columns.get(spec.target, "")),
    )
    with Sides(output, plan.schema, spec.target, span.part) as sides:
        _Fold(plan, came_to, sides, OneOfEach(spec.cluster)).take_all(span)
    came_to.split = sides.rows
    came_to.met = plan.sources.met
    return came_to


@dataclass
class _Fold:
    """Takes the batches of a span."""

    plan: Plan
    came_to: PartReading
    sides: Sides
    one_of_each: OneOfEach

    def take_all(self, span: Span) -> None:
        first = span.first
        for batch in even(self.plan.sources.batches(self.plan.columns, span.first, span.stop)):
            self._take(batch, np.arange(first, first + batch.num_rows))
            first += batch.num_rows

    def _take(self, batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> None:
        plan, came_to, hashes = self.plan, self.came_to, RowHashes(batch)
        if rejected_rows := came_to.contract.take(batch, hashes):
            self.sides.rejected.add(batch, rejected_rows, int(places[0]))
            kept = pc.invert(any_of(rejected_rows))
            batch, places = batch.filter(kept), places[kept.to_numpy(zero_copy_only=False)]
            hashes = RowHashes(batch)
        if not batch.num_rows:
            return
        came_to.content.add(hashes, plan.columns)
        batch = came_to.origins.sift(batch)
        came_to.profiler.update(*self.one_of_each.of(batch, places))
        holdout = plan.split.holdout(batch, hashes)
        came_to.samples.add(batch, places, holdout)
        self.sides.add(batch, holdout)
        target = batch.column(plan.sources.spec.target)
        came_to.targets += len(target) - target.null_count
        came_to.task.add(target)
        if moment := plan.moment_column:
            seen: dict[str, int | None] = pc.min_max(batch.column(moment).cast(pa.int64())).as_py()
            came_to.span(seen["min"], seen["max"])

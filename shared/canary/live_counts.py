"""What live traffic showed of each arm becomes counts on scales that were fixed before the first request.

Counted from the moment the traffic was read back, a short while left out for both arms alike: who served a request
may then differ in outcome only by the model behind it, not by a process that has just been started.
"""

from __future__ import annotations

import logging
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.release import Release
from shared.gate import gate_evidence
from shared.gate.slice_names import row_slices
from shared.intake.labels import Labels, Rows, label_of
from shared.loopfile import Definition
from shared.ports import ArmTraffic
from shared.redaction import words_of
from shared.runtime import split
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.canary.arms import ArmEvidence, LabelCounts

log = logging.getLogger("driftloop")

WARM_UP_SHARE = 0.1
LONGEST_WARM_UP = timedelta(minutes=1)


def counts_from(release: Release, definition: Definition) -> datetime:
    """When counting begins: a tenth of the step's shortest time, at most a minute, after the traffic was read back.
    Where callers count, not before each who keeps to an arm knows it: else the busiest count for the arm of before."""
    warm_up = min(timedelta(minutes=definition.canary.step.minutes) * WARM_UP_SHARE, LONGEST_WARM_UP)
    if definition.canary.unit != "request":
        warm_up = max(warm_up, split.LATEST)
    return release.phase_since_at + warm_up


@dataclass(frozen=True)
class Scale:
    """How outputs are counted: by class, or by bands between the deciles of what the champion said at the gate."""

    edges: tuple[float, ...] = ()
    numeric: bool = False
    slices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Column -> the names of its slices."""
    slice_edges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Column -> the numbers between which its slices are bands; none for one whose values are its slices."""
    known: bool = True
    """False where the gate's evidence is lost: outputs are not counted, since nobody knows by what."""

    def name(self, output: object) -> str | None:
        """The class or band of one output; None for what is neither."""
        from shared.stats.metrics import class_name

        if not self.known:
            return None
        if not self.numeric:
            return None if isinstance(output, dict | list) or output is None else class_name(output)
        value = number(output)
        if value is None:
            return None
        if not self.edges:
            return "any number"
        at = bisect_right(self.edges, value)
        if at == 0:
            return f"under {self.edges[0]:g}"
        if at == len(self.edges):
            return f"{self.edges[-1]:g} or more"
        return f"{self.edges[at - 1]:g} to {self.edges[at]:g}"

    def same(self, one: object, other: object) -> bool:
        """Whether two answers to one request agree: the same class, or numbers within a tenth of the bands' span. What
        is neither agrees with nothing."""
        if not self.numeric:
            named = self.name(one)
            return named is not None and named == self.name(other)
        first, second = number(one), number(other)
        if first is None or second is None:
            return False
        span = self.edges[-1] - self.edges[0] if self.edges else 0.0
        return abs(first - second) <= max(0.1 * span, 1e-9 * abs(first))

    def slice_names(self, inputs: object) -> Iterable[str]:
        """The slices that a row is in, named `column=value`."""
        return row_slices(inputs, self.slices, self.slice_edges) if isinstance(inputs, Mapping) else ()

    @property
    def all_slices(self) -> list[str]:
        return [f"{column}={value}" for column, known in self.slices.items() for value in sorted(known)]


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None  # JSON has longer whole numbers


def scale(unit: Unit, release: Release) -> Scale:
    """From the gate's evidence, which is older than the first live request; classes where there was none."""
    from shared.stats.metrics import metric_of

    try:
        gate = gate_evidence.recorded(unit, release)
    except Exception:  # what the log of requests shows is judged all the same
        log.exception("the gate's evidence cannot be read", extra={"loop": unit.loop})
        return Scale(known=False)
    if gate is None:
        return Scale()
    slices = {column: frozenset(map(str, values)) for column, values in gate.evidence.slices.items()}
    if metric_of(gate.policy.metric, own=gate.policy.own).task == "classification":
        return Scale(slices=slices, slice_edges=gate.evidence.slice_edges)
    said = sorted(v for each in gate.evidence.champion or () if (v := number(each)) is not None)
    deciles = {said[len(said) * n // 10] for n in range(1, 10)} if said else set()
    return Scale(tuple(sorted(deciles)), True, slices, gate.evidence.slice_edges)


def arm(
    traffic: ArmTraffic | None, rows: Rows, scale: Scale, labels: LabelCounter | None = None
) -> ArmEvidence:
    """One deployment's counts. Of rows that came together only the first counts: the router assigned them as one."""
    from shared.canary.arms import LATENCY_BINS, ArmEvidence, latency_bin

    bins: Counter[int] = Counter()
    for latency_ms, requests in Counter(traffic.latencies_ms if traffic else ()).items():
        bins[latency_bin(latency_ms)] += requests
    whole: Counter[str] = Counter()
    parts: dict[str, Counter[str]] = {name: Counter() for name in scale.all_slices}
    rows = _apart(rows)
    for row in rows:
        if (name := scale.name(row.get("output"))) is not None:
            whole[name] += 1
            for part in scale.slice_names(row.get("inputs")):
                parts[part][name] += 1
    return ArmEvidence(
        requests=traffic.requests if traffic else 0,
        errors=traffic.errors if traffic else 0,
        latency=tuple(bins.get(index, 0) for index in range(LATENCY_BINS)) if traffic else (),
        predictions=whole,
        slice_predictions=parts,
        labels=labels.count(rows, scale) if labels else None,
        slice_labels={name: labels.count(rows, scale, name) for name in scale.all_slices} if labels else {},
    )


def _apart(rows: Rows) -> Rows:
    """The first row of each request."""
    first: dict[object, Mapping[str, object]] = {}
    for row in rows:
        first.setdefault(row.get("request", row["id"]), row)
    return list(first.values())


@dataclass(frozen=True)
class LabelCounter:
    """Compares predictions with the labels that are known by now."""

    labels: Labels
    id: str

    def count(self, rows: Rows, scale: Scale, part: str | None = None) -> LabelCounts:
        """Wrong answers (classes) or the sizes of errors (numbers), of all rows or of one slice."""
        from shared.canary.arms import LOSS_BINS, LabelCounts, loss_bin

        concerned = [row for row in rows if part is None or part in scale.slice_names(row.get("inputs"))]
        pairs = [
            (row["output"], label)
            for row in concerned
            if scale.known and (label := label_of(row, self.labels, self.id)) is not None
        ]
        if not scale.numeric:
            wrong = sum(not scale.same(output, label) for output, label in pairs)
            return LabelCounts(len(pairs), wrong, collected=len(concerned))
        sizes = [(number(output), number(label)) for output, label in pairs]
        bins = Counter(loss_bin(abs(a - b)) for a, b in sizes if a is not None and b is not None)
        losses = tuple(bins.get(index, 0) for index in range(LOSS_BINS))
        return LabelCounts(sum(losses), 0, losses, collected=len(concerned))


def collected(
    unit: Unit, definition: Definition, deployment: str, since: datetime, until: datetime | None
) -> tuple[Rows, str]:
    """Collected rows up to the watermark, and why there are none where they could not be read."""
    if until is None:
        return (), ""
    try:
        endpoint, id = definition.serve.endpoint, definition.data.id or ""
        counted = definition.canary.unit
        return unit.ports.evidence.predictions(endpoint, deployment, since, until, id=id, unit=counted), ""
    except Exception as error:  # noqa: BLE001  # what the log of requests shows is judged all the same
        return (), words_of(error)

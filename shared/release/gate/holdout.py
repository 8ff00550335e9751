"""What a gate is given and what it answers: holdout rows, policy, verdict; and whether the rows can be
used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.release.document import Document
from shared.stats.metrics import Metric, class_name

LEAST_ROWS = 20
"""Below it only accuracy is judged, whose bounds are exact; a bootstrap of fewer rows says nothing."""


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105  # an outcome's name, not a password
    """Shown to be good enough."""
    FAIL = "fail"
    """Shown not to be good enough, or the answers are broken."""
    INCONCLUSIVE = "inconclusive"
    """Neither is shown; `rows_needed` says how many rows would settle it."""


@dataclass(frozen=True)
class SlicePolicy(Document):
    """Every value of each column in `by` with at least `min_rows` holdout rows must not be below `floor`."""

    by: tuple[str, ...]
    floor: float
    min_rows: int = 30


@dataclass(frozen=True)
class GatePolicy(Document):
    """`margin` and `floor` are in the metric's own units; for "lower is better" the floor is a ceiling."""

    metric: str
    margin: float = 0.02
    superiority: bool = False
    floor: float | None = None
    confidence: float = 0.95
    slices: SlicePolicy | None = None
    calibration: float | None = None
    """How far stated probabilities may be off; None: told only."""
    resamples: int = 4000
    seed: int = 20070101


@dataclass(frozen=True)
class GateEvidence(Document):
    """Row by row: truth, both models' answers, slice columns. `champion` is None for a loop's first model."""

    ids: tuple[str, ...]
    y_true: tuple[object, ...]
    challenger: tuple[object, ...]
    champion: tuple[object, ...] | None = None
    slices: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    malformed: tuple[str, ...] = ()
    stated: tuple[float | None, ...] = ()
    """The probability that the challenger gives each of its answers; empty where it states none."""


@dataclass(frozen=True)
class Interval(Document):
    """A value with one-sided bounds, each at the policy's confidence; None where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SliceVerdict(Document):
    column: str
    name: str
    rows: int
    interval: Interval
    outcome: Outcome | None
    """None: fewer rows than `min_rows`, so not judged."""


@dataclass(frozen=True)
class GateVerdict(Document):
    outcome: Outcome
    reasons: tuple[str, ...]
    metric: str
    rows: int
    champion: Interval | None = None
    challenger: Interval | None = None
    difference: Interval | None = None
    """Challenger minus champion, turned so that positive is better, whatever the metric's direction."""
    slices: tuple[SliceVerdict, ...] = ()
    worst_slice: str | None = None
    rows_needed: int | None = None


def unusable(evidence: GateEvidence, metric: Metric) -> tuple[Outcome, str] | None:
    """Why no statistic may be computed: the challenger's fault fails, anybody else's settles nothing."""
    rows = len(evidence.y_true)
    if evidence.malformed:
        return Outcome.FAIL, f"malformed answers: {'; '.join(evidence.malformed[:3])}"
    if len(evidence.challenger) != rows:
        return Outcome.FAIL, f"the challenger answered {len(evidence.challenger)} of {rows} rows"
    bad = bad_values(evidence.challenger, metric.task)
    if bad:
        return Outcome.FAIL, f"{bad} of the challenger's {rows} answers are not usable predictions"
    if not rows:
        return Outcome.INCONCLUSIVE, "there are no holdout rows"
    for name, values in (("truth", evidence.y_true), ("champion", evidence.champion)):
        if values is not None and (len(values) != rows or bad_values(values, metric.task)):
            return Outcome.INCONCLUSIVE, f"the {name}'s values cannot be used: missing, or not usable"
    if metric.name == "mape" and any(float(str(value)) == 0 for value in evidence.y_true):
        return Outcome.INCONCLUSIVE, "mape is not defined: the truth has rows that are 0"
    return None


def bad_values(values: Sequence[object], task: str) -> int:
    """How many values are no class, or no finite number."""
    if task == "classification":
        return sum(value is None or value != value or class_name(value).strip() == "" for value in values)
    return sum(
        isinstance(value, bool | str) or not isinstance(value, int | float) or not math.isfinite(value)
        for value in values
    )

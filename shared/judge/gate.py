"""A challenger passes only when it is shown not to be worse than the champion by more than the margin.

Both models predicted the same holdout rows, which neither has seen. "Shown" means a one-sided confidence
bound at `confidence`: with 0.95 at most one challenger in twenty that is worse by more than the margin
passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.judge.document import Document
from shared.judge.metrics import Metric


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


def judge_gate(evidence: GateEvidence, policy: GatePolicy, metric: Metric | None = None) -> GateVerdict:
    """Judge a challenger. `metric` is given only for one that METRICS does not know (a user's own)."""
    raise NotImplementedError

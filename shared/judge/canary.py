"""A canary is taken back only on evidence, and a look at every tick costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.judge.arms import ArmEvidence, CanaryEvidence, LabelCounts, ShadowPairs
from shared.judge.document import Document

__all__ = [
    "ArmEvidence",
    "CanaryEvidence",
    "CanaryKind",
    "CanaryPolicy",
    "CanaryState",
    "CanaryVerdict",
    "LabelCounts",
    "MetricEvidence",
    "ShadowPairs",
    "judge_canary",
]


class CanaryKind(StrEnum):
    ADVANCE = "advance"
    """The step has had its time and its sample, and nothing speaks against the canary."""
    HOLD = "hold"
    """Not yet: thin, late or missing evidence, or a suspicion that is not proven."""
    ROLL_BACK = "roll_back"
    """Shown to be worse, and by more than the user's margin."""
    INCONCLUSIVE = "inconclusive"
    """The step's longest time is over and it still holds: the user's `on_timeout` decides."""
    ERROR = "error"
    """The measurement itself failed or is not to be trusted; holds."""


@dataclass(frozen=True)
class CanaryPolicy(Document):
    """What harm is tolerated, and how often a harmless canary may be rolled back.

    `alpha`: that chance, over all steps and metrics, however often one looks. A margin of None: that metric
    is reported, and never rolls back.
    """

    alpha: float = 0.01
    steps: int = 2
    """How many steps the canary has; each gets an equal share of alpha."""
    min_requests: int = 50
    """The canary's own requests in a step (the champion needs as many, or all it gets beside it)."""
    max_error_rate_increase: float | None = 0.01
    max_latency_increase_ratio: float | None = 1.5
    """1.5: half as slow again is still tolerated."""
    latency_floor_ms: float = 50.0
    """Nothing faster than this counts as slow."""
    max_prediction_shift: float | None = None
    """The largest change in any class's share. None: a retrained model may well predict differently."""
    max_label_error_increase: float | None = 0.05
    """Of the wrong share (classification) or, relatively, of the losses (regression), as labels mature."""
    max_shadow_disagreement: float | None = None
    max_traffic_deviation_ratio: float = 0.25
    """Observed against set weight, relative to the smaller arm."""
    required: tuple[str, ...] = ("errors", "latency")
    """Metrics without which a step never advances."""
    proof: bool = False
    """True: advance only when the confidence sequences exclude a harm above the margins (much traffic)."""


@dataclass(frozen=True)
class MetricEvidence(Document):
    """One metric's standing: estimate of the harm with its confidence sequence, in the margin's units."""

    metric: str
    e_value: float
    """Evidence against the canary: 1 none; alpha's reciprocal (times its share) rolls back."""
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    canary_n: int
    champion_n: int
    words: str
    slice: str | None = None


@dataclass(frozen=True)
class CanaryState(Document):
    """Carried from tick to tick within a step; begin each step with `CanaryState()`."""

    looks: int = 0
    requests: int = 0
    peak_e_value: float = 0.0
    verdicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CanaryVerdict(Document):
    kind: CanaryKind
    reasons: tuple[str, ...]
    metrics: tuple[MetricEvidence, ...] = ()
    observed_weight_pct: float | None = None
    e_value: float = 0.0
    """All metrics together; at `threshold` the canary is rolled back."""
    threshold: float = 0.0


def judge_canary(
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    state: CanaryState,
    *,
    step_elapsed_s: float,
    step_min_s: float,
    step_max_s: float,
) -> tuple[CanaryVerdict, CanaryState]:
    """Judge one tick of one step."""
    raise NotImplementedError

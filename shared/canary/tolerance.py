"""How much harm of a canary a user tolerates, and how one metric stands against it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.reason import Reason
from shared.release.document import Document

BUDGET = {"errors": 3.0, "latency": 2.0, "predictions": 2.0, "labels": 2.0, "shadow": 1.0, "signals": 2.0}
"""How the rollback budget is parted among the metrics that have a margin; all signals together have one part."""


@dataclass(frozen=True)
class SignalPolicy(Document):
    """What a signal from outside may lead to, as the loop file has it."""

    name: str
    counted: bool
    """True: counts of both arms, which are tested. False: a value, which is an opinion."""
    higher_is_better: bool = False
    margin: float | None = None
    limit: float | None = None
    needed: bool = False

    @property
    def tested(self) -> bool:
        return self.counted and self.margin is not None


@dataclass(frozen=True)
class CanaryPolicy(Document):
    """What harm is tolerated, and how often a harmless canary may be rolled back.

    `alpha`: that chance, over all steps and metrics, however often it is observed. A margin of None: that metric
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
    max_error_rate: float = 0.25
    """A canary above it never advances, however sick the champion is beside it: that is an outage."""
    required: tuple[str, ...] = ("errors", "latency")
    """Metrics without which a step never advances."""
    proof: bool = False
    """True: advance only when the confidence sequences exclude a harm above the margins (much traffic)."""
    slice_slots: int = 10
    """How many slices share a metric's budget; with more of them than this each gets less."""
    exact: float = 0.0
    """The exact test's part of the errors' budget; the mixture has the rest. 0 in documents of before there was one."""
    unit: str = "request"
    """What counts once: a request, or a caller with its first one, by identity or by client_id."""
    signals: tuple[SignalPolicy, ...] = ()

    @property
    def exact_alpha(self) -> float:
        """The chance that the exact test rolls a harmless canary back within one step."""
        return self.alpha / self.steps * self.share("errors") * self.exact

    @property
    def threshold(self) -> float:
        """The e-value that rolls back within one step."""
        return self.steps / self.alpha

    def share(self, metric: str) -> float:
        """The part of the budget that a metric gets: fixed before the first request, so it costs nothing."""
        if metric not in self._parts():
            return 0.0
        return self._parts()[metric] / sum(self._parts().values())

    def signal_share(self, signal: SignalPolicy) -> float:
        """The part of one signal: those that are tested part theirs equally."""
        tested = sum(one.tested for one in self.signals)
        return self.share("signals") / tested if signal.tested else 0.0

    def _parts(self) -> dict[str, float]:
        margins = {
            "errors": self.max_error_rate_increase,
            "latency": self.max_latency_increase_ratio,
            "predictions": self.max_prediction_shift,
            "labels": self.max_label_error_increase,
            "shadow": self.max_shadow_disagreement,
            "signals": next((one.margin for one in self.signals if one.tested), None),
        }
        return {name: BUDGET[name] for name, margin in margins.items() if margin is not None}


@dataclass(frozen=True)
class MetricEvidence(Document):
    """One metric's standing: estimate of the harm with its confidence sequence, in the margin's units."""

    metric: str
    e_value: float
    """Evidence against the canary: 1 says nothing; the policy's threshold divided by `share` rolls back
    alone."""
    share: float
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    canary_n: int
    champion_n: int
    reason: Reason
    slice: str | None = None

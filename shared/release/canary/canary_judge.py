"""A canary is taken back only on evidence, and a look at every tick costs nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.release.canary.arms import ArmEvidence, CanaryEvidence, LabelCounts, ShadowPairs
from shared.release.canary.harm import least_errors_noticed, measure
from shared.release.canary.tolerance import CanaryPolicy, MetricEvidence
from shared.release.document import Document

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


SUSPICION = 3.0
"""A metric past its margin with evidence of 3 to 1 holds the step: harm may show, more requests will tell."""


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
class CanaryState(Document):
    """Carried from tick to tick within a step; begin each step with `CanaryState()`."""

    looks: int = 0
    requests: int = 0
    peak_e_value: float = 0.0


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
    """Judge one tick of one step.

    In this order: a failed measurement is an error; proven harm rolls back; a router that does not do
    what was set is an error; thin, late or missing evidence and unproven suspicion hold; then the step
    advances. A step that holds past `step_max_s` is inconclusive. `step_elapsed_s` is only held against
    the two limits; how much time the evidence covers is told by its own watermark.
    """
    broken = _broken(evidence, state)
    if broken:
        return _conclude(CanaryKind.ERROR, (broken,), evidence, policy, state, ())
    metrics = measure(evidence, policy)
    harmful = [metric for metric in metrics if _material(metric)]
    total = _total(metrics)
    if total >= policy.threshold:
        ranked = sorted(harmful, key=lambda metric: -metric.share * metric.e_value)
        words = tuple(metric.words for metric in ranked if metric.share * metric.e_value >= 0.1 * total)
        return _conclude(CanaryKind.ROLL_BACK, words, evidence, policy, state, metrics)
    split = _split(evidence, policy)
    if split:
        return _conclude(CanaryKind.ERROR, (split,), evidence, policy, state, metrics)
    waits = (
        *_late(evidence, step_elapsed_s, step_min_s),
        *_thin(evidence, policy, metrics),
        *_suspicions(evidence, policy, metrics),
    )
    if not waits:
        return _conclude(
            CanaryKind.ADVANCE, _all_well(evidence, policy, metrics), evidence, policy, state, metrics
        )
    kind = CanaryKind.HOLD if step_elapsed_s < step_max_s else CanaryKind.INCONCLUSIVE
    return _conclude(kind, waits, evidence, policy, state, metrics)


def _conclude(
    kind: CanaryKind,
    reasons: tuple[str, ...],
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    state: CanaryState,
    metrics: tuple[MetricEvidence, ...],
) -> tuple[CanaryVerdict, CanaryState]:
    total = _total(metrics)
    verdict = CanaryVerdict(kind, reasons, metrics, evidence.observed_weight_pct, total, policy.threshold)
    after = CanaryState(
        looks=state.looks + 1,
        requests=max(state.requests, evidence.requests if kind is not CanaryKind.ERROR else 0),
        peak_e_value=max(state.peak_e_value, total),
    )
    return verdict, after


def _broken(evidence: CanaryEvidence, state: CanaryState) -> str | None:
    if not evidence.query_ok:
        return "the evidence could not be read" + "".join(f": {note}" for note in evidence.notes[:1])
    if not 1 <= evidence.set_weight_pct <= 99:
        return f"a canary at {evidence.set_weight_pct} % has nothing beside it to be compared with"
    for name, arm in (("champion", evidence.champion), ("canary", evidence.canary)):
        fault = arm.fault()
        if fault:
            return f"the {name}'s evidence contradicts itself: {fault}"
    if evidence.requests < state.requests:
        return (
            f"the evidence shrank from {state.requests} requests to {evidence.requests} within a step; "
            "counts must be cumulative since the step began"
        )
    return None


def _material(metric: MetricEvidence) -> bool:
    """Whether the best estimate of the harm is above what the user tolerates."""
    return metric.margin is not None and metric.estimate is not None and metric.estimate >= metric.margin


def _total(metrics: Sequence[MetricEvidence]) -> float:
    """A mean of e-values with weights fixed beforehand is an e-value, however they depend on each other."""
    return math.fsum(metric.share * metric.e_value for metric in metrics if _material(metric))


def _split(evidence: CanaryEvidence, policy: CanaryPolicy) -> str | None:
    from shared.stats.sequential import log_e_split

    observed, weight = evidence.observed_weight_pct, evidence.set_weight_pct
    if observed is None:
        return None
    tolerated = policy.max_traffic_deviation_ratio * min(weight, 100 - weight)
    evidence_against = float(log_e_split(evidence.canary.requests, evidence.champion.requests, weight / 100))
    if abs(observed - weight) <= tolerated or evidence_against < math.log(policy.threshold):
        return None
    return (
        f"the canary gets {observed:.1f} % of the requests, but {weight} % is set: "
        "the router does something else, so nothing is promoted on this comparison"
    )


def _late(evidence: CanaryEvidence, elapsed_s: float, minimum_s: float) -> list[str]:
    if evidence.watermark_at is None:
        return ["no evidence of this step is complete yet"]
    covered_s = min((evidence.watermark_at - evidence.started_at).total_seconds(), elapsed_s)
    if covered_s < minimum_s:
        return [
            f"evidence covers {max(covered_s, 0):.0f} s of the {minimum_s:.0f} s that a step takes at least"
        ]
    return []


def _thin(evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]) -> list[str]:
    weight = evidence.set_weight_pct / 100
    champion_least = min(policy.min_requests, policy.min_requests * (1 - weight) / weight)
    thin = []
    for name, arm, least in (
        ("canary", evidence.canary, float(policy.min_requests)),
        ("champion", evidence.champion, champion_least),
    ):
        if arm.requests < least:
            thin.append(f"the {name} has {arm.requests} requests of at least {math.ceil(least)}")
    seen = {metric.metric: metric for metric in metrics if metric.slice is None}
    for name in policy.required:
        metric = seen.get(name)
        if metric is None or metric.estimate is None or metric.canary_n < policy.min_requests / 2:
            have = 0 if metric is None else metric.canary_n
            thin.append(f"{name} is required and has {have} observations of the canary")
    return thin


def _suspicions(
    evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]
) -> list[str]:
    doubts = [
        f"suspicious, not proven: {metric.words}"
        for metric in metrics
        if _material(metric) and metric.e_value >= SUSPICION
    ]
    rate = evidence.canary.errors / max(evidence.canary.requests, 1)
    if rate > policy.max_error_rate:
        doubts.append(f"{rate:.0%} of the canary's answers are errors; nothing is promoted in an outage")
    if policy.proof:
        doubts += [
            f"harm is not excluded: {metric.words}"
            for metric in metrics
            if metric.margin is not None and (metric.high is None or metric.high > metric.margin)
        ]
    return doubts


def _all_well(
    evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]
) -> tuple[str, ...]:
    seen = [metric.words for metric in metrics if metric.estimate is not None and metric.slice is None]
    least = least_errors_noticed(evidence, policy)
    if least is not None:
        rate = least / evidence.canary.requests
        seen.append(f"on this sample {least} errors of the canary ({rate:.1%}) would have rolled it back")
    return tuple(seen)

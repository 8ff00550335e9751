"""A canary is rolled back only on evidence, and observing it at every tick costs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.canary import signal_harm
from shared.canary.arms import (
    ArmEvidence,
    CanaryEvidence,
    CountedWindow,
    LabelCounts,
    ShadowPairs,
    SignalSeen,
)
from shared.canary.boundary import clumps, crossing
from shared.canary.harm import least_errors_noticed, measure
from shared.canary.tolerance import CanaryPolicy, MetricEvidence, SignalPolicy
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Outcome
from shared.release.document import Document

__all__ = [
    "ArmEvidence",
    "CanaryEvidence",
    "CanaryPolicy",
    "CanaryRecord",
    "CanaryState",
    "CanaryVerdict",
    "CountedWindow",
    "LabelCounts",
    "MetricEvidence",
    "Outcome",
    "ShadowPairs",
    "SignalPolicy",
    "SignalSeen",
    "judge_canary",
]


SUSPICION = 3.0
"""A metric past its margin with evidence of 3 to 1 holds the step: more requests will show whether there is harm."""


@dataclass(frozen=True)
class CanaryState(Document):
    """Carried from tick to tick within a step; begin each step with `CanaryState()`."""

    observations: int = 0
    requests: int = 0
    peak_e_value: float = 0.0
    signals: Mapping[str, int] = field(default_factory=dict)
    """How many each signal has counted, of both arms: fewer at a later look are not believed."""


@dataclass(frozen=True)
class CanaryVerdict(Document):
    outcome: Outcome
    reasons: tuple[Reason, ...]
    metrics: tuple[MetricEvidence, ...] = ()
    observed_weight_pct: float | None = None
    e_value: float = 0.0
    """All metrics together; at `threshold` the canary is rolled back."""
    threshold: float = 0.0


@dataclass(frozen=True)
class CanaryRecord(Document):
    """What is stored of one observation of a canary: enough to judge it again."""

    evidence: CanaryEvidence
    policy: CanaryPolicy
    state: CanaryState
    """As it was before."""
    times: Mapping[str, float]
    """The keyword arguments of `judge_canary`, in seconds."""
    verdict: CanaryVerdict


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

    In this order: a failed measurement is an error; proven harm rolls back; a router that does not do what
    was set, and answers that cannot be counted, are errors; thin, late or missing evidence and unproven
    suspicion hold; then the step advances. A step that holds, or is not measured, past `step_max_s` is
    inconclusive. `step_elapsed_s` is only compared with the two limits; how much time the evidence covers is
    known from its own watermark.
    """
    late = step_elapsed_s >= step_max_s
    unmeasured = Outcome.INCONCLUSIVE if late else Outcome.ERROR
    broken = _broken(evidence, state)
    if broken:
        return _conclude(unmeasured, (broken,), evidence, policy, state, ())
    metrics = (*measure(evidence, policy), *signal_harm.measured(evidence, policy))
    worse = _worse(evidence, policy, metrics)
    if worse:
        why = (*worse, *clumps(evidence, policy))
        return _conclude(Outcome.ROLL_BACK, why, evidence, policy, state, metrics)
    untrusted = reason(Code.GATE_EVIDENCE_LOST) if evidence.uncounted else _split(evidence, policy)
    if untrusted:
        return _conclude(unmeasured, (untrusted,), evidence, policy, state, metrics)
    waits = (
        *_late(evidence, step_elapsed_s, step_min_s),
        *_thin(evidence, policy, metrics),
        *_suspicions(evidence, policy, metrics),
        *signal_harm.waited_for(evidence, policy, {one.metric: one for one in metrics}, step_min_s),
    )
    if not waits:
        return _conclude(
            Outcome.ADVANCE, _all_well(evidence, policy, metrics), evidence, policy, state, metrics
        )
    outcome = Outcome.INCONCLUSIVE if late else Outcome.HOLD
    return _conclude(outcome, waits, evidence, policy, state, metrics)


def _conclude(
    outcome: Outcome,
    reasons: tuple[Reason, ...],
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    state: CanaryState,
    metrics: tuple[MetricEvidence, ...],
) -> tuple[CanaryVerdict, CanaryState]:
    total = _total(metrics)
    verdict = CanaryVerdict(outcome, reasons, metrics, evidence.observed_weight_pct, total, policy.threshold)
    after = CanaryState(
        observations=state.observations + 1,
        requests=max(state.requests, evidence.requests if outcome is not Outcome.ERROR else 0),
        peak_e_value=max(state.peak_e_value, total),
        signals={**state.signals, **{one.name: one.total for one in evidence.signals if one.total}},
    )
    return verdict, after


def _broken(evidence: CanaryEvidence, state: CanaryState) -> Reason | None:
    if not evidence.query_ok:
        return reason(Code.EVIDENCE_UNREADABLE, note=next(iter(evidence.notes), ""))
    if not 1 <= evidence.set_weight_pct <= 99:
        return reason(Code.CANARY_ALONE, weight_pct=evidence.set_weight_pct)
    for name, arm in (("champion", evidence.champion), ("canary", evidence.canary)):
        fault = arm.fault()
        if fault:
            return reason(Code.EVIDENCE_CONTRADICTORY, fault, arm=name)
    if evidence.requests < state.requests:
        return reason(Code.EVIDENCE_SHRANK, before=state.requests, now=evidence.requests)
    return None


def _material(metric: MetricEvidence) -> bool:
    """Whether the best estimate of the harm is above what the user tolerates."""
    return metric.margin is not None and metric.estimate is not None and metric.estimate >= metric.margin


def _worse(
    evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]
) -> tuple[Reason, ...]:
    """Why the canary is rolled back: all metrics together, or the errors by the exact test.

    Each has its own part of alpha, so together they err at most as often as is promised (union bound).
    """
    harmful, total, found = [metric for metric in metrics if _material(metric)], _total(metrics), []
    if total >= policy.threshold:
        ranked = sorted(harmful, key=lambda metric: -metric.share * metric.e_value)
        found = [metric.reason for metric in ranked if metric.share * metric.e_value >= 0.1 * total]
    errors = next((metric for metric in harmful if metric.metric == "errors"), None)
    crossed = crossing(evidence, policy, errors) if errors else None
    return (*found, crossed) if crossed else tuple(found)


def _total(metrics: Sequence[MetricEvidence]) -> float:
    """A mean of e-values with weights fixed beforehand is an e-value, however they depend on each other."""
    return math.fsum(metric.share * metric.e_value for metric in metrics if _material(metric))


def _split(evidence: CanaryEvidence, policy: CanaryPolicy) -> Reason | None:
    from shared.stats.sequential import log_e_split

    observed, weight = evidence.observed_weight_pct, evidence.set_weight_pct
    if observed is None:
        return None
    tolerated = policy.max_traffic_deviation_ratio * min(weight, 100 - weight)
    evidence_against = float(log_e_split(evidence.canary.requests, evidence.champion.requests, weight / 100))
    if abs(observed - weight) <= tolerated or evidence_against < math.log(policy.threshold):
        return None
    return reason(Code.CANARY_SPLIT, observed_pct=observed, weight_pct=weight)


def _late(evidence: CanaryEvidence, elapsed_s: float, minimum_s: float) -> list[Reason]:
    if evidence.watermark_at is None:
        return [reason(Code.EVIDENCE_INCOMPLETE)]
    covered_s = max(0.0, min((evidence.watermark_at - evidence.started_at).total_seconds(), elapsed_s))
    if covered_s < minimum_s:
        return [reason(Code.EVIDENCE_SHORT, covered_s=covered_s, minimum_s=minimum_s)]
    return []


def _thin(evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]) -> list[Reason]:
    weight = evidence.set_weight_pct / 100
    champion_least = min(policy.min_requests, policy.min_requests * (1 - weight) / weight)
    thin = []
    for name, arm, least in (
        ("canary", evidence.canary, float(policy.min_requests)),
        ("champion", evidence.champion, champion_least),
    ):
        if arm.requests < least:
            counts = {"requests": arm.requests, "least": math.ceil(least)}
            thin.append(reason(Code.CANARY_FEW_REQUESTS, arm=name, unit=policy.unit, **counts))
    if thin and evidence.nameless:
        thin.append(reason(Code.CANARY_NAMELESS, requests=evidence.nameless, unit=policy.unit))
    seen = {metric.metric: metric for metric in metrics if metric.slice is None}
    for name in policy.required:
        metric = seen.get(name)
        if metric is None or metric.estimate is None or metric.canary_n < policy.min_requests / 2:
            have = 0 if metric is None else metric.canary_n
            thin.append(reason(Code.CANARY_METRIC_MISSING, metric=name, observations=have))
    return thin


def _suspicions(
    evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]
) -> list[Reason]:
    doubts = [
        reason(Code.CANARY_SUSPECTED, metric.reason)
        for metric in metrics
        if _material(metric) and metric.e_value >= SUSPICION
    ]
    rate = evidence.canary.errors / max(evidence.canary.requests, 1)
    if rate > policy.max_error_rate:
        doubts.append(reason(Code.CANARY_OUTAGE, rate=rate))
    if policy.proof:
        doubts += [
            reason(Code.CANARY_NOT_EXCLUDED, metric.reason)
            for metric in metrics
            if metric.margin is not None and (metric.high is None or metric.high > metric.margin)
        ]
    return doubts


def _all_well(
    evidence: CanaryEvidence, policy: CanaryPolicy, metrics: Sequence[MetricEvidence]
) -> tuple[Reason, ...]:
    seen = [metric.reason for metric in metrics if metric.estimate is not None and metric.slice is None]
    least = least_errors_noticed(evidence, policy)
    if least is not None:
        rate = least / evidence.canary.requests
        seen.append(reason(Code.CANARY_ERRORS_NOTICED, errors=least, rate=rate))
    return (*seen, *signal_harm.told(evidence, policy), *clumps(evidence, policy))

"""The canary's evidence: both arms over the same time, our own requests left out, judged and kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from shared.core.release import CanarySeen, old_deployment
from shared.definition import Published
from shared.engine.unit import Unit
from shared.errors import DependencyUnavailable
from shared.model import ArmSeen, CanaryLook, Judgement, Release
from shared.ports import ArmTraffic, TrafficSeen

if TYPE_CHECKING:
    from shared.judge.arms import ArmEvidence, CanaryEvidence
    from shared.judge.canary import CanaryPolicy
    from shared.loopfile import Definition


def measure(unit: Unit, release: Release, published: Published) -> CanarySeen:
    """Judge the step as it stands now. Evidence that cannot be had is an error of measurement, and holds."""
    from shared.judge.canary import CanaryState, judge_canary

    definition, now = published.definition, unit.ports.clock.now()
    evidence = gather(unit, release, definition, now)
    policy = canary_policy(definition)
    before = (
        CanaryState.from_dict(json.loads(release.canary_state)) if release.canary_state else CanaryState()
    )
    step = definition.canary.step
    verdict, after = judge_canary(
        evidence,
        policy,
        before,
        step_elapsed_s=(now - release.phase_since_at).total_seconds(),
        step_min_s=step.minutes * 60,
        step_max_s=step.max_hours * 3600,
    )
    weight = given(release, definition)
    kind = f"canary step {release.step + 1} of {len(definition.canary.steps)} at {weight} %"
    digest = ""
    if verdict.kind.value in ("advance", "roll_back", "inconclusive"):
        document = {
            "evidence": evidence.to_dict(),
            "policy": policy.to_dict(),
            "state": before.to_dict(),
            "verdict": verdict.to_dict(),
            "step_elapsed_s": (now - release.phase_since_at).total_seconds(),
        }
        digest = unit.ports.documents.put(json.dumps(document, sort_keys=True).encode())
    judgement = Judgement(kind, verdict.kind.value, tuple(verdict.reasons), digest, now)
    look = CanaryLook(
        at=now,
        step=release.step,
        weight_pct=weight,
        champion=_seen(evidence.champion),
        canary=_seen(evidence.canary),
        e_value=verdict.e_value,
        threshold=policy.threshold,
        outcome=verdict.kind.value,
    )
    return CanarySeen(judgement, json.dumps(after.to_dict(), sort_keys=True), look)


def _seen(arm: ArmEvidence) -> ArmSeen:
    from shared.judge.arms import latency_edge_ms

    answered, below = sum(arm.latency), 0
    for index, count in enumerate(arm.latency):
        below += count
        if answered and below >= 0.95 * answered:
            return ArmSeen(arm.requests, arm.errors, latency_edge_ms(index + 1))
    return ArmSeen(arm.requests, arm.errors, None)


def canary_policy(definition: Definition) -> CanaryPolicy:
    """The loop file's canary in the judge's words."""
    from shared.judge.canary import CanaryPolicy

    canary = definition.canary
    return CanaryPolicy(
        alpha=canary.false_rollback_rate,
        steps=len(canary.steps),
        min_requests=canary.step.min_requests,
        max_error_rate_increase=canary.margins.error_rate,
        max_latency_increase_ratio=canary.margins.latency_ratio,
        max_prediction_shift=canary.margins.prediction_shift,
    )


def given(release: Release, definition: Definition) -> int:
    """The canary's weight in per cent: the step's, or what a person set instead and resumed."""
    weight = release.traffic.get(release.deployment, 0)
    return weight if 0 < weight < 100 else definition.canary.steps[release.step]


def gather(unit: Unit, release: Release, definition: Definition, now: datetime) -> CanaryEvidence:
    """Counts of both arms since the step began, up to the traffic log's watermark."""
    from shared.judge.arms import CanaryEvidence

    endpoint, since = definition.serve.endpoint, release.phase_since_at
    weight = given(release, definition)
    try:
        seen, problem = unit.ports.evidence.traffic(endpoint, since, now), ""
    except DependencyUnavailable as error:
        seen, problem = TrafficSeen({}, None), str(error)
    arms = {
        name: _arm(seen.arms.get(name), _predictions(unit, endpoint, name, since, seen.watermark_at))
        for name in (old_deployment(release), release.deployment)
    }
    return CanaryEvidence(
        champion=arms[old_deployment(release)],
        canary=arms[release.deployment],
        set_weight_pct=weight,
        started_at=since,
        watermark_at=seen.watermark_at,
        query_ok=not problem,
        notes=(problem,) if problem else (),
    )


def _arm(traffic: ArmTraffic | None, predictions: Mapping[str, int]) -> ArmEvidence:
    from shared.judge.arms import LATENCY_BINS, ArmEvidence, latency_bin

    if traffic is None:
        return ArmEvidence(predictions=predictions)
    bins = Counter(latency_bin(ms) for ms in traffic.latencies_ms)
    return ArmEvidence(
        requests=traffic.requests,
        errors=traffic.errors,
        latency=tuple(bins.get(index, 0) for index in range(LATENCY_BINS)),
        predictions=predictions,
    )


def _predictions(
    unit: Unit, endpoint: str, deployment: str, since: datetime, until: datetime | None
) -> Mapping[str, int]:
    """Collected classes. Numbers are left to the shadow comparison; without a watermark there is nothing to count."""
    if until is None:
        return {}
    try:
        collected = unit.ports.evidence.predictions(endpoint, deployment, since, until)
    except DependencyUnavailable:
        return {}
    return Counter(str(row["output"]) for row in collected if isinstance(row.get("output"), str))

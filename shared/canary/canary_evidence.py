"""The canary's evidence: both arms over the same time, and what the judge makes of it now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.canary import live_counts, signal_evidence
from shared.canary import shadow as shadow_pairs
from shared.canary.live_counts import LabelCounter, Scale
from shared.canary.shadow import Shadow
from shared.domain.release import ArmSeen, CanaryPoint, Judgement, JudgementKind, Outcome, Release, decides
from shared.errors import DependencyUnavailable
from shared.intake import labels as late_labels
from shared.loopfile.published import Published
from shared.ports import TrafficSeen
from shared.release import document
from shared.release.machine import old_deployment
from shared.release.observations import CanarySeen
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.canary.arms import ArmEvidence, CanaryEvidence
    from shared.canary.canary_judge import CanaryPolicy, CanaryVerdict
    from shared.loopfile import Definition


def measure(unit: Unit, release: Release, published: Published) -> CanarySeen:
    """Judge the step as it stands now. Evidence that cannot be had is an error of measurement, and holds."""
    from shared.canary.canary_judge import CanaryRecord, CanaryState, judge_canary

    definition, now = published.definition, unit.ports.clock.now()
    carried = json.loads(release.canary_state) if release.canary_state else {}
    before = CanaryState.from_dict(carried.get("judge", {}))
    scale = live_counts.scale(unit, release)
    policy = canary_policy(definition, len(scale.all_slices))
    evidence, shadow = gather(unit, release, definition, now, scale, Shadow.of(carried))
    asked = signal_evidence.ask(unit, definition, release, evidence.started_at, evidence.watermark_at, before)
    evidence = replace(evidence, signals=asked)
    step = definition.canary.step
    times = {
        "step_elapsed_s": (now - release.phase_since_at).total_seconds(),
        "step_min_s": step.minutes * 60,
        "step_max_s": step.max_hours * 3600,
    }
    verdict, after = judge_canary(evidence, policy, before, **times)
    kept, digest = Kept.of(carried), ""
    if kept.wants(verdict.outcome, evidence.requests, frozen=unit.stands_still):
        record = CanaryRecord(evidence, policy, before, times, verdict)
        digest = document.kept(unit.ports.documents, record, verdict.outcome)
        kept = Kept(verdict.outcome.value, evidence.requests)
    judgement = Judgement(
        JudgementKind.CANARY,
        verdict.outcome,
        verdict.reasons,
        digest,
        now,
        step=release.step,
        steps=len(definition.shares),
        weight_pct=evidence.set_weight_pct,
    )
    state = {"judge": after.to_dict(), "shadow": shadow.to_dict(), "kept": asdict(kept)}
    return CanarySeen(judgement, json.dumps(state, sort_keys=True), point_of(judgement, evidence, verdict))


def point_of(judgement: Judgement, evidence: CanaryEvidence, verdict: CanaryVerdict) -> CanaryPoint:
    return CanaryPoint(
        at=judgement.at,
        step=judgement.step or 0,
        weight_pct=evidence.set_weight_pct,
        champion=_seen(evidence.champion),
        canary=_seen(evidence.canary),
        e_value=verdict.e_value,
        threshold=verdict.threshold,
        outcome=verdict.outcome,
        evidence=judgement.evidence,
    )


@dataclass(frozen=True)
class Kept:
    """The observation of this step whose evidence was stored last.

    What decides is always stored; what does not, when it is of another outcome than the last stored, or saw a quarter
    more requests: some thirty documents for a step of a thousand requests, however often it is observed.
    """

    outcome: str = ""
    requests: int = 0

    @classmethod
    def of(cls, carried: Mapping[str, Any]) -> Kept:  # Any: our own JSON, read back
        return cls(**carried.get("kept", {}))

    def wants(self, outcome: Outcome, requests: int, *, frozen: bool) -> bool:
        return (
            decides(outcome, frozen=frozen)
            or outcome.value != self.outcome
            or requests > 1.25 * self.requests
        )


def _seen(arm: ArmEvidence) -> ArmSeen:
    from shared.canary.arms import latency_edge_ms

    answered, below = sum(arm.latency), 0
    for index, count in enumerate(arm.latency):
        below += count
        if answered and below >= 0.95 * answered:
            return ArmSeen(arm.requests, arm.errors, latency_edge_ms(index + 1))
    return ArmSeen(arm.requests, arm.errors, None)


def canary_policy(definition: Definition, slices: int = 0, exact: float | None = None) -> CanaryPolicy:
    """The loop file's canary as the judge takes it. A margin that is set asks for the evidence that it is about.

    Labels are the exception: they may come days later, and a canary that waited for them would be no canary.
    `exact`: what the exact test's part was, where it is not today's.
    """
    from shared.canary.boundary import EXACT
    from shared.canary.canary_judge import CanaryPolicy

    canary, margins = definition.canary, definition.canary.margins
    online = definition.serve.type == "online"
    asked = {"predictions": margins.prediction_shift, "shadow": margins.shadow_disagreement}
    required = ["errors", "latency"] if online else ["errors"]
    labelled = definition.data.labels is not None or not online
    return CanaryPolicy(
        alpha=canary.false_rollback_rate,
        steps=len(definition.shares) + bool(canary.bake_minutes and online),
        min_requests=canary.step.min_requests if online else 1,
        max_error_rate_increase=margins.error_rate,
        max_latency_increase_ratio=margins.latency_ratio if online else None,
        latency_floor_ms=margins.latency_floor_ms,
        max_prediction_shift=margins.prediction_shift,
        max_label_error_increase=margins.label_error if labelled else None,
        max_shadow_disagreement=margins.shadow_disagreement,
        required=(*required, *(name for name, margin in asked.items() if margin is not None)),
        slice_slots=max(slices, 1),
        exact=EXACT if exact is None else exact,
        unit=canary.unit if online else "row",
        signals=signal_evidence.policies(definition),
    )


def given(release: Release, definition: Definition) -> int:
    """The canary's weight in per cent: the step's, or what a person set instead and resumed."""
    weight = release.traffic.get(release.deployment, 0)
    return weight if 0 < weight < 100 else definition.canary.steps[release.step]


def gather(
    unit: Unit, release: Release, definition: Definition, now: datetime, scale: Scale, shadow: Shadow
) -> tuple[CanaryEvidence, Shadow]:
    """Counts of both arms over the same time: from when counting began up to the traffic log's watermark."""
    from shared.canary.arms import CanaryEvidence
    from shared.canary.boundary import count_windows

    endpoint, since = definition.serve.endpoint, live_counts.counts_from(release, definition)
    seen, problem = TrafficSeen({}, None), ""
    if since < now:
        try:
            seen = unit.ports.evidence.traffic(endpoint, since, now, definition.canary.unit)
        except DependencyUnavailable as error:
            problem = str(error)
    old, new = old_deployment(release), release.deployment
    rows = {
        name: live_counts.collected(unit, definition, name, since, seen.watermark_at) for name in (old, new)
    }
    notes = [note for _, note in rows.values() if note]
    if notes and definition.canary.margins.prediction_shift is not None:
        problem = problem or notes[0]
    shadow, trouble = shadow_pairs.compare(unit, release, definition, rows[old][0], scale, shadow)
    labels = counter(unit, definition, since)
    arms = {name: live_counts.arm(seen.arms.get(name), rows[name][0], scale, labels) for name in (old, new)}
    longest = timedelta(hours=definition.canary.step.max_hours)
    evidence = CanaryEvidence(
        champion=arms[old],
        canary=arms[new],
        set_weight_pct=given(release, definition),
        started_at=since,
        watermark_at=seen.watermark_at,
        query_ok=not problem,
        shadow=shadow.pairs(),
        notes=tuple(dict.fromkeys(note for note in (problem, *notes, trouble) if note)),
        windows=count_windows(seen.minutes, (new, old), since, seen.watermark_at, longest),
        nameless=seen.nameless,
        uncounted=not scale.known,
    )
    return evidence, shadow


def counter(unit: Unit, definition: Definition, since: datetime) -> LabelCounter | None:
    """Labels that have come in since the counting began; None where the loop has none."""
    if definition.data.labels is None or definition.data.id is None:
        return None
    return LabelCounter(late_labels.known(unit, definition, since), definition.data.id)

"""After promotion: the model that now serves is watched, labels too, while the old deployment is kept warm."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.canary import canary_evidence, live_counts
from shared.domain.reason import Code, reason
from shared.domain.release import Judgement, JudgementKind, Outcome, Release, decides
from shared.errors import DependencyUnavailable
from shared.intake import labels
from shared.loopfile.published import Published
from shared.ports import TrafficSeen
from shared.release import document
from shared.release.machine import old_deployment
from shared.release.observations import BakeSeen, TimePassed
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.canary.arms import CanaryEvidence
    from shared.canary.bake_judge import BakeEvidence
    from shared.canary.live_counts import Scale
    from shared.loopfile import Definition

log = logging.getLogger("driftloop")


def measure(unit: Unit, release: Release, published: Published) -> BakeSeen | TimePassed | None:
    """Judge the promoted model as it stands now; where no canary step came before, only great harm is looked for, and
    it passes by time alone."""
    from shared.canary.bake_judge import BakeRecord, judge_bake

    definition, now = published.definition, unit.ports.clock.now()
    bake = timedelta(minutes=definition.canary.bake_minutes)
    last = release.judgement(JudgementKind.CANARY)
    if last is not None and not last.evidence:
        last = None
    delay = labels.maturity(unit.state, definition)
    evidence = _evidence(unit, release, definition, last, now)
    if last is not None:
        final_at = last.at + delay if delay is not None else None
        evidence = replace(evidence, final_at=final_at, wanted=definition.canary.bake_labels)
    policy = canary_evidence.canary_policy(definition, len(evidence.step.canary.slice_predictions))
    waits = delay if evidence.wanted != "none" and delay else timedelta(0)
    times = {
        "elapsed_s": (now - release.phase_since_at).total_seconds(),
        "bake_s": bake.total_seconds(),
        "max_s": (bake + waits).total_seconds() + definition.canary.step.max_hours * 3600,
    }
    verdict = judge_bake(evidence, policy, **times)
    if last is None and verdict.outcome is not Outcome.ROLL_BACK:
        return TimePassed() if now - release.phase_since_at >= bake else None
    digest = ""
    if decides(verdict.outcome, frozen=unit.stands_still):
        record = BakeRecord(evidence, policy, times, verdict)
        digest = document.kept(unit.ports.documents, record, verdict.outcome)
    return BakeSeen(Judgement(JudgementKind.BAKE, verdict.outcome, verdict.reasons, digest, now))


def _evidence(
    unit: Unit, release: Release, definition: Definition, last: Judgement | None, now: datetime
) -> BakeEvidence:
    from shared.canary.bake_judge import BakeEvidence

    endpoint, since = definition.serve.endpoint, release.phase_since_at
    seen, problem = TrafficSeen({}, None), ""
    try:
        seen = unit.ports.evidence.traffic(endpoint, since, now, definition.canary.unit)
    except DependencyUnavailable as error:
        problem = str(error)
    scale = live_counts.scale(unit, release)
    lost = None if scale.known else reason(Code.GATE_EVIDENCE_LOST)
    step = _as_seen(release)
    if last is not None:
        try:
            step = labelled(unit, release, definition, last, scale)[0]
        except Exception:  # what the log of requests shows is judged all the same
            log.exception("the last step's evidence cannot be read", extra={"loop": unit.loop})
            lost = reason(Code.STEP_EVIDENCE_LOST)
    return BakeEvidence(
        live=live_counts.arm(seen.arms.get(release.deployment), (), scale),
        step=step,
        started_at=since,
        watermark_at=seen.watermark_at,
        query_ok=not problem,
        notes=(problem,) if problem else (),
        lost=lost,
    )


def _as_seen(release: Release) -> CanaryEvidence:
    """What the release's own row still knows of the canary: requests and errors of its last observation."""
    from shared.canary.arms import ArmEvidence, CanaryEvidence

    point = next(reversed(release.points), None)
    champion, canary = (point.champion, point.canary) if point else (None, None)
    return CanaryEvidence(
        champion=ArmEvidence(champion.requests, champion.errors) if champion else ArmEvidence(),
        canary=ArmEvidence(canary.requests, canary.errors) if canary else ArmEvidence(),
        set_weight_pct=point.weight_pct if point else 0,
        started_at=release.phase_since_at,
        watermark_at=None,
    )


def labelled(
    unit: Unit, release: Release, definition: Definition, last: Judgement, scale: Scale
) -> tuple[CanaryEvidence, str]:
    """What decided the last canary step, with the labels that have come in since for what both arms said in it; or why
    that could not be read."""
    from shared.canary.canary_judge import CanaryRecord

    step = CanaryRecord.from_dict(json.loads(unit.ports.documents.get(last.evidence))).evidence
    counter = canary_evidence.counter(unit, definition, step.started_at)
    if counter is None or not counter.labels:
        return step, ""
    arms = []
    for name in (old_deployment(release), release.deployment):
        rows, problem = live_counts.collected(unit, definition, name, step.started_at, step.watermark_at)
        if problem:
            return step, problem
        arms.append(live_counts.arm(None, rows, scale, counter))
    champion, canary = arms
    step = replace(
        step,
        champion=replace(step.champion, labels=champion.labels, slice_labels=champion.slice_labels),
        canary=replace(step.canary, labels=canary.labels, slice_labels=canary.slice_labels),
    )
    return step, ""

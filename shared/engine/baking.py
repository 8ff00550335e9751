"""After promotion: the model that now serves is watched, labels too, while the old deployment is kept warm."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.core.happenings import BakeSeen, TimePassed
from shared.core.release import old_deployment
from shared.definition import Published
from shared.engine import canarying, gathering
from shared.engine.unit import Unit
from shared.errors import DependencyUnavailable
from shared.model import Judgement, Release
from shared.ports import TrafficSeen

if TYPE_CHECKING:
    from shared.judge.arms import CanaryEvidence
    from shared.judge.bake import BakeEvidence
    from shared.loopfile import Definition

KIND = "bake"


def measure(unit: Unit, release: Release, published: Published) -> BakeSeen | TimePassed | None:
    """Judge the promoted model as it stands now; by time alone where no canary step came before."""
    from shared.judge.bake import judge_bake

    definition, now = published.definition, unit.ports.clock.now()
    bake = timedelta(minutes=definition.canary.bake_minutes)
    last = next((j for j in reversed(release.judgements) if j.kind.startswith("canary")), None)
    if last is None or not last.evidence:
        return TimePassed() if now - release.phase_since_at >= bake else None
    evidence = _evidence(unit, release, definition, last, now)
    policy = canarying.canary_policy(definition, len(evidence.step.canary.slice_predictions))
    times = {
        "elapsed_s": (now - release.phase_since_at).total_seconds(),
        "bake_s": bake.total_seconds(),
        "max_s": bake.total_seconds() + definition.canary.step.max_hours * 3600,
    }
    verdict = judge_bake(evidence, policy, **times)
    digest = ""
    if verdict.kind.value in canarying.DECISIONS:
        document = {
            "evidence": evidence.to_dict(),
            "policy": policy.to_dict(),
            "times": times,
            "verdict": verdict.to_dict(),
        }
        digest = unit.ports.documents.put(json.dumps(document, sort_keys=True).encode())
    return BakeSeen(Judgement(KIND, verdict.kind.value, tuple(verdict.reasons), digest, now))


def _evidence(
    unit: Unit, release: Release, definition: Definition, last: Judgement, now: datetime
) -> BakeEvidence:
    from shared.judge.bake import BakeEvidence

    endpoint, since = definition.serve.endpoint, release.phase_since_at
    seen, problem = TrafficSeen({}, None), ""
    try:
        seen = unit.ports.evidence.traffic(endpoint, since, now)
    except DependencyUnavailable as error:
        problem = str(error)
    scale = gathering.scale(unit, release)
    return BakeEvidence(
        live=gathering.arm(seen.arms.get(release.deployment), (), scale),
        step=_labelled(unit, release, definition, last),
        started_at=since,
        watermark_at=seen.watermark_at,
        query_ok=not problem,
        notes=(problem,) if problem else (),
    )


def _labelled(unit: Unit, release: Release, definition: Definition, last: Judgement) -> CanaryEvidence:
    """What decided the last canary step, with the labels that have come in since for what both arms said in it."""
    from shared.judge.arms import CanaryEvidence

    step = CanaryEvidence.from_dict(json.loads(unit.ports.documents.get(last.evidence))["evidence"])
    labels = canarying.counter(unit, definition, step.started_at)
    if labels is None or not labels.labels:
        return step
    scale, arms = gathering.scale(unit, release), []
    for name in (old_deployment(release), release.deployment):
        rows, problem = gathering.collected(unit, definition, name, step.started_at, step.watermark_at)
        if problem:
            return step
        arms.append(gathering.arm(None, rows, scale, labels))
    champion, canary = arms
    return replace(
        step,
        champion=replace(step.champion, labels=champion.labels, slice_labels=champion.slice_labels),
        canary=replace(step.canary, labels=canary.labels, slice_labels=canary.slice_labels),
    )

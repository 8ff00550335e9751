"""A release decides by itself what to do next, from its stored phase and what was just seen, and nothing else.

`action(release, ...)` names the one thing to bring about or to look at; the engine performs it, always under the
same name, so that doing it again after a crash changes nothing; `fold(release, seen, ...)` answers with the
release as it then is. Both are pure.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.release import Judgement, Phase, Release
from shared.ports import DeploymentSeen, JobSeen
from shared.release.canary.timeline import remember
from shared.release.observations import (
    LOOKS,
    Action,
    AssembleWindow,
    Await,
    BakeSeen,
    CanarySeen,
    Deploy,
    GateSeen,
    GoneSeen,
    MeasureBake,
    MeasureCanary,
    MeasureGate,
    ModelSeen,
    PersonActed,
    RegisterModel,
    RemoveDeployment,
    RunCheck,
    RunJob,
    Seen,
    SetTraffic,
    TimePassed,
    TrafficIs,
    TrafficLate,
    TrafficTaken,
    WindowSeen,
)
from shared.release.transitions import move

if TYPE_CHECKING:
    from shared.loopfile import Definition

__all__ = [
    "Action",
    "AssembleWindow",
    "Await",
    "BakeSeen",
    "CanarySeen",
    "Deploy",
    "GateSeen",
    "GoneSeen",
    "MeasureBake",
    "MeasureCanary",
    "MeasureGate",
    "ModelSeen",
    "PersonActed",
    "RegisterModel",
    "RemoveDeployment",
    "RunCheck",
    "RunJob",
    "Seen",
    "SetTraffic",
    "TimePassed",
    "TrafficIs",
    "TrafficLate",
    "TrafficTaken",
    "WindowSeen",
    "action",
    "fold",
    "old_deployment",
    "unsuspected",
]

DEPLOYMENT_LIMIT = timedelta(hours=2)
"""A deployment that is still being created after this counts as failed."""

TRAFFIC_LIMIT = timedelta(hours=1)
"""A canary step whose traffic is not as set after this is taken back."""

STALE_LIMIT = timedelta(seconds=75)
"""A split that is read for so long is the split that is set."""


def action(release: Release, definition: Definition) -> Action:
    """The one thing that this release needs now."""
    if release.adopted:
        return Await(f"a person: driftloop resume {release.loop}, or abort {release.loop}/{release.number}")
    match release.phase:
        case Phase.PREPARING:
            return AssembleWindow()
        case Phase.TRAINING:
            return RunJob()
        case Phase.REGISTERING:
            return RegisterModel()
        case Phase.DEPLOYING:
            return Deploy()
        case Phase.GATING:
            return MeasureGate()
        case Phase.CHECKING:
            return RunCheck(release.step)
        case Phase.AWAITING_APPROVAL:
            return Await(f"approval: driftloop approve {release.loop}/{release.number}")
        case Phase.HOLDING:
            return Await(f"a person: driftloop approve or abort {release.loop}/{release.number}")
        case Phase.SHIFTING:
            return SetTraffic(step_weights(release, definition))
        case Phase.CANARY:
            return MeasureCanary()
        case Phase.PROMOTING:
            return SetTraffic({release.deployment: 100})
        case Phase.BAKING:
            # Without an old deployment there is nothing to keep warm.
            baked = release.champion and definition.canary.bake_minutes
            return MeasureBake() if baked else Await("the bake time", release.phase_since_at)
        case Phase.RETIRING:
            return RemoveDeployment(old_deployment(release))
        case Phase.ROLLING_BACK:
            return SetTraffic({release.champion.deployment: 100} if release.champion else {})
        case Phase.CLEANING:
            return RemoveDeployment(release.deployment)
        case _:
            return Await("nothing: it has ended")


def step_weights(release: Release, definition: Definition) -> dict[str, int]:
    """The plan's weights for the release's canary step, in per cent."""
    weight = definition.canary.steps[release.step]
    return {old_deployment(release): 100 - weight, release.deployment: weight}


def old_deployment(release: Release) -> str:
    return release.champion.deployment if release.champion else ""


def fold(release: Release, seen: Seen, definition: Definition, now: datetime) -> Release:
    """The release after `seen`; the same value when nothing follows from it."""
    if isinstance(seen, PersonActed):
        return release if release.ended else _person(release, seen, definition, now)
    if release.adopted or not isinstance(seen, LOOKS.get(release.phase, ())):
        return release
    if not isinstance(seen, TrafficTaken | TrafficLate):
        release = unsuspected(release)
    match seen:
        case WindowSeen():
            return replace(move(release, Phase.TRAINING, now), window=seen.asset, profile=seen.profile)
        case JobSeen():
            return _job(release, seen, definition, now)
        case ModelSeen():
            return replace(
                move(release, Phase.DEPLOYING, now), model=seen.asset, deployment=release.deployment_name
            )
        case DeploymentSeen():
            return _deployment(release, seen, now)
        case GateSeen():
            return _gate(release, seen, definition, now)
        case TrafficIs():
            return _traffic(release, seen, now)
        case TrafficTaken() | TrafficLate():
            return _taken(release, seen, definition, now)
        case CanarySeen():
            return _canary(release, seen, definition, now)
        case BakeSeen():
            return _bake(release, seen.judgement, now)
        case GoneSeen():
            return _gone(release, seen, now)
        case TimePassed():
            return _baked(release, now)


def _job(release: Release, seen: JobSeen, definition: Definition, now: datetime) -> Release:
    if release.phase is Phase.CHECKING:
        return _check(release, seen, definition, now)
    if seen.status == "running":
        return replace(release, job=release.job_name, waiting_for=f"Azure ML job {release.job_name}")
    if seen.status == "completed":
        told = (
            f"steps reused, as nothing in them had changed: {', '.join(seen.reused)}" if seen.reused else ""
        )
        return replace(move(release, Phase.REGISTERING, now, told), job=release.job_name)
    why = f"job {release.job_name} {seen.status}: {seen.error or 'no error text'}"
    if release.attempt < definition.train.attempts and seen.status != "canceled":
        return replace(move(release, Phase.TRAINING, now, why), attempt=release.attempt + 1)
    return clean(release, Phase.FAILED, why, now)


def _check(release: Release, seen: JobSeen, definition: Definition, now: datetime) -> Release:
    check = definition.gate.checks[release.step]
    if seen.status == "running":
        return replace(release, waiting_for=f"check {check}")
    if seen.status != "completed":
        return clean(release, Phase.REJECTED, f"check {check} {seen.status}: {seen.error}", now)
    if release.step + 1 < len(definition.gate.checks):
        return replace(move(release, Phase.CHECKING, now), step=release.step + 1)
    return to_traffic(replace(release, step=0), definition, now)


def _deployment(release: Release, seen: DeploymentSeen, now: datetime) -> Release:
    if seen.state == "ready":
        return move(release, Phase.GATING, now)
    if seen.state == "failed":
        return clean(release, Phase.FAILED, f"deployment {release.deployment} failed: {seen.error}", now)
    if now - release.phase_since_at > DEPLOYMENT_LIMIT:
        late = f"deployment {release.deployment} was not ready within {DEPLOYMENT_LIMIT}"
        return clean(release, Phase.FAILED, late, now)
    return replace(release, waiting_for=f"deployment {release.deployment}")


def _gate(release: Release, seen: GateSeen, definition: Definition, now: datetime) -> Release:
    judged = replace(release, judgements=release.judgements + seen.judgements)
    worst = next((j for j in seen.judgements if j.outcome != "pass"), seen.judgements[-1])
    words = "; ".join(worst.words)
    if worst.outcome == "pass":
        return after_gate(judged, definition, now, words)
    if worst.outcome == "inconclusive":
        match definition.gate.on_inconclusive:
            case "promote":
                return after_gate(
                    judged, definition, now, f"inconclusive, let pass as the loop file says: {words}"
                )
            case "hold":
                return move(judged, Phase.HOLDING, now, f"{worst.kind} inconclusive: {words}")
    return clean(judged, Phase.REJECTED, f"{worst.kind} {worst.outcome}: {words}", now)


def after_gate(release: Release, definition: Definition, now: datetime, reason: str = "") -> Release:
    """Checks if the loop has some, else on towards traffic."""
    if definition.gate.checks:
        return replace(move(release, Phase.CHECKING, now, reason), step=0)
    return to_traffic(release, definition, now, reason)


def to_traffic(release: Release, definition: Definition, now: datetime, reason: str = "") -> Release:
    """The canary's first step; straight to promotion where nobody serves yet; approval first where asked for."""
    nobody_serves = release.champion is None
    asked = {"none": False, "before_canary": True, "before_promotion": nobody_serves}
    if asked[definition.canary.approval] and not release.approved:
        return move(release, Phase.AWAITING_APPROVAL, now, reason)
    return _promote(release, now, reason) if nobody_serves else _shift(release, 0, definition, now, reason)


def _shift(release: Release, step: int, definition: Definition, now: datetime, reason: str) -> Release:
    """The step's weights are asked for: from here on they may be in force, whatever is read."""
    begun = replace(move(release, Phase.SHIFTING, now, reason), step=step)
    return replace(begun, asked=step_weights(begun, definition))


def _promote(release: Release, now: datetime, reason: str) -> Release:
    return replace(move(release, Phase.PROMOTING, now, reason), asked={release.deployment: 100})


def _traffic(release: Release, seen: TrafficIs, now: datetime) -> Release:
    if not seen.settled:
        if release.phase is Phase.SHIFTING and now - release.phase_since_at > TRAFFIC_LIMIT:
            return roll_back(release, Phase.FAILED, f"traffic was not as set within {TRAFFIC_LIMIT}", now)
        return replace(release, waiting_for="traffic to be as set")
    known = replace(release, traffic=dict(seen.weights))
    match release.phase:
        case Phase.SHIFTING:
            return move(known, Phase.CANARY, now)
        case Phase.PROMOTING:
            return move(known, Phase.BAKING, now)
        case Phase.ROLLING_BACK:
            return move(known, Phase.CLEANING, now)
        case _:
            return release


def _taken(
    release: Release, seen: TrafficTaken | TrafficLate, definition: Definition, now: datetime
) -> Release:
    """Nothing is set from the first look on. What is still so when no stale read can be is adopted from somebody else;
    what a late worker of ours set makes the canary's step begin anew: no weight rises but by the plan."""
    weights = dict(seen.weights)
    if release.suspect_at is None or dict(release.suspect) != weights:
        words = f"traffic that seems to have been changed from outside to {weights}"
        return replace(release, suspect=weights, suspect_at=now, waiting_for=words)
    if now - release.suspect_at < STALE_LIMIT:
        return release
    if isinstance(seen, TrafficLate):
        why = f"a worker that had slept set an earlier split, {weights}: step {release.step + 1} begins anew"
        return _shift(unsuspected(release), release.step, definition, now, why)
    words = f"a person, because its traffic was changed from outside to {weights}"
    return unsuspected(replace(release, traffic=weights, adopted=True, waiting_for=words))


def unsuspected(release: Release) -> Release:
    """After a look at traffic that was as it should be."""
    return release if release.suspect_at is None else replace(release, suspect={}, suspect_at=None)


def _canary(release: Release, seen: CanarySeen, definition: Definition, now: datetime) -> Release:
    words = "; ".join(seen.judgement.words)
    release = remember(release, seen.look)
    match seen.judgement.outcome:
        case "advance":
            return _advance(_with(release, seen.judgement), definition, now, words)
        case "roll_back":
            return roll_back(_with(release, seen.judgement), Phase.ROLLED_BACK, words, now)
        case "inconclusive":
            match definition.canary.on_timeout:
                case "promote":
                    return _advance(_with(release, seen.judgement), definition, now, words)
                case "roll_back":
                    return roll_back(_with(release, seen.judgement), Phase.ROLLED_BACK, words, now)
                case _:
                    return move(_with(release, seen.judgement), Phase.HOLDING, now, words)
        case _:
            return replace(release, canary_state=seen.state, waiting_for=words)


def _bake(release: Release, judged: Judgement, now: datetime) -> Release:
    """Worse goes back in one step; evidence that never came holds no longer than a canary step would."""
    words = "; ".join(judged.words)
    match judged.outcome:
        case "roll_back":
            return roll_back(_with(release, judged), Phase.ROLLED_BACK, words, now)
        case "advance" | "inconclusive":
            return _baked(_with(release, judged), now, words)
        case _:
            return replace(release, waiting_for=words)


def _baked(release: Release, now: datetime, words: str = "") -> Release:
    return move(release, Phase.RETIRING if release.champion else Phase.LIVE, now, words)


def _with(release: Release, judgement: Judgement) -> Release:
    return replace(release, judgements=(*release.judgements, judgement))


def _advance(release: Release, definition: Definition, now: datetime, words: str) -> Release:
    if release.step + 1 < len(definition.canary.steps):
        return _shift(release, release.step + 1, definition, now, words)
    if definition.canary.approval == "before_promotion" and "before_promotion" not in release.approved:
        return move(release, Phase.AWAITING_APPROVAL, now, words)
    return _promote(release, now, words)


def _gone(release: Release, seen: GoneSeen, now: datetime) -> Release:
    if not seen.gone:
        return replace(release, waiting_for="a deployment to be deleted")
    if release.phase is Phase.RETIRING:
        return move(release, Phase.LIVE, now)
    return move(release, release.outcome or Phase.FAILED, now)


def _person(release: Release, seen: PersonActed, definition: Definition, now: datetime) -> Release:
    why = f"{seen.verb} by {seen.actor}: {seen.reason or 'no reason given'}"
    if seen.verb == "resume":
        return replace(release, adopted=False, waiting_for="") if release.adopted else release
    if seen.verb == "approve":
        return _approve(release, definition, now, why)
    if release.phase in (Phase.RETIRING, Phase.CLEANING) and not release.adopted:
        return release
    if release.phase is Phase.ROLLING_BACK:
        return replace(release, adopted=False, waiting_for="") if release.adopted else release
    if under_traffic(release):
        promoted = release.phase in (Phase.BAKING, Phase.RETIRING)
        outcome = release.outcome or (Phase.ROLLED_BACK if promoted else Phase.ABORTED)
        return roll_back(release, outcome, why, now)
    return clean(release, Phase.ABORTED, why, now)


SERVING = frozenset(
    {Phase.SHIFTING, Phase.CANARY, Phase.PROMOTING, Phase.BAKING, Phase.RETIRING, Phase.CLEANING}
)
"""Phases whose undoing begins with the traffic."""


def under_traffic(release: Release) -> bool:
    """Whether the challenger has, or is just being given, live requests."""
    given = release.traffic.get(release.deployment, 0) if release.deployment else 0
    return given > 0 or release.phase in SERVING


def _approve(release: Release, definition: Definition, now: datetime, why: str) -> Release:
    if release.phase not in (Phase.HOLDING, Phase.AWAITING_APPROVAL):
        return release
    if not under_traffic(release):
        word = "hold" if release.phase is Phase.HOLDING else "before_canary"
        held = replace(release, approved=(*release.approved, word))
        if release.phase is Phase.HOLDING:
            return after_gate(held, definition, now, why)
        return to_traffic(held, definition, now, why)
    last = release.step + 1 >= len(definition.canary.steps)
    word = "before_promotion" if last else "hold"
    return _advance(replace(release, approved=(*release.approved, word)), definition, now, why)


def roll_back(release: Release, outcome: Phase, why: str, now: datetime) -> Release:
    """Towards the champion, and the challenger is removed afterwards."""
    return replace(move(release, Phase.ROLLING_BACK, now, why), outcome=outcome, adopted=False)


def clean(release: Release, outcome: Phase, why: str, now: datetime) -> Release:
    """No traffic was given: only what was made for the challenger is removed."""
    return replace(move(release, Phase.CLEANING, now, why), outcome=outcome)

"""A release decides by itself what to do next, from its stored phase and what was just seen, and nothing else.

`action(release, ...)` names the one thing to bring about or to look at; the engine performs it, always under the
same name, so that doing it again after a crash changes nothing; `fold(release, seen, ...)` answers with the
release as it then is. Both are pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.core.states import move
from shared.model import ENDED, CanaryLook, Champion, Judgement, Phase, Release
from shared.ports import DeploymentSeen, JobSeen

if TYPE_CHECKING:
    from shared.loopfile import Definition

MAX_LOOKS = 40
"""Looks kept of each canary step."""

# --- what the engine may be asked to do ----------------------------------------------------------


@dataclass(frozen=True)
class AssembleWindow:
    """Put the training window together and register it."""


@dataclass(frozen=True)
class RunJob:
    """Have the training job of this attempt run, and look at it."""


@dataclass(frozen=True)
class RegisterModel:
    """Register the model that the job made."""


@dataclass(frozen=True)
class Deploy:
    """Have the challenger deployed at 0 %, and look at it."""


@dataclass(frozen=True)
class MeasureGate:
    """Smoke test and gate through both deployments."""


@dataclass(frozen=True)
class RunCheck:
    """Have the check job with this index run, and look at it."""

    index: int


@dataclass(frozen=True)
class SetTraffic:
    """Have exactly these weights, unless somebody else changed them."""

    weights: Mapping[str, int]


@dataclass(frozen=True)
class MeasureCanary:
    """Read both arms' evidence since the step began, and judge it."""


@dataclass(frozen=True)
class RemoveDeployment:
    """Have this deployment gone."""

    name: str


@dataclass(frozen=True)
class Await:
    """Nothing to do before `until`, or before a person acts."""

    what: str
    until: datetime | None = None


Action = (
    AssembleWindow
    | RunJob
    | RegisterModel
    | Deploy
    | MeasureGate
    | RunCheck
    | SetTraffic
    | MeasureCanary
    | RemoveDeployment
    | Await
)

# --- what the engine may have seen ---------------------------------------------------------------


@dataclass(frozen=True)
class WindowSeen:
    asset: str
    profile: str


@dataclass(frozen=True)
class ModelSeen:
    asset: str


@dataclass(frozen=True)
class GateSeen:
    judgements: tuple[Judgement, ...]
    """Smoke test first, then the gate."""


@dataclass(frozen=True)
class CanarySeen:
    judgement: Judgement
    state: str
    look: CanaryLook | None = None


@dataclass(frozen=True)
class TrafficIs:
    weights: Mapping[str, int]
    settled: bool
    """The wanted weights were read back."""


@dataclass(frozen=True)
class GoneSeen:
    gone: bool


@dataclass(frozen=True)
class TimePassed:
    """An `Await` whose time has come."""


@dataclass(frozen=True)
class PersonActed:
    """approve or abort, by whom, why."""

    verb: str
    actor: str
    reason: str


Seen = (
    WindowSeen
    | JobSeen
    | ModelSeen
    | DeploymentSeen
    | GateSeen
    | CanarySeen
    | TrafficIs
    | GoneSeen
    | TimePassed
    | PersonActed
)

# --- deciding ------------------------------------------------------------------------------------


def action(release: Release, definition: Definition) -> Action:
    """The one thing that this release needs now."""
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
            baked_at = release.phase_since_at + timedelta(minutes=definition.canary.bake_minutes)
            return Await("the bake time", baked_at)
        case Phase.RETIRING:
            return RemoveDeployment(old_deployment(release))
        case Phase.ROLLING_BACK:
            return SetTraffic(_champion_only(release))
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


def _champion_only(release: Release) -> dict[str, int]:
    return {release.champion.deployment: 100} if release.champion else {}


def fold(release: Release, seen: Seen, definition: Definition, now: datetime) -> Release:
    """The release after `seen`; the same value when nothing follows from it."""
    if release.phase in ENDED:
        return release
    match seen:
        case PersonActed():
            return _person(release, seen, definition, now)
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
        case CanarySeen():
            return _canary(release, seen, definition, now)
        case GoneSeen():
            return _gone(release, seen, now)
        case TimePassed():
            after = Phase.RETIRING if release.champion else Phase.LIVE
            return move(release, after, now) if release.phase is Phase.BAKING else release


def _job(release: Release, seen: JobSeen, definition: Definition, now: datetime) -> Release:
    if release.phase is Phase.CHECKING:
        return _check(release, seen, definition, now)
    if seen.status == "running":
        return replace(release, job=release.job_name, waiting_for=f"Azure ML job {release.job_name}")
    if seen.status == "completed":
        return replace(move(release, Phase.REGISTERING, now), job=release.job_name)
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
        return replace(release, step=release.step + 1)
    return to_traffic(replace(release, step=0), definition, now)


def _deployment(release: Release, seen: DeploymentSeen, now: datetime) -> Release:
    if seen.state == "ready":
        return move(release, Phase.GATING, now)
    if seen.state == "failed":
        return clean(release, Phase.FAILED, f"deployment {release.deployment} failed: {seen.error}", now)
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
    asked = definition.canary.approval != "none" and (
        release.champion is None or definition.canary.approval == "before_canary"
    )
    if asked and not release.approved:
        return move(release, Phase.AWAITING_APPROVAL, now, reason)
    first = Phase.SHIFTING if release.champion and definition.canary.steps else Phase.PROMOTING
    return replace(move(release, first, now, reason), step=0)


def _traffic(release: Release, seen: TrafficIs, now: datetime) -> Release:
    if not seen.settled:
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


def remember(release: Release, look: CanaryLook | None) -> Release:
    """One look more for people to follow; every second older one of its step goes when there are too many."""
    if look is None:
        return release
    before = [one for one in release.looks if one.step == look.step]
    if len(before) >= MAX_LOOKS:
        before = before[::2]
    return replace(release, looks=(*(one for one in release.looks if one.step != look.step), *before, look))


def _with(release: Release, judgement: Judgement) -> Release:
    return replace(release, judgements=(*release.judgements, judgement))


def _advance(release: Release, definition: Definition, now: datetime, words: str) -> Release:
    if release.step + 1 < len(definition.canary.steps):
        return replace(move(release, Phase.SHIFTING, now, words), step=release.step + 1)
    if definition.canary.approval == "before_promotion" and "before_promotion" not in release.approved:
        return move(release, Phase.AWAITING_APPROVAL, now, words)
    return move(release, Phase.PROMOTING, now, words)


def _gone(release: Release, seen: GoneSeen, now: datetime) -> Release:
    if not seen.gone:
        return replace(release, waiting_for="a deployment to be deleted")
    if release.phase is Phase.RETIRING:
        return move(release, Phase.LIVE, now)
    return move(release, release.outcome or Phase.FAILED, now)


def _person(release: Release, seen: PersonActed, definition: Definition, now: datetime) -> Release:
    why = f"{seen.verb} by {seen.actor}: {seen.reason or 'no reason given'}"
    if seen.verb == "approve":
        return _approve(release, definition, now, why)
    if release.phase in (Phase.RETIRING, Phase.ROLLING_BACK, Phase.CLEANING):
        return release
    if under_traffic(release):
        outcome = Phase.ROLLED_BACK if release.phase is Phase.BAKING else Phase.ABORTED
        return roll_back(release, outcome, why, now)
    return clean(release, Phase.ABORTED, why, now)


def under_traffic(release: Release) -> bool:
    """Whether the challenger has, or is just being given, live requests."""
    given = release.traffic.get(release.deployment, 0) if release.deployment else 0
    return given > 0 or release.phase in (Phase.SHIFTING, Phase.PROMOTING)


def _approve(release: Release, definition: Definition, now: datetime, why: str) -> Release:
    if release.phase is Phase.HOLDING:
        held = replace(release, approved=(*release.approved, "hold"))
        return (
            _advance(held, definition, now, why)
            if under_traffic(release)
            else after_gate(held, definition, now, why)
        )
    if release.phase is Phase.AWAITING_APPROVAL:
        if under_traffic(release):
            promoted = replace(release, approved=(*release.approved, "before_promotion"))
            return move(promoted, Phase.PROMOTING, now, why)
        return to_traffic(
            replace(release, approved=(*release.approved, "before_canary")), definition, now, why
        )
    return release


def roll_back(release: Release, outcome: Phase, why: str, now: datetime) -> Release:
    """Towards the champion, and the challenger is removed afterwards."""
    return replace(move(release, Phase.ROLLING_BACK, now, why), outcome=outcome)


def clean(release: Release, outcome: Phase, why: str, now: datetime) -> Release:
    """No traffic was given: only what was made for the challenger is removed."""
    return replace(move(release, Phase.CLEANING, now, why), outcome=outcome)


def champion_of(release: Release, now: datetime) -> Champion:
    """What serves once this release is promoted."""
    return Champion(
        release=release.number,
        deployment=release.deployment,
        model=release.model,
        versions=release.versions,
        profile=release.profile,
        live_at=now,
    )

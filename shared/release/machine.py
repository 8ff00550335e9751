"""The release machine: one table of phases, and the two functions that read it. Pure: no clock, no I/O.

`PHASES` has a row for each phase: what a release does in it, what can be observed meanwhile and where each observation
may lead, and what is true of the phase for everybody else (is a person awaited, how is it undone, is it quick). What is
not in the table does not happen: `fold` raises.

`action(release, ...)` names the one thing to bring about or to observe. `effects.py` performs it, always under the same
name, so that doing it again after a crash changes nothing. `fold(release, seen, ...)` answers with the release as it
then is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from shared.canary.timeline import remember
from shared.domain.reason import Code, Fact, Reason, reason
from shared.domain.release import (
    DECISIONS,
    ENDED,
    Judgement,
    JudgementKind,
    Outcome,
    Phase,
    Release,
    ScoringJob,
)
from shared.errors import InvariantBroken
from shared.ports import DeploymentSeen, JobSeen
from shared.release import observations as obs

if TYPE_CHECKING:
    from shared.loopfile import Definition

DEPLOYMENT_LIMIT = timedelta(hours=2)
"""A deployment that is still being created after this counts as failed."""

TRAFFIC_LIMIT = timedelta(hours=1)
"""Traffic that is not as set after this goes back to the champion."""

MACHINES_LIMIT = timedelta(hours=2)
"""Machines that have not come after this do not come: the release goes back."""

BLIND_LIMIT = MACHINES_LIMIT
"""For so long every look may fail while traffic is set; a canary and a bake have their longest time."""

STALE_LIMIT = timedelta(seconds=75)
"""A split that is read for so long is the split that is set."""


class Undo(Enum):
    """What an abort does."""

    CLEAN = "clean"
    """What was made for the challenger is removed; where it has traffic already, that goes back first."""
    ROLL_BACK = "roll back"
    """The challenger has, or is being given, live requests: the traffic goes back to the champion first."""
    SETTLED = "settled"
    """Nothing: the end is settled, unless somebody else changed the traffic since."""


class Frozen(Enum):
    """What is done in a phase while the loop is paused or only observes (`frozen.py`)."""

    GOES_ON = "goes on"
    """The same: it neither spends nor gives the challenger traffic, or it is the way back."""
    STANDS = "stands"
    """Nothing."""
    JOB = "a job that runs is followed, none is submitted"
    TRAFFIC = "traffic is read, and set only where that gives the challenger no more than it has"
    EVIDENCE = "evidence is gathered, and only proven harm ends it"


Targets = Mapping[Phase, str]
"""Phases that may follow, each with when it does."""


@dataclass(frozen=True)
class PhaseTraits:
    """One phase: what is done in it, what may be observed and follow, and what others need to know of it."""

    does: Callable[[Release, Definition], obs.Action]
    sees: Mapping[type[obs.Observation], Targets]
    """What is not here was observed for an earlier phase, and nothing follows from it."""
    undo: Undo = Undo.CLEAN
    awaits_person: bool = False
    quick: bool = False
    """Takes minutes: a release that is in it for an hour is stuck."""
    costs_job: bool = False
    """Lasts as long as a job of Azure ML runs."""
    promoted: bool = False
    """The challenger is the loop's champion."""
    hands_over: bool = False
    """The champion's place is being taken, or given back: the release itself sees to who serves."""
    frozen: Frozen = Frozen.GOES_ON


P = Phase

ABORTED: Targets = {P.CLEANING: "aborted"}
GIVEN_UP: Targets = {P.CLEANING: "no attempt can succeed"}
ABORTED_UNDER_TRAFFIC: Targets = {P.ROLLING_BACK: "aborted"}
UNSEEN: Targets = {P.ROLLING_BACK: "no look succeeds for too long"}
KEPT: Targets = {
    P.CANARY: "resumed, with the share that somebody gave it",
    P.HOLDING: "resumed, and somebody gave a third deployment traffic",
}
KEPT_AT_THE_END: Targets = dict.fromkeys(
    (P.REJECTED, P.ROLLED_BACK, P.FAILED, P.ABORTED),
    "resumed, and somebody gave the challenger traffic: it stays",
)

PHASES: Mapping[Phase, PhaseTraits] = {
    P.PREPARING: PhaseTraits(
        lambda release, definition: obs.AssembleWindow(),
        {
            obs.WindowSeen: {
                P.TRAINING: "window assembled",
                P.DEPLOYING: "window assembled, the model is there",
            },
            obs.GivenUp: GIVEN_UP,
            obs.PersonActed: ABORTED,
        },
        quick=True,
        frozen=Frozen.STANDS,
    ),
    P.TRAINING: PhaseTraits(
        lambda release, definition: obs.RunJob(),
        {
            JobSeen: {
                P.TRAINING: "failed, attempts left",
                P.REGISTERING: "job completed",
                P.CLEANING: "out of attempts",
            },
            obs.GivenUp: GIVEN_UP,
            obs.PersonActed: ABORTED,
        },
        costs_job=True,
        frozen=Frozen.JOB,
    ),
    P.REGISTERING: PhaseTraits(
        lambda release, definition: obs.RegisterModel(),
        {
            obs.ModelSeen: {P.DEPLOYING: "model registered"},
            obs.GivenUp: GIVEN_UP,
            obs.PersonActed: ABORTED,
        },
        quick=True,
        frozen=Frozen.STANDS,
    ),
    P.DEPLOYING: PhaseTraits(
        lambda release, definition: obs.Deploy(),
        {
            DeploymentSeen: {P.GATING: "deployed at 0 %", P.CLEANING: "deployment failed"},
            obs.PersonActed: ABORTED,
        },
        quick=True,
        frozen=Frozen.STANDS,
    ),
    P.GATING: PhaseTraits(
        lambda release, definition: obs.MeasureGate(),
        {
            obs.GateSeen: {
                P.CHECKING: "gate passed, the loop has checks",
                P.AWAITING_APPROVAL: "gate passed, approval required",
                P.SHIFTING: "gate passed",
                P.PROMOTING: "gate passed, no champion yet",
                P.HOLDING: "inconclusive",
                P.CLEANING: "gate failed",
            },
            obs.AnswersPending: {P.CLEANING: "a batch job does not end"},
            obs.PersonActed: ABORTED,
        },
        quick=True,
        frozen=Frozen.STANDS,
    ),
    P.CHECKING: PhaseTraits(
        lambda release, definition: obs.RunCheck(release.step),
        {
            JobSeen: {
                P.CHECKING: "next check",
                P.AWAITING_APPROVAL: "checks passed, approval required",
                P.SHIFTING: "checks passed",
                P.PROMOTING: "checks passed, no champion yet",
                P.CLEANING: "a check failed",
            },
            obs.GivenUp: GIVEN_UP,
            obs.PersonActed: ABORTED,
        },
        costs_job=True,
        frozen=Frozen.STANDS,
    ),
    P.AWAITING_APPROVAL: PhaseTraits(
        lambda release, definition: obs.Await(),
        {
            obs.PersonActed: {
                P.SHIFTING: "approved",
                P.PROMOTING: "approved",
                P.ROLLING_BACK: "aborted under traffic",
                P.CLEANING: "aborted",
            }
        },
        awaits_person=True,
    ),
    P.HOLDING: PhaseTraits(
        lambda release, definition: obs.Await(),
        {
            obs.Overtaken: {
                P.CLEANING: "before its canary, newer labelled rows and a reason to train on them"
            },
            obs.PersonActed: {
                P.CHECKING: "approved or skipped, the loop has checks",
                P.SHIFTING: "approved or skipped",
                P.PROMOTING: "approved or skipped",
                P.AWAITING_APPROVAL: "skipped, approval required",
                P.ROLLING_BACK: "aborted under traffic",
                P.CLEANING: "aborted",
            },
        },
        awaits_person=True,
    ),
    P.SHIFTING: PhaseTraits(
        lambda release, definition: obs.SetTraffic(step_weights(release, definition)),
        {
            obs.TrafficIs: {P.CANARY: "traffic is as the step says", P.ROLLING_BACK: "traffic cannot be set"},
            obs.MachinesSeen: {P.ROLLING_BACK: "its machines are refused, or do not come"},
            obs.GoneSeen: {P.ROLLING_BACK: "somebody deleted its deployment, or the endpoint"},
            obs.LooksFail: UNSEEN,
            obs.TrafficHeld: {P.CANARY: "paused before it was set: the step before goes on"},
            obs.TrafficTaken: {},
            obs.PersonActed: {
                **ABORTED_UNDER_TRAFFIC,
                **KEPT,
                P.AWAITING_APPROVAL: "resumed, all traffic is on it, approval required",
                P.PROMOTING: "resumed, all traffic is on it",
            },
        },
        undo=Undo.ROLL_BACK,
        quick=True,
        frozen=Frozen.TRAFFIC,
    ),
    P.CANARY: PhaseTraits(
        lambda release, definition: obs.MeasureCanary(),
        {
            obs.CanarySeen: {
                P.SHIFTING: "step passed, next step",
                P.AWAITING_APPROVAL: "last step passed, approval required",
                P.PROMOTING: "last step passed",
                P.HOLDING: "inconclusive",
                P.ROLLING_BACK: "worse, or no evidence in time",
            },
            obs.AnswersPending: {P.ROLLING_BACK: "a batch job does not end"},
            obs.GoneSeen: {P.ROLLING_BACK: "somebody deleted the endpoint"},
            obs.LooksFail: UNSEEN,
            obs.TrafficTaken: {},
            obs.TrafficLate: {P.SHIFTING: "a slow worker set an earlier split, same step again"},
            obs.PersonActed: {
                P.ROLLING_BACK: "aborted",
                P.SHIFTING: "skipped, next step",
                P.AWAITING_APPROVAL: "last step skipped, approval required",
                P.PROMOTING: "last step skipped",
                **KEPT,
            },
        },
        undo=Undo.ROLL_BACK,
        frozen=Frozen.EVIDENCE,
    ),
    P.PROMOTING: PhaseTraits(
        lambda release, definition: obs.SetTraffic({release.deployment: 100}),
        {
            obs.TrafficIs: {
                P.BAKING: "all traffic is on the challenger",
                P.ROLLING_BACK: "traffic cannot be set",
            },
            obs.MachinesSeen: {P.ROLLING_BACK: "its machines are refused, or do not come"},
            obs.GoneSeen: {P.ROLLING_BACK: "somebody deleted its deployment, or the endpoint"},
            obs.LooksFail: UNSEEN,
            obs.TrafficHeld: {P.CANARY: "paused before it was set: the last step goes on"},
            obs.TrafficTaken: {},
            obs.PersonActed: {**ABORTED_UNDER_TRAFFIC, **KEPT},
        },
        undo=Undo.ROLL_BACK,
        quick=True,
        frozen=Frozen.TRAFFIC,
        hands_over=True,
    ),
    P.BAKING: PhaseTraits(
        lambda release, definition: (
            obs.MeasureBake()
            if release.champion and definition.canary.bake_minutes and definition.serve.type == "online"
            else obs.Await(_bake_ends(release, definition))
        ),
        {
            obs.BakeSeen: {
                P.RETIRING: "baked, an old deployment stands",
                P.LIVE: "baked",
                P.ROLLING_BACK: "worse, or no evidence in time",
            },
            obs.TimePassed: {P.RETIRING: "baked, an old deployment stands", P.LIVE: "baked"},
            obs.GoneSeen: {P.ROLLING_BACK: "somebody deleted the endpoint"},
            obs.LooksFail: UNSEEN,
            obs.TrafficTaken: {},
            obs.PersonActed: {
                P.ROLLING_BACK: "rolled back by a person",
                P.RETIRING: "skipped, an old deployment stands",
                P.LIVE: "skipped",
            },
        },
        undo=Undo.ROLL_BACK,
        promoted=True,
        frozen=Frozen.EVIDENCE,
        hands_over=True,
    ),
    P.RETIRING: PhaseTraits(
        lambda release, definition: obs.RemoveDeployment(old_deployment(release)),
        {
            obs.GoneSeen: {P.LIVE: "old deployment deleted"},
            obs.TrafficTaken: {},
            obs.PersonActed: {
                P.ROLLING_BACK: "somebody gave the old one traffic again, and it is rolled back",
                P.LIVE: "resumed, and both have traffic: the old one stays",
            },
        },
        undo=Undo.SETTLED,
        quick=True,
        promoted=True,
        frozen=Frozen.STANDS,
        hands_over=True,
    ),
    P.ROLLING_BACK: PhaseTraits(
        lambda release, definition: obs.SetTraffic(_way_back(release)),
        {
            obs.TrafficIs: {P.CLEANING: "all traffic is on the champion"},
            obs.GoneSeen: {P.CLEANING: "somebody deleted the endpoint, and nothing has traffic"},
            obs.ChampionGone: {},
            obs.TrafficTaken: {},
            obs.PersonActed: KEPT_AT_THE_END,
        },
        undo=Undo.SETTLED,
        quick=True,
        hands_over=True,
    ),
    P.CLEANING: PhaseTraits(
        lambda release, definition: obs.RemoveDeployment(release.deployment),
        {
            obs.GoneSeen: dict.fromkeys(
                (P.REJECTED, P.ROLLED_BACK, P.FAILED, P.ABORTED), "the challenger is deleted"
            ),
            obs.TrafficTaken: {},
            obs.PersonActed: {
                **KEPT_AT_THE_END,
                P.ROLLING_BACK: "somebody gave the challenger traffic, and it is rolled back again",
            },
        },
        undo=Undo.SETTLED,
        quick=True,
        hands_over=True,
    ),
}
"""Every phase that has not ended. An ended release does nothing, and nothing follows for it."""


def action(release: Release, definition: Definition) -> obs.Action:
    """The one thing that this release needs now."""
    idle = release.adopted or release.ended
    return obs.Await() if idle else PHASES[release.phase].does(release, definition)


def step_weights(release: Release, definition: Definition) -> dict[str, int]:
    """The plan's weights for the release's canary step, in per cent."""
    weight = definition.shares[release.step]
    given = {release.deployment: weight} if weight else {}
    return {old_deployment(release): 100 - weight, **given}


def _way_back(release: Release) -> dict[str, int]:
    """All to the champion; but what a person keeps stays."""
    if release.kept:
        return dict(release.traffic)
    return {release.champion.deployment: 100} if release.champion else {}


def _bake_ends(release: Release, definition: Definition) -> datetime:
    """At once where no old deployment stands; of a batch endpoint, whose bake is only time, when that is over."""
    baked = timedelta(minutes=definition.canary.bake_minutes if release.champion else 0)
    return release.phase_since_at + baked


def old_deployment(release: Release) -> str:
    return release.champion.deployment if release.champion else ""


def place(release: Release) -> tuple[Phase, int, int]:
    """Where it stands; a move changes it."""
    return release.phase, release.attempt, release.step


def fold(release: Release, seen: obs.Observation, definition: Definition, now: datetime) -> Release:
    """The release after `seen`; the same value when nothing follows from it.

    InvariantBroken when it would go where the table does not let it.
    """
    traits = PHASES.get(release.phase)
    targets = traits.sees.get(type(seen)) if traits else None
    if targets is None or (release.adopted and not isinstance(seen, obs.PersonActed)):
        return release
    after = _follow(release, seen, definition, now)
    if place(after) != place(release) and after.phase not in targets:
        raise InvariantBroken(
            f"release {release.number} of {release.loop} cannot go from {release.phase} to {after.phase} after "
            f"{type(seen).__name__}; something other than Driftloop changed its row: check with `driftloop audit`",
            code=Code.IMPOSSIBLE_STEP,
        )
    return after


def _follow(release: Release, seen: obs.Observation, definition: Definition, now: datetime) -> Release:
    if not isinstance(seen, obs.TrafficTaken | obs.TrafficLate | obs.PersonActed):
        release = unsuspected(release)
    match seen:
        case obs.PersonActed():
            return _person(release, seen, definition, now)
        case obs.WindowSeen():
            to = Phase.DEPLOYING if release.model else Phase.TRAINING
            return replace(move(release, to, now), window=seen.asset, profile=seen.profile)
        case JobSeen():
            return _job(release, seen, definition, now)
        case obs.ModelSeen():
            return replace(
                move(release, Phase.DEPLOYING, now), model=seen.asset, deployment=release.deployment_name
            )
        case DeploymentSeen():
            return _deployment(release, seen, now)
        case obs.GateSeen():
            kept = replace(release, explanation=seen.explanation, explained=seen.explained)
            return _gate(kept, seen, definition, now)
        case obs.TrafficIs():
            return _traffic(release, seen, now)
        case obs.MachinesSeen():
            return _machines(release, seen, now)
        case obs.TrafficTaken() | obs.TrafficLate():
            return _taken(release, seen, definition, now)
        case obs.TrafficHeld():
            return _step_before(release, seen, now)
        case obs.LooksFail():
            return _unseen(release, seen, definition, now)
        case obs.AnswersPending():
            return _pending(release, seen, definition, now)
        case obs.CanarySeen():
            return _canary(release, seen, definition, now)
        case obs.BakeSeen():
            return _bake(release, seen.judgement, definition, now)
        case obs.GoneSeen():
            return _gone(release, seen, now)
        case obs.ChampionGone():
            facts = {"loop": release.loop, "endpoint": seen.endpoint, "deployment": seen.deployment}
            return replace(_waits(release, Code.CHAMPION_GONE, **facts), stuck=True)
        case obs.Overtaken():
            if in_canary(release, definition):
                return release
            why = reason(Code.GATE_OVERTAKEN, version=seen.version)
            return clean(release, Phase.REJECTED, why, now)
        case obs.GivenUp():
            return clean(release, Phase.FAILED, seen.why, now)
        case obs.TimePassed():
            return _baked(release, now)


def move(release: Release, to: Phase, now: datetime, why: Reason | None = None) -> Release:
    """The release in another phase; `fold` checks that the table has the way."""
    return replace(
        release,
        phase=to,
        phase_since_at=now,
        reason=why or release.reason,
        waiting_for=None,
        stuck=False,
        frozen=False,
        failures=0,
        failing_since=None,
        retry_at=None,
        canary_state="",
        scoring=None,
        approvals=(),
        ended_at=now if to in ENDED else None,
    )


def _waits(release: Release, code: Code, *because: Reason, **facts: Fact) -> Release:
    return replace(release, waiting_for=reason(code, *because, **facts))


def _job(release: Release, seen: JobSeen, definition: Definition, now: datetime) -> Release:
    if release.phase is Phase.CHECKING:
        return _check(release, seen, definition, now)
    name = release.job_name
    if seen.status == "running":
        return _waits(replace(release, job=name), Code.JOB_RUNNING, job=name)
    if seen.status == "completed":
        reused = reason(Code.STEPS_REUSED, steps=", ".join(seen.reused)) if seen.reused else None
        moved = move(release, Phase.REGISTERING, now, reused)
        return replace(moved, job=name, training_steps=seen.steps)
    why = reason(Code.JOB_ENDED, job=name, status=seen.status, error=seen.error)
    if seen.status in ("timed_out", "uncancelled"):
        why = reason(Code.JOB_TIMED_OUT, job=name, limit=str(definition.train.timeout))
    if release.attempt < definition.train.attempts and seen.status not in ("canceled", "uncancelled"):
        return replace(move(release, Phase.TRAINING, now, why), attempt=release.attempt + 1)
    return clean(release, Phase.FAILED, why, now)


def _check(release: Release, seen: JobSeen, definition: Definition, now: datetime) -> Release:
    check = definition.gate.checks[release.step]
    match seen.status:
        case "running":
            return _waits(release, Code.CHECK_RUNNING, check=check)
        case "completed" if release.step + 1 < len(definition.gate.checks):
            return replace(move(release, Phase.CHECKING, now), step=release.step + 1)
        case "completed":
            return to_traffic(replace(release, step=0), definition, now)
        case "timed_out" | "uncancelled":
            why = reason(Code.CHECK_TIMED_OUT, check=check, limit=str(definition.train.timeout))
        case status:
            why = reason(Code.CHECK_FAILED, check=check, status=status, error=seen.error)
    return clean(release, Phase.REJECTED, why, now)


def _deployment(release: Release, seen: DeploymentSeen, now: datetime) -> Release:
    name = release.deployment
    if seen.state == "ready":
        return move(release, Phase.GATING, now)
    if seen.state == "failed":
        failed = reason(Code.DEPLOYMENT_FAILED, deployment=name, error=seen.error)
        return clean(release, Phase.FAILED, failed, now)
    if now - release.phase_since_at > DEPLOYMENT_LIMIT:
        late = reason(Code.DEPLOYMENT_TIMED_OUT, deployment=name, limit=str(DEPLOYMENT_LIMIT))
        return clean(release, Phase.FAILED, late, now)
    return _waits(release, Code.DEPLOYMENT_CREATING, deployment=name)


def _pending(release: Release, seen: obs.AnswersPending, definition: Definition, now: datetime) -> Release:
    """Each job that scores rows has as long as one that trains; the next release asks anew."""
    known = release.scoring
    scoring = known if known and known.job == seen.job else ScoringJob(seen.job, now, seen.version)
    if now - scoring.since <= definition.train.timeout:
        return _waits(replace(release, scoring=scoring), Code.SCORING_RUNS, job=seen.job)
    late = reason(Code.SCORING_TIMED_OUT, job=seen.job, limit=str(definition.train.timeout))
    end = roll_back if release.phase is Phase.CANARY else clean
    return end(release, Phase.FAILED, late, now)


def _gate(release: Release, seen: obs.GateSeen, definition: Definition, now: datetime) -> Release:
    judged = replace(release, judgements=release.judgements + seen.judgements)
    worst = next((j for j in seen.judgements if j.outcome is not Outcome.PASS), seen.judgements[-1])
    unclear = definition.gate.on_inconclusive
    if release.ungated and worst.outcome is Outcome.PASS:
        return to_traffic(judged, definition, now, reason(Code.GATE_NOT_ASKED, *worst.reasons))
    if worst.outcome is Outcome.PASS:
        return after_gate(judged, definition, now, reason(Code.GATE_PASSED, *worst.reasons))
    if worst.outcome is Outcome.INCONCLUSIVE and unclear == "promote":
        return after_gate(judged, definition, now, reason(Code.GATE_INCONCLUSIVE_PASSED, *worst.reasons))
    if worst.outcome is Outcome.INCONCLUSIVE and unclear == "hold":
        return move(judged, Phase.HOLDING, now, reason(Code.GATE_INCONCLUSIVE, *worst.reasons))
    return clean(judged, Phase.REJECTED, reason(_NOT_PASSED[worst.kind, worst.outcome], *worst.reasons), now)


_NOT_PASSED = {
    (JudgementKind.SMOKE, Outcome.FAIL): Code.SMOKE_FAILED,
    (JudgementKind.GATE, Outcome.FAIL): Code.GATE_FAILED,
    (JudgementKind.GATE, Outcome.INCONCLUSIVE): Code.GATE_INCONCLUSIVE,
}


def after_gate(release: Release, definition: Definition, now: datetime, why: Reason) -> Release:
    """Checks if the loop has some, else on towards traffic."""
    if definition.gate.checks:
        return replace(move(release, Phase.CHECKING, now, why), step=0)
    return to_traffic(release, definition, now, why)


def to_traffic(release: Release, definition: Definition, now: datetime, why: Reason | None = None) -> Release:
    """The canary's first step; straight to promotion where there is no champion yet; approval first where required."""
    first_model = release.champion is None
    required = {"none": False, "before_canary": True, "before_promotion": first_model}
    if required[definition.canary.approval] and not release.approved:
        return move(release, Phase.AWAITING_APPROVAL, now, why)
    return _promote(release, now, why) if first_model else _shift(release, 0, definition, now, why)


def _shift(release: Release, step: int, definition: Definition, now: datetime, why: Reason | None) -> Release:
    """The step's weights are asked for: from here on they may be in force, whatever is read."""
    begun = replace(move(release, Phase.SHIFTING, now, why), step=step)
    return replace(begun, asked=step_weights(begun, definition), kept=False)


def _promote(release: Release, now: datetime, why: Reason | None) -> Release:
    return replace(move(release, Phase.PROMOTING, now, why), asked={release.deployment: 100}, kept=False)


def _traffic(release: Release, seen: obs.TrafficIs, now: datetime) -> Release:
    if not seen.settled:
        forward = PHASES[release.phase].undo is Undo.ROLL_BACK and release.champion
        if forward and now - release.phase_since_at > TRAFFIC_LIMIT:
            late = reason(Code.TRAFFIC_TIMED_OUT, limit=str(TRAFFIC_LIMIT))
            return roll_back(release, Phase.FAILED, late, now)
        return _waits(release, Code.TRAFFIC_PENDING)
    (target,) = (to for to in PHASES[release.phase].sees[obs.TrafficIs] if to is not Phase.ROLLING_BACK)
    return move(replace(release, traffic=dict(seen.weights)), target, now)


def _machines(release: Release, seen: obs.MachinesSeen, now: datetime) -> Release:
    """Nothing is promoted, and no share is given, on fewer machines than it needs."""
    name, wanted, error = release.deployment, seen.wanted, seen.seen.error
    if seen.seen.state == "failed":
        refused = reason(Code.MACHINES_REFUSED, deployment=name, machines=wanted, error=error)
        return roll_back(release, Phase.FAILED, refused, now)
    if now - release.phase_since_at > MACHINES_LIMIT:
        limit = str(MACHINES_LIMIT)
        late = reason(Code.MACHINES_TIMED_OUT, deployment=name, machines=wanted, limit=limit)
        return roll_back(release, Phase.FAILED, late, now)
    return _waits(release, Code.MACHINES_COMING, deployment=name, machines=wanted)


def _unseen(release: Release, seen: obs.LooksFail, definition: Definition, now: datetime) -> Release:
    """A challenger keeps its requests only while somebody can see how it does. Where a person wrote that they decide on
    a step without evidence, they decide."""
    judged = release.phase in (Phase.CANARY, Phase.BAKING)
    limit = timedelta(hours=definition.canary.step.max_hours) if judged else BLIND_LIMIT
    if release.champion is None or seen.since is None or now - seen.since < limit:
        return release
    if judged and definition.canary.on_timeout != "roll_back":
        return release
    why = (release.waiting_for,) if release.waiting_for else ()
    unseen = reason(Code.LOOKS_FAILED, *why, hours=limit / timedelta(hours=1))
    return roll_back(release, Phase.ROLLED_BACK if judged else Phase.FAILED, unseen, now)


def _step_before(release: Release, seen: obs.TrafficHeld, now: datetime) -> Release:
    """Weights that a pause kept from being set: what is in force goes on being watched, for its harm would else be
    proven to nobody. Where the challenger has nothing, there is nothing to watch."""
    if not release.traffic.get(release.deployment, 0) or dict(seen.weights) != dict(release.traffic):
        return release
    step = release.step - 1 if release.phase is Phase.SHIFTING else release.step
    back = reason(Code.STEP_KEPT, traffic=in_words(release.traffic), step=step + 1)
    return replace(move(release, Phase.CANARY, now, back), step=step) if step >= 0 else release


def _taken(
    release: Release, seen: obs.TrafficTaken | obs.TrafficLate, definition: Definition, now: datetime
) -> Release:
    """Nothing is set from the first observation on. What is still so when no stale read can be is adopted from somebody
    else; what a late worker of ours set makes the canary's step begin anew: no weight rises but by the plan."""
    weights, split = dict(seen.weights), in_words(seen.weights)
    if release.suspect_at is None or dict(release.suspect) != weights:
        unexpected = reason(Code.TRAFFIC_SUSPECT, traffic=split)
        return replace(release, suspect=weights, suspect_at=now, waiting_for=unexpected)
    if now - release.suspect_at < STALE_LIMIT:
        return release
    if isinstance(seen, obs.TrafficLate):
        why = reason(Code.STEP_RESTARTED, traffic=split, step=release.step + 1)
        return _shift(unsuspected(release), release.step, definition, now, why)
    adopted = replace(unsuspected(release), traffic=weights, adopted=True)
    return _waits(adopted, Code.TRAFFIC_ADOPTED, traffic=split)


def in_words(traffic: Mapping[str, int]) -> str:
    """Weights as a list that is ready to be read."""
    return ", ".join(f"{name} {pct} %" for name, pct in sorted(traffic.items())) or "nothing"


def unsuspected(release: Release) -> Release:
    """After an observation of traffic that was as it should be."""
    return release if release.suspect_at is None else replace(release, suspect={}, suspect_at=None)


def _canary(release: Release, seen: obs.CanarySeen, definition: Definition, now: datetime) -> Release:
    judged, release = seen.judgement, remember(release, seen.point)
    if judged.outcome in DECISIONS and seen.version is not None:
        release = replace(release, compared=(*release.compared, seen.version))
    if judged.outcome not in DECISIONS:
        return _waits(replace(release, canary_state=seen.state), Code.CANARY_WAITS, *judged.reasons)
    release = replace(release, judgements=(*release.judgements, judged))
    place = {"step": release.step + 1, "steps": len(definition.shares)}
    outcome, late = judged.outcome, definition.canary.on_timeout
    if outcome is Outcome.ADVANCE:
        return _advance(release, definition, now, reason(Code.CANARY_PASSED, *judged.reasons, **place))
    if outcome is Outcome.ROLL_BACK:
        worse = reason(Code.CANARY_ROLLED_BACK, *judged.reasons, **place)
        return roll_back(release, Phase.ROLLED_BACK, worse, now)
    unclear = reason(Code.CANARY_INCONCLUSIVE, *judged.reasons, **place)
    if late == "promote" and judged.measured:
        return _advance(release, definition, now, unclear)
    if late == "roll_back":
        return roll_back(
            release, Phase.ROLLED_BACK, _timed_out(Code.CANARY_TIMED_OUT, unclear, definition), now
        )
    return move(release, Phase.HOLDING, now, unclear)


def _timed_out(code: Code, why: Reason, definition: Definition) -> Reason:
    return reason(code, why, hours=definition.canary.step.max_hours)


def _bake(release: Release, judged: Judgement, definition: Definition, now: datetime) -> Release:
    """Worse goes back in one step; evidence that never came holds no longer than a canary step would."""
    if judged.outcome not in DECISIONS:
        return _waits(release, Code.BAKE_WAITS, *judged.reasons)
    release = replace(release, judgements=(*release.judgements, judged))
    if judged.outcome is Outcome.ROLL_BACK:
        return roll_back(release, Phase.ROLLED_BACK, reason(Code.BAKE_ROLLED_BACK, *judged.reasons), now)
    passed = judged.outcome is Outcome.ADVANCE
    why = reason(Code.BAKE_PASSED if passed else Code.BAKE_INCONCLUSIVE, *judged.reasons)
    if not passed and definition.canary.on_timeout == "roll_back":
        return roll_back(release, Phase.ROLLED_BACK, _timed_out(Code.BAKE_TIMED_OUT, why, definition), now)
    return _baked(release, now, why)


def _baked(release: Release, now: datetime, why: Reason | None = None) -> Release:
    """An old deployment goes, unless a person lets it have traffic."""
    serves = release.kept and release.traffic.get(old_deployment(release), 0)
    return move(release, Phase.RETIRING if release.champion and not serves else Phase.LIVE, now, why)


def _advance(release: Release, definition: Definition, now: datetime, why: Reason) -> Release:
    if release.step + 1 < len(definition.shares):
        return _shift(release, release.step + 1, definition, now, why)
    if definition.canary.approval == "before_promotion" and "before_promotion" not in release.approved:
        return move(release, Phase.AWAITING_APPROVAL, now, why)
    return _promote(release, now, why)


def _gone(release: Release, seen: obs.GoneSeen, now: datetime) -> Release:
    if PHASES[release.phase].undo is Undo.ROLL_BACK:
        lost = reason(Code.CHALLENGER_GONE, deployment=release.deployment)
        if seen.endpoint:
            lost = reason(Code.ENDPOINT_DELETED, endpoint=seen.endpoint)
        return roll_back(release, Phase.FAILED, lost, now)
    if not seen.gone:
        return _waits(release, Code.DEPLOYMENT_DELETING)
    if release.phase is Phase.ROLLING_BACK:
        return move(replace(release, traffic={}), Phase.CLEANING, now)
    if release.phase is Phase.RETIRING:
        return move(release, Phase.LIVE, now)
    return move(release, release.outcome or Phase.FAILED, now)


def _person(release: Release, seen: obs.PersonActed, definition: Definition, now: datetime) -> Release:
    why = reason(Code.PERSON_ACTED, verb=seen.verb, actor=seen.actor, why=seen.reason)
    match seen.verb:
        case "resume":
            return _resumed(release, definition, seen.actor, now)
        case "approve":
            return _approve(release, definition, now, why)
        case "skip":
            return _skip(release, definition, now, why)
        case _:
            return _abort(release, now, why)


def _resumed(release: Release, definition: Definition, actor: str, now: datetime) -> Release:
    """Weights that somebody set are kept: the release goes on where they put it, and what it does there sets no others
    by itself. What was counted before them is no evidence beside them."""
    if not release.adopted:
        return release
    why = reason(Code.TRAFFIC_KEPT, traffic=in_words(release.traffic), actor=actor)
    kept = replace(release, adopted=False, kept=True, asked=dict(release.traffic))
    given, traits = kept.traffic.get(kept.deployment, 0), PHASES[kept.phase]
    if not given and kept.phase is not Phase.CLEANING:
        outcome = kept.outcome or (Phase.ROLLED_BACK if traits.promoted else Phase.ABORTED)
        return replace(move(kept, Phase.ROLLING_BACK, now, why), outcome=outcome)
    match kept.phase:
        case Phase.ROLLING_BACK | Phase.CLEANING:
            return move(kept, kept.outcome or Phase.FAILED, now, why)
        case Phase.RETIRING:
            return move(kept, Phase.LIVE, now, why)
        case Phase.BAKING:
            return move(kept, Phase.BAKING, now, why)
        case _:
            return _kept_share(kept, given, definition, now, why)


def _kept_share(release: Release, given: int, definition: Definition, now: datetime, why: Reason) -> Release:
    """On the way forward: all traffic goes on to the bake, a share is a canary step that evidence judges, and beside a
    third deployment a person decides."""
    first_model, steps = release.champion is None, range(len(definition.shares))
    last = replace(release, step=steps[-1] if steps else 0)
    if given == 100:
        return _promote(release, now, why) if first_model else _advance(last, definition, now, why)
    if set(release.traffic) != {release.deployment, old_deployment(release)}:
        shared = reason(Code.TRAFFIC_SHARED, why)
        return move(last if first_model else release, Phase.HOLDING, now, shared)
    reached = max((step for step in steps if definition.shares[step] <= given), default=0)
    return replace(move(release, Phase.CANARY, now, why), step=reached)


def _abort(release: Release, now: datetime, why: Reason) -> Release:
    traits = PHASES[release.phase]
    if traits.undo is Undo.SETTLED and not release.adopted:
        return release
    if release.phase is Phase.ROLLING_BACK:
        return replace(release, adopted=False, kept=False, waiting_for=None, phase_since_at=now)
    if _under_traffic(release):
        outcome = release.outcome or (Phase.ROLLED_BACK if traits.promoted else Phase.ABORTED)
        return roll_back(release, outcome, why, now)
    return clean(release, Phase.ABORTED, why, now)


def _under_traffic(release: Release) -> bool:
    """Whether the challenger has, or is just being given, live requests."""
    given = release.traffic.get(release.deployment, 0) if release.deployment else 0
    return given > 0 or PHASES[release.phase].undo is not Undo.CLEAN


def in_canary(release: Release, definition: Definition) -> bool:
    """Whether its canary has begun; of a batch endpoint that gives the challenger no traffic."""
    return _under_traffic(release) or (definition.serve.type == "batch" and bool(release.asked))


def _approve(release: Release, definition: Definition, now: datetime, why: Reason) -> Release:
    if not PHASES[release.phase].awaits_person:
        return release
    if not in_canary(release, definition):
        word = "hold" if release.phase is Phase.HOLDING else "before_canary"
        held = replace(release, approved=(*release.approved, word))
        if release.phase is Phase.HOLDING:
            return after_gate(held, definition, now, why)
        return to_traffic(held, definition, now, why)
    last = release.step + 1 >= len(definition.shares)
    word = "before_promotion" if last else "hold"
    return _advance(replace(release, approved=(*release.approved, word)), definition, now, why)


def _skip(release: Release, definition: Definition, now: datetime, why: Reason) -> Release:
    """Past what it waits for now; an approval that the loop asks for is no wait, and is never skipped."""
    if release.adopted:
        return release
    match release.phase:
        case Phase.HOLDING if not in_canary(release, definition):
            return after_gate(release, definition, now, why)
        case Phase.HOLDING | Phase.CANARY:
            return _advance(release, definition, now, why)
        case Phase.BAKING:
            return _baked(release, now, why)
        case _:
            return release


def roll_back(release: Release, outcome: Phase, why: Reason, now: datetime) -> Release:
    """Towards the champion, and the challenger is removed afterwards."""
    back = move(release, Phase.ROLLING_BACK, now, why)
    return replace(back, outcome=outcome, adopted=False, kept=False)


def clean(release: Release, outcome: Phase, why: Reason, now: datetime) -> Release:
    """No traffic was given: only what was made for the challenger is removed."""
    return replace(move(release, Phase.CLEANING, now, why), outcome=outcome)


def transitions() -> dict[Phase, dict[Phase, str]]:
    """From each phase where it may go, and when, whatever was observed."""
    found: dict[Phase, dict[Phase, str]] = {}
    for source, traits in PHASES.items():
        row = found.setdefault(source, {})
        for targets in traits.sees.values():
            for target, when in targets.items():
                known = row.get(target)
                row[target] = f"{known}, or {when}" if known and known != when else when
    return found


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documents."""
    lines = ["stateDiagram-v2", "    [*] --> preparing: triggered"]
    lines += [
        f"    {source} --> {target}: {when}"
        for source, targets in transitions().items()
        for target, when in targets.items()
    ]
    lines += [f"    {phase} --> [*]" for phase in Phase if phase in ENDED]
    return "\n".join(lines)

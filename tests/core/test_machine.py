"""What a release is, field by field, after each thing that can be seen or done: the machine's table in full sentences.

`test_release.py` explores every order of events for what must never be; here stands what each of them does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.reason import Code, Reason, reason
from shared.domain.release import (
    Approval,
    ArmSeen,
    CanaryPoint,
    JobStep,
    Judgement,
    JudgementKind,
    Outcome,
    Phase,
    Release,
    ScoringJob,
)
from shared.loopfile import Definition
from shared.ports import DeploymentSeen, JobSeen
from shared.release import machine
from shared.release import observations as obs
from tests.core.world import CHAMPION, NOW, begun, definition

LATER = NOW + timedelta(minutes=5)
PLAN = definition()
BECAUSE = reason(Code.GATE_NO_ROWS)
BEFORE = reason(Code.STEPS_REUSED, steps="train")
TEN, HALF, ALL = {"r1-a1": 90, "r2-a1": 10}, {"r1-a1": 50, "r2-a1": 50}, {"r2-a1": 100}
BACK = {"r1-a1": 100}
RESET = {
    "phase_since_at": LATER,
    "waiting_for": None,
    "stuck": False,
    "frozen": False,
    "failures": 0,
    "retry_at": None,
    "canary_state": "",
    "scoring": None,
    "approvals": (),
    "ended_at": None,
}
"""What every move begins anew."""


def release(phase: Phase, **chosen: Any) -> Release:
    """In a phase, and with something in every field that a move begins anew."""
    used = {
        "waiting_for": reason(Code.TRAFFIC_PENDING),
        "stuck": True,
        "frozen": True,
        "failures": 3,
        "retry_at": NOW,
        "canary_state": "{}",
        "approvals": (Approval("approve", "1", "ann", NOW),),
        "reason": BEFORE,
    }
    deployed = (
        {} if phase in (Phase.PREPARING, Phase.TRAINING, Phase.REGISTERING) else {"deployment": "r2-a1"}
    )
    return replace(begun(), phase=phase, **{**used, **deployed, **chosen})


def verdict(kind: JudgementKind, outcome: Outcome, *reasons: Reason) -> Judgement:
    return Judgement(kind, outcome, reasons or (BECAUSE,), "digest", NOW)


def gate(outcome: Outcome, **chosen: Any) -> obs.GateSeen:
    smoke = verdict(JudgementKind.SMOKE, Outcome.PASS, reason(Code.STEPS_REUSED, steps="smoke"))
    return obs.GateSeen((smoke, verdict(JudgementKind.GATE, outcome)), **chosen)


def canary(outcome: Outcome, state: str = "{}", **chosen: Any) -> obs.CanarySeen:
    return obs.CanarySeen(verdict(JudgementKind.CANARY, outcome), state, **chosen)


def bake(outcome: Outcome) -> obs.BakeSeen:
    return obs.BakeSeen(verdict(JudgementKind.BAKE, outcome))


def person(verb: str) -> obs.PersonActed:
    return obs.PersonActed(verb, "bob", "because")


def acted(verb: str) -> Reason:
    return reason(Code.PERSON_ACTED, verb=verb, actor="bob", why="because")


def moved(to: Phase, why: Reason = BEFORE, **also: Any) -> dict[str, Any]:
    """What changes by a move: it says why, or keeps what was said."""
    return {"phase": to, "reason": why, **RESET, **also}


def kept(to: Phase, weights: dict[str, int], **also: Any) -> dict[str, Any]:
    """What changes by a person's word that weights which somebody set shall stay."""
    why = reason(Code.TRAFFIC_KEPT, traffic=machine.in_words(weights), actor="bob")
    return moved(to, why, adopted=False, kept=True, asked=weights, **also)


def cleaned(outcome: Phase, why: Reason, **also: Any) -> dict[str, Any]:
    return moved(Phase.CLEANING, why, outcome=outcome, **also)


def rolled_back(outcome: Phase, why: Reason, **also: Any) -> dict[str, Any]:
    return moved(Phase.ROLLING_BACK, why, outcome=outcome, adopted=False, **also)


def waits(code: Code, *because: Reason, **facts: Any) -> dict[str, Any]:
    also = facts.pop("also", {})
    return {"waiting_for": reason(code, *because, **facts), **also}


@dataclass
class Told:
    """What was seen by which release of which loop, and what that changes."""

    before: Release
    seen: obs.Observation
    changes: dict[str, Any]
    plan: Definition = PLAN
    at: datetime = LATER


P = Phase
FAILED_JOB = reason(Code.JOB_ENDED, job="birds-r2-a1", status="failed", error="oom")
LAST_JOB = reason(Code.JOB_ENDED, job="birds-r2-a2", status="failed", error="oom")
LIMIT = str(definition().train.timeout)
STEPS = (JobStep("prepare", 1.0, reused=True), JobStep("train", 60.0))
POINT = CanaryPoint(NOW, 0, 10, ArmSeen(100, 0, 20.0), ArmSeen(10, 0, 20.0), 1.0, 20.0, Outcome.HOLD)

TRAINING = {
    "a window leads to its training": Told(
        release(P.PREPARING),
        obs.WindowSeen("azureml:window:1", "profile"),
        moved(P.TRAINING, window="azureml:window:1", profile="profile"),
    ),
    "a model that is there already is deployed": Told(
        release(P.PREPARING, model="azureml:lab:3"),
        obs.WindowSeen("azureml:window:1", "profile"),
        moved(P.DEPLOYING, window="azureml:window:1", profile="profile"),
    ),
    "a job that runs is waited for by name": Told(
        release(P.TRAINING),
        JobSeen("running"),
        waits(Code.JOB_RUNNING, job="birds-r2-a1", also={"job": "birds-r2-a1"}),
    ),
    "its steps are kept, and those that were reused are told": Told(
        release(P.TRAINING),
        JobSeen("completed", steps=STEPS),
        moved(
            P.REGISTERING,
            reason(Code.STEPS_REUSED, steps="prepare"),
            job="birds-r2-a1",
            training_steps=STEPS,
        ),
    ),
    "nothing is told of steps that all ran": Told(
        release(P.TRAINING),
        JobSeen("completed", steps=STEPS[1:]),
        moved(P.REGISTERING, job="birds-r2-a1", training_steps=STEPS[1:]),
    ),
    "a job that failed is tried again": Told(
        release(P.TRAINING), JobSeen("failed", "oom"), moved(P.TRAINING, FAILED_JOB, attempt=2)
    ),
    "until attempts are used up": Told(
        release(P.TRAINING, attempt=2), JobSeen("failed", "oom"), cleaned(P.FAILED, LAST_JOB)
    ),
    "one that somebody cancelled is not": Told(
        release(P.TRAINING),
        JobSeen("canceled"),
        cleaned(P.FAILED, reason(Code.JOB_ENDED, job="birds-r2-a1", status="canceled", error="")),
    ),
    "one that took too long is": Told(
        release(P.TRAINING),
        JobSeen("timed_out"),
        moved(P.TRAINING, reason(Code.JOB_TIMED_OUT, job="birds-r2-a1", limit=LIMIT), attempt=2),
    ),
    "one that took too long and may run on is not": Told(
        release(P.TRAINING),
        JobSeen("uncancelled"),
        cleaned(P.FAILED, reason(Code.JOB_TIMED_OUT, job="birds-r2-a1", limit=LIMIT)),
    ),
    "a model is deployed under the attempt's name": Told(
        release(P.REGISTERING, attempt=2),
        obs.ModelSeen("azureml:birds:2"),
        moved(P.DEPLOYING, model="azureml:birds:2", deployment="r2-a2"),
    ),
}
DEPLOYING = {
    "a deployment that is ready goes to the gate": Told(
        release(P.DEPLOYING), DeploymentSeen("ready"), moved(P.GATING)
    ),
    "one that failed says why": Told(
        release(P.DEPLOYING),
        DeploymentSeen("failed", "no quota"),
        cleaned(P.FAILED, reason(Code.DEPLOYMENT_FAILED, deployment="r2-a1", error="no quota")),
    ),
    "one that is being created is waited for": Told(
        release(P.DEPLOYING),
        DeploymentSeen("creating"),
        waits(Code.DEPLOYMENT_CREATING, deployment="r2-a1"),
        at=NOW + machine.DEPLOYMENT_LIMIT,
    ),
    "but not for ever": Told(
        release(P.DEPLOYING),
        DeploymentSeen("creating"),
        cleaned(
            P.FAILED,
            reason(Code.DEPLOYMENT_TIMED_OUT, deployment="r2-a1", limit=str(machine.DEPLOYMENT_LIMIT)),
        ),
        at=NOW + machine.DEPLOYMENT_LIMIT + timedelta(seconds=1),
    ),
}


def after_gate(seen: obs.GateSeen, changes: dict[str, Any], plan: Definition, **chosen: Any) -> Told:
    kept = {"judgements": seen.judgements, "explanation": seen.explanation, "explained": seen.explained}
    return Told(release(P.GATING, **chosen), seen, {**changes, **kept}, plan)


EXPLAINED = {"explanation": "document", "explained": BECAUSE}
PASSED = reason(Code.GATE_PASSED, BECAUSE)
UNCLEAR = reason(Code.GATE_INCONCLUSIVE, BECAUSE)
GATE = {
    "a gate that passes leads to the first step, whose weights are asked for": after_gate(
        gate(Outcome.PASS, **EXPLAINED), moved(P.SHIFTING, PASSED, step=0, asked=TEN), definition()
    ),
    "the first model of a loop is promoted": after_gate(
        gate(Outcome.PASS), moved(P.PROMOTING, PASSED, asked=ALL), definition(), champion=None
    ),
    "checks come first": after_gate(
        gate(Outcome.PASS), moved(P.CHECKING, PASSED, step=0), definition(checks=2), step=1
    ),
    "then approval": after_gate(
        gate(Outcome.PASS), moved(P.AWAITING_APPROVAL, PASSED), definition(approval="before_canary")
    ),
    "which is asked for once": after_gate(
        gate(Outcome.PASS),
        moved(P.SHIFTING, PASSED, asked=TEN),
        definition(approval="before_canary"),
        approved=("before_canary",),
    ),
    "approval before promotion does not keep a canary waiting": after_gate(
        gate(Outcome.PASS), moved(P.SHIFTING, PASSED, asked=TEN), definition(approval="before_promotion")
    ),
    "but it does a first model": after_gate(
        gate(Outcome.PASS),
        moved(P.AWAITING_APPROVAL, PASSED),
        definition(approval="before_promotion"),
        champion=None,
    ),
    "an unclear one holds": after_gate(gate(Outcome.INCONCLUSIVE), moved(P.HOLDING, UNCLEAR), definition()),
    "or rejects": after_gate(
        gate(Outcome.INCONCLUSIVE), cleaned(P.REJECTED, UNCLEAR), definition(unclear="reject")
    ),
    "or goes on, and says so": after_gate(
        gate(Outcome.INCONCLUSIVE),
        moved(P.SHIFTING, reason(Code.GATE_INCONCLUSIVE_PASSED, BECAUSE), asked=TEN),
        definition(unclear="promote"),
    ),
    "one that fails rejects": after_gate(
        gate(Outcome.FAIL),
        cleaned(P.REJECTED, reason(Code.GATE_FAILED, BECAUSE)),
        definition(unclear="promote"),
    ),
    "a smoke test that fails is what is told": after_gate(
        obs.GateSeen((verdict(JudgementKind.SMOKE, Outcome.FAIL),)),
        cleaned(P.REJECTED, reason(Code.SMOKE_FAILED, BECAUSE)),
        definition(),
    ),
    "who asked for no gate gets a canary, without checks": after_gate(
        gate(Outcome.PASS),
        moved(P.SHIFTING, reason(Code.GATE_NOT_ASKED, BECAUSE), asked=TEN),
        definition(checks=2),
        ungated=True,
    ),
    "but no model that fails": after_gate(
        gate(Outcome.FAIL),
        cleaned(P.REJECTED, reason(Code.GATE_FAILED, BECAUSE)),
        definition(),
        ungated=True,
    ),
    "judgements are added to those before": Told(
        release(P.GATING, judgements=(verdict(JudgementKind.SMOKE, Outcome.ERROR),)),
        gate(Outcome.PASS),
        moved(
            P.SHIFTING,
            PASSED,
            asked=TEN,
            judgements=(verdict(JudgementKind.SMOKE, Outcome.ERROR), *gate(Outcome.PASS).judgements),
        ),
    ),
    "a check that runs is waited for": Told(
        release(P.CHECKING),
        JobSeen("running"),
        waits(Code.CHECK_RUNNING, check="qa0.yml"),
        definition(checks=2),
    ),
    "after it comes the next": Told(
        release(P.CHECKING), JobSeen("completed"), moved(P.CHECKING, step=1), definition(checks=2)
    ),
    "after the last one the canary's first step": Told(
        release(P.CHECKING, step=1),
        JobSeen("completed"),
        moved(P.SHIFTING, step=0, asked=TEN),
        definition(checks=2),
    ),
    "or approval, at the first step": Told(
        release(P.CHECKING, step=1),
        JobSeen("completed"),
        moved(P.AWAITING_APPROVAL, step=0),
        definition(checks=2, approval="before_canary"),
    ),
    "a check that failed rejects": Told(
        release(P.CHECKING, step=1),
        JobSeen("failed", "3 rows"),
        cleaned(P.REJECTED, reason(Code.CHECK_FAILED, check="qa1.yml", status="failed", error="3 rows")),
        definition(checks=2),
    ),
    "so does one that took too long": Told(
        release(P.CHECKING),
        JobSeen("timed_out"),
        cleaned(P.REJECTED, reason(Code.CHECK_TIMED_OUT, check="qa0.yml", limit=LIMIT)),
        definition(checks=1),
    ),
}
TIMEOUT = definition().train.timeout
TOO_LATE = reason(Code.SCORING_TIMED_OUT, job="job", limit=LIMIT)
BATCH = {
    "a scoring job is waited for from when it was first seen": Told(
        release(P.GATING, scoring=ScoringJob("other", NOW)),
        obs.AnswersPending("job", 3),
        waits(Code.SCORING_RUNS, job="job", also={"scoring": ScoringJob("job", LATER, 3)}),
        definition(drops=2),
    ),
    "the same one since then": Told(
        release(P.GATING, scoring=ScoringJob("job", NOW)),
        obs.AnswersPending("job"),
        waits(Code.SCORING_RUNS, job="job"),
        definition(drops=2),
        at=NOW + TIMEOUT,
    ),
    "and no longer than a training job": Told(
        release(P.GATING, scoring=ScoringJob("job", NOW)),
        obs.AnswersPending("job"),
        cleaned(P.FAILED, TOO_LATE),
        definition(drops=2),
        at=NOW + TIMEOUT + timedelta(seconds=1),
    ),
    "in a canary it is rolled back": Told(
        release(P.CANARY, scoring=ScoringJob("job", NOW)),
        obs.AnswersPending("job"),
        rolled_back(P.FAILED, TOO_LATE),
        definition(drops=2),
        at=NOW + TIMEOUT + timedelta(seconds=1),
    ),
    "a version that decided is remembered": Told(
        release(P.CANARY, compared=(3,)),
        canary(Outcome.ADVANCE, version=4),
        moved(
            P.SHIFTING,
            reason(Code.CANARY_PASSED, BECAUSE, step=1, steps=2),
            step=1,
            compared=(3, 4),
            judgements=(verdict(JudgementKind.CANARY, Outcome.ADVANCE),),
            asked={"r1-a1": 100},
        ),
        definition(drops=2),
    ),
    "one that did not is not": Told(
        release(P.CANARY, compared=(3,)),
        canary(Outcome.HOLD, version=4),
        waits(Code.CANARY_WAITS, BECAUSE),
        definition(drops=2),
    ),
    "newer rows overtake a release that nobody has decided": Told(
        release(P.HOLDING), obs.Overtaken(7), cleaned(P.REJECTED, reason(Code.GATE_OVERTAKEN, version=7))
    ),
    "not one in its canary": Told(release(P.HOLDING, traffic=TEN), obs.Overtaken(7), {}),
    "of a batch endpoint that is one that has asked for a split": Told(
        release(P.HOLDING, asked={"r1-a1": 100}), obs.Overtaken(7), {}, definition(drops=2)
    ),
    "and is overtaken before": Told(
        release(P.HOLDING),
        obs.Overtaken(7),
        cleaned(P.REJECTED, reason(Code.GATE_OVERTAKEN, version=7)),
        definition(drops=2),
    ),
}
NO_TRAFFIC = reason(Code.TRAFFIC_TIMED_OUT, limit=str(machine.TRAFFIC_LIMIT))
MACHINES = {"deployment": "r2-a1", "machines": 8}
MACHINES_COME = reason(Code.MACHINES_COMING, **MACHINES)
PENDING = reason(Code.TRAFFIC_PENDING)
SHIFTING = {
    "weights in force begin the step": Told(
        release(P.SHIFTING), obs.TrafficIs(TEN, settled=True), moved(P.CANARY, traffic=TEN)
    ),
    "weights that are not are waited for": Told(
        release(P.SHIFTING),
        obs.TrafficIs(TEN, settled=False),
        waits(Code.TRAFFIC_PENDING),
        at=NOW + machine.TRAFFIC_LIMIT,
    ),
    "and given up": Told(
        release(P.SHIFTING),
        obs.TrafficIs(TEN, settled=False),
        rolled_back(P.FAILED, NO_TRAFFIC),
        at=NOW + machine.TRAFFIC_LIMIT + timedelta(seconds=1),
    ),
    "the way back is never given up": Told(
        release(P.ROLLING_BACK),
        obs.TrafficIs(TEN, settled=False),
        waits(Code.TRAFFIC_PENDING),
        at=NOW + 9 * machine.TRAFFIC_LIMIT,
    ),
    "all traffic begins the bake": Told(
        release(P.PROMOTING), obs.TrafficIs(ALL, settled=True), moved(P.BAKING, traffic=ALL)
    ),
    "traffic on the champion lets the challenger go": Told(
        release(P.ROLLING_BACK, traffic=TEN, outcome=P.ABORTED),
        obs.TrafficIs({"r1-a1": 100}, settled=True),
        moved(P.CLEANING, traffic={"r1-a1": 100}),
    ),
    "refused machines roll back": Told(
        release(P.SHIFTING),
        obs.MachinesSeen(8, DeploymentSeen("failed", "quota")),
        rolled_back(P.FAILED, reason(Code.MACHINES_REFUSED, **MACHINES, error="quota")),
    ),
    "machines that come are waited for": Told(
        release(P.PROMOTING),
        obs.MachinesSeen(8, DeploymentSeen("creating")),
        waits(Code.MACHINES_COMING, **MACHINES),
        at=NOW + machine.MACHINES_LIMIT,
    ),
    "but not for ever": Told(
        release(P.PROMOTING),
        obs.MachinesSeen(8, DeploymentSeen("creating")),
        rolled_back(P.FAILED, reason(Code.MACHINES_TIMED_OUT, **MACHINES, limit=str(machine.MACHINES_LIMIT))),
        at=NOW + machine.MACHINES_LIMIT + timedelta(seconds=1),
    ),
    "a challenger that somebody deleted is not given traffic": Told(
        release(P.SHIFTING),
        obs.GoneSeen(True),
        rolled_back(P.FAILED, reason(Code.CHALLENGER_GONE, deployment="r2-a1")),
    ),
    "a promotion is not waited for for ever either": Told(
        release(P.PROMOTING, traffic=HALF),
        obs.TrafficIs(HALF, settled=False),
        rolled_back(P.FAILED, NO_TRAFFIC),
        at=NOW + machine.TRAFFIC_LIMIT + timedelta(seconds=1),
    ),
    "of a first model it is: nobody else serves": Told(
        release(P.PROMOTING, champion=None),
        obs.TrafficIs({}, settled=False),
        waits(Code.TRAFFIC_PENDING),
        at=NOW + 9 * machine.TRAFFIC_LIMIT,
    ),
    "looks that fail while traffic is set are tried again": Told(
        release(P.SHIFTING, step=1, traffic=TEN), obs.LooksFail(NOW), {}, at=NOW + timedelta(minutes=119)
    ),
    "for two hours": Told(
        release(P.SHIFTING, step=1, traffic=TEN),
        obs.LooksFail(NOW),
        rolled_back(P.FAILED, reason(Code.LOOKS_FAILED, PENDING, hours=2.0)),
        at=NOW + machine.BLIND_LIMIT,
    ),
    "in a canary as long as a step may take": Told(
        release(P.CANARY, traffic=TEN), obs.LooksFail(NOW), {}, at=NOW + timedelta(hours=23, minutes=59)
    ),
    "and then its traffic goes back": Told(
        release(P.CANARY, traffic=TEN, waiting_for=MACHINES_COME),
        obs.LooksFail(NOW),
        rolled_back(P.ROLLED_BACK, reason(Code.LOOKS_FAILED, MACHINES_COME, hours=24.0)),
        definition(timeout="roll_back"),
        at=NOW + timedelta(hours=24),
    ),
    "unless a person decides on a step without evidence": Told(
        release(P.CANARY, traffic=TEN),
        obs.LooksFail(NOW),
        {},
        definition(timeout="hold"),
        at=NOW + timedelta(days=9),
    ),
    "so in a bake": Told(
        release(P.BAKING, traffic=ALL),
        obs.LooksFail(NOW),
        rolled_back(P.ROLLED_BACK, reason(Code.LOOKS_FAILED, PENDING, hours=24.0)),
        definition(timeout="roll_back"),
        at=NOW + timedelta(hours=24),
    ),
    "a paused step goes back to the one in force": Told(
        release(P.SHIFTING, step=1, traffic=TEN),
        obs.TrafficHeld(TEN),
        moved(P.CANARY, reason(Code.STEP_KEPT, traffic="r1-a1 90 %, r2-a1 10 %", step=1), step=0),
    ),
    "a paused promotion to the last one": Told(
        release(P.PROMOTING, step=1, traffic=HALF),
        obs.TrafficHeld(HALF),
        moved(P.CANARY, reason(Code.STEP_KEPT, traffic="r1-a1 50 %, r2-a1 50 %", step=2), step=1),
    ),
    "where the challenger has nothing there is nothing to watch": Told(
        release(P.SHIFTING, step=1, traffic={"r1-a1": 100}), obs.TrafficHeld({"r1-a1": 100}), {}
    ),
    "what was read before is not what is in force": Told(
        release(P.SHIFTING, step=1, traffic=HALF), obs.TrafficHeld(TEN), {}
    ),
    "before the first step there is none": Told(release(P.SHIFTING, traffic=TEN), obs.TrafficHeld(TEN), {}),
}
SUSPECT = {"suspect": HALF, "suspect_at": NOW}
TAKEN = {
    "weights that nobody planned are looked at again": Told(
        release(P.CANARY),
        obs.TrafficTaken(HALF),
        waits(
            Code.TRAFFIC_SUSPECT,
            traffic="r1-a1 50 %, r2-a1 50 %",
            also={"suspect": HALF, "suspect_at": LATER},
        ),
    ),
    "other ones from anew": Told(
        release(P.CANARY, **SUSPECT),
        obs.TrafficTaken(ALL),
        waits(Code.TRAFFIC_SUSPECT, traffic="r2-a1 100 %", also={"suspect": ALL, "suspect_at": LATER}),
    ),
    "while they may be a stale read, nothing follows": Told(
        release(P.CANARY, **SUSPECT),
        obs.TrafficTaken(HALF),
        {},
        at=NOW + machine.STALE_LIMIT - timedelta(seconds=1),
    ),
    "then they are somebody's": Told(
        release(P.CANARY, **SUSPECT),
        obs.TrafficTaken(HALF),
        waits(
            Code.TRAFFIC_ADOPTED,
            traffic="r1-a1 50 %, r2-a1 50 %",
            also={"suspect": {}, "suspect_at": None, "traffic": HALF, "adopted": True},
        ),
        at=NOW + machine.STALE_LIMIT,
    ),
    "or a late worker's, and the step begins anew": Told(
        release(P.CANARY, **SUSPECT, step=1),
        obs.TrafficLate(HALF),
        moved(
            P.SHIFTING,
            reason(Code.STEP_RESTARTED, traffic="r1-a1 50 %, r2-a1 50 %", step=2),
            suspect={},
            suspect_at=None,
            asked=HALF,
        ),
        at=NOW + machine.STALE_LIMIT,
    ),
    "no weights at all are told": Told(
        release(P.CANARY),
        obs.TrafficTaken({}),
        waits(Code.TRAFFIC_SUSPECT, traffic="nothing", also={"suspect": {}, "suspect_at": LATER}),
    ),
    "what is as it should be ends the suspicion": Told(
        release(P.CANARY, **SUSPECT),
        canary(Outcome.HOLD),
        waits(Code.CANARY_WAITS, BECAUSE, also={"suspect": {}, "suspect_at": None}),
    ),
    "nothing that is seen moves an adopted release": Told(
        release(P.CANARY, adopted=True), canary(Outcome.ROLL_BACK), {}
    ),
    "a person resumes it, and a share that it was given is a step that begins anew": Told(
        release(P.SHIFTING, adopted=True, traffic=HALF, scoring=ScoringJob("job", NOW)),
        person("resume"),
        kept(P.CANARY, HALF, step=1),
    ),
    "all of it goes on to the bake": Told(
        release(P.CANARY, adopted=True, traffic=ALL),
        person("resume"),
        {**kept(P.PROMOTING, ALL, step=1), "kept": False},
    ),
    "none of it ends the release": Told(
        release(P.CANARY, adopted=True, traffic=BACK),
        person("resume"),
        kept(P.ROLLING_BACK, BACK, outcome=P.ABORTED),
    ),
    "and in its bake too": Told(
        release(P.BAKING, adopted=True, traffic=BACK),
        person("resume"),
        kept(P.ROLLING_BACK, BACK, outcome=P.ROLLED_BACK),
    ),
    "what is to be deleted stays where it was given traffic": Told(
        release(P.RETIRING, adopted=True, traffic=HALF), person("resume"), kept(P.LIVE, HALF, ended_at=LATER)
    ),
    "and at the end of a way back": Told(
        release(P.CLEANING, adopted=True, outcome=P.REJECTED, traffic=TEN),
        person("resume"),
        kept(P.REJECTED, TEN, ended_at=LATER),
    ),
    "which is nothing to one that was not": Told(release(P.CANARY), person("resume"), {}),
}


def in_canary(seen: obs.CanarySeen, changes: dict[str, Any], plan: Definition, **chosen: Any) -> Told:
    return Told(
        release(P.CANARY, traffic=TEN, **chosen), seen, {**changes, "judgements": (seen.judgement,)}, plan
    )


STEP = {"step": 1, "steps": 2}
LAST = {"step": 2, "steps": 2}
INCONCLUSIVE = reason(Code.CANARY_INCONCLUSIVE, BECAUSE, **STEP)
UNREADABLE = reason(Code.EVIDENCE_UNREADABLE, note="403")
HOURS = definition().canary.step.max_hours
BAKED = (verdict(JudgementKind.BAKE, Outcome.ADVANCE),)
CANARY = {
    "a canary that waits keeps its state and its point": Told(
        release(P.CANARY, traffic=TEN),
        canary(Outcome.HOLD, '{"looks": 2}', point=POINT),
        waits(Code.CANARY_WAITS, BECAUSE, also={"canary_state": '{"looks": 2}', "points": (POINT,)}),
    ),
    "a step that passed leads to the next": in_canary(
        canary(Outcome.ADVANCE),
        moved(P.SHIFTING, reason(Code.CANARY_PASSED, BECAUSE, **STEP), step=1, asked=HALF),
        definition(),
    ),
    "the last one to promotion": in_canary(
        canary(Outcome.ADVANCE),
        moved(P.PROMOTING, reason(Code.CANARY_PASSED, BECAUSE, **LAST), asked=ALL),
        definition(),
        step=1,
    ),
    "or to approval": in_canary(
        canary(Outcome.ADVANCE),
        moved(P.AWAITING_APPROVAL, reason(Code.CANARY_PASSED, BECAUSE, **LAST)),
        definition(approval="before_promotion"),
        step=1,
    ),
    "which another approval is not": in_canary(
        canary(Outcome.ADVANCE),
        moved(P.AWAITING_APPROVAL, reason(Code.CANARY_PASSED, BECAUSE, **LAST)),
        definition(approval="before_promotion"),
        step=1,
        approved=("hold",),
    ),
    "harm rolls back": in_canary(
        canary(Outcome.ROLL_BACK),
        rolled_back(P.ROLLED_BACK, reason(Code.CANARY_ROLLED_BACK, BECAUSE, **STEP)),
        definition(),
    ),
    "no evidence in time holds": in_canary(
        canary(Outcome.INCONCLUSIVE), moved(P.HOLDING, INCONCLUSIVE), definition()
    ),
    "what could not be measured in time is never gone on with": in_canary(
        obs.CanarySeen(verdict(JudgementKind.CANARY, Outcome.INCONCLUSIVE, UNREADABLE), "{}"),
        moved(P.HOLDING, reason(Code.CANARY_INCONCLUSIVE, UNREADABLE, **STEP)),
        definition(timeout="promote"),
    ),
    "or goes on": in_canary(
        canary(Outcome.INCONCLUSIVE),
        moved(P.SHIFTING, INCONCLUSIVE, step=1, asked=HALF),
        definition(timeout="promote"),
    ),
    "or rolls back after so many hours": in_canary(
        canary(Outcome.INCONCLUSIVE),
        rolled_back(P.ROLLED_BACK, reason(Code.CANARY_TIMED_OUT, INCONCLUSIVE, hours=HOURS)),
        definition(timeout="roll_back"),
    ),
    "a bake that waits": Told(release(P.BAKING), bake(Outcome.HOLD), waits(Code.BAKE_WAITS, BECAUSE)),
    "one that passed retires the old deployment": Told(
        release(P.BAKING),
        bake(Outcome.ADVANCE),
        moved(P.RETIRING, reason(Code.BAKE_PASSED, BECAUSE), judgements=BAKED),
    ),
    "where there is one": Told(
        release(P.BAKING, champion=None),
        bake(Outcome.ADVANCE),
        moved(P.LIVE, reason(Code.BAKE_PASSED, BECAUSE), judgements=BAKED, ended_at=LATER),
    ),
    "one that harms goes back": Told(
        release(P.BAKING),
        bake(Outcome.ROLL_BACK),
        rolled_back(
            P.ROLLED_BACK,
            reason(Code.BAKE_ROLLED_BACK, BECAUSE),
            judgements=(verdict(JudgementKind.BAKE, Outcome.ROLL_BACK),),
        ),
    ),
    "one without evidence ends": Told(
        release(P.BAKING),
        bake(Outcome.INCONCLUSIVE),
        moved(
            P.RETIRING,
            reason(Code.BAKE_INCONCLUSIVE, BECAUSE),
            judgements=(verdict(JudgementKind.BAKE, Outcome.INCONCLUSIVE),),
        ),
    ),
    "or goes back after so many hours": Told(
        release(P.BAKING),
        bake(Outcome.INCONCLUSIVE),
        rolled_back(
            P.ROLLED_BACK,
            reason(Code.BAKE_TIMED_OUT, reason(Code.BAKE_INCONCLUSIVE, BECAUSE), hours=HOURS),
            judgements=(verdict(JudgementKind.BAKE, Outcome.INCONCLUSIVE),),
        ),
        definition(timeout="roll_back"),
    ),
    "which one that passed does not": Told(
        release(P.BAKING),
        bake(Outcome.ADVANCE),
        moved(P.RETIRING, reason(Code.BAKE_PASSED, BECAUSE), judgements=BAKED),
        definition(timeout="roll_back"),
    ),
    "a bake that is only time": Told(release(P.BAKING), obs.TimePassed(), moved(P.RETIRING)),
    "an old deployment that is being deleted": Told(
        release(P.RETIRING), obs.GoneSeen(False), waits(Code.DEPLOYMENT_DELETING)
    ),
    "once it is gone the release is live": Told(
        release(P.RETIRING), obs.GoneSeen(True), moved(P.LIVE, ended_at=LATER)
    ),
    "a challenger that is gone ends the release as was decided": Told(
        release(P.CLEANING, outcome=P.REJECTED), obs.GoneSeen(True), moved(P.REJECTED, ended_at=LATER)
    ),
    "or as failed": Told(release(P.CLEANING), obs.GoneSeen(True), moved(P.FAILED, ended_at=LATER)),
}
TAKEN_UP = {"traffic": TEN, "step": 1}
PEOPLE = {
    "an abort removes what was made": Told(
        release(P.DEPLOYING), person("abort"), cleaned(P.ABORTED, acted("abort"))
    ),
    "under traffic it goes back first": Told(
        release(P.CANARY, traffic=TEN), person("abort"), rolled_back(P.ABORTED, acted("abort"))
    ),
    "so it does of a phase that waits under traffic": Told(
        release(P.HOLDING, traffic=TEN), person("rollback"), rolled_back(P.ABORTED, acted("rollback"))
    ),
    "so it does where traffic is being given": Told(
        release(P.SHIFTING), person("abort"), rolled_back(P.ABORTED, acted("abort"))
    ),
    "a champion's place is given back": Told(
        release(P.BAKING, traffic=ALL), person("rollback"), rolled_back(P.ROLLED_BACK, acted("rollback"))
    ),
    "what is settled stays": Told(release(P.CLEANING, outcome=P.REJECTED), person("abort"), {}),
    "unless somebody gave it traffic since": Told(
        release(P.CLEANING, outcome=P.REJECTED, adopted=True, traffic=TEN),
        person("abort"),
        rolled_back(P.REJECTED, acted("abort")),
    ),
    "a rollback that somebody disturbed goes on": Told(
        release(P.ROLLING_BACK, outcome=P.ABORTED, adopted=True),
        person("abort"),
        {"adopted": False, "waiting_for": None, "phase_since_at": LATER},
    ),
    "approval lets a canary begin": Told(
        release(P.AWAITING_APPROVAL),
        person("approve"),
        moved(P.SHIFTING, acted("approve"), asked=TEN, approved=("before_canary",)),
        definition(approval="before_canary"),
    ),
    "and a held gate go on": Told(
        release(P.HOLDING, approved=("x",)),
        person("approve"),
        moved(P.SHIFTING, acted("approve"), asked=TEN, approved=("x", "hold")),
    ),
    "to its checks": Told(
        release(P.HOLDING),
        person("approve"),
        moved(P.CHECKING, acted("approve"), step=0, approved=("hold",)),
        definition(checks=1),
    ),
    "of a held step it is no approval of the promotion": Told(
        release(P.HOLDING, traffic=TEN),
        person("approve"),
        moved(P.SHIFTING, acted("approve"), step=1, asked=HALF, approved=("hold",)),
        definition(approval="before_promotion"),
    ),
    "of the last step it is": Told(
        release(P.AWAITING_APPROVAL, traffic=HALF, step=1),
        person("approve"),
        moved(P.PROMOTING, acted("approve"), asked=ALL, approved=("before_promotion",)),
        definition(approval="before_promotion"),
    ),
    "where nobody is awaited it is nothing": Told(release(P.CANARY, traffic=TEN), person("approve"), {}),
    "a held gate may be skipped, not its checks": Told(
        release(P.HOLDING), person("skip"), moved(P.CHECKING, acted("skip"), step=0), definition(checks=1)
    ),
    "a held step too": Told(
        release(P.HOLDING, traffic=TEN), person("skip"), moved(P.SHIFTING, acted("skip"), step=1, asked=HALF)
    ),
    "and a canary's": Told(
        release(P.CANARY, traffic=TEN), person("skip"), moved(P.SHIFTING, acted("skip"), step=1, asked=HALF)
    ),
    "but no approval": Told(
        release(P.CANARY, **TAKEN_UP),
        person("skip"),
        moved(P.AWAITING_APPROVAL, acted("skip")),
        definition(approval="before_promotion"),
    ),
    "a bake may be": Told(release(P.BAKING), person("skip"), moved(P.RETIRING, acted("skip"))),
    "nothing of an adopted release may": Told(release(P.CANARY, adopted=True), person("skip"), {}),
    "an approval may not": Told(
        release(P.AWAITING_APPROVAL), person("skip"), {}, definition(approval="before_canary")
    ),
}
TOLD = {
    f"{name}: {case}": told
    for name, cases in {
        "training": TRAINING,
        "deploying": DEPLOYING,
        "gate": GATE,
        "batch": BATCH,
        "shifting": SHIFTING,
        "taken": TAKEN,
        "canary": CANARY,
        "people": PEOPLE,
    }.items()
    for case, told in cases.items()
}


@pytest.mark.parametrize("case", TOLD)
def test_what_is_seen_changes_this_and_nothing_else(case: str) -> None:
    told = TOLD[case]
    changes = {
        name: told.at if name in ("phase_since_at", "ended_at") and value == LATER else value
        for name, value in told.changes.items()
    }
    assert machine.fold(told.before, told.seen, told.plan, told.at) == replace(told.before, **changes)


def test_a_release_stands_where_nothing_was_to_be_seen() -> None:
    ended = release(P.LIVE)
    assert machine.fold(ended, person("abort"), definition(), LATER) is ended
    training = release(P.TRAINING)
    assert machine.fold(training, obs.GoneSeen(True), definition(), LATER) is training


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (release(P.PREPARING), obs.AssembleWindow()),
        (release(P.TRAINING), obs.RunJob()),
        (release(P.REGISTERING), obs.RegisterModel()),
        (release(P.DEPLOYING), obs.Deploy()),
        (release(P.GATING), obs.MeasureGate()),
        (release(P.CHECKING, step=1), obs.RunCheck(1)),
        (release(P.AWAITING_APPROVAL), obs.Await()),
        (release(P.HOLDING), obs.Await()),
        (release(P.SHIFTING, step=1), obs.SetTraffic(HALF)),
        (release(P.CANARY), obs.MeasureCanary()),
        (release(P.PROMOTING), obs.SetTraffic(ALL)),
        (release(P.BAKING), obs.MeasureBake()),
        (release(P.BAKING, champion=None), obs.Await(NOW)),
        (release(P.RETIRING), obs.RemoveDeployment("r1-a1")),
        (release(P.ROLLING_BACK), obs.SetTraffic({"r1-a1": 100})),
        (release(P.ROLLING_BACK, champion=None), obs.SetTraffic({})),
        (release(P.CLEANING), obs.RemoveDeployment("r2-a1")),
        (release(P.CANARY, adopted=True), obs.Await()),
        (release(P.LIVE), obs.Await()),
    ],
    ids=lambda one: one.phase.value if isinstance(one, Release) else "",
)
def test_each_phase_asks_for_one_thing(before: Release, wanted: obs.Action) -> None:
    assert machine.action(before, definition()) == wanted


def test_a_batch_endpoint_bakes_by_time_alone_and_gives_its_canary_no_share() -> None:
    plan = definition(drops=2)
    minutes = timedelta(minutes=plan.canary.bake_minutes)
    assert minutes
    assert machine.action(release(P.BAKING), plan) == obs.Await(NOW + minutes)
    assert machine.action(release(P.SHIFTING), plan) == obs.SetTraffic({"r1-a1": 100})


def test_where_nothing_is_baked_nothing_is_measured() -> None:
    plan = definition()
    none = plan.model_copy(update={"canary": plan.canary.model_copy(update={"bake_minutes": 0})})
    assert machine.action(release(P.BAKING), none) == obs.Await(NOW)


def test_the_champion_is_what_a_champion_was() -> None:
    assert machine.old_deployment(release(P.CANARY)) == CHAMPION.deployment
    assert machine.old_deployment(release(P.CANARY, champion=None)) == ""

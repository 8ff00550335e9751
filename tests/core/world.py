"""A release in the abstract: what can be seen and done, and every state that this leads to."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared import loopfile
from shared.domain.reason import Code, reason
from shared.domain.release import (
    Champion,
    Judgement,
    JudgementKind,
    Outcome,
    Phase,
    Release,
    Trigger,
    TriggerKind,
)
from shared.loopfile import Definition
from shared.ports import DeploymentSeen, JobSeen
from shared.release import machine
from shared.release import observations as obs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MUCH_LATER = NOW + timedelta(hours=3)

CHAMPION = Champion(1, "r1-a1", "azureml:birds:1", (1,), "profile", NOW)


def definition(
    steps: tuple[int, ...] = (10, 50),
    approval: str = "none",
    checks: int = 0,
    unclear: str = "hold",
    timeout: str = "hold",
    drops: int = 0,
) -> Definition:
    """`drops`: of a batch endpoint, which has no steps."""
    canary = {"drops": drops} if drops else {"steps": list(steps)}
    batch = {"type": "batch", "compute": "cpu"} if drops else {}
    document = {
        "loop": "birds",
        "data": {"landing": "landing/birds/", "target": "species"},
        "train": {"pipeline": "train.yml", "attempts": 2},
        "serve": {"endpoint": "birds", **batch},
        "gate": {"checks": [f"qa{n}.yml" for n in range(checks)], "on_inconclusive": unclear},
        "canary": {**canary, "approval": approval, "on_timeout": timeout},
    }
    return loopfile.parse(json.dumps(document), file="loop.yaml")


def definitions(*, corners: bool = False) -> Iterator[Definition]:
    """Every way in which a loop file can change a release's path; or of approvals and unclear outcomes together only
    the corners and the middle."""
    unclear = (("hold", "hold"), ("reject", "roll_back"), ("promote", "promote"))
    together = itertools.product(("none", "before_canary", "before_promotion"), unclear)
    for approval, (gate, timeout) in itertools.islice(together, 0, None, 4 if corners else 1):
        yield definition(
            approval=approval, checks=0 if gate == "reject" else 2, unclear=gate, timeout=timeout
        )
    yield definition(drops=2, timeout="roll_back")
    yield definition(drops=1, approval="before_promotion")


def begun(champion: Champion | None = CHAMPION) -> Release:
    return Release(
        loop="birds",
        number=2,
        phase=Phase.PREPARING,
        definition="digest",
        triggers=(Trigger(TriggerKind.DRIFT, "mass moved", "driftloop", "key", NOW),),
        versions=(1, 2),
        started_at=NOW,
        phase_since_at=NOW,
        champion=champion,
        traffic={champion.deployment: 100} if champion else {},
    )


def brought(release: Release) -> Release:
    """The same of a model that somebody else registered."""
    return replace(
        release, versions=(), judged_on=(1, 2), model="azureml:lab:3", deployment=release.deployment_name
    )


def judged(kind: JudgementKind, outcome: Outcome) -> Judgement:
    return Judgement(kind, outcome, (reason(Code.GATE_NO_ROWS),), "digest", NOW)


CANARY_OUTCOMES = (Outcome.ADVANCE, Outcome.HOLD, Outcome.ROLL_BACK, Outcome.INCONCLUSIVE, Outcome.ERROR)

SEEN: tuple[obs.Observation, ...] = (
    obs.WindowSeen("azureml:window:1", "profile"),
    *(
        JobSeen(status)
        for status in ("running", "completed", "failed", "canceled", "missing", "timed_out", "uncancelled")
    ),
    obs.ModelSeen("azureml:birds:2"),
    *(DeploymentSeen(state) for state in ("creating", "ready", "failed", "missing")),
    obs.GateSeen((judged(JudgementKind.SMOKE, Outcome.FAIL),)),
    *(
        obs.GateSeen((judged(JudgementKind.SMOKE, Outcome.PASS), judged(JudgementKind.GATE, outcome)))
        for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE)
    ),
    obs.AnswersPending("job"),
    *(obs.CanarySeen(judged(JudgementKind.CANARY, outcome), "{}") for outcome in CANARY_OUTCOMES),
    *(obs.BakeSeen(judged(JudgementKind.BAKE, outcome)) for outcome in CANARY_OUTCOMES),
    obs.TrafficIs({"r1-a1": 100}, settled=False),
    obs.TrafficTaken({"r1-a1": 70, "r2-a1": 30}),
    obs.TrafficTaken({"r1-a1": 100}),
    obs.TrafficLate({"r1-a1": 100}),
    *(obs.MachinesSeen(8, DeploymentSeen(state)) for state in ("creating", "failed")),
    obs.TrafficHeld({"r1-a1": 90, "r2-a1": 10}),
    obs.TrafficHeld({"r1-a1": 50, "r2-a1": 50}),
    obs.LooksFail(NOW - timedelta(days=2)),
    obs.GoneSeen(True),
    obs.GoneSeen(False),
    obs.TimePassed(),
    obs.Overtaken(3),
    obs.GivenUp(reason(Code.RELEASE_GIVEN_UP, failures=10)),
    *(obs.PersonActed(verb, "bob", "because") for verb in ("approve", "abort", "rollback", "resume", "skip")),
)


BY_HAND = (obs.TrafficTaken({"r2-a1": 100}), obs.TrafficTaken({"r2-a1": 60, "mine": 40}))
"""Seen once in a life, on the way forward and of a first attempt alone, or there would be too many lives."""

LOOKS_AT_TRAFFIC = (obs.TrafficTaken, obs.TrafficLate, obs.TrafficIs)


@dataclass
class Explored:
    """What every path from one beginning came to."""

    states: int = 0
    folds: int = 0
    edges: set[tuple[Phase, type, Phase]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def explore(first: Release, plan: Definition, states: list[Release] | None = None) -> Explored:
    """Breadth first over all states that anything seen or done, in any order, can lead to; collected in `states`."""
    found = Explored()
    known, todo = {_identity(first)}, deque([first])
    while todo:
        release = todo.popleft()
        found.states += 1
        if states is not None:
            states.append(release)
        stood = False
        for seen, now in _observations(release, plan):
            found.folds += 1
            after = machine.fold(release, seen, plan, now)
            if after is release and stood and not isinstance(seen, LOOKS_AT_TRAFFIC):
                continue  # what is wrong with a release that stands does not depend on what else was seen
            stood = stood or after is release
            found.wrong += wrong(release, seen, after, plan)
            if machine.place(release) != machine.place(after):
                found.edges.add((release.phase, type(seen), after.phase))
            if (identity := _identity(after)) not in known:
                known.add(identity)
                todo.append(after)
    return found


def _observations(release: Release, plan: Definition) -> Iterator[tuple[obs.Observation, datetime]]:
    wanted = machine.action(release, plan)
    if isinstance(wanted, obs.SetTraffic):
        yield obs.TrafficIs(wanted.weights, settled=True), NOW
    forward = release.phase in (Phase.SHIFTING, Phase.CANARY, Phase.PROMOTING)
    by_hand = BY_HAND if forward and not release.kept and release.attempt == 1 else ()
    for seen in (*SEEN, *by_hand):
        yield seen, NOW
        if isinstance(
            seen, DeploymentSeen | obs.MachinesSeen | obs.TrafficIs | obs.TrafficTaken | obs.TrafficLate
        ):
            yield seen, MUCH_LATER
        if isinstance(seen, obs.AnswersPending):
            yield seen, NOW + plan.train.timeout + timedelta(seconds=1)


def _identity(release: Release) -> object:
    """Two releases of one identity have the same future."""
    return (
        release.phase,
        release.attempt,
        release.step,
        release.adopted,
        release.kept,
        release.outcome,
        bool(release.window),
        release.deployment,
        frozenset(release.approved),
        tuple(sorted(release.traffic.items())),
        tuple(sorted(release.asked.items())),
        tuple(sorted(release.suspect.items())),
        release.suspect_at is None,
        release.scoring is None,
    )


def challenger_weight(action: obs.Action, release: Release) -> int | None:
    """What an action gives the challenger; None when it sets no traffic."""
    if not isinstance(action, obs.SetTraffic):
        return None
    return action.weights.get(release.deployment, 0) if release.deployment else 0


NO_REASON_TO_GO_ON = (Outcome.HOLD, Outcome.ERROR, Outcome.ROLL_BACK)


def wrong(before: Release, seen: obs.Observation, after: Release, plan: Definition) -> list[str]:
    """What a single fold did that it must never do, in words."""
    found = []
    if before.ended and after != before:
        found.append(f"{before.phase} was ended and became {after.phase}")
    if before.adopted and after != before and not isinstance(seen, obs.PersonActed):
        found.append(f"adopted traffic, and {seen} changed it")
    if isinstance(seen, obs.TrafficTaken) and after.phase is not before.phase:
        found.append("a look at foreign traffic moved the release")
    again = (before.phase, after.phase, after.step) == (Phase.CANARY, Phase.SHIFTING, before.step)
    if isinstance(seen, obs.TrafficLate) and after.phase is not before.phase and not again:
        found.append("a split that came late moved the release, and not to the same step anew")
    action = machine.action(after, plan)
    if isinstance(action, obs.SetTraffic):
        found += _wrong_weights(after, action.weights)
        if after.adopted:
            found.append("adopted traffic is fought")
    weight, earlier = challenger_weight(action, after), _given(before)
    allowed = {*plan.canary.steps, 100}
    if weight and weight > earlier and weight not in allowed:
        found.append(f"{weight} % is no step of the plan")
    if weight and before.phase in (Phase.ROLLING_BACK, Phase.CLEANING):
        found.append(f"{weight} % for the challenger after a rollback began")
    if weight and isinstance(seen, LOOKS_AT_TRAFFIC) and weight > earlier:
        found.append(f"a look at the traffic raised the weight from {earlier} to {weight}")
    onwards = after.phase is not before.phase and after.phase in (Phase.SHIFTING, Phase.PROMOTING)
    if onwards and isinstance(seen, obs.CanarySeen) and seen.judgement.outcome in NO_REASON_TO_GO_ON:
        found.append(f"{seen.judgement.outcome} promoted the canary")
    return found


def _given(release: Release) -> int:
    return max(release.traffic.get(release.deployment, 0), release.asked.get(release.deployment, 0))


def _wrong_weights(release: Release, weights: Mapping[str, int]) -> list[str]:
    if sum(weights.values()) == 100 and all(0 < weight <= 100 for weight in weights.values()):
        return []
    nobody = release.champion is None and release.phase is Phase.ROLLING_BACK and not weights
    return [] if nobody else [f"{release.phase} would set {dict(weights)}"]


def at(release: Release, **changes: object) -> Release:
    return replace(release, **changes)  # type: ignore[arg-type]  # a test names fields that there are

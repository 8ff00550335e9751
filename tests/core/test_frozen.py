"""A frozen release: whatever is seen in whatever state, nothing is spent, no weight rises, proven harm goes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.domain.reason import Code, reason
from shared.domain.release import JudgementKind, Outcome, Phase, Release
from shared.loopfile import Definition
from shared.release import frozen, machine
from shared.release import observations as obs
from shared.release.machine import PHASES
from tests.core.world import CHAMPION, MUCH_LATER, NOW, SEEN, at, begun, definition, explore, judged

SPENDS = (obs.AssembleWindow, obs.RegisterModel, obs.Deploy, obs.MeasureGate, obs.RunCheck)
ONWARDS = {
    Phase.SHIFTING,
    Phase.PROMOTING,
    Phase.RETIRING,
    Phase.LIVE,
    Phase.AWAITING_APPROVAL,
    Phase.HOLDING,
}


def everywhere(plan: Definition) -> list[Release]:
    """Every state that a release can be in."""
    found: list[Release] = []
    for champion in (CHAMPION, None):
        explore(begun(champion), plan, found)
    return found


def looks(release: Release, plan: Definition) -> Iterator[obs.Observation | None]:
    yield None
    wanted = machine.action(release, plan)
    if isinstance(wanted, obs.SetTraffic):
        yield obs.TrafficIs(wanted.weights, settled=True)
    yield from (seen for seen in SEEN if not isinstance(seen, obs.PersonActed))


@pytest.mark.parametrize("approval", [pytest.param("none", marks=pytest.mark.soak), "before_promotion"])
def test_in_no_state_does_a_frozen_release_spend_or_give_the_challenger_more(approval: str) -> None:
    plan = definition(approval=approval, checks=2, timeout="promote")
    wrong, releases = [], everywhere(plan)
    unseen = {Phase.AWAITING_APPROVAL} if approval == "none" else set()
    assert set(PHASES) - unseen <= {release.phase for release in releases}
    for release in releases:
        action = frozen.action(release, plan)
        has = release.traffic.get(release.deployment, 0)
        if isinstance(action, SPENDS) or (
            isinstance(action, obs.SetTraffic) and action.weights.get(release.deployment, 0) > has
        ):
            wrong.append((release.phase, action))
        if isinstance(action, obs.RunJob) and release.job != release.job_name:
            wrong.append((release.phase, action))
        if isinstance(action, obs.RemoveDeployment) and release.phase is not Phase.CLEANING:
            wrong.append((release.phase, action))
    assert wrong == []


def test_no_evidence_takes_a_frozen_release_onwards_and_proven_harm_takes_it_back() -> None:
    plan, looked = definition(timeout="roll_back"), Counter[tuple[Phase, bool]]()
    for release in everywhere(plan):
        if release.phase not in (Phase.CANARY, Phase.BAKING) or release.adopted:
            continue
        for seen in looks(release, plan):
            after = frozen.fold(release, seen, plan, MUCH_LATER)
            late = isinstance(seen, obs.TrafficLate) and after.step == release.step
            assert late or after.phase not in ONWARDS, (release.phase, seen)
            told = isinstance(seen, obs.CanarySeen | obs.BakeSeen) and PHASES[release.phase].sees.get(
                type(seen)
            )
            harm = bool(told) and seen.judgement.outcome is Outcome.ROLL_BACK  # type: ignore[union-attr]
            lost = isinstance(seen, obs.GoneSeen)
            assert (after.phase is Phase.ROLLING_BACK) == (harm or lost), (release.phase, seen)
            looked[release.phase, harm] += 1
    assert set(looked) == {(phase, harm) for phase in (Phase.CANARY, Phase.BAKING) for harm in (True, False)}


def test_a_person_can_always_take_a_frozen_release_back() -> None:
    plan = definition()
    canary = at(begun(), phase=Phase.CANARY, deployment="r2-a1", traffic={"r1-a1": 90, "r2-a1": 10})
    assert {"abort", "rollback"} <= frozen.STAYS_POSSIBLE
    after = machine.fold(canary, obs.PersonActed("abort", "bob", ""), plan, NOW)
    assert frozen.action(after, plan) == obs.SetTraffic({"r1-a1": 100})


def test_a_step_that_was_not_set_yet_goes_back_to_the_one_whose_harm_is_watched() -> None:
    """In `shifting` nobody looks at evidence: a release that stood there would be watched by nobody."""
    plan = definition()
    shifting = at(
        begun(),
        phase=Phase.SHIFTING,
        step=1,
        deployment="r2-a1",
        traffic={"r1-a1": 90, "r2-a1": 10},
        asked={"r1-a1": 50, "r2-a1": 50},
    )
    assert frozen.action(shifting, plan) == obs.ReadTraffic({"r1-a1": 50, "r2-a1": 50})
    kept = frozen.fold(shifting, obs.TrafficHeld({"r1-a1": 90, "r2-a1": 10}), plan, NOW)
    assert (kept.phase, kept.step) == (Phase.CANARY, 0)
    assert kept.reason == reason(Code.STEP_KEPT, traffic="r1-a1 90 %, r2-a1 10 %", step=1)
    first = replace(shifting, step=0, traffic={"r1-a1": 100}, asked={"r1-a1": 90, "r2-a1": 10})
    assert frozen.fold(first, obs.TrafficHeld({"r1-a1": 100}), plan, NOW).phase is Phase.SHIFTING


def test_a_split_that_comes_into_force_late_is_taken_back_to_where_the_release_stands() -> None:
    plan = definition()
    held = at(begun(), phase=Phase.CANARY, deployment="r2-a1", traffic={"r1-a1": 90, "r2-a1": 10})
    late = obs.TrafficLate({"r1-a1": 50, "r2-a1": 50})
    again = frozen.fold(frozen.fold(held, late, plan, NOW), late, plan, NOW + machine.STALE_LIMIT)
    assert frozen.action(again, plan) == obs.SetTraffic({"r1-a1": 90, "r2-a1": 10})


def test_evidence_that_came_while_it_stood_counts_and_the_limits_of_a_phase_that_stood_begin_anew() -> None:
    plan = definition()
    canary = at(begun(), phase=Phase.CANARY, deployment="r2-a1", traffic={"r1-a1": 90, "r2-a1": 10})
    seen = obs.CanarySeen(judged(JudgementKind.CANARY, Outcome.ADVANCE), '{"judge": 1}')
    stood = frozen.fold(canary, seen, plan, MUCH_LATER)
    assert (stood.phase, stood.canary_state) == (Phase.CANARY, '{"judge": 1}')
    assert stood.waiting_for == reason(Code.RELEASE_FROZEN)
    assert frozen.thawed(stood, MUCH_LATER).phase_since_at == NOW
    deploying = frozen.fold(at(begun(), phase=Phase.DEPLOYING, deployment="r2-a1"), None, plan, MUCH_LATER)
    assert frozen.thawed(deploying, MUCH_LATER).phase_since_at == MUCH_LATER


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.DEPLOYING, Phase.PROMOTING])
@pytest.mark.parametrize("code", [Code.OBSERVATION_FAILED, Code.TRAFFIC_SUSPECT, None])
def test_a_phase_that_stood_still_begins_anew_whatever_it_was_last_seen_to_wait_for(
    phase: Phase, code: Code | None
) -> None:
    plan = definition()
    first = at(begun(), phase=phase, deployment="r2-a1", asked={"r1-a1": 90, "r2-a1": 10})
    stood = frozen.fold(first, None, plan, NOW)
    facts = {"traffic": "nothing"} if code is Code.TRAFFIC_SUSPECT else {}
    overwritten = replace(stood, waiting_for=reason(code, **facts) if code else None)
    thawed = frozen.thawed(overwritten, MUCH_LATER)
    assert (thawed.phase_since_at, thawed.frozen) == (MUCH_LATER, False)
    assert thawed.waiting_for == overwritten.waiting_for
    assert frozen.thawed(thawed, MUCH_LATER + machine.TRAFFIC_LIMIT) == thawed, "once"

"""Whatever is seen and whoever acts, in any order: a release makes only legal moves, and its weights are the plan's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.reason import Code, reason
from shared.domain.release import ENDED, Judgement, JudgementKind, Outcome, Phase
from shared.errors import InvariantBroken
from shared.release import machine
from shared.release import observations as obs
from shared.release.machine import PHASES, move, transitions
from tests.core.world import (
    CHAMPION,
    NOW,
    SEEN,
    Explored,
    at,
    begun,
    brought,
    definition,
    definitions,
    explore,
    judged,
    wrong,
)


@pytest.fixture(scope="module", params=["corners", pytest.param("all", marks=pytest.mark.soak)])
def explored(request: pytest.FixtureRequest) -> list[Explored]:
    plans = list(definitions(corners=request.param == "corners"))
    found = [explore(begun(champion), plan) for plan in plans for champion in (CHAMPION, None)]
    found.append(explore(brought(begun()), definition()))
    states, folds = sum(one.states for one in found), sum(one.folds for one in found)
    print(f"\n{len(found)} beginnings, {states:,} states, {folds:,} folds")
    return found


def test_no_order_of_events_and_acts_does_what_must_never_be_done(explored: list[Explored]) -> None:
    """P6, P7, P13: exhaustive over every state that can be reached."""
    assert Counter(words for one in explored for words in one.wrong) == {}


def test_every_transition_of_the_table_is_reached_and_every_move_made_is_in_it(
    explored: list[Explored],
) -> None:
    table = {
        (phase, seen, target)
        for phase, traits in PHASES.items()
        for seen, targets in traits.sees.items()
        for target in targets
    }
    assert set().union(*(one.edges for one in explored)) == table


def test_every_state_can_end(explored: list[Explored]) -> None:
    """No phase is a trap: from each there is a way to an end in the table."""
    ends = set(ENDED)
    while more := {source for source, targets in transitions().items() if ends & set(targets)} - ends:
        ends |= more
    assert ends == set(Phase)


def test_an_illegal_move_raises_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_abort", lambda release, now, why: move(release, Phase.LIVE, now))
    with pytest.raises(InvariantBroken, match=r"release 2 of birds cannot go from preparing to live.*audit"):
        machine.fold(begun(), obs.PersonActed("abort", "bob", ""), definition(), NOW)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(definitions())),
    st.sampled_from([CHAMPION, None]),
    st.lists(st.tuples(st.sampled_from(SEEN), st.integers(-300, 20_000)), max_size=60),
    st.dictionaries(st.sampled_from(["r1-a1", "r2-a1", "other"]), st.integers(0, 100)),
)
def test_random_stories_at_random_moments(plan, champion, story, foreign) -> None:  # type: ignore[no-untyped-def]
    """The same with times that jump, weights that nobody planned, and looks that come too late."""
    release = begun(champion)
    for seen, seconds in story:
        wanted = machine.action(release, plan)
        now = NOW + timedelta(seconds=seconds)
        likely = obs.TrafficIs(wanted.weights, True) if isinstance(wanted, obs.SetTraffic) else seen
        for one in (seen, likely, obs.TrafficTaken(foreign), obs.TrafficLate(foreign)):
            after = machine.fold(release, one, plan, now)
            assert wrong(release, one, after, plan) == []
            if not isinstance(one, obs.TrafficTaken) or seconds % 7 == 0:
                release = after


def test_approving_a_hold_in_the_last_step_is_the_approval_that_the_loop_asks_for() -> None:
    plan = definition(approval="before_promotion")
    held = at(begun(), phase=Phase.HOLDING, step=1, deployment="r2-a1", traffic={"r1-a1": 50, "r2-a1": 50})
    assert machine.fold(held, obs.PersonActed("approve", "bob", ""), plan, NOW).phase is Phase.PROMOTING


def test_the_first_model_asks_for_the_approval_before_promotion_too() -> None:
    plan = definition(approval="before_promotion")
    gated = at(begun(None), phase=Phase.GATING, deployment="r2-a1")
    seen = obs.GateSeen((judged(JudgementKind.SMOKE, Outcome.PASS), judged(JudgementKind.GATE, Outcome.PASS)))
    assert machine.fold(gated, seen, plan, NOW).phase is Phase.AWAITING_APPROVAL


def test_a_canary_whose_traffic_a_slow_worker_of_ours_set_begins_its_step_anew() -> None:
    plan = definition()
    canary = at(begun(), phase=Phase.CANARY, step=1, deployment="r2-a1", traffic={"r1-a1": 50, "r2-a1": 50})
    late = obs.TrafficLate({"r1-a1": 90, "r2-a1": 10})
    suspect = machine.fold(canary, late, plan, NOW)
    assert (suspect.phase, suspect.adopted) == (Phase.CANARY, False)
    again = machine.fold(suspect, late, plan, NOW + machine.STALE_LIMIT)
    assert (again.phase, again.step, again.adopted, again.suspect_at) == (Phase.SHIFTING, 1, False, None)
    assert again.reason == reason(Code.STEP_RESTARTED, traffic="r1-a1 90 %, r2-a1 10 %", step=2)
    assert machine.action(again, plan) == obs.SetTraffic({"r1-a1": 50, "r2-a1": 50})


def test_a_canary_whose_traffic_a_person_took_away_can_be_aborted() -> None:
    plan = definition()
    canary = at(begun(), phase=Phase.CANARY, deployment="r2-a1", traffic={"r1-a1": 90, "r2-a1": 10})
    suspect = machine.fold(canary, obs.TrafficTaken({"r1-a1": 100}), plan, NOW)
    assert not suspect.adopted
    taken = machine.fold(suspect, obs.TrafficTaken({"r1-a1": 100}), plan, NOW + machine.STALE_LIMIT)
    assert taken.adopted
    assert isinstance(machine.action(taken, plan), obs.Await)
    aborted = machine.fold(taken, obs.PersonActed("abort", "bob", ""), plan, NOW)
    assert (aborted.phase, aborted.outcome, aborted.adopted) == (Phase.ROLLING_BACK, Phase.ABORTED, False)


@pytest.mark.parametrize(
    ("chosen", "phase", "code"),
    [
        ({}, Phase.ROLLING_BACK, Code.CANARY_TIMED_OUT),
        ({"timeout": "hold"}, Phase.HOLDING, Code.CANARY_INCONCLUSIVE),
        ({"timeout": "promote"}, Phase.PROMOTING, Code.CANARY_INCONCLUSIVE),
    ],
)
def test_a_step_without_evidence_in_time_goes_back_unless_the_loop_says_otherwise(
    chosen: dict[str, str], phase: Phase, code: Code
) -> None:
    plan = definition((10,), **chosen)  # type: ignore[arg-type]  # by keyword
    if not chosen:
        plan = plan.model_copy(update={"canary": type(plan.canary)(steps=(10,))})
    canary = replace(begun(), phase=Phase.CANARY, deployment="r2-a1", traffic={"r1-a1": 90, "r2-a1": 10})
    judged = Judgement(JudgementKind.CANARY, Outcome.INCONCLUSIVE, (), "", NOW)
    after = machine.fold(canary, obs.CanarySeen(judged, "", None), plan, NOW)
    assert after.phase is phase
    assert after.reason is not None and after.reason.code is code

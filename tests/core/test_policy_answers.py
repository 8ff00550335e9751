"""What the policy answers, to the second: who is refused why, how long it rests, and what an ended release leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared import loopfile
from shared.domain.reason import Code, reason
from shared.domain.release import Judgement, JudgementKind, Outcome, Phase, Release, TriggerKind
from shared.retraining import policy
from tests.core.world import begun
from tests.engine.test_policy import BREAKER, DEFINITION, NOW, loop, trigger
from tests.simulator.life import LOOP

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
WATCHING = loopfile.parse(LOOP + "mode: observe\n", file="l")
UNCAPPED = loopfile.parse(LOOP, file="l")
ELSEWHERE = UNCAPPED.model_copy(update={"train": UNCAPPED.train.model_copy(update={"only_in": "test"})})


def hearing(definition: loopfile.Definition, *kinds: str) -> loopfile.Definition:
    heard = definition.retrain.model_copy(update={"on": list(kinds)})
    return definition.model_copy(update={"retrain": heard})


def decided(definition: loopfile.Definition, *triggers: policy.Trigger, **state: object) -> policy.Decision:
    return policy.decide(loop(**state), triggers, definition, NOW, newest_version=2)


def test_where_models_come_from_elsewhere_only_a_model_starts_a_release() -> None:
    why = reason(Code.TRAINED_ELSEWHERE, loop="birds", environment="test")
    assert decided(ELSEWHERE, trigger()) == policy.Deny(why)
    assert decided(ELSEWHERE, trigger(), trigger(TriggerKind.MODEL)) == policy.Deny(why)
    model = trigger(TriggerKind.MODEL)
    assert decided(ELSEWHERE, model) == policy.Start((model,))


def test_a_loop_that_observes_says_what_it_would_start_and_for_what() -> None:
    asked = (trigger(TriggerKind.METRIC), trigger(), trigger(minutes=1))
    why = reason(Code.WOULD_START, release=2, kinds="metric, drift")
    assert decided(hearing(WATCHING, "drift", "metric"), *asked) == policy.Deny(why)


def test_kinds_that_nobody_named_are_listed() -> None:
    found = decided(hearing(DEFINITION, "schedule"), trigger(TriggerKind.METRIC), trigger())
    assert found == policy.Deny(reason(Code.NOT_NAMED, kinds="drift, metric"))


def test_what_waits_keeps_its_triggers_whatever_it_waits_for() -> None:
    one = trigger()
    paused = reason(Code.PAUSED_BY_PERSON, actor="bob", why="x")
    assert decided(DEFINITION, one, paused=paused) == policy.Coalesce(
        (one,), reason(Code.LOOP_PAUSED, paused)
    )
    served = trigger(TriggerKind.SERVED)
    found = decided(hearing(DEFINITION, "served"), served, trained_through=2)
    assert found == policy.Coalesce((served,), reason(Code.WAITS_FOR_LABELS, version=2))


def test_the_rest_after_a_release_says_which_how_it_ended_and_until_when() -> None:
    ended = NOW - timedelta(hours=5)
    one = trigger()
    until = ended + DEFINITION.retrain.cooldown
    why = reason(
        Code.COOLDOWN, until=until.isoformat(), release=4, outcome="rejected", ended=ended.isoformat()
    )
    state = {"last_ended_at": ended, "last_outcome": "rejected", "next_release": 5}
    assert decided(DEFINITION, one, **state) == policy.Coalesce((one,), why, until)
    over = {**state, "last_ended_at": NOW - DEFINITION.retrain.cooldown}
    assert isinstance(decided(DEFINITION, one, **over), policy.Start), "over to the second"


def test_what_would_be_tried_next_names_the_rest_as_long_as_there_is_one() -> None:
    def told(ended_at: object) -> object:
        state = loop(last_ended_at=ended_at, last_outcome="rejected", next_release=5, trained_through=3)
        return policy.next_chance(state, DEFINITION, NOW)

    needed = reason(Code.NEWER_VERSION_NEEDED, version=3)
    assert told(None) == told(NOW - DEFINITION.retrain.cooldown) == needed
    resting = told(NOW - timedelta(hours=1))
    assert isinstance(resting, type(needed))
    assert (resting.facts, [one.code for one in resting.because]) == ({"version": 3}, [Code.COOLDOWN])


@pytest.mark.parametrize(("more", "days"), [(0, 1), (1, 2), (3, 8)])
def test_the_breaker_says_how_many_releases_failed_and_until_when_it_rests(more: int, days: int) -> None:
    ended, one = NOW - DEFINITION.retrain.cooldown, trigger()
    failed = BREAKER.failed + more
    until = ended + min(days * DAY, BREAKER.longest_rest)
    found = decided(UNCAPPED, one, failed_in_row=failed, last_ended_at=ended, champion=None)
    why = reason(Code.FAILED_IN_ROW, releases=failed, loop="birds", until=until.isoformat())
    assert found == policy.Coalesce((one,), why, until)


def test_a_rest_grows_no_longer_than_to_512_days_however_long_it_may_be() -> None:
    patient = BREAKER.model_copy(update={"longest_rest": 2000 * DAY})
    state = loop(failed_in_row=BREAKER.failed + 12, last_ended_at=NOW)
    found = policy._breaker(state, (trigger(),), patient, NOW)
    assert found is not None and found.until == NOW + 512 * DAY


@pytest.mark.parametrize(
    "kinds", [(TriggerKind.DRIFT, TriggerKind.METRIC, *policy.UNLABELLED), (TriggerKind.DRIFT,)]
)
def test_releases_that_mended_nothing_rest_whatever_the_data_ask_for(kinds: tuple[TriggerKind, ...]) -> None:
    triggers = tuple(trigger(kind) for kind in kinds)
    state = loop(unhelped_in_row=BREAKER.unhelped, last_ended_at=NOW)
    found = policy._breaker(state, triggers, BREAKER, NOW)
    assert found is not None and found.reason.code is Code.UNHELPED_IN_ROW
    assert policy._breaker(state, (*triggers, trigger(TriggerKind.SCHEDULE)), BREAKER, NOW) is None


def test_a_budget_of_runs_is_free_a_day_after_the_start_that_used_it_up() -> None:
    one, first, second = trigger(), NOW - timedelta(hours=20), NOW - timedelta(hours=9)
    until = first + DAY
    found = decided(DEFINITION, one, starts=(second, first))
    why = reason(Code.RUNS_USED_UP, runs=2, until=until.isoformat())
    assert found == policy.Coalesce((one,), why, until)
    free = decided(DEFINITION, one, starts=(NOW - DAY, second))
    assert isinstance(free, policy.Start), "a start a day ago is over"


def test_a_budget_of_compute_is_used_up_at_its_limit_and_not_before() -> None:
    one, at, hours = trigger(), NOW - timedelta(hours=3), 3600.0
    assert isinstance(decided(DEFINITION, one, spent=((at, 4 * hours - 1),)), policy.Start)
    full = decided(DEFINITION, one, spent=((at, 4 * hours),))
    assert isinstance(full, policy.Coalesce) and full.until == at + DAY
    late = at + timedelta(hours=1)
    full = decided(DEFINITION, one, spent=((at, 1 * hours), (late, 4 * hours)))
    assert isinstance(full, policy.Coalesce) and full.until == late + DAY, "what is left is the limit still"
    assert policy.recent_spending(loop(spent=((NOW - DAY, 1.0), (NOW, 2.0))), NOW) == ((NOW, 2.0),)


def test_only_what_the_champion_did_makes_a_chain_of_releases_longer() -> None:
    own = (trigger(TriggerKind.ALERT), trigger(TriggerKind.METRIC), *map(trigger, policy.UNLABELLED))
    assert policy.depth(loop(depth=2), own) == 3
    landed = replace(trigger(TriggerKind.METRIC), version=3)
    for begins_anew in (trigger(TriggerKind.PERSON), trigger(TriggerKind.SCHEDULE), trigger(), landed):
        assert policy.depth(loop(depth=2), (*own, begins_anew)) == 0
    assert policy.depth(loop(depth=2, champion=None), own) == 0


def over(phase: Phase, **changes: object) -> Release:
    return replace(begun(), number=2, phase=phase, ended_at=NOW, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("phase", "failed"),
    [(Phase.LIVE, 0), (Phase.REJECTED, 3), (Phase.ROLLED_BACK, 3), (Phase.FAILED, 3), (Phase.ABORTED, 2)],
)
def test_a_release_that_ended_is_counted_as_what_it_was(phase: Phase, failed: int) -> None:
    state, told = policy.ended(loop(failed_in_row=2, open_release=2), over(phase), NOW)
    assert (state.failed_in_row, state.last_outcome, state.last_ended_at) == (failed, phase.value, NOW)
    assert (state.open_release, told) == (None, [])


def test_an_aborted_release_leaves_its_versions_as_new_as_they_were() -> None:
    def through(release: Release) -> int:
        return policy.ended(loop(trained_through=5), release, NOW)[0].trained_through

    assert through(over(Phase.ABORTED, trained_before=3)) == 3
    assert through(over(Phase.ABORTED, trained_before=None)) == 5
    assert through(over(Phase.REJECTED, trained_before=3)) == 5


def judged(kind: JudgementKind = JudgementKind.GATE) -> Judgement:
    return Judgement(kind, Outcome.PASS, (), "", NOW - timedelta(hours=1))


def test_an_alert_is_an_echo_from_the_gate_to_the_end_to_the_second() -> None:
    begins, release = (
        NOW - timedelta(hours=1),
        over(Phase.ROLLED_BACK, asked={"r2-a1": 10}, judgements=(judged(),)),
    )
    heard = [policy.is_echo(release, at) for at in (begins - SECOND, begins, NOW, NOW + SECOND)]
    assert heard == [False, True, True, False]
    smoke = replace(release, judgements=(judged(JudgementKind.SMOKE),))
    assert policy.is_echo(smoke, NOW)
    for never in (
        replace(release, judgements=()),
        replace(release, asked={}),
        replace(release, phase=Phase.LIVE),
    ):
        assert not policy.is_echo(never, NOW)


def test_the_ledger_says_which_trigger_an_ended_release_made_void_and_why() -> None:
    alert, other = replace(trigger(TriggerKind.ALERT), at=NOW), trigger()
    release = over(Phase.ROLLED_BACK, asked={"r2-a1": 10}, judgements=(judged(),))
    state, (entry,) = policy.ended(loop(waiting=(alert, other)), release, NOW)
    assert state.waiting == (other,)
    assert entry.detail == {"reason": alert.reason, "answer": reason(Code.ECHO, release=2)}
    served = replace(trigger(TriggerKind.SERVED), at=loop().champion.live_at)  # type: ignore[union-attr]
    _, (entry,) = policy.ended(loop(waiting=(served,)), over(Phase.LIVE), NOW)
    assert entry.detail["answer"] == reason(Code.SERVED_ANOTHER, release=2)

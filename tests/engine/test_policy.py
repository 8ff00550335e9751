"""Every answer of the policy: what starts, what waits and until when, what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import loopfile, port_rules
from shared.domain.event import EventKind
from shared.domain.loop import LoopState
from shared.domain.reason import Code, reason
from shared.domain.release import Champion, Judgement, JudgementKind, Outcome, Phase, Trigger, TriggerKind
from shared.errors import ConfigurationError
from shared.inbox import alerts, messages
from shared.intake import folders
from shared.ports import Insert
from shared.retraining import policy
from shared.state import queries, rows
from shared.words import say, spoken
from tests.core.world import begun
from tests.engine.test_faults import LOOP, birds, canaried, served
from tests.simulator.life import Life
from tests.simulator.reader import reading_in_process

BY_BOB = reason(Code.PAUSED_BY_PERSON, actor="bob", why="x")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFINITION = loopfile.parse(
    LOOP.replace("cooldown: 1s", "cooldown: 6h, max_age: 30d").replace(
        "runs_per_day: 99", "runs_per_day: 2, compute_per_day: 4h"
    ),
    file="loop.yaml",
)
BREAKER = DEFINITION.retrain.breaker


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def trigger(kind: TriggerKind = TriggerKind.DRIFT, minutes: int = 0) -> Trigger:
    return Trigger(
        kind,
        reason(Code.ASKED_FOR, why=f"because {minutes}"),
        "driftloop",
        "key",
        NOW + timedelta(minutes=minutes),
    )


def loop(**changes: object) -> LoopState:
    champion = Champion(1, "r1-a1", "model", (1,), "profile", NOW - timedelta(days=1))
    state = LoopState("birds", "digest", "ann", NOW, champion=champion, trained_through=1, next_release=2)
    return replace(state, **changes)  # type: ignore[arg-type]  # a test names fields that there are


def decide(state: LoopState, *triggers: Trigger, newest: int = 2) -> policy.Decision:
    return policy.decide(state, triggers or (trigger(),), DEFINITION, NOW, newest_version=newest)


def test_a_reason_and_something_new_start_a_release() -> None:
    assert decide(loop()) == policy.Start((trigger(),))


@pytest.mark.parametrize(
    ("state", "newest", "words"),
    [
        (loop(), 1, "nothing new: release 1 was trained through version 1"),
        (loop(), 0, "no labelled data version"),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(state: LoopState, newest: int, words: str) -> None:
    answer = decide(state, newest=newest)
    assert isinstance(answer, policy.Deny)
    assert words in say(answer.reason)


@pytest.mark.parametrize(
    ("state", "until", "words"),
    [
        (loop(open_release=1), None, "release 1 is open"),
        (loop(paused=BY_BOB), None, "the loop is paused by bob: x"),
        (loop(last_ended_at=NOW - timedelta(hours=1)), NOW + timedelta(hours=5), "cooldown until"),
        (
            loop(starts=(NOW - timedelta(hours=9), NOW - timedelta(hours=8))),
            NOW + timedelta(hours=15),
            "the budget of 2 runs a day is used up until",
        ),
        (
            loop(spent=((NOW - timedelta(hours=8), 7200.0), (NOW - timedelta(hours=9), 9000.0))),
            NOW + timedelta(hours=15),
            "the budget of 4:00:00 of compute a day is used up until 2026-06-01 15:00 UTC: jobs took 4:30:00",
        ),
    ],
)
def test_what_waits_says_until_when(state: LoopState, until: datetime | None, words: str) -> None:
    answer = decide(state)
    assert isinstance(answer, policy.Coalesce)
    assert (answer.until, words in say(answer.reason)) == (until, True)


@pytest.mark.parametrize(
    ("counted", "least", "code"),
    [
        ("failed_in_row", BREAKER.failed, Code.FAILED_IN_ROW),
        ("unhelped_in_row", BREAKER.unhelped, Code.UNHELPED_IN_ROW),
    ],
)
def test_the_breaker_rests_twice_as_long_each_time_and_never_for_good(
    counted: str, least: int, code: Code
) -> None:
    for more, days in ((0, 1), (1, 2), (4, 16), (5, 32), (1000, 32)):
        until = NOW + timedelta(hours=1)
        ended = until - timedelta(days=days)
        state = replace(loop(last_ended_at=ended), **{counted: least + more})
        answer = decide(state)
        assert isinstance(answer, policy.Coalesce)
        assert (answer.until, answer.reason.code) == (until, code)
        over = replace(state, last_ended_at=ended - timedelta(hours=1))
        assert isinstance(decide(over), policy.Start)
    assert isinstance(decide(replace(state, **{counted: least - 1})), policy.Start)


def test_a_loop_says_when_it_rests_and_for_how_long() -> None:
    limits = "breaker: {failed: 2, unhelped: 1, longest_rest: 3d}, "
    patient = loopfile.parse(LOOP.replace("retrain: {", "retrain: {" + limits), file="loop.yaml")

    def until(**counted: int) -> datetime | None:
        state = loop(last_ended_at=NOW - timedelta(hours=1), **counted)
        answer = policy.decide(state, (trigger(),), patient, NOW, newest_version=2)
        return answer.until if isinstance(answer, policy.Coalesce) else None

    def rest(days: int) -> datetime:
        return NOW + timedelta(days=days, hours=-1)

    assert [until(failed_in_row=n) for n in (1, 2, 3, 4, 90)] == [None, *map(rest, (1, 2, 3, 3))]
    assert [until(unhelped_in_row=n) for n in (0, 1, 2, 3)] == [None, *map(rest, (1, 2, 3))]


def test_compute_of_yesterday_or_below_the_budget_is_in_nobodys_way() -> None:
    state = loop(spent=((NOW - timedelta(hours=25), 99_999.0), (NOW - timedelta(hours=1), 14_399.0)))
    assert isinstance(decide(state), policy.Start)


def two_attempts_of_an_hour(life: Life) -> None:
    """The second release's training fails once; what is asked for next waits for its job."""
    life.real.training.new_jobs_are = "running"
    life.drop("2.csv", birds(2, 1.3))
    for attempt, status in ((1, "failed"), (2, "completed")):
        life.until(Phase.TRAINING)
        life.clock.advance(3600)
        life.real.training.jobs[f"birds-r2-a{attempt}"].status = status
        life.round()
    life.rest()


def test_what_jobs_took_is_charged_also_when_they_failed_and_the_reason_waits_for_the_budget() -> None:
    life = served(plan=LOOP.replace("runs_per_day: 99", "runs_per_day: 99, compute_per_day: 90m"))
    two_attempts_of_an_hour(life)
    assert sum(seconds for _, seconds in life.state.spent) == pytest.approx(7200, abs=60)
    life.drop("3.csv", birds(3, 1.9))
    life.round()
    life.round()
    assert (life.state.next_release, len(life.state.waiting)) == (3, 1)
    assert "of compute a day is used up until" in say(life.state.denial)
    life.real.training.new_jobs_are = "completed"
    life.clock.advance(86_400)
    life.rest()
    assert life.state.next_release == 4


def test_a_person_is_bound_by_no_cooldown_budget_or_breaker() -> None:
    state = loop(
        last_ended_at=NOW,
        starts=(NOW, NOW, NOW),
        spent=((NOW, 99_999.0),),
        failed_in_row=BREAKER.failed,
        trained_through=2,
    )
    assert isinstance(decide(state, trigger(TriggerKind.PERSON)), policy.Start)


def test_a_kind_that_the_loop_does_not_name_is_not_heard() -> None:
    quiet = loopfile.parse(LOOP.replace("retrain: {", "retrain: {on: [alert], "), file="loop.yaml")
    answer = policy.decide(loop(), [trigger()], quiet, NOW, newest_version=2)
    assert answer == policy.Deny(reason(Code.NOT_NAMED, kinds="drift"))


@given(st.lists(st.booleans(), max_size=10), st.integers(1, 5), st.integers(1, 8))
def test_persistence_is_so_many_of_the_last_so_many(seen: list[bool], breaches: int, of: int) -> None:
    assert policy.persistent(seen, breaches, of) == (sum(seen[max(0, len(seen) - of) :]) >= breaches)


def test_a_storm_of_alerts_crowds_out_no_other_reason() -> None:
    waiting: tuple[Trigger, ...] = (trigger(TriggerKind.PERSON), trigger(TriggerKind.METRIC))
    for minute in range(500):
        waiting = policy.coalesced(
            waiting, (trigger(TriggerKind.ALERT, minute), trigger(TriggerKind.ALERT, minute))
        )
    assert len(waiting) == policy.MAX_WAITING
    assert {t.kind for t in waiting[:2]} == {TriggerKind.PERSON, TriggerKind.METRIC}
    assert waiting[-1] == trigger(TriggerKind.ALERT, 499)


def test_an_alert_that_the_loops_own_canary_caused_is_no_reason_to_retrain() -> None:
    gate = Judgement(JudgementKind.GATE, Outcome.PASS, (), "", NOW)
    release = replace(begun(), phase=Phase.ROLLED_BACK, judgements=(gate,), asked={"r1-a1": 90, "r2-a1": 10})
    before, echo, drift = trigger(TriggerKind.ALERT, -5), trigger(TriggerKind.ALERT, 5), trigger(minutes=5)
    after, told = policy.ended(loop(waiting=(before, echo, drift)), release, NOW)
    assert after.waiting == (before, drift)
    assert [draft.what for draft in told] == ["retrain.denied"]


def test_reasons_that_waited_for_the_cooldown_start_one_release_when_it_is_over() -> None:
    life = served(plan=LOOP.replace("cooldown: 1s", "cooldown: 1h"))
    life.drop("2.csv", birds(2, 1.3))
    life.round()  # events of one moment are taken in any order, and an alert before the drop finds nothing new
    life.alert()
    life.round()
    assert (life.state.next_release, len(life.state.waiting)) == (2, 2)
    assert "cooldown until" in say(life.state.denial)
    life.clock.advance(3600)
    life.rest()
    assert {t.kind.value for t in life.release(2).triggers} == {"drift", "alert"}


def test_a_champion_too_old_asks_once_a_day() -> None:
    life = served(plan=LOOP.replace("cooldown: 1s", "cooldown: 1s, max_age: 2d"))
    for _ in range(72):
        life.round(seconds=3600)
    asked = [entry for entry in life.told("retrain.denied") if entry.subject == "trigger max_age"]
    assert len(asked) == 2
    assert all("nothing new" in spoken(entry.detail)["answer"] for entry in asked)


def test_a_pause_keeps_reasons_and_lets_the_open_release_go_on() -> None:
    life = canaried()
    life.act("pause")
    life.drop("3.csv", birds(3, 1.7))
    life.round()
    life.act("abort", 2)
    life.rest()
    for _ in range(5):
        life.round()
    assert (life.release().number, life.state.next_release, len(life.state.waiting)) == (2, 3, 1)
    life.act("resume")
    life.round()
    life.round()
    assert life.state.next_release == 4


def azure_alert(life: Life, condition: str, alert: str = "a1", fired_at: str = "2026-01-01T00:10:00Z") -> str:
    essentials = {
        "alertRule": "birds-errors",
        "originAlertId": alert,
        "monitorCondition": condition,
        "firedDateTime": fired_at,
    }
    if condition == "Resolved":
        essentials["resolvedDateTime"] = "2026-01-01T00:20:00Z"
    body = {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}
    return messages.alert_message(body)


def test_an_alert_that_is_resolved_in_the_cooldown_withdraws_what_it_asked_for_and_no_other_does() -> None:
    life = served(plan=LOOP.replace("cooldown: 1s", "cooldown: 1h"))
    life.drop("2.csv", birds(2, 1.0))
    life.round()
    for alert in ("a1", "a2"):
        life.send(azure_alert(life, "Fired", alert))
    life.round()
    assert [t.kind.value for t in life.state.waiting] == ["alert", "alert"]
    life.send(azure_alert(life, "Resolved", "a1"))
    life.round()
    assert len(life.state.waiting) == 1
    life.send(azure_alert(life, "Resolved", "a2"))
    life.round()
    assert life.state.waiting == ()
    life.clock.advance(7200)
    for _ in range(5):
        life.round()
    assert life.state.next_release == 2, "nothing was started"
    answers = [spoken(entry.detail)["answer"] for entry in life.told("retrain.denied")]
    assert answers.count("not retrained: alert rule birds-errors was resolved while its request waited") == 2


def test_an_alert_that_is_resolved_while_a_release_is_open_withdraws_and_the_release_goes_on() -> None:
    life = canaried()
    life.drop("3.csv", birds(3, 1.3))
    life.send(azure_alert(life, "Fired"))
    life.round()
    assert "alert" in {t.kind.value for t in life.state.waiting}
    life.send(azure_alert(life, "Resolved"))
    life.round()
    assert "alert" not in {t.kind.value for t in life.state.waiting}
    assert life.state.open_release == 2


@pytest.mark.parametrize("end", ["rollback", "abort"])
def test_an_alert_that_is_heard_after_the_canary_that_caused_it_is_its_echo_by_its_own_time(end: str) -> None:
    """Azure Monitor tells minutes later, and a queue may hold it longer: the canary is gone by then."""
    life = canaried()
    life.drop("3.csv", birds(3, 1.0))
    life.clock.advance(60)
    fired = life.clock.now()
    life.act(end, 2)
    life.rest()
    life.rest()
    life.clock.advance(1800)
    started = life.state.next_release
    life.send(azure_alert(life, "Fired", "echo", fired_at=fired.isoformat()))
    life.round()
    assert life.state.next_release == started, "a release for an echo"
    [heard] = [one for one in queries.inbox(life.real, "birds") if one.kind.value == "alert"]
    assert heard.reason is not None and heard.reason.code is Code.ECHO
    life.send(azure_alert(life, "Fired", "news", fired_at=life.clock.now().isoformat()))
    life.round()
    assert life.state.next_release == started + 1, "one that fired since is none"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("2026-01-01T00:10:00.1234567Z", "2026-01-01T00:10:00.123456+00:00"),
        ("2026-01-01T02:10:00+02:00", "2026-01-01T00:10:00+00:00"),
        ("2026-01-01T00:10:00", "2026-01-01T00:10:00+00:00"),
        ("2027-01-01T00:10:00Z", "2026-06-01T00:00:00+00:00"),
        ("3/26/2018 9:10:40 AM", "2026-06-01T00:00:00+00:00"),
        ("", "2026-06-01T00:00:00+00:00"),
    ],
)
def test_an_alerts_own_time_is_believed_where_it_can_be(said: str, found: str) -> None:
    heard_at = datetime.fromisoformat("2026-06-01T00:00:00Z")
    assert alerts.moment(said, heard_at) == datetime.fromisoformat(found)


def test_the_end_of_an_alert_that_comes_before_its_beginning_is_its_end_all_the_same() -> None:
    life = served()
    life.drop("2.csv", birds(2, 1.0))
    life.round()
    life.send(azure_alert(life, "Resolved"))
    life.round()
    life.send(azure_alert(life, "Fired"))
    life.round()
    assert life.state.next_release == 2
    life.send(azure_alert(life, "Fired", fired_at="2026-01-01T01:10:00Z"))
    life.round()
    assert life.state.next_release == 3


def test_what_served_inputs_ask_for_waits_for_labels_with_whatever_waits_beside_it() -> None:
    retrain = DEFINITION.retrain.model_copy(update={"on": ("drift", "served")})
    heard = DEFINITION.model_copy(update={"retrain": retrain})
    served, drift, person = trigger(TriggerKind.SERVED), trigger(), trigger(TriggerKind.PERSON)

    def decided(*triggers: Trigger, newest: int) -> policy.Decision:
        return policy.decide(loop(), triggers, heard, NOW, newest_version=newest)

    for newest in (0, 1):
        waits = decided(served, drift, newest=newest)
        assert isinstance(waits, policy.Coalesce) and waits.until is None
        assert waits.triggers == (served, drift) and waits.reason.code is Code.WAITS_FOR_LABELS
    assert isinstance(decided(served, newest=2), policy.Start)
    assert isinstance(decided(served, person, newest=1), policy.Start)
    assert isinstance(decide(loop(), served, newest=2), policy.Deny), "off unless the loop file names it"


@pytest.mark.parametrize(("phase", "left"), [(Phase.LIVE, 1), (Phase.ROLLED_BACK, 2)])
def test_what_the_inputs_of_a_replaced_model_asked_for_is_settled(phase: Phase, left: int) -> None:
    before, since = trigger(TriggerKind.SERVED, -5), trigger(TriggerKind.SERVED, 5)
    champion = Champion(2, "r2-a1", "model", (1,), "profile", NOW)
    state = loop(waiting=(before, since), champion=champion)
    after, told = policy.ended(state, replace(begun(), phase=phase), NOW)
    assert after.waiting == (before, since)[-left:]
    assert len(told) == 2 - left


DAYS = LOOP.replace("window: newest", "window: {days: 3}")


def test_a_person_who_asks_while_the_window_is_empty_is_told_so() -> None:
    life = served(plan=DAYS)
    life.clock.advance(timedelta(days=4).total_seconds())
    life.act("retrain")
    life.rest()
    [asked] = [one for one in queries.inbox(life.real, "birds") if one.kind is EventKind.PERSON]
    assert asked.reason == reason(Code.WINDOW_EMPTY, window="days: 3") and asked.refused
    assert "land new data" in say(asked.reason)
    assert life.state.next_release == 2


def test_a_schedule_that_finds_its_window_empty_looks_again_at_its_next_occurrence() -> None:
    life = served(plan=DAYS)
    life.drop("2.csv", birds(2, 1.0))
    life.rest()
    life.publish(DAYS.replace("cooldown", 'schedule: "0 0 0 1 * *", cooldown'))
    life.clock.advance(timedelta(days=40).total_seconds())
    for _ in range(10):
        life.round()
    [told] = life.told("retrain.denied")
    assert told.detail["answer"] == reason(Code.WINDOW_EMPTY, window="days: 3")
    assert (life.state.waiting, life.state.next_release) == ((), 2)
    assert life.real.store.overview("birds").needs_attention is None  # type: ignore[union-attr]  # it is there
    life.clock.advance(timedelta(days=18).total_seconds())
    life.drop("3.csv", birds(3, 1.0))
    life.rest()
    life.clock.advance(timedelta(days=1).total_seconds())
    life.rest()
    assert life.state.next_release == 3, "with data in the window it is heard"


def test_a_loops_row_has_room_for_all_that_may_wait_in_it() -> None:
    """Whatever was asked for, and however many folders are written: nothing of a loop goes on without its row."""
    moved = [reason(Code.COLUMN_MOVED, column="ü" * 300, effect=1.0, change="ü" * 300) for _ in range(2000)]
    asked = [
        replace(trigger(minutes=n), reason=reason(Code.ASKED_FOR, *moved, why="ü" * 40_000))
        for n in range(100)
    ]
    waiting = policy.coalesced((), asked)
    places = {f"landing/{n:04d}{'ü' * 1020}": NOW for n in range(folders.MOST_FOLDERS)}
    full = rows.encode(loop(waiting=waiting, folders=places))
    assert len(waiting) == policy.MAX_WAITING
    port_rules.check_changes([Insert(rows.LOOP, full)])
    with pytest.raises(ConfigurationError, match="which takes 1,044,480"):
        port_rules.check_changes([Insert(rows.LOOP, rows.encode(loop(waiting=tuple(asked))))])


def test_what_waits_is_kept_once_however_often_it_is_asked_for() -> None:
    long = replace(trigger(), reason=reason(Code.ASKED_FOR, why="x" * 2_000))
    once = policy.coalesced((), [long])
    assert policy.coalesced(once, [long]) == once

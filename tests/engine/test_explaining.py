"""The ledger alone tells why a loop did not retrain, and a release's whole story."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.explain import loop_story, release_story
from shared.domain.reason import Code, reason
from shared.domain.release import Phase
from shared.runtime import unit_of_work
from shared.words import say
from tests.engine.test_faults import LOOP, birds, canaried, served
from tests.simulator.life import Life
from tests.simulator.reader import reading_in_process


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def test_every_denial_is_told_with_who_asked_and_why_not() -> None:
    life = served()
    life.alert("birds-errors")
    life.rest()
    heading, lines, *_ = loop_story(life.real, "birds")
    assert heading.startswith("birds: 2 answers")
    assert ("trigger alert (Azure Monitor)" in lines[1][1], "nothing new" in lines[1][2]) == (True, True)
    assert lines[-1][1:] == ("now", say(life.state.denial))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "not retrained: nothing new: release 1"),
        ({"newest_labelled": 0}, "not retrained: there is no labelled data version to train on"),
        ({"failed_in_row": 5, "last_ended_at": 3600}, "waiting until"),
        (
            {"paused": reason(Code.PAUSED_BY_PERSON, actor="bob", why="x")},
            "waiting: the loop is paused by bob: x",
        ),
        ({"last_ended_at": -3600}, "waiting: cooldown until"),
        ({"starts": 2}, "waiting: the budget of 2 runs a day is used up until"),
        ({"spent": 1.0}, "waiting: the budget of 0:00:01 of compute a day is used up until"),
    ],
)
def test_each_answer_of_the_policy_is_told(changes: dict[str, object], words: str) -> None:
    budget = "budget: {runs_per_day: 2, compute_per_day: 1s}"
    life = served(plan=LOOP.replace("budget: {runs_per_day: 99}", budget))
    now = life.clock.now()
    moments = {"starts": (now, now), "spent": ((now, 1.0),)}
    if isinstance(ago := changes.get("last_ended_at"), int):
        moments["last_ended_at"] = now - timedelta(seconds=ago)
    calm = {"starts": (), "spent": (), "newest_labelled": 2 if changes else 1, "last_ended_at": None}
    current = unit_of_work.read(life.real, "birds")
    asked = {name: moments.get(name, value) for name, value in changes.items()}
    current.commit(replace(current.state, **(calm | asked)))
    life.alert("birds-errors")
    life.round()
    _, lines, *_ = loop_story(life.real, "birds")
    assert words in lines[-2][2]
    assert words.removeprefix("waiting: the loop is ") in lines[-1][2]


def test_releases_that_mended_nothing_are_told() -> None:
    life = served()
    current = unit_of_work.read(life.real, "birds")
    current.commit(replace(current.state, unhelped_in_row=3))
    life.drop("2.csv", birds(2, 1.3))
    life.round()
    assert "the last 3 releases went live and did not help" in told(life)


def test_an_alert_that_our_own_canary_set_off_is_told() -> None:
    life = served()
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    life.drop("3.csv", birds(3, 1.7))  # its model errs
    life.until(Phase.CANARY)
    life.away = "evidence.traffic"  # a run judges the canary first: without evidence it still stands when this is heard
    life.alert("birds-errors")
    life.round()
    life.away = ""
    life.rest()
    assert life.release().phase is Phase.ROLLED_BACK
    assert "not retrained: it fired while release 3 had traffic, which was taken back" in told(life)


def told(life: Life) -> str:
    """Every answer that `driftloop explain birds` prints."""
    return "; ".join(why for _, _, why in loop_story(life.real, "birds")[1])


def test_a_reason_that_the_loop_does_not_name_is_told() -> None:
    life = served(plan=LOOP.replace("retrain: {", "retrain: {on: [alert], "))
    life.drop("2.csv", birds(2, 1.3))
    life.round()
    assert "not retrained: `retrain.on` does not name drift" in loop_story(life.real, "birds")[1][-1][2]


def test_a_release_is_told_from_its_reason_to_its_end_with_what_came_in_meanwhile() -> None:
    life = canaried()
    life.drop("3.csv", birds(3, 1.7))
    life.round()
    life.act("abort", 2)
    life.rest()
    heading, lines, *_ = release_story(life.real, "birds", 2)
    assert heading.startswith("release birds/2 on versions 2, because of drift: version 2: mass moved")
    steps = [what for _, what, _ in lines]
    for part in ("release.started", "gate: pass", "release.canary", "release.rolling back (by bob)"):
        assert part in steps, steps
    assert any("trigger drift" in what and "release 2 is open" in why for _, what, why in lines)
    assert steps[-1] == "release.aborted"


def test_an_open_release_says_what_it_waits_for() -> None:
    life = canaried()
    assert release_story(life.real, "birds", 2)[1][-1][0] == "now"

"""Live answers that have moved from those of the gate are drift; each is looked at once, as often as asked for."""

from __future__ import annotations

import pytest

from shared.domain.release import TriggerKind
from shared.state import queries
from shared.words import say, spoken
from tests.engine.test_canary_evidence import live
from tests.engine.test_labels_and_bake import always_adelie
from tests.engine.world import LOOP, World, csv, season

HOURLY = LOOP.replace("drift: {", "drift: {predictions: 1h, ")


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(HOURLY)
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    return made


def told(world: World) -> list[str]:
    return [
        spoken(e.detail)["verdict"]
        for e in queries.entries(world.ports, "birds")
        if e.what == "predictions.judged"
    ]


def test_answers_as_at_the_gate_ask_for_nothing_and_each_hour_has_its_own(world: World) -> None:
    for _ in range(2):
        world.clock.advance(1800)
        live(world)
        world.ticks(1)
        world.clock.advance(1800)
        world.ticks(3)
    assert [words.split(":")[0] for words in told(world)] == ["200 predictions of release 1"] * 2
    assert "no drift" in told(world)[0]
    assert world.state.open_release is None


def test_answers_that_moved_are_drift_and_start_a_release_when_something_new_has_landed(world: World) -> None:
    world.clock.advance(3500)
    live(world, r1_a1=always_adelie)
    world.ticks(15)
    assert "'Gentoo' (gone) fell from" in told(world)[0]
    assert "nothing new" in say(world.state.denial)
    world.drop("2008.csv", csv(season(2008)))
    assert world.state.open_release is None
    world.clock.advance(3600)
    live(world, r1_a1=always_adelie)
    world.ticks(1)
    (trigger,) = world.release(2).triggers
    assert trigger.kind is TriggerKind.DRIFT
    assert say(trigger.reason).startswith("200 predictions of release 1: material drift in predictions")


def test_a_loop_that_does_not_ask_for_it_is_not_looked_at(world: World) -> None:
    world.publish(LOOP)
    world.clock.advance(7200)
    live(world, r1_a1=always_adelie)
    world.ticks(3)
    assert told(world) == []

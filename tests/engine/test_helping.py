"""What a release was for is looked at again; a loop that mends nothing stops trying, and says so."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from shared.domain.release import JudgementKind, TriggerKind
from shared.ports import Ports
from shared.runtime import unit_of_work
from shared.state import queries
from shared.words import say, spoken
from tests.engine.world import LOOP, Model, World, by_bill, csv, season

NO_METRIC = LOOP.replace("metric: {name: f1_macro, at_least: 0.85}\n", "").replace(
    "canary: {steps: [10, 50], ", "canary: {steps: [50], "
)
UNHELPED = 3
"""`retrain.breaker.unhelped`, where a loop says nothing."""
MODEL_OF_NEWEST = NO_METRIC.replace("ignore: [year],", "ignore: [year], window: newest,")


def heavier(n: int, factor: float) -> bytes:
    birds = season(2009, body_mass_g=factor)
    return csv(birds.assign(row_id=birds["row_id"] + f"-{n}"))


def told(ports: Ports) -> list[str]:
    return [
        spoken(e.detail)["reason"] for e in queries.entries(ports, "birds") if e.what == "release.assessed"
    ]


def drift(world: World, text: str, factors: list[float]) -> World:
    """A first model of a long past, then one drop after the other, each heavier than all before."""
    world.publish(text)
    past = [season(2007, body_mass_g=1 + n / 1000) for n in range(15)]
    world.drop("past.csv", csv(pd.concat(past, ignore_index=True)))
    world.live()
    for n, factor in enumerate(factors):
        world.ticks(7)
        world.drop(f"{n}.csv", heavier(n, factor))
        world.live()
    return world


@pytest.fixture
def world() -> World:
    return World()


def test_releases_that_do_not_take_the_drift_in_rest_longer_each_time(world: World) -> None:
    drift(world, NO_METRIC, [1.4 * 1.15**n for n in range(UNHELPED + 2)])
    verdicts = told(world.ports)
    assert [words.split(".")[0] for words in verdicts] == ["it did not help"] * UNHELPED
    assert "version 2: body_mass_g moved" in verdicts[0]
    assert "version 2 still differs from the training data of release 2: body_mass_g moved" in verdicts[0]
    assert world.state.next_release == 2 + UNHELPED, "no other was started"
    assert f"the last {UNHELPED} releases went live and did not help" in say(world.state.denial)
    assert "did not help" in say(queries.loop(world.ports, "birds").overview.needs_attention)
    world.act("retrain")
    assert world.state.open_release == 2 + UNHELPED, "a person may"


def test_a_release_that_took_the_drift_in_has_helped_though_the_world_moves_on(world: World) -> None:
    drift(world, MODEL_OF_NEWEST, [1.4 * 1.15**n for n in range(UNHELPED + 2)])
    assert {words.split(".")[0] for words in told(world.ports)} == {"it helped"}
    assert world.state.next_release == 4 + UNHELPED


GATE_OF_ANY = LOOP.replace(
    "gate: {margin: 0.1, on_inconclusive: reject}", "gate: {margin: 1.0, superiority: false}"
)


def always_adelie(row: dict[str, object]) -> str:
    return "Adelie"


def breached(world: World, text: str, old: Model, new: Model) -> World:
    """A first model, a drop on which it is breached, the release for it, and the next drop."""
    world.publish(text)
    world.models = {"r1-a1": old, "r2-a1": new}
    world.drop("first.csv", csv(season(2007)))
    world.live()
    for n in (1, 2):
        world.ticks(7)
        world.drop(f"{n}.csv", heavier(n, 1.0))
        world.live()
    return world


def triggers(world: World) -> set[TriggerKind]:
    return {trigger.kind for trigger in world.release(2).triggers}


def test_a_metric_that_was_fine_before_does_not_count_as_helped(world: World) -> None:
    drift(world, LOOP, [1.4, 1.4])
    assert triggers(world) == {TriggerKind.DRIFT}
    (words,) = told(world.ports)
    assert words.startswith("it did not help. version 2: body_mass_g moved")
    assert words.count("meets the threshold") == 2
    assert "the challenger is 0.0000 better than the champion" in words
    assert "version 2 still differs from the training data of release 2" in words
    assert world.state.unhelped_in_row == 1


def test_a_model_that_is_shown_to_be_better_on_new_rows_has_helped(world: World) -> None:
    breached(world, LOOP, always_adelie, by_bill)
    assert triggers(world) == {TriggerKind.METRIC}
    (words,) = told(world.ports)
    assert words.startswith("it helped. version 2: no drift")
    assert "on rows that were new to both models: f1_macro on 39 rows" in words
    assert "shown to be better than the champion" in words


def test_a_model_that_is_shown_to_be_worse_on_new_rows_has_not_helped_whatever_it_took_in(
    world: World,
) -> None:
    worse = GATE_OF_ANY.replace("at_least: 0.85", "at_least: 0.1")
    world.models = {"r2-a1": always_adelie}
    drift(world, worse.replace("ignore: [year],", "ignore: [year], window: newest,"), [1.4, 1.4])
    (words,) = told(world.ports)
    assert words.startswith("it did not help. version 2: body_mass_g moved")
    assert words.endswith("shown to be worse")
    assert world.state.unhelped_in_row == 1


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_not_shown_neither_counts_nor_ends_the_count(world: World, lost: bool) -> None:
    """Both models fail on the drop that the release is for, and both are right about the next one."""
    world.publish(GATE_OF_ANY.replace("drift: {", "drift: {enabled: false, "))
    world.drop("first.csv", csv(season(2007)))
    world.live()
    world.ticks(7)
    world.drop("bad.csv", csv(season(2009, flipper_length_mm=0.8)))
    world.live()
    if lost:
        gate = world.release(2).judgement(JudgementKind.GATE)
        assert gate is not None
        del world.ports.documents.contents[gate.evidence]  # type: ignore[attr-defined]  # the one in memory
    current = unit_of_work.read(world.ports, "birds")
    current.commit(replace(current.state, unhelped_in_row=2))
    world.ticks(7)
    world.drop("next.csv", heavier(2, 1.0))
    assert triggers(world) == {TriggerKind.METRIC}
    (words,) = told(world.ports)
    assert words.startswith("whether it helped is unknown. version 2")
    assert ("its gate kept no answers" in words) == lost
    assert world.state.unhelped_in_row == 2

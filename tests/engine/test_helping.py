"""What a release was for is looked at again; a loop that mends nothing stops trying, and says so."""

from __future__ import annotations

import pandas as pd
import pytest

from shared.ports import Ports
from shared.retraining import policy
from shared.state import queries
from shared.words import say, spoken
from tests.engine.world import LOOP, World, csv, season

NO_METRIC = LOOP.replace("metric: {name: f1_macro, at_least: 0.85}\n", "").replace(
    "canary: {steps: [10, 50], ", "canary: {steps: [50], "
)
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
    drift(world, NO_METRIC, [1.4 * 1.15**n for n in range(policy.UNHELPED + 2)])
    verdicts = told(world.ports)
    assert [words.split(".")[0] for words in verdicts] == ["it did not help"] * policy.UNHELPED
    assert "version 2: body_mass_g moved" in verdicts[0]
    assert "version 2 still differs from the training data of release 2: body_mass_g moved" in verdicts[0]
    assert world.state.next_release == 2 + policy.UNHELPED, "no other was started"
    assert f"the last {policy.UNHELPED} releases went live and did not help" in say(world.state.denial)
    assert "did not help" in say(queries.loop(world.ports, "birds").overview.needs_attention)
    world.act("retrain")
    assert world.state.open_release == 2 + policy.UNHELPED, "a person may"


def test_a_release_that_took_the_drift_in_has_helped_though_the_world_moves_on(world: World) -> None:
    drift(world, MODEL_OF_NEWEST, [1.4 * 1.15**n for n in range(policy.UNHELPED + 2)])
    assert {words.split(".")[0] for words in told(world.ports)} == {"it helped"}
    assert world.state.next_release == 4 + policy.UNHELPED


def test_with_a_metric_the_metric_tells(world: World) -> None:
    drift(world, LOOP, [1.4, 1.8])
    (words,) = told(world.ports)
    assert words.startswith("it helped. version 2: body_mass_g moved")
    assert words.count("meets the threshold") == 2

"""Deployments that are scaled: a release begins as large as what serves, and neither gets smaller until it has ended.

A scale-out takes minutes (github.com/Azure/azureml-examples/issues/3515 tells of 12 to 18), and promotion as well as a
rollback give a deployment all traffic in one step.
"""

from __future__ import annotations

import pytest

from shared import loopfile
from shared.domain.release import Phase
from shared.errors import ConfigurationError
from shared.memory.azureml import MemoryDeployment
from shared.retraining import cost
from shared.runtime import tick
from tests.engine import test_faults as faults
from tests.engine.world import LOOP, World, csv, season
from tests.simulator.life import LOOP as ENDLESS

FIXED = LOOP.replace("on_inconclusive: reject", "on_inconclusive: promote")
SCALED = FIXED.replace("endpoint: birds", "endpoint: birds, autoscale: {min: 1, max: 5}")


def deployments(world: World) -> dict[str, MemoryDeployment]:
    return world.ports.serving.endpoints["birds"].deployments


def sizes(world: World) -> dict[str, tuple[int, int | None]]:
    """Machines of each deployment, and how few they may become."""
    return {name: (one.instances, one.fewest) for name, one in deployments(world).items()}


def served(text: str = SCALED) -> World:
    world = World()
    world.publish(text)
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    return world


def canaried(world: World) -> None:
    world.act("retrain")
    for _ in range(60):
        world.ticks_with_traffic(1)
        if world.release(2).phase is Phase.CANARY:
            return
    raise AssertionError(world.release(2).phase)


def test_the_first_model_begins_with_the_fewest_machines() -> None:
    world = served()
    assert sizes(world) == {"r1-a1": (1, 1)}
    scale = deployments(world)["r1-a1"].spec.scale
    assert scale is not None and (scale.max, scale.cpu_above, scale.cpu_below, scale.minutes) == (
        5,
        70,
        30,
        5,
    )


def test_a_challenger_begins_as_large_as_the_champion_and_neither_gets_smaller_until_it_is_live() -> None:
    world = served()
    deployments(world)["r1-a1"].instances = 4
    world.clock.advance(3600)
    canaried(world)
    assert sizes(world) == {"r1-a1": (4, 4), "r2-a1": (4, 4)}
    assert world.live() == 2
    assert sizes(world) == {"r2-a1": (4, 1)}


def test_after_a_rollback_the_champion_may_get_smaller_again() -> None:
    world = served()
    deployments(world)["r1-a1"].instances = 3
    world.clock.advance(3600)
    canaried(world)
    world.act("abort", 2)
    world.ticks(6)
    assert world.release(2).phase is Phase.ABORTED
    assert sizes(world) == {"r1-a1": (3, 1)}


def test_a_challenger_that_the_gate_rejects_leaves_no_champion_held() -> None:
    world = served()
    deployments(world)["r1-a1"].instances = 3
    world.models["r2-a1"] = lambda row: "Adelie"
    world.clock.advance(3600)
    world.act("retrain")
    world.ticks_with_traffic(20)
    assert world.release(2).phase is Phase.REJECTED
    assert sizes(world) == {"r1-a1": (3, 1)}


def test_a_worker_that_slept_past_the_end_of_its_release_leaves_no_champion_held() -> None:
    world = served()
    deployments(world)["r1-a1"].instances = 3
    world.clock.advance(3600)
    canaried(world)
    world.act("abort", 2)
    world.ticks(6)
    world.ports.serving.hold_scale("birds", "r1-a1")
    tick.sweep(world.ports)
    assert sizes(world) == {"r1-a1": (3, 1)}


@pytest.mark.parametrize(("count", "begins"), [(3, 3), (9, 5)])
def test_after_a_fixed_number_of_machines_scaling_begins_with_as_many(count: int, begins: int) -> None:
    world = served(FIXED.replace("endpoint: birds", f"endpoint: birds, instance_count: {count}"))
    assert sizes(world) == {"r1-a1": (count, None)}
    world.publish(SCALED)
    world.clock.advance(3600)
    canaried(world)
    assert sizes(world) == {"r1-a1": (count, None), "r2-a1": (begins, begins)}


def test_a_loop_that_scales_no_more_has_a_fixed_number_and_retires_what_was_scaled() -> None:
    world = served()
    world.publish(FIXED)
    world.clock.advance(3600)
    canaried(world)
    assert sizes(world) == {"r1-a1": (1, 1), "r2-a1": (1, None)}
    assert world.live() == 2
    assert sizes(world) == {"r2-a1": (1, None)}


@pytest.mark.parametrize("call", ["serving.hold_scale", "serving.free_scale"])
def test_what_cannot_be_scaled_for_a_while_is_scaled_later(call: str) -> None:
    plan = ENDLESS.replace("endpoint: birds", "endpoint: birds, autoscale: {min: 1, max: 5}")
    life = faults.served(plan=plan)
    life.real.serving.endpoints["birds"].deployments["r1-a1"].instances = 3
    life.away = call
    life.drop("2.csv", faults.birds(2, 1.3))
    for _ in range(15):
        life.round()
    assert "r2-a1" in life.real.serving.endpoints["birds"].deployments or call == "serving.hold_scale"
    life.away = ""
    life.rest()
    assert life.state.champion is not None and life.state.champion.release == 2
    found = life.real.serving.endpoints["birds"].deployments
    assert [(one.instances, one.fewest) for one in found.values()] == [(3, 1)]


WRONG = {
    "instance_count: 2, autoscale: {min: 1, max: 5}": "serve.instance_count: found 2; allowed: nothing",
    "autoscale: {min: 3, max: 3}": "serve.autoscale.max: found 3; allowed: more than serve.autoscale.min",
    "autoscale: {min: 1, max: 51}": "serve.autoscale.max: found 51",
    "autoscale: {min: 0, max: 5}": "serve.autoscale.min: found 0",
    "autoscale: {min: 3}": "serve.autoscale.max: found 3; allowed: more than serve.autoscale.min",
    "autoscale: {min: 1, max: 5, minutes: 4}": "serve.autoscale.minutes: found 4",
    "autoscale: {min: 1, max: 5, cpu_below: 40}": "serve.autoscale.cpu_below: found 40; allowed: at most half",
}


@pytest.mark.parametrize("written", WRONG)
def test_what_would_not_scale_is_told_with_its_line(written: str) -> None:
    text = LOOP.replace("endpoint: birds", f"endpoint: birds, {written}")
    with pytest.raises(ConfigurationError) as refused:
        loopfile.parse(text, file="loop.yaml")
    assert WRONG[written].partition(":")[0] in str(refused.value)
    assert WRONG[written].partition(": ")[2].partition(";")[0] in str(refused.value)
    assert "loop.yaml:5" in str(refused.value)


def test_a_budget_reckons_with_the_most_machines() -> None:
    fixed, scaled = (loopfile.parse(text, file="loop.yaml") for text in (LOOP, SCALED))
    one, five = cost.prices(fixed), cost.prices(scaled)
    assert one is not None and five is not None and five.deployment == 5 * one.deployment

"""A challenger of its own size: small for its share, and as large as what serves before it has all traffic.

A machine takes minutes to come (github.com/Azure/azureml-examples/issues/3515), a quota may refuse it (MicrosoftDocs/
azure-ai-docs, how-to-manage-quotas.md), and promotion gives a deployment all traffic in one step.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shared import loopfile
from shared.canary import challenger_size
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.memory.azureml import MemoryDeployment, MemoryServing
from shared.release import machine
from shared.retraining import cost
from shared.state import queries
from tests.engine import test_faults as faults
from tests.engine.world import LOOP, World, csv, lived, season
from tests.faults import FAULTS
from tests.simulator.life import LOOP as ENDLESS
from tests.simulator.life import Life

FULL = 8
KEYS = ("endpoint: birds", f"endpoint: birds, instance_count: {FULL}")
FIXED = LOOP.replace("on_inconclusive: reject", "on_inconclusive: promote").replace(*KEYS)
SMALL = FIXED.replace("steps: [10, 50]", "steps: [10, 30], instances: 1")
SIMULATED = ENDLESS.replace(*KEYS).replace("steps: [10, 50]", "steps: [10, 50], instances: 1")
SIZES = {10: 1, 30: 4, 50: 8, 100: 8}
"""Of eight machines, at each share: 8 x 10 / 90, 8 x 30 / 70, and from the half on all."""


def deployments(world: World | Life) -> dict[str, MemoryDeployment]:
    serving = world.ports.serving if isinstance(world, World) else world.real.serving
    return serving.endpoints["birds"].deployments


def sizes(world: World | Life) -> dict[str, int]:
    return {name: one.instances for name, one in deployments(world).items()}


def watched(serving: MemoryServing) -> list[tuple[int, int]]:
    """At each split, the share of the newer deployment in it, and how many machines that has at that moment."""
    seen: list[tuple[int, int]] = []
    setting = serving.set_traffic

    def set_traffic(endpoint: str, weights: Mapping[str, int]) -> None:
        newer = max(weights)
        seen.append((weights[newer], serving.endpoints[endpoint].deployments[newer].instances))
        setting(endpoint, weights)

    serving.set_traffic = set_traffic  # type: ignore[method-assign]
    return seen


@lived
def served(text: str = SMALL) -> World:
    world = World()
    world.publish(text)
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.clock.advance(3600)
    return world


def until(world: World, phase: Phase, step: int = 0) -> None:
    world.act("retrain")
    for _ in range(90):
        world.ticks_with_traffic(1)
        if (world.release(2).phase, world.release(2).step) == (phase, step):
            return
    raise AssertionError(world.release(2).phase)


def test_it_grows_with_its_share_and_is_promoted_as_large_as_what_served() -> None:
    world = served()
    assert sizes(world) == {"r1-a1": FULL}, "the first model has all traffic at once"
    given = watched(world.ports.serving)
    until(world, Phase.CANARY)
    assert sizes(world) == {"r1-a1": FULL, "r2-a1": 1}
    assert world.live() == 2
    assert given == [(10, 1), (30, 4), (100, FULL)]
    told = [e.detail["machines"] for e in queries.entries(world.ports, "birds") if "machines" in e.detail]
    assert told == [str(FULL), "1", "4", str(FULL)], "the ledger tells them beside the traffic"
    assert sizes(world) == {"r2-a1": FULL}


def test_without_the_key_it_is_a_full_copy() -> None:
    world = served(FIXED)
    until(world, Phase.CANARY)
    assert sizes(world) == {"r1-a1": FULL, "r2-a1": FULL}


@pytest.mark.parametrize(("weight", "count"), SIZES.items())
def test_no_machine_of_a_challenger_is_busier_than_one_of_the_champions(weight: int, count: int) -> None:
    definition = loopfile.parse(SMALL, file="loop.yaml")
    assert challenger_size.machines(definition, weight) == count
    if weight < 100:
        assert weight / count <= (100 - weight) / FULL
    never_fewer = loopfile.parse(SMALL.replace("instances: 1", "instances: 3"), file="loop.yaml")
    assert challenger_size.machines(never_fewer, weight) == max(3, count)


def test_a_step_that_has_passed_is_watched_until_the_machines_have_come() -> None:
    world = served()
    until(world, Phase.CANARY)
    world.ports.serving.machines_are = "creating"
    world.ticks_with_traffic(30)
    release = world.release(2)
    assert (release.phase, release.step, release.traffic["r2-a1"]) == (Phase.CANARY, 0, 10)
    assert release.waiting_for is not None and Code.MACHINES_COMING in str(release.waiting_for)
    world.ticks_with_traffic(12, errors={"r2-a1": 0.5})
    assert world.release(2).outcome is Phase.ROLLED_BACK, "harm ends it meanwhile"
    assert sizes(world)["r1-a1"] == FULL


def test_harm_ends_it_also_where_machines_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = served()
    until(world, Phase.CANARY)

    def away(spec: object) -> None:
        raise DependencyUnavailable("Azure ML endpoint birds is temporarily unavailable.")

    monkeypatch.setattr(world.ports.serving, "ensure_machines", away)
    world.ticks_with_traffic(30)
    release = world.release(2)
    assert (release.phase, release.step, release.stuck) == (Phase.CANARY, 0, False)
    assert "temporarily unavailable" in str(release.waiting_for)
    world.ticks_with_traffic(12, errors={"r2-a1": 0.5})
    assert world.release(2).outcome is Phase.ROLLED_BACK


def test_once_they_have_come_it_goes_on() -> None:
    world = served()
    until(world, Phase.CANARY)
    world.ports.serving.machines_are = "creating"
    world.ticks_with_traffic(30)
    deployments(world)["r2-a1"].instances = SIZES[30]
    world.ticks_with_traffic(3)
    assert (world.release(2).step, world.release(2).traffic["r2-a1"]) == (1, 30)
    world.ports.serving.machines_are = "ready"
    assert world.live() == 2


def test_machines_that_are_refused_give_all_traffic_back() -> None:
    world = served()
    until(world, Phase.CANARY)
    world.ports.serving.machines_are = "failed"
    world.ticks_with_traffic(40)
    release = world.release(2)
    assert release.phase is Phase.FAILED
    assert release.reason is not None and release.reason.code is Code.MACHINES_REFUSED
    assert "OutOfQuota" in str(release.reason)
    assert dict(world.ports.serving.traffic("birds")) == {"r1-a1": 100}
    assert sizes(world) == {"r1-a1": FULL}


def test_machines_that_never_come_give_all_traffic_back() -> None:
    """A person who skips the step meets the same: no share is given on too few."""
    world = served()
    until(world, Phase.CANARY)
    world.ports.serving.machines_are = "creating"
    world.act("skip", 2)
    world.ticks_with_traffic(3)
    assert (world.release(2).phase, world.release(2).traffic["r2-a1"]) == (Phase.SHIFTING, 10)
    world.clock.advance(machine.MACHINES_LIMIT.total_seconds() + 60)
    world.ticks_with_traffic(6)
    release = world.release(2)
    assert release.reason is not None and release.reason.code is Code.MACHINES_TIMED_OUT
    assert sizes(world) == {"r1-a1": FULL}


def test_a_loop_that_is_paused_gets_no_machines() -> None:
    world = served()
    until(world, Phase.CANARY)
    world.act("pause")
    world.ticks_with_traffic(30)
    assert sizes(world) == {"r1-a1": FULL, "r2-a1": 1}
    world.act("resume")
    assert world.live() == 2


def test_a_smaller_challenger_costs_less() -> None:
    costs = []
    for text in (FIXED, SMALL.replace("[10, 30]", "[10, 50]")):
        world = served(text)
        assert world.act("retrain") is None and world.live() == 2
        release = world.release(2)
        found = cost.prices(loopfile.parse(text, file="loop.yaml"))
        assert found is not None
        costs.append(release.cost)
        assert release.cost <= found.of(release.took)
    assert 0 < costs[1] < costs[0]


def machine_calls() -> list[int]:
    """Where in a calm life a challenger's machines are asked for, and the calls around it."""
    calm = Life(plan=SIMULATED)
    assert calm.live() == []
    found = [index for index, name in enumerate(calm.calls) if name == "serving.ensure_machines"]
    assert len(found) >= 4
    return sorted({index + beside for index in found[:4] for beside in (0, 1, 2)})


def test_each_fault_at_each_call_around_the_machines_breaks_no_promise_and_gives_no_share_on_too_few() -> (
    None
):
    for number, point in enumerate(machine_calls()):
        fault = FAULTS[number % len(FAULTS)]
        life = Life({point: fault}, plan=SIMULATED)
        given = watched(life.real.serving)
        assert life.live() == [], (point, fault)
        assert len(given) >= 6
        for weight, count in given:
            assert count >= SIZES[weight], (point, fault, weight, count)


@pytest.mark.soak
def test_every_fault_at_every_call_around_the_machines() -> None:
    for point in machine_calls():
        for fault in FAULTS:
            assert Life({point: fault}, plan=SIMULATED).live() == [], (point, fault)


def test_what_cannot_be_asked_for_a_while_is_asked_later() -> None:
    life = faults.served(plan=SIMULATED)
    life.away = "serving.ensure_machines"
    life.drop("2.csv", faults.birds(2, 1.3))
    for _ in range(30):
        life.round()
    assert sizes(life) == {"r1-a1": FULL, "r2-a1": 1}
    life.away = ""
    life.rest()
    assert sizes(life) == {"r2-a1": FULL}


WRONG = {
    "instances: 9": "canary.instances: found 9; allowed: at most serve.instance_count (8)",
    "instances: 0": "canary.instances: found 0",
    "instances: few": 'canary.instances: found "few"; allowed: a whole number from 1',
}


@pytest.mark.parametrize("written", WRONG)
def test_what_is_no_size_is_told_with_its_line(written: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loopfile.parse(SMALL.replace("instances: 1", written), file="loop.yaml")
    assert WRONG[written] in str(refused.value)


def test_beside_autoscale_it_is_refused() -> None:
    text = SMALL.replace(f"instance_count: {FULL}", "autoscale: {min: 1, max: 5}")
    with pytest.raises(
        ConfigurationError, match=r"canary\.instances: found 1; allowed: nothing, beside serve\.autoscale"
    ):
        loopfile.parse(text, file="loop.yaml")

"""A loop is never called live while nobody is served: the sweep looks, status and row say it, restore repairs it."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from cli import app, session
from cli.status import summary
from shared.domain.loop import Overview
from shared.domain.reason import NOBODY_SERVED, Code
from shared.domain.release import Phase
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.release.machine import PHASES
from shared.runtime import tick
from shared.state import queries
from shared.words import say
from tests.engine.world import World, csv, lived, season
from tests.faults import Call
from tests.simulator.life import LOOP as PLAN
from tests.simulator.life import Life, birds
from tests.simulator.reader import reading_in_process
from tests.tower.tower import twin


@pytest.fixture
@lived
def world() -> World:
    found = World()
    found.publish()
    found.drop("2007.csv", csv(season(2007)))
    assert found.live() == 1
    found.ticks(20, seconds=30)
    return found


def swept(world: World) -> Overview:
    tick.sweep(world.ports)
    world.ticks(1)
    found = world.ports.store.overview("birds")
    assert found is not None
    return found


def take_endpoint(world: World) -> None:
    del world.ports.serving.endpoints["birds"]


def take_deployment(world: World) -> None:
    endpoint = world.ports.serving.endpoints["birds"]
    endpoint.deployments.clear()
    endpoint.traffic = {}


def take_deployment_alone(world: World) -> None:
    world.ports.serving.endpoints["birds"].deployments.clear()


def take_traffic(world: World) -> None:
    world.ports.serving.endpoints["birds"].traffic = {}


CASES = {
    Code.ENDPOINT_GONE: take_endpoint,
    Code.DEPLOYMENT_GONE: take_deployment,
    Code.NO_TRAFFIC: take_traffic,
}


@pytest.mark.parametrize("code", CASES)
def test_what_serves_nobody_stands_first_and_restore_repairs_it(world: World, code: Code) -> None:
    assert swept(world).needs_attention is None
    CASES[code](world)
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is code
    assert "`driftloop restore birds`" in say(found.needs_attention)
    assert summary(found).startswith("nobody is served") and " live" not in summary(found)
    assert world.ledger().count("serving.lost") == 1
    swept(world)
    assert world.ledger().count("serving.lost") == 1  # said once, not at every sweep
    world.act("restore")
    world.ticks_with_traffic(12)
    assert world.release(2).phase is Phase.LIVE, world.release(2).reason
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}
    found = swept(world)
    assert found.needs_attention is None and summary(found) == "release 2 live"


def test_a_deployment_that_is_gone_while_its_weight_is_left_is_seen_and_restored(world: World) -> None:
    take_deployment_alone(world)
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is Code.DEPLOYMENT_GONE
    world.act("restore")
    world.ticks_with_traffic(12)
    assert world.release(2).phase is Phase.LIVE, world.release(2).reason
    assert "r1-a1" in world.ports.serving.endpoints["birds"].deployments


def take_place_of_the_model(world: World) -> None:
    deployments = world.ports.serving.endpoints["birds"].deployments
    spec = deployments["r1-a1"].spec
    deployments["r1-a1"] = replace(deployments["r1-a1"], spec=replace(spec, model="azureml:stranger:7"))


def test_another_model_under_the_champions_name_is_told_and_restore_deploys_ours_beside_it(
    world: World,
) -> None:
    take_place_of_the_model(world)
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is Code.DEPLOYMENT_SWAPPED
    assert "serves another model (azureml:stranger:7) than release 1" in summary(found)
    world.act("restore")
    world.ticks_with_traffic(12)
    assert world.release(2).phase is Phase.LIVE, world.release(2).reason
    assert world.ports.serving.traffic("birds") == {"r2-a1": 100}
    assert world.ports.serving.endpoints["birds"].deployments["r1-a1"].spec.model == "azureml:stranger:7"
    assert swept(world).needs_attention is None


SEEN_AT_ONCE = {
    Code.ENDPOINT_GONE: take_endpoint,
    Code.DEPLOYMENT_GONE: take_deployment_alone,
    Code.NO_TRAFFIC: take_traffic,
    Code.DEPLOYMENT_SWAPPED: take_place_of_the_model,
}


@pytest.mark.parametrize("code", SEEN_AT_ONCE)
def test_who_looks_before_the_sweep_sees_what_is(world: World, code: Code) -> None:
    SEEN_AT_ONCE[code](world)
    view, page = queries.loop(world.ports, "birds"), twin(world.ports, "/loops/birds")
    assert view.overview.needs_attention is not None and view.overview.needs_attention.code is code
    assert (page["unserved"], page["attention"]) == (True, say(view.overview.needs_attention))
    assert "restore" in {offer["verb"] for offer in page["offers"]}
    assert "serving.lost" not in world.ledger(), "who looks writes nothing"


@pytest.fixture
def training(world: World) -> World:
    """Release 2 trains, for hours; release 1 serves."""
    world.ports.training.new_jobs_are = "running"
    world.act("retrain")
    world.ticks(4)
    assert world.release(2).phase is Phase.TRAINING
    return world


@pytest.mark.parametrize("code", SEEN_AT_ONCE)
def test_what_serves_nobody_stands_first_while_a_release_is_open_too(training: World, code: Code) -> None:
    """It is told and repaired in the middle of a training."""
    assert swept(training).needs_attention is None
    SEEN_AT_ONCE[code](training)
    view, page = queries.loop(training.ports, "birds"), twin(training.ports, "/loops/birds")
    for seen in (view.overview, swept(training)):
        assert seen.needs_attention is not None and seen.needs_attention.code is code
        assert summary(seen).endswith("release 2 is training, waiting for Azure ML job birds-r2-a1"), summary(
            seen
        )
        assert " live" not in summary(seen)
    assert (page["unserved"], page["attention"]) == (True, say(view.overview.needs_attention))
    training.act("restore")
    training.ticks(1)
    training.act("abort", 2)
    training.ticks_with_traffic(4)
    training.act("restore")
    training.ticks_with_traffic(16)
    assert training.state.open_release is None, training.release(training.state.open_release or 1)
    found = swept(training)
    assert found.needs_attention is None, say(found.needs_attention)


def handing_over(phase: Phase) -> Life:
    """Its second release stands in this phase, and no deployment can be removed."""
    back = phase in (Phase.ROLLING_BACK, Phase.CLEANING)
    life = Life(plan=PLAN, failing="r2-" if back else "none", slow=1)

    def broken(call: Call) -> Exception | None:
        stopped = call.name == "serving.ensure_no_deployment"
        return DependencyUnavailable(f"{call.name} is away") if stopped else None

    life.broken = broken
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    life.drop("2.csv", birds(2, 1.3))
    life.until(phase)
    return life


@pytest.mark.parametrize("phase", [phase for phase, traits in PHASES.items() if traits.hands_over])
def test_that_nobody_is_served_stands_first_while_a_release_hands_over_too(phase: Phase) -> None:
    with reading_in_process():
        life = handing_over(phase)
        told = queries.loop(life.real, "birds").overview.needs_attention
        assert told is None or told.code not in NOBODY_SERVED
        life.real.serving.endpoints.clear()
        seen = queries.loop(life.real, "birds").overview
        assert summary(seen).startswith("nobody is served: endpoint birds is gone"), summary(seen)
        life.round(sweep=True)
        life.round()
        kept = life.real.store.overview("birds")
    assert kept is not None and summary(kept).startswith("nobody is served"), summary(kept)
    assert len(life.told("serving.lost")) == 1


def test_who_has_the_traffic_is_called_live_until_it_is_back() -> None:
    """The one to go back to is gone, and the one that is rolled back still answers."""
    with reading_in_process():
        life = Life(plan=PLAN.replace("bake_minutes: 0.1", "bake_minutes: 60"), failing="none")
        life.drop("1.csv", birds(1, 1.0))
        life.rest()
        life.drop("2.csv", birds(2, 1.3))
        life.until(Phase.BAKING)
        del life.real.serving.endpoints["birds"].deployments["r1-a1"]
        life.act("rollback", 2)
        life.until(Phase.ROLLING_BACK)
        life.round()
        kept = life.real.store.overview("birds")
    assert kept is not None and summary(kept).startswith("release 2 live; release 2 is rolling back")


@pytest.mark.parametrize("code", SEEN_AT_ONCE)
def test_it_is_not_over_before_the_restored_model_has_the_traffic(world: World, code: Code) -> None:
    SEEN_AT_ONCE[code](world)
    swept(world)
    world.ports.serving.new_deployments_are = "creating"
    world.ports.serving.traffic_takes_effect = False
    world.act("restore")
    world.ticks(3)
    assert world.state.open_release == 2 and swept(world).needs_attention is not None
    assert queries.loop(world.ports, "birds").overview.needs_attention is not None
    assert "serving.back" not in world.ledger()
    for deployment in world.ports.serving.endpoints["birds"].deployments.values():
        deployment.state = "ready"
    world.ports.serving.traffic_takes_effect = True
    world.ports.serving.apply_traffic("birds")
    world.ticks_with_traffic(12)
    assert world.release(2).phase is Phase.LIVE and swept(world).needs_attention is None
    assert "serving.back" not in world.ledger(), "a promotion says it"


@pytest.mark.parametrize("words", [(), ("birds",)], ids=["all", "birds"])
def test_status_says_once_that_nobody_is_served(
    world: World, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_endpoint(world)
    swept(world)
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    said = CliRunner().invoke(app, ["status", *words]).output
    assert said.count("nobody is served") == 1 and "driftloop restore LOOP makes the endpoint" in said


def test_an_endpoint_that_is_not_made_yet_has_no_traffic() -> None:
    """It is no endpoint that does not answer: the first release trains."""
    world = World()
    world.publish()
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(3)
    assert world.release(1).phase is Phase.TRAINING
    assert queries.loop(world.ports, "birds").traffic == {}


def test_traffic_that_was_given_to_others_is_told_until_a_person_wants_it_so(world: World) -> None:
    endpoint = world.ports.serving.endpoints["birds"]
    endpoint.deployments["mine"] = endpoint.deployments["r1-a1"]
    endpoint.traffic = {"mine": 100}
    found = queries.loop(world.ports, "birds").overview
    assert found.needs_attention is not None and found.needs_attention.code is Code.TRAFFIC_ELSEWHERE
    assert summary(found).startswith("traffic was changed from outside to mine 100 %")
    adopted = swept(world)
    assert adopted.needs_attention is not None and adopted.needs_attention.code is Code.TRAFFIC_CHANGED
    assert queries.loop(world.ports, "birds").overview.needs_attention == adopted.needs_attention


def test_what_keeps_the_sweep_from_one_thing_keeps_it_from_no_other_and_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(container: str, prefix: str) -> NoReturn:
        raise ConfigurationError(f"container {container} does not exist")

    monkeypatch.setattr(world.ports.blobs, "list", gone)
    take_endpoint(world)
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is Code.ENDPOINT_GONE
    world.act("restore")
    world.ticks_with_traffic(12)
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is Code.NOT_SWEPT
    assert "container landing does not exist" in say(found.needs_attention)
    monkeypatch.undo()
    assert swept(world).needs_attention is None


def test_a_failed_deployment_asks_for_a_new_one(world: World) -> None:
    world.ports.serving.endpoints["birds"].deployments["r1-a1"].state = "failed"
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is Code.DEPLOYMENT_BROKEN
    assert "`driftloop retrain birds`" in say(found.needs_attention)


def test_what_comes_back_by_itself_is_well_again(world: World) -> None:
    endpoint = world.ports.serving.endpoints.pop("birds")
    assert swept(world).needs_attention is not None
    world.ports.serving.endpoints["birds"] = endpoint
    found = swept(world)
    assert found.needs_attention is None
    assert world.ledger().count("serving.back") == 1


def test_a_first_release_that_failed_needs_a_person() -> None:
    world = World(default_model=lambda row: "Emu")
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.ticks_with_traffic(12)
    assert world.release(1).phase is Phase.REJECTED
    found = swept(world)
    assert found.needs_attention is not None and found.needs_attention.code is Code.NO_FIRST_MODEL
    assert found.needs_attention.code not in NOBODY_SERVED  # it never was live


def test_a_model_that_answers_no_request_is_told_until_one_is_answered(
    world: World,
) -> None:
    assert swept(world).needs_attention is None
    world.clock.advance(1200)
    world.traffic(requests=19, errors={"r1-a1": 1.0})
    assert swept(world).needs_attention is None, "too few to say so"
    world.traffic(errors={"r1-a1": 1.0})
    for _ in range(2):
        found = swept(world)
        assert found.needs_attention is not None and found.needs_attention.code is Code.ANSWERS_NOTHING
        assert summary(found).startswith("nobody is served")
    world.clock.advance(3600)
    assert swept(world).needs_attention is not None, "that nobody asks any more is no answer"
    world.ports.evidence.unavailable = "away"
    assert swept(world).needs_attention is not None
    world.ports.evidence.unavailable = ""
    assert world.ledger().count("serving.lost") == 1
    world.traffic()
    assert swept(world).needs_attention is None

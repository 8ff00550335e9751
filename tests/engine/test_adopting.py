"""An endpoint that serves already becomes a loop's, and nothing on it changes until a release is better."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli import export as command
from shared import loopfile
from shared.audit import answer, exported_release
from shared.domain.release import Phase, TriggerKind
from shared.errors import ConfigurationError
from shared.gate.smoke import answers_of
from shared.intake import DropFile, ReadSpec, read_drop
from shared.loopfile.published import Assets, Published
from shared.memory.azureml import MemoryDeployment
from shared.ports import Answer, DeploymentSpec
from shared.release import adoption
from shared.state import queries
from shared.words import spoken
from tests.engine.world import LOOP, World, csv, season


@pytest.fixture
def world() -> World:
    """Two deployments that somebody made by hand; blue serves."""
    made = World()
    made.ports.serving.ensure_endpoint("birds")
    for name in ("blue", "green"):
        spec = DeploymentSpec("birds", name, f"azureml:handmade:{name}", "Standard_DS3_v2")
        made.ports.serving.endpoints["birds"].deployments[name] = MemoryDeployment(spec, "ready")
    made.ports.serving.endpoints["birds"].traffic = {"blue": 100}
    return made


def adopt(world: World, deployment: str = "blue") -> None:
    definition = loopfile.parse(LOOP, file="loop.yaml")
    published = Published(definition, Assets(pipeline="azureml:birds-training:1"), "ann", world.clock.now())
    adoption.adopt(world.ports, published, deployment, f"azureml:handmade:{deployment}", reference())


def reference() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "2007.csv"
        file.write_bytes(csv(season(2007)))
        drop = DropFile(path=file, name=file.name, size=file.stat().st_size)
        spec = ReadSpec.of(loopfile.parse(LOOP, file="loop.yaml").data, {}, b"")
        return read_drop([drop], spec, Path(folder) / "out").profile


def test_what_serves_is_the_champion_and_nothing_was_changed(world: World) -> None:
    adopt(world)
    champion = world.state.champion
    assert champion is not None
    assert (champion.deployment, champion.model) == ("blue", "azureml:handmade:blue")
    assert world.ports.serving.splits == []
    assert world.ports.training.submitted == []
    served = answer.audit(world.ports, "birds").served
    assert served is not None
    assert served.model == "azureml:handmade:blue"
    assert "ann" in served.trained_by
    assert answer.audit(world.ports, "birds").problems == ()


def test_an_export_of_it_begins_with_the_publication_which_alone_names_its_definition(world: World) -> None:
    adopt(world)
    made = command.opened_from(exported_release.export(world.ports, "birds", 1))
    assert made.proof is not None and made.proof.problems == ()
    assert (made.proof.first, made.proof.last) == (1, 2)


def test_a_version_is_held_against_the_given_data(world: World) -> None:
    adopt(world)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.drift_material is False
    assert world.state.next_release == 2


@pytest.mark.parametrize("shape", [lambda one: [one], lambda one: {"species": one}, lambda one: one])
def test_a_champion_that_answers_a_column_is_measured_as_one_that_answers_a_list(
    world: World, shape: Callable[[object], object]
) -> None:
    before = world.ports.serving.answer

    def answer(endpoint: str, deployment: str, payload: str) -> Answer:
        said = before(endpoint, deployment, payload)
        return replace(said, body=json.dumps([shape(one) for one in answers_of(json.loads(said.body))]))

    world.ports.serving.answer = answer
    adopt(world)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.metric_breached is False and world.state.next_release == 2


def test_drift_leads_to_a_canary_against_the_adopted_deployment_which_is_then_retired(world: World) -> None:
    adopt(world)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    assert world.live() == 2
    assert [t.kind for t in world.release(2).triggers] == [TriggerKind.DRIFT]
    assert world.release(2).phase is Phase.LIVE
    assert [split for _, split in world.ports.serving.splits] == [
        {"blue": 90, "r2-a1": 10},
        {"blue": 50, "r2-a1": 50},
        {"r2-a1": 100},
    ]
    assert set(world.ports.serving.endpoints["birds"].deployments) == {"green", "r2-a1"}


def test_an_adopted_deployment_that_is_gone_cannot_be_made_again_and_says_so(world: World) -> None:
    adopt(world)
    world.ports.serving.endpoints["birds"].traffic = {}
    world.act("restore")
    world.ticks()
    refused = [entry for entry in queries.entries(world.ports, "birds") if entry.what == "action.refused"]
    assert "was adopted while it served" in spoken(refused[0].detail)["why"]


def test_shared_traffic_is_not_adopted(world: World) -> None:
    world.ports.serving.endpoints["birds"].traffic = {"blue": 70, "green": 30}
    with pytest.raises(ConfigurationError, match="must have all of it"):
        adopt(world)
    assert world.ports.store.overviews() == []


def test_a_loop_that_has_a_model_adopts_nothing(world: World) -> None:
    adopt(world)
    with pytest.raises(ConfigurationError, match="only a new loop can adopt"):
        adopt(world)

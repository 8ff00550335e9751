"""A model that somebody deploys on a loop's endpoint by hand is seen and told, by the event and without it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import cli
from cli import doctor, session
from shared.ports import DeploymentSpec
from shared.runtime import tick
from shared.state import queries
from shared.words import spoken
from tests.engine.world import World, csv, lived, one_release, season

LAB = "azureml:/subscriptions/s/resourceGroups/g/workspaces/w/models/lab/versions/3"


@lived
def served() -> World:
    made = one_release()
    made.clock.advance(300)
    return made


@pytest.fixture
def world() -> World:
    return served()


def deploy(world: World, name: str = "by-hand") -> None:
    world.ports.serving.ensure_deployment(DeploymentSpec("birds", name, LAB, "Standard_DS3_v2"))


def event(endpoint: str = "birds", at: str = "2026-11-20T08:00:00Z") -> str:
    data = {"ServiceName": endpoint, "ServiceComputeType": "Managed", "ModelIds": "lab:3"}
    kind = "Microsoft.MachineLearningServices.ModelDeployed"
    return json.dumps({"eventType": kind, "eventTime": at, "data": data})


def told(world: World) -> list[str]:
    entries = [e for e in queries.entries(world.ports, "birds") if e.what == "deployment.found"]
    return [spoken(entry.detail)["reason"] for entry in entries]


def test_the_event_tells_of_it_at_once_and_any_number_of_deliveries_once(world: World) -> None:
    deploy(world)
    for endpoint in ("Birds", "birds", "birds"):
        world.send(event(endpoint))
    assert told(world) == [
        "somebody else deployed on endpoint birds: by-hand (lab:3); Driftloop leaves it alone"
    ]
    assert world.state.strangers == {"by-hand": "lab:3"}
    assert dict(world.ports.serving.traffic("birds")) == {"r1-a1": 100}
    assert "by-hand" in world.ports.serving.endpoints["birds"].deployments


def test_the_sweep_finds_it_without_any_event_and_tells_when_it_is_gone(world: World) -> None:
    deploy(world)
    tick.sweep(world.ports)
    tick.sweep(world.ports)
    assert len(told(world)) == 1
    assert world.ports.serving.ensure_no_deployment("birds", "by-hand")
    tick.sweep(world.ports)
    assert told(world)[1:] == ["nobody else has a deployment on endpoint birds any more"]


def test_what_the_loop_deploys_itself_is_nobody_elses(world: World) -> None:
    world.drop("2008.csv", csv(season(2008, body_mass_g=1.5)))
    for _ in range(60):
        world.send(event(at=world.clock.now().isoformat()))
        world.ticks_with_traffic(1)
        tick.sweep(world.ports)
        if world.state.open_release is None:
            break
    assert world.state.champion is not None and world.state.champion.release == 2
    world.clock.advance(300)
    tick.sweep(world.ports)
    assert told(world) == []


def test_a_model_on_an_endpoint_of_nobody_is_not_kept(world: World) -> None:
    world.send(event("elsewhere"))
    assert queries.strangers(world.ports, last=5) == []


def test_status_and_doctor_name_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(world)
    world.send(event())
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    said = " ".join(CliRunner().invoke(cli.app, ["status", "birds"]).output.split())
    assert "somebody else deployed on endpoint birds: by-hand (lab:3)" in said
    (finding,) = doctor._strangers(world.ports, world.ports.store.overviews()[0])
    assert (finding.state, "by-hand (lab:3)" in finding.what) == ("warning", True)
    assert "az ml online-deployment delete -e birds" in finding.fix

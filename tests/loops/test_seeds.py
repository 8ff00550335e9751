"""What goes wrong where people build this by hand (the five systems of the examples) cannot go wrong here.

In memory, as nothing of it needs Azure; loops/ and their tests show the same systems on the local Azure.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import loopfile, ports
from shared.audit import answer
from shared.domain.event import InboxState
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import DependencyUnavailable, DriftloopError
from shared.intake import DropFile, ReadSpec, read_drop
from shared.ports import Answer
from shared.state import queries
from shared.words import say
from tests.engine.world import LOOP, World, csv, season

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world() -> World:
    made = World()
    made.publish()
    return made


def live(world: World, text: str = LOOP) -> World:
    """With a first model that serves, and rest over."""
    world.publish(text)
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    return world


def drifted(n: int) -> bytes:
    """A season unlike all before: each is heavier than the last."""
    birds = season(2009, body_mass_g=1.3**n)
    return csv(birds.assign(row_id=birds["row_id"] + f"-{n}"))


# --- S0: penguins --------------------------------------------------------------------------------


def test_s0_no_account_key_and_no_connection_string_anywhere() -> None:
    """There: keys in connection strings."""
    told = re.compile(
        r"AccountKey=|from_connection_string|DefaultEndpointsProtocol|account_key\s*=", re.IGNORECASE
    )
    sources = [
        file
        for folder in ("shared", "functions", "cli", "tower", "loops", "infra", "demo")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".yml", ".bicep", ".json")
    ]
    assert len(sources) > 100
    assert [str(file) for file in sources if told.search(file.read_text())] == []


def test_s0_data_are_validated_before_anything_is_trained(world: World) -> None:
    """There: validation is named, not built."""
    world.drop("no-target.csv", csv(season(2007).drop(columns="species")))
    world.drop("words.csv", csv(season(2007).drop(columns="species").assign(species="")))
    assert world.state.open_release is None
    assert world.ports.training.submitted == []
    aside = queries.set_aside(world.ports, "birds")
    assert [record.state for record in aside][:1] == [InboxState.QUARANTINED]


# --- S1: share prices ----------------------------------------------------------------------------


def test_s1_a_stage_begins_when_the_one_before_has_ended_however_long_it_takes(world: World) -> None:
    """There: stages are chained by hour offsets."""
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(20, seconds=900)
    assert world.release(1).phase is Phase.TRAINING
    assert world.ports.serving.endpoints == {}
    world.ports.training.jobs["birds-r1-a1"].status = "completed"
    assert world.live() == 1


def test_s1_twelve_releases_in_a_row_number_rightly_and_each_serves_the_model_it_registered(
    world: World,
) -> None:
    """There: a one-digit expression took run-10 to run-20 for others; version 10 was registered, 9 deployed."""
    never_rests = LOOP.replace(
        "budget: {runs_per_day: 8}", "budget: {runs_per_day: 99}, breaker: {unhelped: 99}"
    )
    live(world, never_rests)
    for n in range(2, 13):
        world.drop(f"{n}.csv", drifted(n))
        assert world.live() == n, say(world.release(n).reason)
        world.ticks(10)
        (deployment,) = world.ports.serving.endpoints["birds"].deployments.values()
        assert deployment.spec.name == f"r{n}-a1"
        assert deployment.spec.model == f"azureml:birds:{n}"
        assert world.ports.training.models["birds", str(n)].job == f"birds-r{n}-a1"
        assert world.state.champion is not None
        assert world.state.champion.model == deployment.spec.model
    assert world.ports.training.submitted == [f"birds-r{n}-a1" for n in range(1, 13)]
    assert answer.audit(world.ports, "birds").problems == ()


def test_s1_two_drops_on_one_day_are_two_versions(world: World) -> None:
    """There: the date is the version, and the second of a day collides."""
    world.drop("a.csv", csv(season(2007)))
    world.drop("b.csv", csv(season(2008)))
    versions = queries.loop(world.ports, "birds").versions
    assert [version.number for version in versions] == [2, 1]
    assert versions[0].created_at.date() == versions[1].created_at.date()
    assert len({version.asset_id for version in versions}) == 2


def test_s1_when_training_fails_nothing_stays_allocated(world: World) -> None:
    """There: compute is created, training fails, compute is never deleted."""
    world.ports.training.new_jobs_are = "failed"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(10)
    assert world.release(1).phase is Phase.FAILED
    jobs = world.ports.training.jobs.values()
    assert all(job.status != "running" for job in jobs)
    assert {job.spec.compute for job in jobs} == {""}, "serverless: there is no compute to leak"
    assert all(not endpoint.deployments for endpoint in world.ports.serving.endpoints.values())


def test_s1_a_time_series_is_never_shuffled(tmp_path: Path) -> None:
    """There: a random split, so that the model is tested on days before those that it was trained on."""
    days = pd.date_range("2025-01-01", periods=200)
    frame = pd.DataFrame({"day": days, "close": np.arange(200.0)}).sample(frac=1, random_state=1)
    file = tmp_path / "closes.csv"
    frame.to_csv(file, index=False)
    data = loopfile.load(ROOT / "loops" / "prices").data
    assert data.holdout.by == "time"
    spec = ReadSpec(
        target="close", time="day", holdout_by="time", holdout_fraction=0.25, holdout_column="day"
    )
    read_drop([DropFile(path=file, name=file.name, size=file.stat().st_size)], spec, tmp_path / "out")
    train, holdout = (pd.read_parquet(tmp_path / "out" / part) for part in ("train", "holdout"))
    assert len(holdout) == 50
    assert train["day"].max() < holdout["day"].min()


@pytest.mark.parametrize("outcome", ["hold", "reject"])
def test_s1_a_worse_model_is_compared_and_does_not_pass(world: World, outcome: str) -> None:
    """There: compare-job is a comment."""
    live(world, LOOP.replace("on_inconclusive: reject", f"on_inconclusive: {outcome}"))
    world.models["r2-a1"] = lambda row: "Adelie"
    world.drop("2009.csv", drifted(1))
    world.ticks(20)
    assert world.release(2).phase is Phase.REJECTED
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}
    assert all("r2-a1" not in split for _, split in world.ports.serving.splits)


# --- S2: iris ------------------------------------------------------------------------------------


def test_s2_a_step_never_reads_a_path_whose_content_can_change(world: World, tmp_path: Path) -> None:
    """There: reuse is keyed on a mutable path and gives stale results."""
    live(world)
    world.drop("2009.csv", drifted(1))
    world.live()
    first, second = (world.ports.training.jobs[f"birds-r{n}-a1"].spec.training_data for n in (1, 2))
    assert first != second
    other = tmp_path / "other"
    other.write_bytes(b"other bytes")
    taken = next(path for path in world.ports.versions.list("birds/"))
    with pytest.raises(DriftloopError):
        world.ports.versions.write(taken, other)


# --- S3: the product itself ----------------------------------------------------------------------


def test_s3_nothing_is_served_before_the_release_manager_approves(world: World) -> None:
    """There: no code at all."""
    world.publish(LOOP.replace("canary: {", "canary: {approval: before_canary, "))
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(60)
    assert world.release(1).phase is Phase.AWAITING_APPROVAL
    assert world.ports.serving.traffic("birds") == {}
    world.act("approve", 1, "read and found good")
    assert world.live() == 1
    told = [entry for entry in queries.entries(world.ports, "birds") if entry.actor == "bob"]
    assert "read and found good" in str(told[-1].detail)


def test_s3_a_metric_below_its_threshold_starts_a_release(world: World) -> None:
    live(world)
    relabelled = season(2008)
    relabelled["species"] = np.random.default_rng(1).permutation(relabelled["species"])
    world.drop("relabelled.csv", csv(relabelled))
    world.ticks(3)
    assert any(trigger.kind.value == "metric" for trigger in world.release(2).triggers)


# --- S4: census income ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, json.dumps("name 'model' is not defined"), 1.0),
        Answer(200, json.dumps({"error": "could not convert string to float"}), 1.0),
        Answer(200, json.dumps(["ValueError: no such column"] * 50), 1.0),
        Answer(200, "<html>Service Unavailable</html>", 1.0),
        Answer(200, "[]", 1.0),
        Answer(500, "", 1.0),
    ],
)
def test_s4_an_endpoint_that_answers_an_error_text_fails_the_smoke_test(world: World, answer: Answer) -> None:
    """There: errors come back as normal JSON, and the test always passes."""
    world.ports.serving.answer = lambda endpoint, deployment, payload: answer
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(10)
    release = world.release(1)
    assert release.phase is Phase.REJECTED, say(release.reason)
    assert release.reason is not None and release.reason.code is Code.SMOKE_FAILED
    assert world.ports.serving.traffic("birds") == {}


def test_s4_an_endpoint_is_never_deleted_and_always_serves(world: World) -> None:
    """There: the service is deleted before it is deployed again."""
    live(world)
    served: list[dict[str, int]] = []
    world.drop("2009.csv", drifted(1))
    for _ in range(60):
        world.ticks_with_traffic(1)
        served.append(dict(world.ports.serving.traffic("birds")))
    assert world.state.champion is not None and world.state.champion.release == 2
    assert all(sum(split.values()) == 100 for split in served)
    methods = {name for name, _ in inspect.getmembers(ports.Serving, inspect.isfunction)}
    assert not {name for name in methods if "delete" in name or name == "ensure_no_endpoint"}


def test_s4_a_candidate_is_tested_beside_what_serves_never_in_its_place(world: World) -> None:
    """There: test and production share a cluster, and the test's deployment replaces production's."""
    live(world)
    world.ports.serving.new_deployments_are = "creating"
    world.drop("2009.csv", drifted(1))
    world.ticks(5)
    assert set(world.ports.serving.endpoints["birds"].deployments) == {"r1-a1", "r2-a1"}
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}


def test_s4_no_model_passes_through_our_hands_so_none_is_cut_off(world: World) -> None:
    """There: the model file is truncated at 0.5 MB on its way. Here Azure ML registers the job's output in place."""
    signature = inspect.signature(ports.Training.ensure_model)
    assert set(signature.parameters) == {"self", "name", "version", "job", "tags"}
    assert bytes not in {parameter.annotation for parameter in signature.parameters.values()}


def test_s4_person_algorithm_dataset_release_and_time_are_on_record(world: World) -> None:
    """There: none of them is recorded."""
    live(world)
    world.drop("2009.csv", drifted(1))
    world.ticks(1)
    world.live()
    served = answer.audit(world.ports, "birds").served
    assert served is not None
    assert served.model == "azureml:birds:2"
    assert "ann" in served.trained_by
    assert served.algorithm == "azureml:birds-training:1"
    assert [f"version {d.number}: {d.source}" for d in served.data] == [
        "version 1: landing/birds/2007.csv",
        "version 2: landing/birds/2009.csv",
    ]
    assert (served.release, served.until) == (2, None)
    assert served.live_at <= world.clock.now()
    before = answer.audit(world.ports, "birds", world.release(2).started_at).served
    assert before is not None and before.release == 1


def test_s4_a_gate_that_cannot_be_asked_lets_nothing_pass(world: World) -> None:
    """There: the gate fails open."""
    live(world)

    def broken(endpoint: str, deployment: str, payload: str) -> Answer:
        raise DependencyUnavailable("the deployment does not answer")

    world.ports.serving.answer = broken
    world.drop("2009.csv", drifted(1))
    world.act("retrain")
    world.ticks(6, seconds=300)
    assert world.release(2).phase is Phase.GATING
    assert "does not answer" in say(world.release(2).waiting_for)
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}


def test_s4_nobody_acts_without_being_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """There: no authentication."""
    from functions.identity import Denied, caller

    monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    with pytest.raises(Denied):
        caller({})
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    with pytest.raises(Denied):
        caller({})

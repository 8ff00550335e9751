"""Every run that is told begins and ends once, is valid by OpenLineage's own types, and is told again as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from shared.domain.release import Phase
from shared.errors import DependencyUnavailable
from shared.lineage import openlineage
from shared.lineage.openlineage import Place
from shared.memory import FakeClock, MemoryLineage, memory_ports
from shared.ports import Traced
from shared.runtime import tick
from shared.state import queries
from tests.engine import test_promoted as environments
from tests.engine.test_helping import NO_METRIC, drift
from tests.engine.world import LOOP, World, created, csv, season
from tests.lineage import published

PLACE = Place("account.blob.core.windows.net", "azureml://s/g/w")
PUBLISHED: Mapping[str, Any] = json.loads(published.FILE.read_text())
ENDS = {"COMPLETE", "FAIL", "ABORT"}

Event = Mapping[str, Any]


@pytest.fixture
def world() -> World:
    made = World(replace(memory_ports(FakeClock()), lineage=MemoryLineage()))
    made.publish()
    return made


def told(world: World, job: str = "") -> list[Event]:
    """What was told of the runs of one job, or of all."""
    lineage = world.ports.lineage
    assert isinstance(lineage, MemoryLineage)
    found = [event for loop, one in lineage.told for event in openlineage.events(PLACE, loop, one)]
    wrong = [problem for event in found for problem in problems(event)]
    assert wrong == []
    return [event for event in found if not job or event["job"]["name"] == f"birds.{job}"]


def problems(event: Event) -> list[str]:
    """What OpenLineage's published types say against an event and each of its facets."""
    found = _invalid("RunEvent", event)
    for name, facet, owner in _facets(event):
        kind = str(facet.get("_schemaURL")).rpartition("/")[2]
        if kind not in PUBLISHED["$defs"]:
            found.append(f"{name}: {kind} is not published")
            continue
        found += [f"{name}: {problem}" for problem in _invalid(kind, facet)]
        key = kind.removesuffix(owner).removesuffix("Dataset")
        if key[:1].lower() + key[1:] not in (name, f"dataset{name.capitalize()}") or not kind.endswith(owner):
            found.append(f"{name}: no place for a {kind}")
    UUID(event["run"]["runId"])
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    return found


def _invalid(kind: str, value: Event) -> list[str]:
    schema = {"$ref": f"#/$defs/{kind}", "$defs": PUBLISHED["$defs"]}
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def _facets(event: Event) -> Iterator[tuple[str, Event, str]]:
    places: list[tuple[Event, str, str]] = [
        (event["run"], "facets", "RunFacet"),
        (event["job"], "facets", "JobFacet"),
    ]
    for data in [*event["inputs"], *event["outputs"]]:
        places += [(data, "facets", "DatasetFacet"), (data, "outputFacets", "OutputDatasetFacet")]
    for owner, under, kind in places:
        for name, facet in owner.get(under, {}).items():
            yield name, facet, kind


def kinds(events: list[Event]) -> dict[str, list[str]]:
    """By run: the kinds of its events, in order."""
    found: dict[str, list[str]] = {}
    for event in events:
        found.setdefault(event["run"]["runId"], []).append(event["eventType"])
    return found


def named(data: list[Event]) -> list[str]:
    return [f"{one['name']}@{one['facets']['version']['datasetVersion']}" for one in data]


def tags(event: Event) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]}


def test_a_drop_in_another_account_is_a_data_set_of_that_account() -> None:
    made = World(replace(memory_ports(FakeClock()), lineage=MemoryLineage()))
    made.publish(LOOP.replace("landing: landing/birds/", "landing: partner:outbox/birds/"))
    blob = made.ports.blobs.upload("partner:outbox", "birds/2007.csv", csv(season(2007)))
    made.send(created("https://partner.blob.core.windows.net/outbox/birds/2007.csv", blob.etag))
    (drop,) = told(made, "version")[-1]["inputs"]
    assert (drop["namespace"], drop["name"]) == (
        "wasbs://outbox@partner.blob.core.windows.net",
        "birds/2007.csv",
    )


def test_a_drop_its_model_and_the_endpoint_are_one_chain(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1

    landed, written = told(world, "version")
    (drop,), (data,) = written["inputs"], written["outputs"]
    assert [landed["eventType"], written["eventType"]] == ["START", "COMPLETE"]
    assert (drop["namespace"], drop["name"]) == (
        "wasbs://landing@account.blob.core.windows.net",
        "birds/2007.csv",
    )
    (blob,) = world.ports.blobs.list("landing", "birds/")
    assert drop["facets"]["version"]["datasetVersion"] == blob.etag
    columns = {field["name"]: field["type"] for field in data["facets"]["schema"]["fields"]}
    assert columns["body_mass_g"] == "number" and columns["species"] == "string"
    assert data["outputFacets"]["outputStatistics"]["rowCount"] == len(season(2007))

    began, trained = told(world, "training")
    assert [began["eventType"], trained["eventType"]] == ["START", "COMPLETE"]
    assert named(began["inputs"]) == named(trained["inputs"]) == named([data]) == ["data/birds@1"]
    assert named(trained["outputs"]) == ["models/birds@1"]
    assert tags(began)["azureml.job"] == world.release(1).job == world.ports.training.submitted[0]

    started, promoted, live = told(world, "release")
    assert [one["eventType"] for one in (started, promoted, live)] == ["START", "RUNNING", "COMPLETE"]
    assert named(promoted["inputs"]) == named(live["inputs"]) == named(trained["outputs"])
    assert named(promoted["outputs"]) == named(live["outputs"]) == ["onlineEndpoints/birds@r1-a1"]
    assert began["run"]["facets"]["parent"]["run"]["runId"] == started["run"]["runId"]
    assert tags(live)["driftloop.release"] == "birds/1" and tags(live)["driftloop.triggers"] == "first"


def test_each_event_names_the_ledger_entry_that_it_is_of(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    entries = {f"{one.seq}:{one.hash}": one for one in queries.entries(world.ports, "birds")}
    assert all(tags(one)["driftloop.ledger"] in entries for one in told(world))
    assert {entries[tags(one)["driftloop.ledger"]].what for one in told(world)} == {
        "version.created",
        "release.started",
        "release.training",
        "release.deploying",
        "release.promoted",
        "release.live",
    }


def test_a_model_that_is_rolled_back_has_failed_whether_or_not_it_was_promoted(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    for _ in range(30):
        world.ticks_with_traffic(1, errors={"r2-a1": 0.3})
    assert world.release(2).phase is Phase.ROLLED_BACK
    canary = told(world, "release")[3:]
    assert [one["eventType"] for one in canary] == ["START", "FAIL"]
    assert "errors: canary" in canary[1]["run"]["facets"]["errorMessage"]["message"]

    world.ticks(20, seconds=60)
    world.alert()
    world.drop("2008.csv", csv(season(2008, body_mass_g=1.6)))
    while (number := world.state.open_release) and world.release(number).phase is not Phase.BAKING:
        world.ticks_with_traffic(1)
    assert number == 3
    world.act("rollback", number)
    world.ticks_with_traffic(5)
    promoted = told(world, "release")[5:]
    assert [one["eventType"] for one in promoted] == ["START", "RUNNING", "FAIL"]
    assert world.release(3).phase is Phase.ROLLED_BACK


def test_each_attempt_to_train_is_a_run_that_ends(world: World) -> None:
    world.ports.training.new_jobs_are = "failed"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(5)
    training = told(world, "training")
    assert list(kinds(training).values()) == [["START", "FAIL"]] * 2
    assert [tags(one)["azureml.job"] for one in training] == ["birds-r1-a1"] * 2 + ["birds-r1-a2"] * 2
    assert list(kinds(told(world, "release")).values()) == [["START", "FAIL"]]


def test_what_a_person_ends_is_aborted(world: World) -> None:
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    world.act("abort", 1)
    world.ticks(5)
    assert list(kinds(told(world, "training")).values()) == [["START", "ABORT"]]
    assert list(kinds(told(world, "release")).values()) == [["START", "ABORT"]]


def test_a_release_that_helped_or_not_has_ended_before(world: World) -> None:
    drift(world, NO_METRIC, [1.4, 1.61])
    assert "release.assessed" in world.ledger()
    assert world.state.traced_seq == world.state.ledger_seq
    assert list(kinds(told(world, "release")).values()) == [["START", "RUNNING", "COMPLETE"]] * 3


def test_sharing_a_release_with_other_environments_holds_nothing_up(world: World) -> None:
    environments.publish(world, "test")
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(20)
    before = told(world)
    environments.shared(world)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    assert world.state.traced_seq == world.state.ledger_seq
    assert [event["job"]["name"] for event in told(world)[len(before) :]][:2] == ["birds.version"] * 2


def test_nothing_is_told_while_it_is_off_and_all_of_it_once_it_is_on() -> None:
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(20, seconds=60)
    assert world.state.traced_seq == 0 and world.ports.lineage is None

    world.ports = replace(world.ports, lineage=MemoryLineage())
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    assert world.state.traced_seq == world.state.ledger_seq
    jobs = [event["job"]["name"] for event in told(world)]
    assert [jobs.count(f"birds.{job}") for job in ("version", "training", "release")] == [4, 2, 3]


@pytest.mark.parametrize(
    ("model", "where", "name", "version"),
    [
        ("azureml:birds:3", "azureml://s/g/w", "models/birds", "3"),
        (
            "azureml://registries/team/models/birds/versions/7-a",
            "azureml://registries/team",
            "models/birds",
            "7-a",
        ),
        ("somewhere/else", "azureml://s/g/w", "somewhere/else", None),
    ],
)
def test_what_was_adopted_is_served_from_the_first_entry_on_wherever_its_model_is_from(
    model: str, where: str, name: str, version: str | None, world: World
) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    lineage = world.ports.lineage
    assert isinstance(lineage, MemoryLineage)
    (live,) = [one for _, one in lineage.told if one.entry.what == "release.promoted"]
    entry = replace(live.entry, before="", after="live", detail={**live.entry.detail, "model": model})
    start, complete = openlineage.events(PLACE, "birds", replace(live, entry=entry))
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    assert problems(start) == problems(complete) == []
    (served,) = complete["inputs"]  # type: ignore[misc]  # JSON
    assert (served["namespace"], served["name"]) == (where, name)
    assert served["facets"].get("version", {}).get("datasetVersion") == version


class Forgetful(MemoryLineage):
    """It is told, and then the process dies before anybody noted that, so many times."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__()
        self.left = times
        self._world = world

    def publish(self, loop: str, traced: Sequence[Traced]) -> None:
        super().publish(loop, traced)
        if any(one.release or one.version for one in traced) and self.left:
            self.left -= 1
            raise DependencyUnavailable("the process died")


def test_a_crash_before_it_is_noted_tells_the_same_again_and_loses_nothing(world: World) -> None:
    twice = Forgetful(world, times=4)
    world.ports = replace(world.ports, lineage=twice)
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    assert twice.left == 0
    events = [json.dumps(event, sort_keys=True) for event in told(world)]
    assert len(events) > len(set(events))
    once = list(dict.fromkeys(events))

    smooth = World(replace(memory_ports(FakeClock()), lineage=MemoryLineage()))
    smooth.publish()
    smooth.drop("2007.csv", csv(season(2007)))
    smooth.live()
    smooth.ticks(10)
    assert [_what(json.loads(event)) for event in once] == [_what(event) for event in told(smooth)]


def _what(event: Event) -> tuple[str, str, str]:
    return event["job"]["name"], event["run"]["runId"], event["eventType"]


def test_a_loop_goes_on_while_nobody_takes_its_lineage_and_tells_it_later(world: World) -> None:
    class Away(MemoryLineage):
        def publish(self, loop: str, traced: Sequence[Traced]) -> None:
            raise DependencyUnavailable("nobody there")

    kept = world.ports.lineage
    world.ports = replace(world.ports, lineage=Away())
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    overview = world.ports.store.overview("birds")
    assert overview is not None and overview.needs_attention is not None and overview.due_at is not None
    assert world.state.announced_seq == world.state.ledger_seq

    world.ports = replace(world.ports, lineage=kept)
    world.clock.advance(60)
    tick.tick(world.ports)
    assert world.state.traced_seq == world.state.ledger_seq
    assert {"COMPLETE"} == {events[-1] for events in kinds(told(world)).values()}


def test_the_check_refuses_what_is_not_openlineage(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    event = json.loads(json.dumps(told(world, "version")[1]))
    assert problems(event) == []
    for place, wrong in {
        "eventType": "DONE",
        "producer": None,
        "added": "a field",
    }.items():
        assert problems({**event, place: wrong})
    facets = event["outputs"][0]["facets"]
    facets["schema"]["fields"][0]["kind"] = "number"
    facets["version"]["_schemaURL"] = facets["version"]["_schemaURL"].replace("1-0-1", "1-0-0")
    facets["columns"] = facets["schema"]
    assert len(problems(event)) == 4

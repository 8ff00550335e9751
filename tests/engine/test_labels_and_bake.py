"""Late labels find their predictions; what they and the bake time show takes a model back, or asks for another."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO

import pandas as pd
import pytest

from shared.audit import evidence_replay
from shared.domain.event import InboxState
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase, TriggerKind
from shared.runtime import tick
from shared.state import queries
from shared.words import say, spoken
from tests.engine.test_canary_evidence import go_on, in_canary, live, worst
from tests.engine.world import ACCOUNT, LOOP, Model, World, by_bill, csv, lived, season

LABELLED = LOOP.replace("target: species,", "target: species, labels: labels/birds/,")


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(LABELLED)
    return made


def always_adelie(bird: dict[str, object]) -> str:
    return "Adelie"


def truth(world: World, *deployments: str, model: Model = by_bill) -> bytes:
    """A label for every row that was collected of these deployments so far."""
    rows = [row for name in deployments for row in world.ports.evidence.rows.get(("birds", name), [])]
    told = {"row_id": [row["id"] for row in rows], "species": [model(dict(row["inputs"])) for row in rows]}  # type: ignore[call-overload]  # JSON
    return csv(pd.DataFrame(told))


def labels(world: World, content: bytes, name: str = "labels.csv", tell: bool = True) -> None:
    blob = world.ports.blobs.upload("labels", f"birds/{name}", content)
    url = f"{ACCOUNT}/labels/birds/{name}"
    data = {"api": "PutBlob", "url": url, "eTag": blob.etag, "contentLength": blob.size_bytes}
    if tell:
        world.send(json.dumps({"eventType": "Microsoft.Storage.BlobCreated", "data": data}))


def serving(world: World, **models: Model) -> None:
    """One model, and two ticks of live requests."""
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    for _ in range(2):
        world.clock.advance(10)
        live(world, **models)


def baking(world: World, text: str = LABELLED, **models: Model) -> None:
    world.take(_baking(text, **models))


@lived
def _baking(text: str, **models: Model) -> World:
    world = World()
    in_canary(world, text)
    release = go_on(world, 40, lambda: live(world, **models))
    assert release.phase is Phase.BAKING, say(release.reason)
    return world


def bake(world: World, looks: int, traffic: Callable[[], None]) -> Phase:
    for _ in range(looks):
        world.clock.advance(10)
        if world.release(2).phase is Phase.BAKING:
            traffic()
        tick.tick(world.ports)
    return world.release(2).phase


def test_labels_that_come_during_the_canary_take_it_back(world: World) -> None:
    in_canary(world, LABELLED)
    go_on(world, 4, lambda: live(world, r2_a1=always_adelie))
    labels(world, truth(world, "r1-a1", "r2-a1"))
    release = go_on(world, 3, lambda: live(world, r2_a1=always_adelie))
    assert release.phase is Phase.ROLLED_BACK
    assert worst(release) == "labels"
    assert "of their predictions have labels" in say(release.reason)


def test_labels_of_a_canary_that_is_as_right_are_told_and_take_nothing_back(world: World) -> None:
    in_canary(world, LABELLED)
    go_on(world, 3, lambda: live(world))
    labels(world, truth(world, "r1-a1", "r2-a1"))
    release = go_on(world, 40, lambda: live(world))
    assert release.phase is Phase.BAKING
    assert any("labels: canary 0 of " in say(one) for one in release.judgements[2].reasons)


def test_labels_that_come_during_the_bake_take_the_model_back_in_one_step(world: World) -> None:
    baking(world, r2_a1=always_adelie)
    labels(world, truth(world, "r1-a1", "r2-a1"))
    world.ticks(1)
    release = world.release(2)
    assert release.reason is not None
    assert release.reason.codes() == {Code.BAKE_ROLLED_BACK, Code.BAKE_LAST_STEP, Code.METRIC_RATE}
    world.ticks(3)
    assert world.release(2).phase is Phase.ROLLED_BACK
    assert dict(world.ports.serving.traffic("birds")) == {"r1-a1": 100}
    assert world.state.champion is not None
    assert world.state.champion.release == 1


@pytest.mark.parametrize(
    ("how", "cause"),
    [({"errors": {"r2-a1": 0.1}}, Code.BAKE_ERRORS), ({"slow": 40.0}, Code.BAKE_LATENCY)],
)
def test_a_model_that_is_sick_only_with_all_traffic_is_taken_back(
    world: World, how: dict[str, object], cause: Code
) -> None:
    text = LABELLED.replace("bake_minutes: 1", "bake_minutes: 10, margins: {latency_floor_ms: 5}")
    baking(world, text)

    def traffic() -> None:
        if "slow" in how:
            live(world, latency_ms={"r2-a1": 40.0})
        else:
            world.traffic(errors={"r2-a1": 0.1})

    assert bake(world, 20, traffic) is Phase.ROLLED_BACK
    why = world.release(2).reason
    assert why is not None and why.because[0].code is cause, say(why)
    again = evidence_replay.replay(world.ports, "birds", 2)
    assert all(one.same for one in again), again
    assert again[4].judgement.kind is JudgementKind.BAKE


def test_a_good_model_bakes_as_long_as_its_evidence_takes_and_no_longer_than_a_step(world: World) -> None:
    baking(world)
    assert bake(world, 12, lambda: None) is Phase.BAKING
    assert "evidence covers 0 s of the 60 s bake" in say(world.release(2).waiting_for)
    assert bake(world, 10, lambda: live(world)) is Phase.LIVE
    assert "errors after promotion: 0 of " in say(world.release(2).reason)


@pytest.mark.parametrize(
    ("chosen", "end"),
    [("", Phase.ROLLED_BACK), (", on_timeout: hold", Phase.LIVE), (", on_timeout: promote", Phase.LIVE)],
)
def test_a_bake_without_any_evidence_goes_back_after_the_longest_time_of_a_step(
    world: World, chosen: str, end: Phase
) -> None:
    baking(world, LABELLED.replace("bake_minutes: 1", f"bake_minutes: 1{chosen}"))
    world.ports.evidence.unavailable = "the log is not well"
    assert bake(world, 3, lambda: None) is Phase.BAKING
    assert "the log is not well" in say(world.release(2).waiting_for)
    world.clock.advance(3700)
    world.ticks(5)
    assert world.release(2).phase is end
    why = world.release(2).reason
    assert why is not None
    assert (why.code is Code.BAKE_TIMED_OUT) == (end is Phase.ROLLED_BACK)
    assert "the log is not well" in say(why)
    serves = "r1-a1" if end is Phase.ROLLED_BACK else "r2-a1"
    assert world.ports.serving.traffic("birds") == {serves: 100}


def test_labels_that_show_a_breach_ask_for_a_release_when_there_is_something_new_to_train_on(
    world: World,
) -> None:
    serving(world, r1_a1=always_adelie)
    labels(world, truth(world, "r1-a1"))
    assert "nothing new" in say(world.state.denial)
    world.drop("more.csv", csv(season(2008)))
    assert world.state.open_release is None, "no drift by itself"
    world.clock.advance(70)
    live(world, r1_a1=always_adelie)
    labels(world, truth(world, "r1-a1"), "later.csv")
    release = world.release(2)
    assert [trigger.kind for trigger in release.triggers] == [TriggerKind.METRIC]
    assert "collected predictions (100%) of release 1; f1_macro is " in say(release.triggers[0].reason)


def test_labels_that_keep_the_threshold_ask_for_nothing_and_are_told(world: World) -> None:
    serving(world)
    labels(world, truth(world, "r1-a1"))
    told = next(e for e in queries.entries(world.ports, "birds") if e.what == "labels.joined")
    assert "meets the threshold of 0.85" in spoken(told.detail)["verdict"]
    assert spoken(told.detail)["decision"] == "not retrained: no trigger fired"
    assert world.state.open_release is None
    assert world.state.next_version == 2, "labels are no data version"


def test_lost_and_repeated_events_of_labels_are_one_and_bad_files_are_set_aside(world: World) -> None:
    serving(world)
    labels(world, truth(world, "r1-a1"), tell=False)
    assert world.sweep() == 1
    tick.tick(world.ports)
    assert tick.sweep(world.ports) == 0
    labels(world, b"row_id,weight\n1,2\n", "no-target.csv")
    joined = [e for e in queries.entries(world.ports, "birds") if e.what == "labels.joined"]
    assert len(joined) == 1
    (aside,) = queries.set_aside(world.ports, "birds")
    assert (aside.state, "species" in say(aside.reason)) == (InboxState.QUARANTINED, True)


def test_what_other_columns_of_a_label_file_hold_stops_nothing(world: World) -> None:
    serving(world)
    told = pd.read_csv(BytesIO(truth(world, "r1-a1")))
    told["note"] = ["see file", *map(str, range(1, len(told)))]
    labels(world, csv(told))
    assert [e.what for e in queries.entries(world.ports, "birds")].count("labels.joined") == 1
    assert not queries.set_aside(world.ports, "birds")


def test_labels_are_read_as_the_loop_file_says(world: World) -> None:
    serving(world)
    world.publish(LABELLED.replace("target: species,", "target: species, columns: {species: number},"))
    labels(world, truth(world, "r1-a1"))
    (aside,) = queries.set_aside(world.ports, "birds")
    assert aside.reason is not None and aside.reason.code is Code.UNPARSABLE_NUMBERS, "words are no numbers"

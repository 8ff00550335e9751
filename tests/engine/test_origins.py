"""The loop does not feed itself: labels that its own model made train nothing, judge nothing and start nothing."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pandas as pd
import pytest

from shared.domain.reason import Code
from shared.domain.release import TriggerKind
from shared.domain.version import DataVersion
from shared.loopfile import LoopFileError, parse
from shared.retraining import policy
from shared.runtime import unit_of_work
from shared.state import queries
from shared.words import say, say_all, spoken
from tests.engine.test_labels_and_bake import LABELLED, always_adelie, labels, serving
from tests.engine.test_policy import loop, trigger
from tests.engine.world import LOOP, World, csv, season

ORIGIN = "target: species, origin: {column: said_by, own: [model, r1]},"
PLAN = LOOP.replace("target: species,", ORIGIN)
JUDGED = LABELLED.replace("target: species,", ORIGIN)
PEOPLE = season(2007).assign(said_by="ranger")


def version(world: World, number: int) -> DataVersion:
    return unit_of_work.read(world.ports, "birds").version(number)[0]


def rows_of(world: World, number: int, part: str) -> pd.DataFrame:
    paths = world.ports.versions.list(f"{version(world, number).path}/{part}/")
    return pd.concat([pd.read_parquet(BytesIO(world.ports.versions.read(path))) for path in paths])


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(PLAN)
    made.drop("2007.csv", csv(PEOPLE))
    made.live()
    return made


def half_by_the_model(birds: pd.DataFrame, told: object = "model") -> pd.DataFrame:
    said = ["ranger" if n % 2 else told for n in range(len(birds))]
    return birds.assign(said_by=said)


@pytest.mark.parametrize("told", ["model", "r1", None])
def test_labels_of_the_model_or_of_nobody_never_reach_training(world: World, told: object) -> None:
    birds = season(2008)
    world.drop("2008.csv", csv(half_by_the_model(birds, told)))
    found = version(world, 2)
    assert found.labelled
    for part in ("train", "sample"):
        assert set(rows_of(world, 2, part)["said_by"].dropna()) == {"ranger"}
    assert rows_of(world, 2, "unlabelled")["species"].isna().all()
    whose = "the loop's own predictions" if told else "do not say where they come from"
    assert f"{(len(birds) + 1) // 2} labels" in say_all(found.findings)
    assert whose in say_all(found.findings)
    assert found.own_labels == (0 if told is None else (len(birds) + 1) // 2)


def test_a_loop_may_say_that_labels_of_nobody_count() -> None:
    world = World()
    world.publish(PLAN.replace("own: [model, r1]", "own: [model, r1], unknown: train"))
    world.drop("2008.csv", csv(half_by_the_model(season(2008), None)))
    assert version(world, 1).train_rows + version(world, 1).holdout_rows == len(season(2008))


def test_a_version_made_of_the_loops_own_predictions_raises_nothing_however_far_it_drifted(
    world: World,
) -> None:
    world.clock.advance(70)
    world.drop("own.csv", csv(season(2008, body_mass_g=1.5).assign(said_by="model")))
    found = version(world, 2)
    assert found.drift_material, "it is compared and told"
    assert found.decision is not None and found.decision.code is Code.OWN_PREDICTIONS
    assert (world.state.open_release, world.state.next_release, world.state.waiting) == (None, 2, ())
    world.drop("own-2.csv", csv(season(2009, body_mass_g=1.5).assign(said_by="ranger")))
    assert world.state.open_release == 2, "the same drift, seen by people, is a reason"


def test_a_file_without_the_origin_is_quarantined_by_name(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    (aside,) = queries.set_aside(world.ports, "birds")
    assert aside.reason is not None and aside.reason.code is Code.MISSING_ORIGIN


def test_late_labels_that_the_champion_made_start_nothing() -> None:
    """They say that it errs always; the same by people is a breach."""
    world = World()
    world.publish(JUDGED)
    world.drop("2007.csv", csv(PEOPLE))
    world.live()
    world.drop("new.csv", csv(season(2008).assign(said_by="ranger")))
    for name, said_by in (("own.csv", "model"), ("people.csv", "ranger")):
        world.clock.advance(70)
        serving_again(world)
        collected = world.ports.evidence.rows[("birds", "r1-a1")]
        told = pd.DataFrame({"row_id": [row["id"] for row in collected], "species": "Gentoo"})
        labels(world, csv(told.assign(said_by=said_by)), name)
        entry = [e for e in queries.entries(world.ports, "birds") if e.what == "labels.joined"][-1]
        verdict = spoken(entry.detail)["verdict"]
        if said_by == "model":
            assert f"{len(told):,} labels are the loop's own predictions" in verdict
            assert world.state.open_release is None
    assert world.release(2).triggers[0].kind is TriggerKind.METRIC


def serving_again(world: World) -> None:
    from tests.engine.test_canary_evidence import live

    live(world, r1_a1=always_adelie)


def test_the_origin_is_no_feature_and_no_target(world: World) -> None:
    assert "said_by" in parse(PLAN, file="loop.yaml").data.left_out
    assert "said_by" not in say_all(version(world, 1).verdict)
    with pytest.raises(LoopFileError, match=r"a column other than data\.target"):
        parse(PLAN.replace("column: said_by", "column: species"), file="loop.yaml")


# --- how deep the loop is in its own effects -----------------------------------------------------


def test_the_depth_grows_with_what_only_the_champion_asks_for_and_begins_anew_with_the_world() -> None:
    state = loop(depth=3)
    own = [trigger(kind) for kind in (TriggerKind.ALERT, TriggerKind.METRIC, TriggerKind.SERVED)]
    assert policy.depth(state, own) == 4
    outside = [
        trigger(TriggerKind.PERSON),
        trigger(TriggerKind.SCHEDULE),
        replace(trigger(TriggerKind.DRIFT), version=2),
        replace(trigger(TriggerKind.METRIC), version=2),
    ]
    for one in outside:
        assert policy.depth(state, [*own, one]) == 0
    assert policy.depth(replace(state, champion=None), own) == 0


def test_the_ledger_has_the_depth_of_each_release() -> None:
    world = World()
    world.publish(LABELLED)
    serving(world)
    world.drop("new.csv", csv(season(2008)))
    world.clock.advance(70)
    world.alert()
    world.live()
    started = [e for e in queries.entries(world.ports, "birds") if e.what == "release.started"]
    assert [spoken(entry.detail)["depth"] for entry in started] == ["0", "1"]
    assert (world.release(2).depth, world.state.depth) == (1, 1)
    assert "fired" in say(world.release(2).triggers[0].reason)

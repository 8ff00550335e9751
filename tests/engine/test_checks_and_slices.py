"""What stands before traffic beside the gate's comparison: checks that see the model, slices that people can read."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import drift
from shared.canary.live_counts import Scale
from shared.domain.release import Phase
from shared.gate.slice_names import slice_edges, slice_names
from shared.loopfile import parse
from shared.loopfile.published import Assets, Published
from shared.runtime import publication
from shared.verdict.predictions import Predictions, read_stated
from shared.words import say
from tests.engine.world import LOOP, World, csv, season


def with_check(world: World) -> None:
    text = LOOP.replace("gate: {", "gate: {checks: [qa/qa.yml], ")
    assets = Assets(pipeline="azureml:birds-training:1", checks={"qa/qa.yml": "azureml:birds-qa:1"})
    publication.publish(
        world.ports, Published(parse(text, file="loop.yaml"), assets, "ann", world.clock.now())
    )


def test_a_check_gets_the_challenger_and_its_training_rows() -> None:
    world = World()
    with_check(world)
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    (check,) = (job.spec for name, job in world.ports.training.jobs.items() if name.endswith("-c0"))
    assert check.model == "azureml:birds:1"
    assert check.training_data == world.release(1).window
    assert check.component == "azureml:birds-qa:1"


def test_a_check_that_fails_rejects_with_its_words_and_gives_no_traffic() -> None:
    world = World()
    with_check(world)
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    world.ports.training.jobs["birds-r1-a1"].status = "completed"
    world.ticks(3)
    check = world.ports.training.jobs["birds-r1-a1-c0"]
    check.status, check.error = "failed", "A student should be <=50K, the model says >50K"
    world.ticks(5)
    assert world.release(1).phase is Phase.REJECTED
    assert "A student should be" in say(world.release(1).reason)
    assert world.ports.serving.splits == []


def test_many_numbers_are_four_bands_that_hold_every_row() -> None:
    ages = pd.Series([17, 17, 25, 30, 38, 41, 52, 60, 90, 33, 34, 35, 36, 37, 39, None])
    names = slice_names(ages, slice_edges(ages))
    assert len(names) == len(ages)
    assert set(names) == {"to 30", "over 30 to 36", "over 36 to 39", "over 39", "(missing)"}
    for age, name in zip(ages, names, strict=True):
        low, _, high = name.removeprefix("over ").rpartition("to ")
        if "to" in name:
            assert float(low or 0) <= age <= float(high)
    assert Counter(names)["(missing)"] == 1 and names[-1] == "(missing)"


@pytest.mark.parametrize("column", [["a", "b", None], [1, 2, 2], [True, False, True], ["none", None, "a"]])
def test_few_values_are_slices_of_their_own(column: list[object]) -> None:
    assert slice_edges(pd.Series(column)) == ()
    assert len(set(slice_names(pd.Series(column)))) == len({repr(value) for value in column})


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2, None] * 9, "float64"),
        ([1, 2, None] * 9, "Int64"),
        ([True, False] * 9, "bool"),
        (["none", None, "a"], "object"),
        ([0.5, 2, None], "float64"),
        ([*range(40), None], "float64"),
        ([*range(40), None], "Int64"),
    ],
)
def test_gate_canary_and_drift_name_the_slice_of_a_row_alike(values: list[object], dtype: str) -> None:
    """The canary gets JSON, in which a whole number is one whatever the column was in training."""
    column = pd.Series(values, dtype=dtype)
    edges = slice_edges(column)
    names = slice_names(column, edges)
    scale = Scale(slices={"x": frozenset(names)}, slice_edges={"x": edges})
    rows = json.loads(json.dumps([{"x": value} for value in values]))
    assert [list(scale.slice_names(row)) for row in rows] == [[f"x={name}"] for name in names]
    found = drift.profile(pd.DataFrame({"x": column, "other": range(len(column))}), by=["x"])
    assert {name.partition("=")[2]: part.rows for name, part in found.segments.items()} == Counter(names)


def test_numbers_that_are_nearly_all_alike_make_bands_without_gaps() -> None:
    column = pd.Series([0.0] * 90 + list(np.arange(1.0, 14.0)))
    names = slice_names(column, slice_edges(column))
    assert len(names) == 103
    assert all(name for name in names)


def test_a_first_model_that_sees_a_class_on_one_side_alone_is_rejected_by_the_gates_parity() -> None:
    world = World(default_model=lambda bird: "Gentoo" if bird["sex"] == "male" else "Adelie")
    parity = "parity: {by: [sex], positive: Gentoo, selection_rate: 0.2, min_rows: 5}, "
    world.publish(LOOP.replace("gate: {", "gate: {" + parity))
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    release = world.release(1)
    assert release.phase is Phase.REJECTED
    told = say(release.reason)
    assert "selection rate by sex: male 100.0%, female 0.0%" in told
    assert "too small to compare: (missing) (" in told, "birds whose sex nobody knows"


GOLDEN = {"columns": ["flipper_length_mm"], "data": [[180], [230]]}


@pytest.mark.parametrize(
    ("recorded", "phase", "words"),
    [
        (["Adelie", "Gentoo"], Phase.LIVE, "all well formed, 2 equal to what training recorded"),
        (["Adelie", "Adelie"], Phase.REJECTED, "1 of 2 predictions differ from training's: 'Gentoo' for 'Adelie'"),
        ([["Adelie"], ["Gentoo"]], Phase.LIVE, "all well formed, 2 equal to what training recorded"),
        (["Adelie"], Phase.GATING, "golden.json of job birds-r1-a1 cannot be used (ValueError: 1 answers for 2 rows)"),
        (["Adelie", None], Phase.GATING, "1 of 2 answers are no answers of a classification"),
        ({"species": 1}, Phase.GATING, "its answers are no list"),
    ],
)  # fmt: skip
def test_the_smoke_test_asks_what_the_pipeline_recorded(recorded: object, phase: Phase, words: str) -> None:
    world = World()
    world.publish()
    world.ports.training.golden = json.dumps({"input_data": GOLDEN, "answers": recorded}).encode()
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    release = world.release(1)
    assert release.phase is phase
    found = [*(one for judged in release.judgements for one in judged.reasons), release.waiting_for]
    told = [say(one) for one in found]
    assert any(words in one for one in told), told


@pytest.mark.parametrize(
    ("probabilities", "stated"),
    [
        ([0.9, 0.6], [0.9, 0.6]),
        ([{"Adelie": 0.9, "Gentoo": 0.1}, {"Adelie": 0.4, "Gentoo": 0.6}], [0.9, 0.6]),
        ([{"Gentoo": 1.0}, "sure"], [None, None]),
        ([0.9], []),
        (None, []),
    ],
)
def test_probabilities_are_read_where_a_deployment_states_them(
    probabilities: object, stated: list[object]
) -> None:
    body = {"predictions": ["Adelie", "Gentoo"], "probabilities": probabilities}
    said = Predictions(("Adelie", "Gentoo"), (), (), tuple(read_stated(body, 2)))
    assert said.stated == tuple(stated)


@pytest.mark.parametrize(
    ("values", "keys"),
    [((1.0, 0.0), ("1.0", "0.0")), ((1, 0), ("1.0", "0.0")), ((True, False), ("true", "false"))],
)
def test_probabilities_are_found_under_a_class_however_a_key_of_json_spells_it(
    values: tuple[object, ...], keys: tuple[str, str]
) -> None:
    """`dict(zip(model.classes_, p))` of classes that are floats or truth values."""
    first, second = keys
    said = Predictions(values, (), (), ({first: 0.9, second: 0.1}, {first: 0.2, second: 0.8}))
    assert said.stated == (0.9, 0.8)


def test_probabilities_are_read_from_where_the_predictions_are() -> None:
    body = {"predictions": ["Adelie", "Gentoo"], "probabilities": [0.9, 0.6]}
    assert [read_stated(one, 2) for one in (body, json.dumps(body), {"result": body})] == [[0.9, 0.6]] * 3


def test_a_probability_of_the_answer_says_the_other_classs_too_where_there_are_two() -> None:
    said = Predictions(("yes", "no", None), (), (), (0.9, 0.75, 0.5))
    assert said.of(["yes"] * 3, two=True) == (0.9, 0.25, None)
    assert said.of(["yes"] * 3) == (0.9, None, None), "of three classes the rest is anybody's"
    named = Predictions((1, 0), (), (), ({"1": 0.7, "0": 0.3}, {"1": True}))
    assert named.of(["1.0", "1"]) == (0.7, None), (
        "a class is the same however it is written; true is no probability"
    )

"""Late labels are also told by slice, the worst first, with intervals that hold for all of them together."""

from __future__ import annotations

import numpy as np
import pytest

from cli.explain import loop_story
from shared import loopfile
from shared.domain.reason import Code, Reason
from shared.state import queries
from shared.stats.metrics import METRICS
from shared.verdict.label_slices import MOST, TOLD, by_slice
from shared.words import say
from tests.engine.test_labels_and_bake import LABELLED, labels, serving, truth
from tests.engine.world import World, by_bill

SLICED = LABELLED.replace("gate: {", "gate: {slices: {by: [island], floor: 0.6, min_rows: 30}, ")


def worse_on_dream(bird: dict[str, object]) -> str:
    return "Gentoo" if bird["island"] == "Dream" else by_bill(bird)


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.publish(SLICED)
    serving(made, r1_a1=worse_on_dream)
    labels(made, truth(made, "r1-a1"))
    return made


@pytest.fixture(scope="module")
def told(world: World) -> Reason:
    (entry,) = (e for e in queries.entries(world.ports, "birds") if e.what == "labels.joined")
    verdict = entry.detail["verdict"]
    assert isinstance(verdict, Reason)
    return verdict


def test_the_worst_slice_comes_first_with_its_interval_and_its_floor(told: Reason) -> None:
    (sliced,) = (one for one in told.because if one.code is Code.LABELS_BY_SLICE)
    names = [one.facts["slice"] for one in sliced.because]
    assert names[0] == "island=Dream" and set(names) == {"island=Dream", "island=Biscoe", "island=Torgersen"}
    worst = sliced.because[0].because[0]
    assert worst.code is Code.METRIC_BREACHED and worst.facts["threshold"] == 0.6
    assert "by slice, the worst 3 of 3" in say(told) and "island=Dream: f1_macro is 0.0000" in say(told)


def test_the_loops_story_tells_them(world: World, told: Reason) -> None:
    found = [why for _, what, why in loop_story(world.ports, "birds")[1] if what.startswith("late labels: ")]
    assert found == [say(told)]


def rows(values: list[str]) -> list[dict[str, object]]:
    return [{"island": value} for value in values]


def definition(min_rows: int = 30) -> loopfile.Definition:
    return loopfile.parse(SLICED.replace("min_rows: 30", f"min_rows: {min_rows}"), file="loop.yaml")


def test_small_slices_are_counted_and_the_intervals_hold_for_all_that_are_judged() -> None:
    given = rows(["a"] * 100 + ["b"] * 100 + ["c"] * 5)
    right = ["x"] * 205
    (both,) = by_slice(definition(), METRICS["accuracy"], given, right, right)
    (alone,) = by_slice(definition(), METRICS["accuracy"], given[:100], right[:100], right[:100])
    assert (both.facts["slices"], both.facts["small"], alone.facts["slices"]) == (2, 1, 1)
    low, lower = (float(str(one.because[0].because[0].facts["low"])) for one in (alone, both))
    assert lower < low, "Bonferroni over two slices"


def test_nothing_is_told_where_no_slice_is_named_large_or_collected() -> None:
    right = ["x"] * 40
    unsliced = loopfile.parse(LABELLED, file="loop.yaml")
    assert by_slice(unsliced, METRICS["accuracy"], rows(["a"] * 40), right, right) == ()
    assert by_slice(definition(41), METRICS["accuracy"], rows(["a"] * 40), right, right) == ()
    assert by_slice(definition(), METRICS["accuracy"], [{"sex": "male"}] * 40, right, right) == ()


def test_many_slices_are_bounded() -> None:
    given = rows([f"island {n}" for n in range(MOST + 10) for _ in range(30)])
    right = ["x"] * len(given)
    (told,) = by_slice(definition(), METRICS["accuracy"], given, right, right)
    assert (told.facts["slices"], told.facts["small"], len(told.because)) == (MOST, 10, TOLD)


def test_slices_that_keep_their_floor_are_called_below_it_at_most_at_the_rate() -> None:
    """H0 at its edge: five slices, each right in 60 % of its rows, the floor; one report in twenty may err."""
    random, alarms, reports = np.random.default_rng(60), 0, 100
    given = rows([name for name in "abcde" for _ in range(60)])
    for _ in range(reports):
        said = np.where(random.random(300) < 0.6, "x", "y").tolist()
        (told,) = by_slice(definition(), METRICS["accuracy"], given, ["x"] * 300, said)
        alarms += any(one.because[0].code is Code.METRIC_BREACHED for one in told.because)
    assert 0 < alarms / reports <= 0.05 + 3 * (0.05 * 0.95 / reports) ** 0.5

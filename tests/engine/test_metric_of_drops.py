"""`metric.worse_by` on drops: compared with what the model has shown at its gate and on drops since."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.runtime import unit_of_work
from shared.words import say_all
from tests.engine.world import LOOP, World, csv, season

TEXT = (
    LOOP.replace("at_least: 0.85", "worse_by: 0.05")
    .replace("drift: {", "drift: {enabled: false, ")
    .replace("retrain: {", "retrain: {on: [alert], ")
)
BY_TIME = TEXT.replace("holdout: {fraction: 0.4}", "time: at, holdout: {by: time, column: at, fraction: 0.4}")
USUAL, BAD = 0.1, 0.4


def noisy(number: int, wrong: float) -> pd.DataFrame:
    """Birds of which a share has the other's name, so that the model is wrong about them."""
    rows, rng = season(2007), np.random.default_rng(number)
    other = rows.species.map({"Adelie": "Gentoo", "Gentoo": "Adelie"})
    return rows.assign(
        row_id=rows.row_id + f"-{number}",
        species=rows.species.where(rng.permutation(len(rows)) >= wrong * len(rows), other),
        at=pd.date_range("2026-01-01", periods=len(rows), freq="h").astype(str),
    )


def judged(text: str, *wrong: float) -> list[DataVersion]:
    world = World()
    world.publish(text)
    for number, share in enumerate(wrong, 1):
        world.drop(f"{number}.csv", csv(noisy(number, share)))
        world.live()
        world.ticks(2)
    return unit_of_work.read(world.ports, "birds").versions()


@pytest.fixture(scope="module")
def versions() -> list[DataVersion]:
    return judged(TEXT, *[USUAL] * 6, BAD, BAD)


def codes(version: DataVersion) -> set[Code]:
    return {inner.code for found in version.verdict for inner in (found, *found.because)}


def test_drops_that_were_judged_before_are_part_of_what_a_model_has_shown(
    versions: list[DataVersion],
) -> None:
    assert [Code.METRIC_OF_DROPS in codes(v) for v in versions] == [False] * 4 + [True] * 4
    assert "at its gate and on 3 drops, varies between drops by" in say_all(versions[4].verdict)
    assert not any(v.metric_breached for v in versions[1:6])


def test_a_breached_drop_lowers_nothing_for_the_next(versions: list[DataVersion]) -> None:
    assert [v.metric_breached for v in versions[6:]] == [True, True]
    assert "on 5 drops" in say_all(versions[7].verdict)


def test_beside_the_newest_rows_of_one_drop_nothing_is_judged_before_it_is_known_how_drops_vary() -> None:
    found = judged(BY_TIME, BAD, *[USUAL] * 4, BAD)
    assert [v.metric_breached for v in found] == [None] * 4 + [False, True]
    assert not {Code.METRIC_OF_GATE, Code.METRIC_OF_DROPS} & set().union(*map(codes, found))
    assert "on 4 drops, varies between drops by" in say_all(found[-1].verdict), "whatever its gate found"


def test_what_was_measured_under_another_loop_file_does_not_count() -> None:
    world = World()
    world.publish(TEXT)
    for number in range(1, 7):
        if number == 6:
            world.ticks(1)
            world.publish(TEXT.replace("f1_macro", "accuracy"))
        world.drop(f"{number}.csv", csv(noisy(number, USUAL)))
        world.live()
        world.ticks(2)
    *_, before, after = unit_of_work.read(world.ports, "birds").versions()
    assert Code.METRIC_OF_DROPS in codes(before)
    assert Code.METRIC_OF_DROPS not in codes(after)

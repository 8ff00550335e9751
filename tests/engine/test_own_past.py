"""Rows that depend on each other: a drop alarms when it is unusual for its loop, and a quiet one does not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from shared import loopfile
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.runtime import unit_of_work
from shared.state import queries
from shared.verdict import own_past
from shared.words import say_all
from tests.engine.world import World

LOOP = """
loop: birds
data: {landing: landing/birds/, target: species}
train: {pipeline: train.yml}
serve: {endpoint: birds}
retrain: {on: [alert], alerts: [x]}
"""
ROWS, QUIET = 150, 14


def series(drops: int, seed: int = 1) -> list[pd.DataFrame]:
    """An autoregressive series, cut into drops: each lies elsewhere, and nothing changes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=drops * ROWS) * np.sqrt(1 - 0.95**2)
    for i in range(1, len(x)):
        x[i] += 0.95 * x[i - 1]
    frame = pd.DataFrame({"x": x.round(4), "species": np.where(rng.random(len(x)) < 0.5, "Adelie", "Gentoo")})
    return [frame.iloc[n * ROWS : (n + 1) * ROWS] for n in range(drops)]


def landed(world: World, frames: list[pd.DataFrame]) -> list[DataVersion]:
    for n, frame in enumerate(frames):
        world.drop(f"{world.state.next_version}-{n}.csv", frame.to_csv(index=False).encode())
        world.ticks(2)
        if world.state.champion is None:
            world.live()
    return unit_of_work.read(world.ports, "birds").versions()


def codes(version: DataVersion) -> list[Code]:
    return [found.code for found in version.verdict]


@pytest.fixture(scope="module")
def quiet() -> tuple[World, list[DataVersion]]:
    world = World(default_model=lambda row: "Adelie")
    world.publish(LOOP)
    return world, landed(world, series(QUIET))


def test_quiet_drops_of_a_series_hardly_alarm_where_tests_of_rows_always_do(
    quiet: tuple[World, list[DataVersion]],
) -> None:
    world, versions = quiet
    by_rows = [json.loads(world.ports.documents.get(v.drift))["material"] for v in versions[1:]]
    assert sum(by_rows) >= 10, "what is seen without the loop's past"
    assert [v.number for v in versions if v.drift_material] == []
    assert [codes(v) for v in versions[1:6]] == [[Code.FEW_PAST_DROPS]] * 5, "no alarm before three scores"
    assert {code for v in versions[6:] for code in codes(v)} == {Code.USUAL_DROP}
    assert "usual for this loop" in say_all(versions[-1].verdict)
    assert queries.loop(world.ports, "birds").overview.newest is not None


def test_a_step_in_a_series_is_found_and_names_its_column(quiet: tuple[World, list[DataVersion]]) -> None:
    world, _ = quiet
    moved = series(QUIET + 1)[-1].assign(x=lambda frame: frame["x"] + 4)
    last = landed(world, [moved])[-1]
    assert last.drift_material
    assert codes(last) == [Code.UNUSUAL_DROP, Code.COLUMN_MOVED]
    assert last.verdict[0].facts["column"] == "x"


def test_a_drop_stays_in_the_past_though_it_alarmed() -> None:
    drops = [{"last": {"x": 0.1 + n / 1000}} for n in range(12)]
    told, alarm = own_past._told(drops, {"last": {"x": 0.5}}, 0.1)
    assert alarm
    written = json.loads(own_past._written([*drops, {"last": {"x": 0.5}}]))["drops"]
    assert [drop["last"]["x"] for drop in written][-1] == 0.5
    assert told.code is Code.UNUSUAL_DROP


def test_the_past_that_is_kept_is_bounded() -> None:
    wide = {"last": {f"c{n}": 0.1 for n in range(2000)}}
    assert len(json.loads(own_past._written([wide] * 300))["drops"]) == 50
    assert len(json.loads(own_past._written([{"last": {"x": 0.1}}] * 300))["drops"]) == own_past.MOST_DROPS


def test_two_references_share_the_rate() -> None:
    drops = [{"last": {"x": 0.01 * 1.3**n}, "season": {"x": 0.01 * 1.3**n}} for n in range(12)]
    now = {"last": {"x": 0.05}, "season": {"x": 0.01 * 1.3**11.5}}
    assert own_past._told(drops, {"season": now["season"]}, 0.1)[1], "alone it may use the whole rate"
    assert not own_past._told(drops, now, 0.1)[1]


def test_independent_rows_are_tested_as_rows_and_nothing_is_kept() -> None:
    world = World(default_model=lambda row: "Adelie")
    world.publish(LOOP)
    rng = np.random.default_rng(2)
    frames = [
        pd.DataFrame(
            {"x": rng.normal(size=ROWS) + (n == 2) * 2, "species": rng.choice(["Adelie", "Gentoo"], ROWS)}
        )
        for n in range(3)
    ]
    versions = landed(world, frames)
    assert [v.drift_material for v in versions[1:]] == [False, True]
    assert world.state.past == ""


def test_a_loop_file_may_ask_for_the_rank_and_say_how_long_a_season_is() -> None:
    season = LOOP + "drift: {reference: {same_season: 4}, unusual_rate: 0.2}\n"
    assert loopfile.parse(season, file="loop.yaml").drift.reference.n == 4
    world = World(default_model=lambda row: "Adelie")
    world.publish(season)
    rng = np.random.default_rng(3)
    levels = [0.0, 2.0, 0.0, -2.0] * 3
    frames = [
        pd.DataFrame({"x": rng.normal(level, 1, ROWS), "species": rng.choice(["Adelie", "Gentoo"], ROWS)})
        for level in levels
    ]
    versions = landed(world, frames)
    assert [v.number for v in versions if v.drift_material] == [], "independent rows of a season that returns"
    kept = json.loads(world.ports.documents.get(world.state.past))["drops"]
    assert [sorted(drop) for drop in kept] == [[]] * 3 + [["last"]] * 2 + [["last", "season"]] * 7


def test_one_row_of_each_customer_is_compared() -> None:
    """Ten rows a customer that are all alike: as rows they alarm, one of each does not."""
    clustered = LOOP + "drift: {cluster: customer}\n"
    world = World(default_model=lambda row: "Adelie")
    world.publish(clustered)
    rng = np.random.default_rng(4)
    frames = []
    for n in range(4):
        level = np.repeat(rng.normal(size=60), 10)
        names = [f"{n}-{i // 10}" for i in range(600)]
        frames.append(
            pd.DataFrame(
                {
                    "customer": names,
                    "x": level + rng.normal(0, 0.05, 600),
                    "species": rng.choice(["Adelie", "Gentoo"], 600),
                }
            )
        )
    versions = landed(world, frames)
    reports = [json.loads(world.ports.documents.get(v.drift)) for v in versions[1:]]
    assert [report["rows_current"] for report in reports] == [60] * 3
    assert [v.rows for v in versions] == [600] * 4
    assert [v.drift_detected for v in versions[1:]] == [False] * 3

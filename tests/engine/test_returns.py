"""Prices are judged by their returns: a wandering level is no drift, a market that moves differently is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import drift
from shared import loopfile
from shared.intake.returns import named, returns
from shared.loopfile import LoopFileError
from shared.state import queries
from shared.words import say_all
from tests.engine.world import World, csv

LOOP = """
loop: birds
data: {landing: landing/birds/, target: close, time: date, holdout: {by: time, fraction: 0.25, column: date}}
train: {pipeline: train.yml}
serve: {endpoint: birds}
drift: {columns: [close], returns: {columns: [close], by: share}, material: {numeric: 0.3}}
retrain: {on: [drift], cooldown: 1m}
gate: {on_inconclusive: reject}
"""


def walk(seed: int, days: int, volatility: float = 0.015, first: str = "2025-01-01") -> pd.DataFrame:
    """Two shares whose prices are random walks."""
    random = np.random.default_rng(seed)
    dates = pd.bdate_range(first, periods=days)
    frames = [
        pd.DataFrame({"share": name, "date": dates, "close": start * np.exp(np.cumsum(moves))})
        for name, start in (("a", 100.0), ("b", 900.0))
        for moves in [random.normal(0, volatility, days)]
    ]
    return pd.concat(frames, ignore_index=True)


def judged(world: World) -> bool | None:
    return queries.loop(world.ports, "birds").versions[0].drift_material


def release_of(seed: int) -> World:
    world = World(default_model=lambda row: 100.0)  # type: ignore[arg-type,return-value]  # a model of numbers
    world.publish(LOOP)
    world.drop("first.csv", csv(walk(seed, 120)))
    world.live()
    world.ticks(10)
    return world


def test_the_next_stretch_of_the_same_walk_is_quiet_and_a_wilder_market_is_not() -> None:
    world = release_of(1)
    world.drop("calm.csv", csv(walk(2, 60, first="2025-07-01")))
    assert judged(world) is False
    world.drop("wild.csv", csv(walk(3, 60, volatility=0.045, first="2025-10-01")))
    assert judged(world) is True
    assert "close (return)" in say_all(queries.loop(world.ports, "birds").versions[0].verdict)


def test_rows_without_a_label_have_their_returns_too() -> None:
    world = World(default_model=lambda row: "yes")
    world.publish(LOOP.replace("target: close", "target: up"))
    prices = walk(1, 60).assign(up=["yes", "no", None] * 40)
    world.drop("half.csv", csv(prices))
    version = queries.loop(world.ports, "birds").versions[0]
    profile = drift.Profile.from_bytes(world.ports.documents.get(version.profile))
    assert version.labelled and version.train_rows + version.holdout_rows < 120
    assert profile.rows == version.rows == 120


def test_levels_alarm_where_returns_do_not() -> None:
    """40 walks cut in two: on levels most pairs look drifted, on returns at most a few (rate 1 %)."""
    policy = drift.Policy(false_alarm_rate=0.01, material_numeric=0.3)
    alarms = {"levels": 0, "returns": 0}
    for seed in range(40):
        table = pa.Table.from_pandas(walk(seed, 200), preserve_index=False)
        moved = returns(table, ["close"], "date", "share")
        for name, whole, column in (("levels", table, "close"), ("returns", moved, named("close"))):
            cut = pa.compute.less(whole["date"], pd.Timestamp("2025-06-01"))
            sides = [whole.filter(side).select([column]) for side in (cut, pa.compute.invert(cut))]
            reference, current = (profiled(side) for side in sides)
            alarms[name] += drift.compare(reference, current, policy).material
    print(alarms)
    assert alarms["levels"] >= 20
    assert alarms["returns"] <= 3


def profiled(table: pa.Table) -> drift.Profile:
    profiler = drift.Profiler()
    profiler.update(table)
    return profiler.finish()


def test_a_return_never_crosses_from_one_series_to_another_and_order_does_not_count() -> None:
    frame = walk(5, 30)
    table = pa.Table.from_pandas(frame.sample(frac=1, random_state=1), preserve_index=False)
    moved = returns(table, ["close"], "date", "share").to_pandas()
    assert moved[named("close")].isna().sum() == 2
    wanted = frame.groupby("share")["close"].transform(lambda prices: np.log(prices).diff())
    np.testing.assert_allclose(moved[named("close")], wanted)


def test_prices_of_zero_or_less_have_no_return_and_no_warning() -> None:
    table = pa.table({"date": [1, 2, 3, 4], "close": [1.0, 0.0, -2.0, None]})
    assert returns(table, ["close"], "date", None)[named("close")].null_count == 4


def test_returns_need_an_order() -> None:
    with pytest.raises(LoopFileError, match=r"data\.time"):
        loopfile.parse(LOOP.replace(" time: date,", ""), file="loop.yaml")


def test_the_gate_of_a_time_series_asks_only_for_rows_that_are_newer_than_all_training() -> None:
    world = release_of(1)
    asked: list[str] = []
    answer = world.ports.serving.answer

    def noted(endpoint: str, deployment: str, payload: str):  # type: ignore[no-untyped-def]
        asked.append(payload)
        return answer(endpoint, deployment, payload)

    world.ports.serving.answer = noted
    world.drop("wild.csv", csv(walk(3, 60, volatility=0.045, first="2025-10-01")))
    world.ticks(3)
    assert world.state.next_release == 3
    assert asked
    assert all('"2025-0' not in payload and '"2024' not in payload for payload in asked)

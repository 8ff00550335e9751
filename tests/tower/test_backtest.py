"""A backtest is the real engine over past drops: it alarms, retrains and denies as the loop would have."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from benchmarks.backtest import evidently
from cli.backtest import drawn
from cli.past import baselines, simulation
from cli.past.learner import train
from shared import loopfile
from tests.engine.world import LOOP, season

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drops(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("past")
    frames = [season(2007), season(2008), season(2009, flipper_length_mm=0.8), season(2009)]
    for number, frame in enumerate(frames, 1):
        frame.assign(row_id=[f"{number}-{n}" for n in range(len(frame))]).to_csv(
            folder / f"{number}.csv", index=False
        )
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def runs(drops: list[Path]) -> dict[str, simulation.Run]:
    definition = loopfile.parse(LOOP, file="loop.yaml")
    chosen = baselines.rules(definition, "0 0 3 * * 1")
    week = timedelta(days=7)
    return {one.name: simulation.run(one, drops, week, lambda _: None) for one in chosen}


def test_each_policy_alarms_and_retrains_by_its_own_rule(runs: dict[str, simulation.Run]) -> None:
    assert [step.alarm for step in runs["loop"].steps][:3] == [False, False, True]
    assert [step.retrained for step in runs["loop"].steps][:3] == [True, False, True]
    assert [step.retrained for step in runs["never"].steps] == [True, False, False, False]
    assert [step.retrained for step in runs["always"].steps] == [True, True, True, True]
    assert runs["never"].alarms == runs["schedule"].alarms == 0
    assert runs["schedule"].retrains == 2  # what landed last waits for the next Monday


def test_the_score_is_that_of_the_model_that_served_when_the_drop_landed(
    runs: dict[str, simulation.Run],
) -> None:
    for one in runs.values():
        assert one.steps[0].score is None
        assert one.steps[1].score == runs["never"].steps[1].score  # nobody had retrained yet
    assert runs["never"].steps[2].score is not None and runs["never"].steps[2].score < 0.8


def test_policies_differ_in_when_they_retrain_and_in_nothing_else() -> None:
    """Each is gated by the loop's own metric, so that none is refused what another is granted."""
    definition = loopfile.parse(LOOP, file="loop.yaml")
    chosen = [one.definition for one in baselines.rules(definition, "0 0 3 * * 1")]
    for part in ("data", "train", "serve", "metric", "gate", "canary"):
        assert all(getattr(one, part) == getattr(chosen[0], part) for one in chosen), part
    assert chosen[0].metric == definition.metric


def test_a_rule_from_outside_sees_the_features_that_the_champion_was_trained_on_and_those_of_the_drop(
    drops: list[Path],
) -> None:
    seen: list[tuple[int, int]] = []

    def third_drop(trained: pd.DataFrame, dropped: pd.DataFrame) -> bool:
        assert set(trained.columns) == set(dropped.columns) and "species" not in trained
        seen.append((len(trained), len(dropped)))
        return len(seen) == 2

    rule = baselines.Rule("third", baselines.without_triggers(loopfile.parse(LOOP, file="l")), third_drop)
    found = simulation.run(rule, drops, timedelta(days=7), lambda _: None)
    rows = [len(pd.read_csv(file)) for file in drops]
    assert seen == [(rows[0], rows[1]), (rows[0], rows[2]), (sum(rows[:3]), rows[3])]
    assert [step.retrained for step in found.steps] == [True, False, True, False]


def test_drift_put_into_the_census_is_found_at_its_drop_and_at_no_other(tmp_path: Path) -> None:
    """The figures of docs/backtest.md in small: a column in another unit from drop 3 on, another rule from 5 on."""
    from benchmarks.backtest.__main__ import CENSUS, census

    if not CENSUS.exists():
        pytest.skip(f"census data not found at {CENSUS}; set DRIFTLOOP_DATA to its folder")
    census(tmp_path, drops=6, unit_from=3, rule_from=5)
    definition = loopfile.load(ROOT / "loops/income/loop.yaml", overrides=("data.window=newest",))
    ours = baselines.rules(definition, "0 0 3 * * 1")[0]
    found = simulation.run(ours, sorted(tmp_path.iterdir()), timedelta(days=7), lambda _: None)
    assert [step.alarm for step in found.steps] == [False, False, True, False, True, False]
    assert [step.live for step in found.steps] == [1, 1, 2, 2, 3, 3]


def test_the_picture_and_the_json_hold_every_policy(runs: dict[str, simulation.Run]) -> None:
    picture = ElementTree.fromstring(drawn(list(runs.values()), "f1_macro"))  # noqa: S314 - our own text
    words = "".join(picture.itertext())
    assert all(name in words for name in runs)


def test_the_command_tells_it_as_a_table_and_as_json(drops: list[Path], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from cli import app

    file = tmp_path / "loop.yaml"
    file.write_text(LOOP)
    (tmp_path / "train.yml").write_text("")
    arguments = [
        "backtest",
        str(file),
        "--data",
        str(drops[0].parent),
        "--json",
        "--picture",
        str(tmp_path / "p.svg"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["rule"] for one in told] == ["loop", "always", "schedule", "never"]
    assert (tmp_path / "p.svg").read_text().startswith("<svg")


def test_evidently_s_rule_needs_half_of_the_columns() -> None:
    random = np.random.default_rng(7)
    before = pd.DataFrame({name: random.normal(size=400) for name in "abcd"})
    after = pd.DataFrame({name: random.normal(size=400) for name in "abcd"})
    assert not evidently.drifts(before, after)
    assert not evidently.drifts(before, after.assign(a=after["a"] + 2))
    assert evidently.drifts(before, after.assign(a=after["a"] + 2, b=after["b"] + 2))
    kinds = pd.DataFrame({"k": ["x", "y"] * 200})
    assert evidently.drifts(kinds, pd.DataFrame({"k": ["x"] * 300 + ["y"] * 100}))


def test_the_stand_in_learns_what_is_linear_and_survives_what_is_missing() -> None:
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"x": random.normal(size=200), "k": random.choice(["a", "b"], 200), "nothing": np.nan}
    )
    frame["y"] = 3 * frame["x"] + (frame["k"] == "a") * 2
    learner = train(frame, "y", classify=False)
    assert np.abs(np.array(learner.predict(frame)) - frame["y"]).max() < 0.2
    frame["c"] = np.where(frame["x"] > 0, 1, 2)
    assert set(train(frame.drop(columns="y"), "c", classify=True).predict(frame.drop(columns="k"))) == {
        "1",
        "2",
    }


def car_prices(folder: Path, drops: int = 4, rows: int = 300) -> Path:
    """Whole dollars by age and make, 20 % dearer from the third drop on; a column that is empty, one of one value."""
    random = np.random.default_rng(9)
    for number in range(1, drops + 1):
        age = random.uniform(0, 15, rows)
        make = random.choice(["a", "b", "c"], rows)
        price = (30_000 - 1500 * age + 4000 * (make == "a")) * (1.2 if number > 2 else 1.0)
        price = (price + random.normal(0, 300, rows)).round().astype(int)
        pd.DataFrame({"age": age, "make": make, "none": np.nan, "one": 1, "price": price}).to_csv(
            folder / f"{number}.csv", index=False
        )
    return folder


def test_a_whole_number_is_backtested_as_a_regression_with_progress_and_without_warnings(
    tmp_path: Path,
) -> None:
    (tmp_path / "drops").mkdir()
    folder = car_prices(tmp_path / "drops")
    (tmp_path / "train.yml").write_text("")
    (tmp_path / "loop.yaml").write_text(
        "loop: cars\ndata: {landing: landing/cars/, target: price, window: newest}\n"
        "train: {pipeline: train.yml}\nserve: {endpoint: cars}\n"
        "gate: {margin: 2000}\nretrain: {cooldown: 1h}\n"
    )
    command = [sys.executable, "-W", "default", "-c", "from cli import main; main()", "backtest"]
    done = subprocess.run(
        [*command, str(tmp_path), "--data", str(folder), "--json"],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = {one["rule"]: one for one in json.loads(done.stdout)}
    assert {one["metric"] for one in told.values()} == {"rmse"}
    scores = [step["score"] for step in told["never"]["steps"]]
    assert scores[0] is None and 250 < scores[1] < 400  # the noise is 300
    assert min(scores[2:]) > 2000  # a fifth of the price
    assert 250 < told["always"]["steps"][3]["score"] < 500
    lines = done.stderr.strip().splitlines()
    assert lines[:2] == ["backtest: loop: drop 1 of 4, 1.csv", "backtest: loop: drop 2 of 4, 2.csv"]
    assert len(lines) == 16, done.stderr  # four policies, four drops, and no word of a library


def test_the_worst_of_an_error_is_the_greatest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cli.backtest import _table

    steps = [simulation.Step("d", 9, False, False, 1, score, "") for score in (10.0, 90.0)]
    _table([simulation.Run("loop", "rmse", tuple(steps))], {"loop": ""}, "rmse", -1)
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["50.0000", "90.0000"]

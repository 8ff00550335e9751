"""A backtest is the real engine over past drops: it alarms, retrains and denies as the loop would have."""

from __future__ import annotations

import json
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
    return {one.name: simulation.run(one, drops, "f1_macro", week, lambda _: None) for one in chosen}


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
    found = simulation.run(rule, drops, "f1_macro", timedelta(days=7), lambda _: None)
    rows = [len(pd.read_csv(file)) for file in drops]
    assert seen == [(rows[0], rows[1]), (rows[0], rows[2]), (sum(rows[:3]), rows[3])]
    assert [step.retrained for step in found.steps] == [True, False, True, False]


def test_drift_put_into_the_census_is_found_at_its_drop_and_at_no_other(tmp_path: Path) -> None:
    """The figures of docs/backtest.md in small: a column in another unit from drop 3 on, another rule from 5 on."""
    from benchmarks.backtest.__main__ import CENSUS, census

    if not CENSUS.exists():
        pytest.skip(f"census data not found at {CENSUS}; set DRIFTLOOP_SHARED_DATA to its folder")
    census(tmp_path, drops=6, unit_from=3, rule_from=5)
    definition = loopfile.load(ROOT / "loops/income/loop.yaml", overrides=("data.window=newest",))
    ours = baselines.rules(definition, "0 0 3 * * 1")[0]
    found = simulation.run(ours, sorted(tmp_path.iterdir()), "accuracy", timedelta(days=7), lambda _: None)
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
    told = json.loads(done.output[done.output.index("[") :])
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

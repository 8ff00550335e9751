"""A backtest is the real engine over past drops: it alarms, retrains and denies as the loop would have."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from benchmarks.backtest import __main__ as document
from benchmarks.backtest import evidently
from cli.backtest import drawn
from cli.past import baselines, chronicle, simulation, stand_ins
from cli.past.chronicle import History
from cli.past.outcome import Run, Step
from shared import loopfile
from shared.domain.release import TriggerKind
from shared.errors import ConfigurationError
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


WEEK = timedelta(days=7)
MONDAYS = "0 0 3 * * 1"
LINEAR = stand_ins.trainer(stand_ins.linear, 1800)
"""A job of half an hour."""


def past(drops: list[Path]) -> History:
    return chronicle.read(drops[0].parent, WEEK)


@pytest.fixture(scope="module")
def runs(drops: list[Path]) -> dict[str, Run]:
    definition = loopfile.parse(LOOP, file="loop.yaml")
    chosen = baselines.rules(definition, MONDAYS)
    return {one.name: simulation.run(one, past(drops), LINEAR, lambda _: None) for one in chosen}


def test_each_policy_alarms_and_retrains_by_its_own_rule(runs: dict[str, Run]) -> None:
    assert [step.alarm for step in runs["loop"].steps][:3] == [False, False, True]
    assert [step.retrained for step in runs["loop"].steps][:3] == [True, False, True]
    asked = [step.asked_by for step in runs["loop"].steps]
    assert asked[:2] == [(TriggerKind.FIRST,), ()] and TriggerKind.DRIFT in asked[2]
    assert [step.retrained for step in runs["never"].steps] == [True, False, False, False]
    assert [step.retrained for step in runs["always"].steps] == [True, True, True, True]
    assert runs["never"].alarms == runs["schedule"].alarms == 0
    assert runs["schedule"].retrains == 2  # what landed last waits for the next Monday


def test_the_score_is_that_of_the_model_that_served_when_the_drop_landed(
    runs: dict[str, Run],
) -> None:
    for one in runs.values():
        assert one.steps[0].score is None
        assert one.steps[1].score == runs["never"].steps[1].score  # nobody had retrained yet
    assert runs["never"].steps[2].score is not None and runs["never"].steps[2].score < 0.8


def test_a_release_that_nobody_decides_waits_for_the_next_drop_and_costs_no_time(drops: list[Path]) -> None:
    """A backtest has no people; a release that awaits one is looked at each minute by the app."""
    always = {one.name: one for one in baselines.rules(loopfile.parse(LOOP, file="loop.yaml"), MONDAYS)}[
        "always"
    ]
    gate = always.definition.gate.model_copy(update={"on_inconclusive": "hold", "margin": 0.0001})
    held = replace(always, definition=always.definition.model_copy(update={"gate": gate}))
    found = simulation.run(held, past(drops), LINEAR, lambda _: None)
    assert [step.retrained for step in found.steps] == [True] * 4
    assert [step.live for step in found.steps] == [1, 1, 3, 3]  # only the third is clearly better


def test_policies_differ_in_when_they_retrain_and_in_nothing_else() -> None:
    """Each is gated by the loop's own metric, so that none is refused what another is granted."""
    definition = loopfile.parse(LOOP, file="loop.yaml")
    chosen = [one.definition for one in baselines.rules(definition, MONDAYS)]
    for part in ("data", "train", "serve", "metric", "gate", "canary", "cost"):
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
    found = simulation.run(rule, past(drops), LINEAR, lambda _: None)
    rows = [len(pd.read_csv(file)) for file in drops]
    assert seen == [(rows[0], rows[1]), (rows[0], rows[2]), (sum(rows[:3]), rows[3])]
    assert [step.retrained for step in found.steps] == [True, False, True, False]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, id=case.picture.removesuffix(".svg"), marks=[pytest.mark.soak] if case.long else []
        )
        for case in document.CASES
    ],
)
def test_each_table_of_the_page_is_what_the_command_says(case: document.Case, tmp_path: Path) -> None:
    """`python -m benchmarks.backtest` writes the page and its pictures."""
    if "census" in case.picture and not document.CENSUS.exists():
        pytest.skip(f"census data not found at {document.CENSUS}; set DRIFTLOOP_DATA to its folder")
    page = (ROOT / "docs" / "backtest.md").read_text()
    assert page.startswith(document.HEAD)
    assert document.section(case, tmp_path) in page
    assert (tmp_path / case.picture).read_text() == (ROOT / "docs" / case.picture).read_text()


def test_drift_put_into_the_census_is_found_at_its_drop_and_at_no_other(tmp_path: Path) -> None:
    """The figures of docs/backtest.md in small: a column in another unit from drop 3 on, another rule from 5 on."""
    from benchmarks.backtest.__main__ import CENSUS, census

    if not CENSUS.exists():
        pytest.skip(f"census data not found at {CENSUS}; set DRIFTLOOP_DATA to its folder")
    census(tmp_path, drops=6, unit_from=3, rule_from=5)
    definition = loopfile.load(ROOT / "loops/income/loop.yaml", overrides=("data.window=newest",))
    ours = baselines.rules(definition, MONDAYS)[0]
    found = simulation.run(ours, chronicle.read(tmp_path, WEEK), LINEAR, lambda _: None)
    assert [step.alarm for step in found.steps] == [False, False, True, False, True, False]
    assert [step.live for step in found.steps] == [1, 1, 2, 2, 3, 3]


def test_the_picture_and_the_json_hold_every_policy(runs: dict[str, Run]) -> None:
    picture = ElementTree.fromstring(drawn(list(runs.values()), "f1_macro"))  # noqa: S314 - our own text
    words = "".join(picture.itertext())
    assert all(name in words for name in runs)


def test_the_command_tells_it_as_a_table_and_as_json(drops: list[Path], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from cli import app

    file, two = tmp_path / "loop.yaml", tmp_path / "two"
    file.write_text(LOOP)
    (tmp_path / "train.yml").write_text("")
    two.mkdir()
    for one in drops[:2]:
        shutil.copy(one, two)
    arguments = [
        "backtest",
        str(file),
        "--data",
        str(two),
        "--json",
        "--picture",
        str(tmp_path / "p.svg"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["rule"] for one in told] == ["loop", "always", "schedule", "never"]
    assert (tmp_path / "p.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "does not exist"),
        ("empty.csv", b"", "empty.csv cannot be read: No columns"),
        ("torn.parquet", b"PAR1", "torn.parquet cannot be read"),
        ("binary.csv", b"\xff\xfe\x00\xd8", "binary.csv cannot be read"),
    ],
)
def test_a_file_that_is_none_of_requests_is_named(
    drops: list[Path], tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    from typer.testing import CliRunner

    from cli import app

    file, loop = tmp_path / name, tmp_path / "loop.yaml"
    if content is not None:
        file.write_bytes(content)
    loop.write_text(LOOP)
    (tmp_path / "train.yml").write_text("")
    data = ("--data", str(drops[0].parent), "--began", "2026-03-02")
    done = CliRunner().invoke(app, ["backtest", str(loop), *data, "--served", str(file)])
    assert words in f"{done.output}{done.exception}" and isinstance(
        done.exception, SystemExit | ConfigurationError
    )


def test_a_picture_that_has_no_place_is_refused_before_anything_runs(
    drops: list[Path], tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from cli import app

    place = tmp_path / "none" / "p.svg"
    done = CliRunner().invoke(
        app, ["backtest", str(tmp_path), "--data", str(drops[0].parent), "--picture", str(place)]
    )
    assert isinstance(done.exception, ConfigurationError) and "there is no folder" in str(done.exception)


def test_evidently_s_rule_needs_half_of_the_columns() -> None:
    random = np.random.default_rng(7)
    before = pd.DataFrame({name: random.normal(size=400) for name in "abcd"})
    after = pd.DataFrame({name: random.normal(size=400) for name in "abcd"})
    assert not evidently.drifts(before, after)
    assert not evidently.drifts(before, after.assign(a=after["a"] + 2))
    assert evidently.drifts(before, after.assign(a=after["a"] + 2, b=after["b"] + 2))
    kinds = pd.DataFrame({"k": ["x", "y"] * 200})
    assert evidently.drifts(kinds, pd.DataFrame({"k": ["x"] * 300 + ["y"] * 100}))


@pytest.mark.parametrize("fit", [stand_ins.linear, stand_ins.trees])
def test_a_stand_in_learns_and_survives_what_is_missing(fit: stand_ins.Fit) -> None:
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"x": random.normal(size=400), "k": random.choice(["a", "b"], 400), "nothing": np.nan}
    )
    frame["y"] = 3 * frame["x"] + (frame["k"] == "a") * 2
    learner = stand_ins.stand_in(fit, frame, "y", classify=False)
    assert np.abs(np.array(learner.predict(frame)) - frame["y"]).mean() < 0.2
    frame["c"] = np.where(frame["x"] > 0, 1, 2)
    found = stand_ins.stand_in(fit, frame.drop(columns="y"), "c", classify=True)
    assert set(found.predict(frame.drop(columns="k"))) == {"1", "2"}


def test_trees_see_what_columns_do_together_and_a_line_does_not() -> None:
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"x": random.normal(size=600), "z": random.normal(size=600)})
    frame["c"] = np.where(frame["x"] * frame["z"] > 0, "same", "other")
    train, test = frame[:400], frame[400:]

    def right(fit: stand_ins.Fit) -> float:
        model = stand_ins.stand_in(fit, train, "c", classify=True)
        return float(np.mean(np.array(model.predict(test)) == test["c"]))

    assert right(stand_ins.trees) > 0.85 > 0.65 > right(stand_ins.linear)


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

    steps = [Step("d", 9, False, 1, score, "") for score in (10.0, 90.0)]
    _table([Run("loop", "rmse", tuple(steps), -1)], {"loop": ""}, "USD")
    assert capsys.readouterr().out.splitlines()[1].split()[-3:] == ["50.0000", "90.0000", "0.0"]


def test_what_a_policy_costs_is_its_jobs_and_second_deployments_at_the_loops_prices(
    runs: dict[str, Run],
) -> None:
    """DS3 v2 costs 0.293 USD an hour in East US (shared/loopfile/prices.py), for jobs and deployments alike."""
    for one in runs.values():
        assert one.job_hours == 0.5 * one.releases
        assert one.cost == pytest.approx(0.293 * (one.job_hours + one.deployed_hours))
    steps_and_bake = 3 / 60  # two steps and a bake, a minute each
    assert runs["never"].deployed_hours == 0.0, "the first model stands beside no other"
    assert steps_and_bake <= runs["always"].deployed_hours / runs["always"].retrains < 4 * steps_and_bake
    assert (runs["always"].cost or 0) > (runs["loop"].cost or 0) > (runs["never"].cost or 0) > 0


def requests(drops: list[Path], file: Path, began: str, moved_from: int, days: int = 14) -> None:
    """A hundred birds a day, from a day after the first drop on; heavier by a third from one of the days on."""
    birds = pd.read_csv(drops[0]).drop(columns=["species", "row_id", "year"])
    found = []
    for day in range(days):
        start = pd.Timestamp(began) + pd.Timedelta(days=1 + day)
        asked = birds.sample(100, replace=True, random_state=day).reset_index(drop=True)
        if day >= moved_from:
            asked["body_mass_g"] *= 1.3 + 0.1 * (day - moved_from)
        asked.insert(
            0, "at", [f"{start + pd.Timedelta(minutes=10 * n):%Y-%m-%dT%H:%M:%SZ}" for n in range(100)]
        )
        found.append(asked)
    pd.concat(found).to_csv(file, index=False)


WATCHED = LOOP.replace("drift: {", "drift: {served: 1d, ").replace(
    "retrain: {cooldown: 1m", "retrain: {on: [alert, served], cooldown: 1d"
)


@pytest.fixture(scope="module")
def watched(drops: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Drops that start nothing by themselves: what is served moves on the eleventh day, and alerts fire."""
    folder = tmp_path_factory.mktemp("beside")
    began = "2026-03-02T06:00:00Z"
    requests(drops, folder / "served.csv", began, moved_from=10)
    lines = (
        "at,rule,condition",
        "2026-03-01T06:00:00Z,birds-errors,Fired",  # before any drop
        "2026-03-04T06:00:00Z,birds-errors,Fired",
        "2026-04-01T06:00:00Z,birds-errors,Fired",
        "2026-04-01T07:00:00Z,birds-errors,Resolved",
        "2026-04-03T06:00:00Z,cats-errors,Fired",  # another loop's
    )
    (folder / "alerts.csv").write_text("\n".join(lines))
    definition = loopfile.parse(WATCHED, file="loop.yaml")
    ours = baselines.rules(definition, MONDAYS, served=True)[0]
    found = chronicle.read(
        drops[0].parent,
        2 * WEEK,
        chronicle.moment(began, "test"),
        folder / "alerts.csv",
        folder / "served.csv",
    )
    return simulation.run(ours, found, LINEAR, lambda _: None)


def test_past_alerts_are_answered_at_their_time_as_the_loop_would_have(watched: Run) -> None:
    alerts = [(one.at, one.words) for one in watched.told if one.what == "alert"]
    days = [at[:10] for at, _ in alerts]
    assert days == ["2026-03-01", "2026-03-04", "2026-04-01"], "another loop's is not ours"
    assert "no labelled data version" in alerts[0][1] and "nothing new" in alerts[1][1]
    assert alerts[2][1] == "release 3 started"
    assert watched.steps[2].retrained and watched.steps[2].live == 3
    assert watched.steps[2].asked_by == (TriggerKind.ALERT,)


def test_served_inputs_that_moved_alarm_and_start_a_release_once_labels_land(watched: Run) -> None:
    served = [one for one in watched.told if one.what == "served"]
    assert watched.windows >= 1 and watched.alarms >= watched.windows
    assert served[0].at >= "2026-03-13", "nothing had moved before"
    assert "label" in served[0].words, "it waits for labels"
    assert served[-1].words == "release 2 started" and served[-1].at[:10] == "2026-03-16"
    assert watched.unserved == 0


def test_a_history_says_what_is_wrong_in_it_and_where(drops: list[Path], tmp_path: Path) -> None:
    folder, alerts = drops[0].parent, tmp_path / "alerts.csv"
    began = chronicle.moment("2026-03-02", "test")

    def refused(text: str, at: object = began) -> str:
        alerts.write_text(text)
        with pytest.raises(ConfigurationError) as error:
            chronicle.read(folder, WEEK, at, alerts)  # type: ignore[arg-type]
        return str(error.value)

    assert "--began" in refused("at,rule\n", None)
    assert "no column rule" in refused("at,name\n")
    assert "alerts.csv:3: 'noon' is not an ISO 8601 moment" in refused("at,rule\n2026-03-02,a\nnoon,a\n")
    assert "condition 'Open'; expected" in refused("at,rule,condition\n2026-03-02,a,Open\n")
    (tmp_path / "served.csv").write_text("time,x\n")
    with pytest.raises(ConfigurationError, match="no column at"):
        chronicle.read(folder, WEEK, began, None, tmp_path / "served.csv")

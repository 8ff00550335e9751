"""Policies over past drops, with drift put in at known times: penguins and census; writes docs/backtest.md.

`python -m benchmarks.backtest`. The census is read in place, from DRIFTLOOP_DATA.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
from palmerpenguins import load_penguins
from typer.testing import CliRunner

from benchmarks.backtest import evidently
from cli import app
from cli.past import chronicle, simulation, stand_ins
from shared import loopfile

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CENSUS = Path(os.environ.get("DRIFTLOOP_DATA", ROOT.parent / "shared" / "data")) / "adult_census_income.csv"
HEAD = Path(__file__).with_name("head.md").read_text()
SERVED = """at,rule,condition
2026-03-03T09:00:00Z,penguins-errors,Fired
2026-03-03T10:00:00Z,penguins-errors,Resolved
2026-03-31T09:00:00Z,penguins-errors,Fired
2026-04-01T09:00:00Z,income-errors,Fired
"""
"""Alerts beside the drops of penguins: one with nothing new to train on, one with, and one of another loop."""


@dataclass(frozen=True)
class Case:
    """One past: its drops, what was put in and when, and the loop that is tried on it."""

    title: str
    words: str
    drops: Callable[[Path], None]
    loop: str
    settings: tuple[str, ...]
    picture: str
    after: str = ""
    step_by_step: bool = True
    options: tuple[str, ...] = ()
    """Of the command; `BESIDE` stands for the folder beside the drops."""
    long: bool = True
    """Whether making it takes longer than a plain test may."""


def penguins(folder: Path) -> None:
    birds = load_penguins().dropna().reset_index(drop=True)
    for number in range(1, 11):
        drawn = birds.sample(150, random_state=number).reset_index(drop=True)
        drawn.insert(0, "row_id", [f"{number}-{n}" for n in range(len(drawn))])
        if number >= 4:
            drawn["body_mass_g"] = (drawn["body_mass_g"] * 1.15).round()
        if number >= 7:
            drawn["bill_length_mm"] = (drawn["bill_length_mm"] * 1.4).round(1)
        pd.DataFrame(drawn).to_csv(folder / f"{number:02d}.csv", index=False)


def seasons(folder: Path) -> None:
    """Four drops like each other; what is served is heavier from the eleventh day on."""
    birds = load_penguins().dropna().reset_index(drop=True)
    beside = folder.parent / "beside"
    beside.mkdir()
    (beside / "alerts.csv").write_text(SERVED)
    for number in range(1, 5):
        drawn = birds.sample(120, random_state=number).reset_index(drop=True)
        drawn.insert(0, "row_id", [f"{number}-{n}" for n in range(len(drawn))])
        pd.DataFrame(drawn).to_csv(folder / f"{number:02d}.csv", index=False)
    asked = []
    for day in range(14):
        one = birds.drop(columns=["species"]).sample(100, random_state=100 + day).reset_index(drop=True)
        if day >= 10:
            one["body_mass_g"] = (one["body_mass_g"] * (1.2 + 0.02 * day)).round()
        first = pd.Timestamp("2026-03-02T07:00:00Z") + pd.Timedelta(days=day)
        one.insert(
            0, "at", [f"{first + pd.Timedelta(minutes=14 * n):%Y-%m-%dT%H:%M:%SZ}" for n in range(100)]
        )
        asked.append(one)
    pd.concat(asked).to_csv(beside / "served.csv", index=False)


def census(folder: Path, rows: int = 2000, drops: int = 12, unit_from: int = 5, rule_from: int = 9) -> None:
    """People in random order, no one twice. Two changes are put in: one to a column, one to the target."""
    people = pd.read_csv(CENSUS, skipinitialspace=True).sample(frac=1, random_state=1)
    for number in range(1, drops + 1):
        drop = people.iloc[(number - 1) * rows : number * rows].copy()
        if number >= unit_from:
            drop["capital-gain"] = (drop["capital-gain"] / 1000).round(3)
        if number >= rule_from:
            schooled = (drop["education-num"] >= 10) & (drop["hours-per-week"] >= 40)
            drop.loc[schooled, "income"] = ">50K"
        drop.to_csv(folder / f"{number:02d}.csv", index=False)


CASES = (
    Case(
        "Alerts, and what is served",
        """Four drops of the penguins, two weeks apart, each 120 birds drawn at random: nothing in them ever changes.
A hundred birds a day are asked about; from the eleventh day on, those are too heavy. Three alerts fire beside, one of
them another loop's.""",
        seasons,
        "loops/penguins",
        ("drift.served=1d", "retrain.on=[drift, metric, alert, served]", "retrain.schedule=null"),
        "backtest-served.svg",
        options=(
            *("--days", "14", "--began", "2026-03-02T06:00:00Z"),
            *("--alerts", "BESIDE/alerts.csv", "--served", "BESIDE/served.csv"),
        ),
        long=False,
        after="""No drop shows that what is asked has changed: the loop says so at once, waits for
labels, and starts one release when they land. The first alert finds nothing new to train on, the second does, and the
third is nobody's here. Retraining at every drop costs more and gains nothing.""",
    ),
    Case(
        "Census, trained on the newest drop",
        """Twelve drops of the census, a week apart, each 2,000 people, no one twice. Two changes were put in: from
drop 5 on, `capital-gain` comes in thousands; from drop 9 on, wages have risen, and whoever went to college and works
40 hours or more earns over 50K.""",
        census,
        "loops/income",
        ("data.window=newest",),
        "backtest-census.svg",
    ),
    Case(
        "Census, trained on everything",
        "The same drops and the same loop file, which keeps `data.window: all`.",
        census,
        "loops/income",
        (),
        "backtest-census-all.svg",
        step_by_step=False,
        after="""How to read the two: trained on everything, the old rows outweigh the change, so the model stays worse
and the verdict stays material, drop after drop. Trained on the newest drop, the loop retrains where a change was put
in, and serves as well as retraining at every drop. Evidently's rule detects neither change: one column of thirteen is
not half of them, and the second change is not in a feature.""",
    ),
    Case(
        "Penguins",
        """Ten drops of the penguins, a week apart, each 150 birds drawn at random from all three seasons. From drop 4
on, the scale reads 15 % too high; from drop 7 on, bill length is measured in another unit (times 1.4). The loop's
schedule is switched off here, so that its row shows what its verdicts alone do.""",
        penguins,
        "loops/penguins",
        ("retrain.schedule=null", "retrain.on=[drift, metric, alert]", "metric.at_least=0.9"),
        "backtest-penguins.svg",
    ),
)


def section(case: Case, pictures: Path = DOCS) -> str:
    """What was put in, the command's own output, its picture, and what Evidently's rule would have done."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "drops"
        folder.mkdir()
        case.drops(folder)
        output, typed = _command(case, folder, pictures)
        evidently = _evidently(case, folder)
    if not case.step_by_step:
        output = output[: output.index("the loop's policy, drop by drop")].rstrip()
    alternative = f"The live model's metric, drop by drop: {case.title}"
    parts = [
        f"## {case.title}",
        case.words,
        f"![{alternative}]({case.picture})",
        f"```\n$ {typed}\n{output}\n```",
        evidently,
    ]
    return "\n\n".join([*parts, *([case.after] if case.after else [])])


def _command(case: Case, folder: Path, pictures: Path) -> tuple[str, str]:
    """Its output, and the command as one would type it."""
    settings = [part for setting in case.settings for part in ("--set", setting)]
    beside = [part.replace("BESIDE", str(folder.parent / "beside")) for part in case.options]
    arguments = ["backtest", str(ROOT / case.loop), "--data", str(folder), *beside, *settings]
    picture = ["--picture", str(pictures / case.picture)]
    done = CliRunner().invoke(app, [*arguments, *picture], env={"COLUMNS": "110"})
    if done.exit_code:
        raise SystemExit(f"{done.output}{done.exception}")
    lines = [line.rstrip() for line in done.stdout.splitlines() if " over time: " not in line]
    output = "\n".join(line for line in lines if not line.startswith("loop waits")).strip()
    shown = [part.replace("BESIDE/", "") for part in case.options]
    return output, shlex.join(["driftloop", "backtest", case.loop, "--data", "FOLDER", *shown, *settings])


def _evidently(case: Case, folder: Path) -> str:
    definition = loopfile.load(ROOT / case.loop, overrides=case.settings)
    past, trainer = chronicle.read(folder, timedelta(days=7)), stand_ins.trainer(stand_ins.linear, 1800)
    run = simulation.run(evidently.rule(definition), past, trainer, lambda _: None)
    worst = min(step.score for step in run.steps if step.score is not None)
    return (
        f"Evidently's default preset, which alarms when half of the columns drifted: {run.alarms} alarms, "
        f"{run.retrains} retrainings,\nmean {run.metric} {run.mean:.4f}, worst {worst:.4f}."
    )


def main() -> None:
    if not CENSUS.exists():
        raise SystemExit(f"{CENSUS} is missing; set DRIFTLOOP_DATA to its folder. Nothing was written.")
    text = "\n\n".join([HEAD.strip(), *map(section, CASES)]) + "\n"
    (DOCS / "backtest.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

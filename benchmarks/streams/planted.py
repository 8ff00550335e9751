"""What size of a change is found in a stream whose rows depend on each other, and how soon.

    python -m benchmarks.streams.planted FOLDER [STREAM ...]      FOLDER as for benchmarks.streams; prints a table

From drop 10, 13, 17 or 21 on one column is multiplied by a factor. Each drop is ranked by its distances from the eight
before it, among all drops so far (`drift.history`), as a loop does; the loop file's tolerances are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

import drift
from benchmarks.streams.drops import STREAMS, Stream
from drift import history

FACTORS = (1.25, 1.5, 2.0, 3.0)
ONSETS = (9, 12, 16, 20)
WITHIN = 4
FIRST = 3
"""Drops before the first that has a score, and scores before the first verdict."""
NAMES = {"idcode", "year", "at"}
"""Columns that `driftloop new` does not compare; nor the target, where the rows have times."""

Distances = Mapping[str, float]


def _distances(profiles: Sequence[drift.Profile], drop: int) -> Distances:
    before = history.rolling(profiles[max(0, drop - history.LAST) : drop])
    return history.distances(drift.compare(before, profiles[drop]))


def _alarm(past: Sequence[Distances], now: Distances) -> bool:
    return history.unusual(past, now).alarm


def row(stream: Stream, packages: Path) -> str:
    frames = [
        f.drop(columns=[c for c in f if c in NAMES or (c == stream.target and "at" in f)])
        for f in stream.drops(packages)
    ]
    first = drift.profile(frames[0])
    profiles = [first, *(drift.profile(frame, grid=first) for frame in frames[1:])]
    quiet = [_distances(profiles, drop) for drop in range(FIRST, len(profiles))]
    alarms = [_alarm(quiet[:n], quiet[n]) for n in range(FIRST, len(quiet))]
    onsets = [onset for onset in ONSETS if onset + WITHIN <= len(frames)]
    cells = [stream.name, stream.spoiled, f"{sum(alarms)} of {len(alarms)}"]
    for factor in FACTORS:
        told = [_found(stream.spoiled, factor, frames, profiles, quiet, onset) for onset in onsets]
        at_once, soon = sum(t[0] for t in told), sum(any(t) for t in told)
        cells.append(f"{at_once}, {soon} of {len(told)}")
    return f"| {' | '.join(cells)} |"


def _found(
    column: str,
    factor: float,
    frames: Sequence[pd.DataFrame],
    profiles: Sequence[drift.Profile],
    quiet: Sequence[Distances],
    onset: int,
) -> list[bool]:
    spoiled = [f.assign(**{column: f[column] * factor}) for f in frames[onset : onset + WITHIN]]
    after = [*profiles[:onset], *(drift.profile(frame, grid=profiles[0]) for frame in spoiled)]
    past = list(quiet[: onset - FIRST])
    told = []
    for drop in range(onset, onset + WITHIN):
        now = _distances(after, drop)
        told.append(_alarm(past, now))
        past.append(now)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("streams", nargs="*")
    chosen = parser.parse_args()
    head = ["stream", "column", "quiet drops that alarm", *(f"times {factor:g}" for factor in FACTORS)]
    print(f"| {' | '.join(head)} |\n| --- | --- {'| ---: ' * (len(head) - 2)}|")
    for stream in STREAMS:
        if stream.name in chosen.streams or not chosen.streams:
            print(row(stream, chosen.packages), flush=True)


if __name__ == "__main__":
    main()

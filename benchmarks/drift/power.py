"""Power at one false-alarm rate, the one that each contender really has: python -m benchmarks.drift.power.

Forty columns, one report. Each contender gives every column one number, smaller when it looks more changed. Its
threshold is set on replicates in which nothing changed, so that RATE of them have any column at or below it. Then one
column changes, and the share of replicates in which that column is at or below the threshold is its power. So
nobody gains by raising false alarms, and nobody loses by a threshold that was chosen badly.

The tests of the peers are called as the peers call them: alibi-detect takes `ks_2samp` and `chi2_contingency`,
so does the loop that people write; Evidently takes the Wasserstein distance over sigma and Jensen-Shannon.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import chdtrc, kolmogorov

import drift
from benchmarks.document import DOCUMENT, write
from drift import dependence
from drift.effects import interval
from drift.judge import judge

Values = npt.NDArray[np.float64]
RATE = 0.05
NUMBERS, WORDS = 30, (2, 5, 10, 25, 50, 100, 500, 2_000, 10, 20)
ROWS = (
    "mean +.1 sd",
    "mean +.05 sd",
    "sd x 1.1",
    "sd x 1.05",
    "5 % of category mass",
    "2 % of category mass",
)
ROWS += ("nulls 5 -> 10 %", "new category 1 %", "x 10 in .1 % of rows, lognormal", "correlation .6 -> .5")
ROWS += ("x 10 in .1 % of rows, uniform",)
CONTENDERS = ("Driftloop", "KS and chi-square (alibi-detect, scipy loop)", "Wasserstein and JS (Evidently)")


def chances(number: int) -> Values:
    """Zipf's law."""
    weights = 1 / np.arange(1, number + 1)
    return weights / weights.sum()


def column(rng: np.random.Generator, rows: int, kind: str, change: str = "") -> Values:
    """One column: numbers, or codes of words."""
    if kind.startswith("words"):
        number = int(kind.split()[1])
        share = chances(number)
        if change.endswith("category mass"):
            share[[0, 4]] += np.array([-1, 1]) * float(change.split()[0]) / 100
        codes = rng.choice(number, rows, p=share).astype(float)
        if change.startswith("new"):
            codes[rng.random(rows) < 0.01] = number
        return codes
    draw = {"wide": rng.lognormal, "even": rng.uniform}.get(kind, rng.normal)
    values: Values = draw(size=rows)
    if kind == "gaps":
        values[rng.random(rows) < (0.10 if change.startswith("nulls") else 0.05)] = np.nan
    if change.startswith("mean"):
        values += float(change.split()[1])
    if change.startswith("sd"):
        values *= float(change.split()[2])
    if change.startswith("x 10"):
        values = np.where(rng.random(rows) < 0.001, 10.0, 1.0) * values
    return values


CHANGED = {
    "5 % of category mass": "words 25",
    "2 % of category mass": "words 25",
    "new category 1 %": "words 25",
    "nulls 5 -> 10 %": "gaps",
    "x 10 in .1 % of rows, lognormal": "wide",
    "x 10 in .1 % of rows, uniform": "even",
}
KINDS = ["plain"] * 20 + ["gaps"] * 5 + ["wide"] * 5 + [f"words {n}" for n in WORDS]


def ours(first: Values, second: Values, words: bool) -> float:
    """The joint p-value of all of our tests of one column."""
    kinds = {"x": "category" if words else "numeric"}
    sides = []
    for values in (first, second):
        data: pa.Array = pa.array(values)
        if words:
            names = pa.array([str(i) for i in range(int(np.nanmax(values)) + 1)])
            data = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), names)
        template = sides[0] if sides else None
        sides.append(drift.profile(pa.table({"x": data}), columns=kinds, grid=template))
    return judge(sides[0].columns["x"], sides[1].columns["x"], drift.Policy()).evidence.p_value


def ks_and_chi_square(first: Values, second: Values, words: bool) -> float:
    """The p-value of scipy's ks_2samp (asymptotic) or chi2_contingency, without their overhead."""
    if words:
        table = np.stack([np.bincount(v.astype(int), minlength=2_001) for v in (first, second)])
        table = table[:, table.sum(axis=0) > 0]
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
        gap = np.abs(table - expected)
        if table.shape[1] == 2:  # Yates's correction, as scipy's default
            gap = np.maximum(gap - 0.5, 0)
        return float(chdtrc(table.shape[1] - 1, (gap * gap / expected).sum()))
    a, b = (np.sort(v[~np.isnan(v)]) for v in (first, second))
    both = np.concatenate([a, b])
    steps = np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b)
    rows = np.sqrt(len(a) * len(b) / (len(a) + len(b)))
    return float(kolmogorov(rows * np.abs(steps).max()))


def distances(first: Values, second: Values, words: bool) -> float:
    """Evidently's distance over its threshold of 0.1, turned round: smaller is further apart."""
    if words:
        p, q = (np.bincount(v.astype(int), minlength=2_001) / len(v) for v in (first, second))
        middle = np.maximum((p + q) / 2, 1e-300)
        terms = [(s[s > 0] * np.log(s[s > 0] / middle[s > 0])).sum() for s in (p, q)]
        return -float(np.sqrt(max(sum(terms) / 2, 0)) / 0.1)
    a, b = (np.sort(v[~np.isnan(v)]) for v in (first, second))
    even = (np.arange(2_000) + 0.5) / 2_000
    apart = np.abs(np.quantile(a, even) - np.quantile(b, even)).mean()
    return -float(apart / max(a.std(), 1e-3) / 0.1)


HOW: dict[str, Callable[[Values, Values, bool], float]] = dict(
    zip(CONTENDERS, (ours, ks_and_chi_square, distances), strict=True)
)


def dependent(rng: np.random.Generator, rows: int, changed: bool) -> float:
    """The p-value of our test of how ten columns hang together."""
    sides = []
    for rho in (0.6, 0.5 if changed else 0.6):
        x = rng.normal(size=(min(rows, 8_192), 10))  # a profile keeps so many rows for this
        for j in range(1, 10):
            r = rho if j == 1 else 0.6
            x[:, j] = r * x[:, j - 1] + np.sqrt(1 - r * r) * x[:, j]
        sides.append({f"b{j}": x[:, j].astype(np.float32) for j in range(10)})
    _, tests = dependence.of(*sides, (), interval(0.95))
    joint = drift.significance.harmonic({k: np.array([p]) for k, (_, p) in tests.items()}, dependence.WEIGHTS)
    return float(joint[0])


def quiet(task: tuple[int, int]) -> list[float]:
    """The smallest number over all columns when nothing changed, by contender."""
    seed, rows = task
    rng = np.random.default_rng([seed, rows, 0])
    smallest = [1.0] * len(HOW)
    for kind in KINDS:
        sides = column(rng, rows, kind), column(rng, rows, kind)
        found = [how(*sides, kind.startswith("words")) for how in HOW.values()]
        smallest = [min(pair) for pair in zip(smallest, found, strict=True)]
    smallest[0] = min(smallest[0], dependent(rng, rows, False))
    return smallest


def changed(task: tuple[int, int, str]) -> list[float]:
    """The changed column's number, by contender."""
    seed, rows, change = task
    rng = np.random.default_rng([seed, rows, 1, ROWS.index(change)])
    if change.startswith("correlation"):
        return [dependent(rng, rows, True), 1.0, 1.0]
    kind = CHANGED.get(change, "plain")
    sides = column(rng, rows, kind), column(rng, rows, kind, change)
    return [how(*sides, kind.startswith("words")) for how in HOW.values()]


def measured(rows: int, repeats: int, pool: ProcessPoolExecutor) -> list[str]:
    """The table of one size."""
    silent = np.array(list(pool.map(quiet, [(seed, rows) for seed in range(repeats)], chunksize=10)))
    level = np.sort(silent, axis=0)[max(int(RATE * repeats) - 1, 0)]
    own = [(silent[:, 0] <= RATE / (len(KINDS) + 1)).mean(), (silent[:, 1] <= RATE / len(KINDS)).mean()]
    own += [(silent[:, 2] <= -1).mean()]
    lines = [
        f"### Power at {rows:,} rows a side",
        "",
        f"| | {' | '.join(CONTENDERS)} |",
        "|---|---:|---:|---:|",
    ]
    lines.append(
        "| *reports with an alarm at its own threshold* | " + " | ".join(f"*{s:.1%}*" for s in own) + " |"
    )
    for change in ROWS:
        tasks = [(seed, rows, change) for seed in range(repeats)]
        found = (np.array(list(pool.map(changed, tasks, chunksize=10))) <= level).mean(axis=0)
        lines.append(f"| {change} | " + " | ".join(f"{share:.3f}" for share in found) + " |")
        print(lines[-1], flush=True)
    return [*lines, ""]


READING = """How to read it. Every row gives each contender the threshold at which 5 % of its own quiet reports alarm,
whatever it promises. The first line is what happens without that: we and the two-sample tests keep 5 %, while
every quiet report of 10,000 rows alarms under Evidently's distances, because Jensen-Shannon grows with the number of
categories; a threshold that keeps them quiet is beyond any of the changes there. KS is weak where only the spread
changes, leaves nulls out, and looks at no pairs of columns. A wrong unit in one row of a thousand is found in 100,000
rows where the column has an end that such rows are beyond; ten such rows in 10,000 are too few, and in a lognormal
column they lie among its own large values, where nobody finds them."""


def main() -> None:
    """Measure, print, and write the section of the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, default=DOCUMENT)
    chosen = parser.parse_args()
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d}: {chosen.repeat:,} replicates a cell, forty columns, thresholds set so "
        f"that {RATE:.0%} of quiet reports alarm. `python -m benchmarks.drift.power --repeat {chosen.repeat} "
        f"--rows {' '.join(map(str, chosen.rows))}`"
    )
    with ProcessPoolExecutor(chosen.processes) as pool:
        parts = [line for rows in chosen.rows for line in measured(rows, chosen.repeat, pool)]
    title = "## Drift: power at one false-alarm rate\n"
    write("\n".join([title, head, "", *parts, READING]), chosen.write)


if __name__ == "__main__":
    main()

"""Several rows of each customer: tests of rows, Datta and Satten's rank test, and one row of each, as `drift.cluster`.

    python -m benchmarks.drift.clusters       prints the table and writes "Drift: rows of one customer"

Datta and Satten (JASA 100 (2005), 908-915) weigh every customer alike and estimate the variance over customers, so that
the test holds as there are many of them; it is written here from the paper's formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, norm

from benchmarks.document import write

Floats = NDArray[np.float64]
LEVEL, REPEAT = 0.1, 1000
Side = list[Floats]
"""One array of rows for each customer."""
DESIGNS = {
    "200 and 50 customers, 10 rows each": ((200, 50), None, 0.4),
    "200 and 12 customers, 1 to 60 rows": ((200, 12), 60, 0.8),
    "2,000 and 500 customers, 1 to 60 rows": ((2000, 500), 60, 0.15),
}


def side(rng: np.random.Generator, customers: int, most: int | None, shift: float) -> Side:
    """Half of the variance is the customer's; who has many rows has higher ones."""
    rows = (
        np.full(customers, 10) if most is None else (1 + (most - 1) * rng.random(customers) ** 4).astype(int)
    )
    level = rng.normal(0, 0.5**0.5, customers) + 0.3 * (rows - rows.mean()) / max(1.0, float(rows.std()))
    return [level[i] + rng.normal(shift, 0.5**0.5, n) for i, n in enumerate(rows)]


def by_row(before: Side, after: Side) -> float:
    return float(mannwhitneyu(np.concatenate(before), np.concatenate(after)).pvalue)


def one_of_each(before: Side, after: Side) -> float:
    """The first row of each customer, as it comes."""
    return float(mannwhitneyu([rows[0] for rows in before], [rows[0] for rows in after]).pvalue)


def datta_satten(before: Side, after: Side) -> float:
    """Each customer is on one side, so a customer's part is its mean rank among the others' weighted rows."""
    customers, m = [*before, *after], len(before) + len(after)
    new = np.repeat([0.0, 1.0], [len(before), len(after)])
    values = np.concatenate(customers)
    owner = np.repeat(np.arange(m), [len(rows) for rows in customers])
    weight = 1 / np.array([len(rows) for rows in customers])[owner]
    order = np.argsort(values, kind="stable")
    below = np.empty(len(values))
    below[order] = np.cumsum(weight[order]) - 0.5 * weight[order]
    own = np.concatenate([(np.argsort(np.argsort(rows)) + 0.5) / len(rows) for rows in customers])
    mean = np.bincount(owner, weight * below, m) / m
    others = np.bincount(owner, weight * (below - own), m)
    statistic = float((new * (1 + others)).sum() / (m + 1))
    part = (new - new.mean()) * mean * m / (m + 1)
    spread = float(((part - (new - new.mean()) * mean.mean() * m / (m + 1)) ** 2).sum())
    return float(2 * norm.sf(abs(statistic - new.sum() / 2) / spread**0.5))


TESTS: dict[str, Callable[[Side, Side], float]] = {
    "rows, each for itself": by_row,
    "Datta and Satten": datta_satten,
    "one row of each (`drift.cluster`)": one_of_each,
}


def _rows() -> Iterator[str]:
    for name, (sizes, most, shift) in DESIGNS.items():
        for what, by in (("quiet", 0.0), (f"moved by {shift:g} sd", shift)):
            rng = np.random.default_rng(7)
            pairs = [(side(rng, sizes[0], most, 0), side(rng, sizes[1], most, by)) for _ in range(REPEAT)]
            shares = [np.mean([test(*pair) <= LEVEL for pair in pairs]) for test in TESTS.values()]
            yield f"| {name}, {what} | {' | '.join(f'{share:.1%}' for share in shares)} |"


def main() -> None:
    lines = [f"| alarms at {LEVEL:.0%} | {' | '.join(TESTS)} |", "| --- | ---: | ---: | ---: |", *_rows()]
    table = "\n".join(lines)
    text = f"""## Drift: rows of one customer

`python -m benchmarks.drift.clusters`, {datetime.now(UTC):%Y-%m-%d}; {REPEAT:,} pairs of drops a cell,
one number, half of whose variance is the customer's; who has many rows has higher ones.

{table}
"""
    print(text)
    write(text)


if __name__ == "__main__":
    main()

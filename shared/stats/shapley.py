"""What each column of one row adds to a model's answer: Shapley values, by sampling orders of the columns.

A column's value is the mean change of the answer when the column takes the row's value, over all orders in which the
columns take theirs, and over reference rows that they begin as (E. Štrumbelj, I. Kononenko, "Explaining prediction
models and individual predictions with feature contributions", Knowledge and Information Systems 41 (2014), 647-665). A
few orders are drawn, each with its reverse, which takes much of the noise out (R. Mitchell et al., "Sampling
permutations for Shapley value estimation", JMLR 23 (2022), 1-46). The estimate is unbiased, and the values of one
explanation add up to the row's answer less the mean of the reference rows' exactly. In the units of the answer.

It says what the model goes by. Mixed rows may be such as nobody ever has, and columns that say the same share what
they add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_ROWS = 2_000
"""Mixed rows that the model is asked for, where the columns are few enough."""
MOST_PAIRS, LEAST_PAIRS = 100, 10
MOST_COLUMNS = 200


@dataclass(frozen=True)
class Mixing:
    """Which mixed rows to ask for: orders with their reverses, each pair with one reference row."""

    orders: NDArray[np.intp]
    """One order of the columns a pair."""
    references: NDArray[np.intp]
    """Its reference row, by its place."""

    def masks(self, pair: int) -> NDArray[np.bool_]:
        """Which columns have the row's value in each row of a pair: none, then one more each; then in reverse."""
        order = self.orders[pair]
        columns = len(order)
        taken = np.zeros((2 * columns - 1, columns), dtype=bool)
        for place in range(1, columns):
            taken[place, order[:place]] = True
            taken[columns - 1 + place, order[::-1][:place]] = True
        return taken

    @property
    def rows_of_pair(self) -> int:
        return 2 * int(self.orders.shape[1]) - 1


@dataclass(frozen=True)
class Added:
    """What the columns add, in their order."""

    base: float
    """Mean answer of the reference rows."""
    values: Sequence[float]
    errors: Sequence[float]
    """Standard errors, for the pairs are few."""


def mixing(columns: int, references: int, seed: int) -> Mixing:
    """As many pairs as `MOST_ROWS` allows; reference rows come in turn, in random order."""
    rng = np.random.default_rng(seed)
    pairs = max(LEAST_PAIRS, min(MOST_PAIRS, MOST_ROWS // (2 * columns)))
    turns = [rng.permutation(references) for _ in range(-(-pairs // references))]
    orders = np.array([rng.permutation(columns) for _ in range(pairs)])
    return Mixing(orders, np.concatenate(turns)[:pairs])


def added(mixed: Mixing, answers: Floats, answer: float) -> Added:
    """`answers` to the rows of each pair's masks, one pair after the other; `answer` to the row itself."""
    pairs, columns = mixed.orders.shape
    found = answers.reshape(pairs, mixed.rows_of_pair)
    own = np.full((pairs, 1), answer)
    there = np.diff(np.hstack([found[:, :columns], own]), axis=1)
    back = np.diff(np.hstack([found[:, :1], found[:, columns:], own]), axis=1)
    each = np.zeros((pairs, columns))
    line = np.arange(pairs)[:, None]
    each[line, mixed.orders] += there / 2
    each[line, mixed.orders[:, ::-1]] += back / 2
    errors = each.std(axis=0, ddof=1) / np.sqrt(pairs)
    return Added(float(found[:, 0].mean()), each.mean(axis=0).tolist(), errors.tolist())

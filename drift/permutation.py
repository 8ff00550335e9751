"""The null distribution of a joint statistic over random relabellings of the pooled rows: valid at every size."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np

from .arrays import Ints
from .combination import Battery, harmonic

_STAGES = (200, 2_000, 20_000)
_ENOUGH = 12
_ENOUGH_CHEAP = 100
_CHEAP_CELLS = 64
_CHUNK = 100_000  # labels at once: what fits the cache is three times as fast as what does not
_CELL_IN_ROWS = 10  # a cell's number takes as long to draw as the cells of so many rows
_LISTED_ROWS = 1_000_000  # whose cells are listed, to draw row by row
_MOST_ROWS = 1_000_000_000  # that numpy draws from
_WIDE = 10_000.0


def p_value(battery: Battery, pooled: Ints, current: Ints, seen: float) -> float:
    """The share of relabellings whose joint statistic is as small as the one seen.

    Under the null hypothesis that rows are exchangeable every relabelling is equally likely, whatever the ties.
    Where not one of them is as extreme, the battery's exact bound speaks as well: below what so many relabellings
    can show, the exact bound alone decides, so that both together are still valid.

    Parameters
    ----------
    battery
        The tests, and what joins them.
    pooled, current
        Rows by cell of both sides and of the current one, shape (K,).
    seen
        The joint statistic of the data.

    Notes
    -----
    The number of relabellings is sequential: J. Besag and P. Clifford, "Sequential Monte Carlo p-values",
    Biometrika 78 (1991) 301-304. The seed is made from the counts: the same data give the same report, and no one
    set of relabellings decides for all.
    """
    filled = np.flatnonzero(pooled[:-1])
    keep = np.append(filled, len(pooled) - 1)
    pooled, current = pooled[keep], current[keep]
    rng = np.random.default_rng(zlib.crc32(current.tobytes()))
    exact = battery.bound(pooled, current)
    drawn = extreme = 0
    for stage in _STAGES:
        while drawn < stage:
            number = min(stage - drawn, max(_CHUNK // max(len(pooled), 1), 50))
            counts = relabelled(rng, pooled, int(current.sum()), number)
            found = harmonic({k: v[1] for k, v in battery.evaluate(pooled, counts).items()}, battery.weights)
            extreme += int((found <= seen * (1 + 1e-9)).sum())
            drawn += number
        enough = _ENOUGH if len(pooled) > _CHEAP_CELLS else _ENOUGH_CHEAP
        if extreme >= enough or (not extreme and exact < 0.1 / drawn):
            break
    return (extreme + 1) / (drawn + 1) if extreme else min(1 / (drawn + 1), exact)


def relabelled(rng: np.random.Generator, pooled: Ints, size: int, number: int) -> Ints:
    """Rows by cell of `size` rows drawn without replacement, `number` times, shape (number, K)."""
    rows = int(pooled.sum())
    if rows >= _MOST_ROWS:
        return _of_very_many(rng, pooled, size, number)
    by_cell = min(size, rows - size) > _CELL_IN_ROWS * len(pooled) or rows > _LISTED_ROWS
    method: Literal["marginals", "count"] = "marginals" if by_cell else "count"
    return rng.multivariate_hypergeometric(pooled, size, number, method=method)


def _of_very_many(rng: np.random.Generator, pooled: Ints, size: int, number: int) -> Ints:
    """The same, cell after cell. While more rows are left than numpy draws from, a cell has a normal number with its
    mean and variance, or a binomial one where that variance is small: off by less than one part in 300."""
    counts = np.zeros((number, len(pooled)), np.int64)
    left = np.full(number, size, np.int64)
    rows = int(pooled.sum())
    for cell, here in enumerate(pooled[:-1].tolist()):
        elsewhere = rows - here
        if rows < _MOST_ROWS:
            drawn = rng.hypergeometric(here, elsewhere, left)
        else:
            share = left / rows
            spread = here * share * (1 - share) * elsewhere / (rows - 1)
            drawn = np.rint(rng.normal(here * share, np.sqrt(spread))).astype(np.int64)
            few = spread < _WIDE
            drawn[few] = _few(rng, here, rows, left[few])
        counts[:, cell] = np.clip(drawn, np.maximum(left - elsewhere, 0), np.minimum(left, here))
        left -= counts[:, cell]
        rows = elsewhere
    counts[:, -1] = left
    return counts


def _few(rng: np.random.Generator, here: int, rows: int, left: Ints) -> Ints:
    """Of the smaller kind of rows and the smaller side each of the fewer is of the other on its own."""
    rare, least = min(here, rows - here), np.minimum(left, rows - left)
    found = rng.binomial(np.minimum(rare, least), np.maximum(rare, least) / rows)
    found = np.where(left > least, rare - found, found)
    return left - found if here > rare else found

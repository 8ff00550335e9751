"""Exact conditional tests of how some rows are split between two sides, and what counts could alarm at all.

Null hypothesis throughout: rows are exchangeable between the sides. Given the pooled counts, the current
side's share of any kind of rows is then hypergeometric, at every size: nothing is approximated.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaln

from .arrays import Floats, Ints

_REACH = 60.0  # standard deviations of the support that are enumerated; beyond lies less than any double


def log_choose(n: Floats | Ints | float, k: Floats | Ints | float) -> Floats:
    """Natural logarithm of the binomial coefficient."""
    return np.asarray(gammaln(np.add(n, 1.0)) - gammaln(np.add(k, 1.0)) - gammaln(np.subtract(n, k) + 1.0))


@dataclass(frozen=True, eq=False)
class Split:
    """The null distribution of how many of `total` rows of a kind lie on the current side.

    Attributes
    ----------
    low
        The smallest count enumerated.
    chances
        Probability of ``low, low + 1, ...``, shape (S,).
    """

    low: int
    chances: Floats

    @classmethod
    def of(cls, total: int, size: int, rows: int) -> "Split":
        """`total` rows of the kind and `size` current rows among `rows`."""
        mean = total * size / rows
        spread = np.sqrt(max(mean * (1 - size / rows) * (rows - total) / max(rows - 1, 1), 0.0))
        reach = _REACH * spread + _REACH
        low = max(total + size - rows, 0, int(mean - reach))
        high = min(total, size, int(mean + reach) + 1)
        x = np.arange(low, high + 1, dtype=np.float64)
        log = log_choose(total, x) + log_choose(rows - total, size - x) - log_choose(rows, size)
        return cls(low, np.exp(log))

    def p_value(self, seen: int) -> float:
        """Two-sided p-value: all counts that are no likelier than the one seen (Freeman and Halton)."""
        place = min(max(seen - self.low, 0), len(self.chances) - 1)
        unlikely = self.chances <= self.chances[place] * (1 + 1e-7)
        return float(min(self.chances[unlikely].sum(), 1.0))

    def attained(self, level: float) -> float:
        """The probability of a p-value at or below a level: itself the largest such p-value, or 0."""
        ordered = np.sort(self.chances)
        sums = np.cumsum(ordered)
        last = np.append(ordered[1:] > ordered[:-1] * (1 + 1e-7), True)
        fit = sums[last & (sums <= level * (1 + 1e-7))]
        return float(min(fit[-1], 1.0)) if len(fit) else 0.0

    @property
    def smallest(self) -> float:
        """The smallest p-value that these sizes allow."""
        least = self.chances.min()
        return float(self.chances[self.chances <= least * (1 + 1e-7)].sum())


def smallest_alarm(known: int, rows: tuple[int, int], level: float) -> int | None:
    """The smallest count of a kind of current rows whose exact p-value reaches a level.

    Parameters
    ----------
    known
        Rows of the kind in the reference.
    rows
        All rows of the reference and of the current data.
    level
        The p-value that alarms.

    Returns
    -------
    int or None
        None where not even all current rows would: nothing can be judged at these sizes.
    """
    n, m = rows
    low = known * m // max(n, 1) + 1
    high = low
    while high < m and _above(known, high, rows) > level:
        low, high = high + 1, min(2 * high, m)
    if m < low or _above(known, high, rows) > level:
        return None
    while low < high:
        middle = (low + high) // 2
        if _above(known, middle, rows) <= level:
            high = middle
        else:
            low = middle + 1
    return low


@lru_cache(4096)
def _above(known: int, seen: int, rows: tuple[int, int]) -> float:
    return Split.of(known + seen, rows[1], sum(rows)).p_value(seen)


def never_seen(pooled: Ints, current: Ints) -> tuple[Floats, Floats]:
    """Whether a category that the reference never had holds more rows than chance would give such a one.

    Null hypothesis: rows are exchangeable. Given the pooled counts, the probability that any category of k or
    more rows falls wholly on the current side is at most the sum of ``C(m, t) / C(N, t)`` over the categories of
    t >= k rows: a union bound that pays for having chosen the category after looking, without any assumption
    about how many categories there are. For k = m = 1 it is Good and Turing's singletons over rows. Valid at every n.

    Parameters
    ----------
    pooled
        Rows by category on both sides, shape (K,).
    current
        Those of the current side by labelling, shape (R, K).

    Returns
    -------
    statistic, p_value
        Rows of the largest such category, 0 where there is none; the bound. Shapes (R,).

    References
    ----------
    I. J. Good, Biometrika 40 (1953) 237-264 (unseen species).
    """
    size = current.sum(axis=1)
    rows = int(pooled.sum())
    new = np.where(current == pooled, pooled, 0).max(axis=1)
    p = np.ones(len(current))
    counts, number = np.unique(pooled[pooled > 0], return_counts=True)
    for m in np.unique(size):
        fits = counts <= m
        log = np.full(len(counts), -np.inf)
        log[fits] = log_choose(m, counts[fits]) - log_choose(rows, counts[fits])
        tail = np.cumsum((number * np.exp(log))[::-1])[::-1]
        mine = (size == m) & (new > 0)
        p[mine] = np.minimum(tail[np.searchsorted(counts, new[mine])], 1.0)
    return new.astype(np.float64), p

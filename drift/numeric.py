"""Tests of numbers from counts by cell: location, scale, shape, bins, tails, nulls.

Every function takes pooled counts of shape (K,) and the current side's counts of shape (R, K), one row per
labelling, so that the same code judges the data and, in small samples, their random relabellings.
All of them are functions of ranks: any strictly increasing transformation leaves them as they are.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, chdtrc, kolmogorov, ndtr, ndtri

from .arrays import Floats, Ints
from .combination import Battery, Evaluated
from .hypergeometric import Split

WEIGHTS = {"location": 0.34, "scale": 0.26, "ks": 0.12, "bins": 0.10, "tails": 0.10, "nulls": 0.08}

_TAIL_LEVELS = (0, 10, 100)
_CUTS = 15
_BIN_ROWS = 25
_KLOTZ_ROWS = 2_000


def evaluate(pooled: Ints, current: Ints) -> Evaluated:
    """All tests of numbers; the last cell holds the nulls."""
    return with_nulls(pooled, current, _of_values)


def _of_values(t: Ints, b: Ints) -> dict[str, tuple[Floats, Floats]]:
    location, scale = ranks(t, b)
    return {"location": location, "scale": scale, "ks": ks(t, b), "bins": bins(t, b), "tails": tails(t, b)}


def with_nulls(
    pooled: Ints, current: Ints, tests: Callable[[Ints, Ints], dict[str, tuple[Floats, Floats]]]
) -> Evaluated:
    """The test of nulls, and others of the filled cells, which are silent where a side has no row."""
    found = {"nulls": nulls(pooled, current)} if 0 < pooled[-1] < pooled.sum() else {}
    t, b = pooled[:-1], current[:, :-1]
    filled = t > 0
    if filled.sum() < 2:
        return found
    t, b, one_sided = two_sided_only(t[filled], b[:, filled])
    of_values = tests(t, b)
    return found | {name: (s, np.where(one_sided, 1.0, p)) for name, (s, p) in of_values.items()}


def two_sided_only(t: Ints, b: Ints) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Labellings that leave a side without a row say nothing: they are replaced, and marked."""
    size = b.sum(axis=1)
    one_sided = (size == 0) | (size == t.sum())
    if one_sided.any():
        b = np.where(one_sided[:, None], np.append(t[:1], np.zeros(len(t) - 1, t.dtype)), b)
    return t, b, one_sided


def _sizes(t: Ints, b: Ints) -> tuple[float, Floats]:
    """Rows of both sides and of each labelling, as floats: products of the integers would be too large for integers."""
    return float(t.sum()), b.sum(axis=1).astype(np.float64)


def _two_sided(z: Floats) -> Floats:
    return np.asarray(2 * ndtr(-np.abs(z)))


def ranks(t: Ints, b: Ints) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Wilcoxon's test of location and a test of scale, as standardised linear rank statistics.

    Null hypothesis: all rows come from one distribution. The scores of location are the pooled mid-ranks.
    Those of scale are their squared distances from the middle (Mood), or, from 2,000 rows on each side,
    the squares of their normal quantiles (Klotz): as good as a test of variances for normal data, where
    Mood's has .76 of its power, but too skewed for few rows. They are made orthogonal to location, so
    that the two statistics are uncorrelated under any ties; the permutation variances are exact.
    Asymptotically normal; relabelled where a side is small (`drift.significance.weigh`).

    References
    ----------
    J. Hajek, Z. Sidak, P. K. Sen, Theory of Rank Tests, 2nd ed. (1999), sections 3.3.1 (moments), 4.1, 4.2.
    A. M. Mood, Ann. Math. Statist. 25 (1954) 514-522; J. Klotz, Ann. Math. Statist. 33 (1962) 498-512.
    """
    rows = t.sum()
    middle = (np.cumsum(t) - t / 2) / rows
    x = middle - (t * middle).sum() / rows
    size = int(b[0].sum())
    apart = ndtri(middle) if min(size, rows - size) >= _KLOTZ_ROWS else middle - 0.5
    square = apart * apart - (t * apart * apart).sum() / rows
    square = square - x * (t * x * square).sum() / max((t * x * x).sum(), 1e-300)
    return _standardised(t, b, x), _standardised(t, b, square)


def _standardised(t: Ints, b: Ints, scores: Floats) -> tuple[Floats, Floats]:
    rows, size = _sizes(t, b)
    spread = (t * scores * scores).sum()
    if spread <= 1e-9 * rows:
        return np.zeros(len(b)), np.ones(len(b))
    variance = size * (rows - size) / (rows * (rows - 1)) * spread
    z = (b @ scores) / np.sqrt(variance)
    return z, _two_sided(z)


def ks(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """Two-sample Kolmogorov-Smirnov test over the cells' edges.

    Null hypothesis: one distribution. The asymptotic p-value is conservative with ties and over cells.

    References
    ----------
    N. V. Smirnov, Ann. Math. Statist. 19 (1948) 279-281; J. L. Hodges, Ark. Mat. 3 (1958) 469-486.
    """
    rows, size = _sizes(t, b)
    below, below_current = np.cumsum(t), np.cumsum(b, axis=1)
    rest = rows - size
    gap = below_current / size[:, None] - (below - below_current) / rest[:, None]
    distance = np.abs(gap).max(axis=1)
    return distance, np.asarray(kolmogorov(np.sqrt(size * rest / rows) * distance))


def bins(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """Two-sample chi-square test over up to 32 bins of even pooled mass; a heavy value has its own bin.

    Null hypothesis: one distribution. Valid from 5 expected rows in each bin and side; there are fewer bins
    where rows are few.

    References
    ----------
    K. Pearson, Biometrika 8 (1911) 250-254.
    """
    rows = int(t.sum())
    fewer = max(min(int(b[0].sum()), rows - int(b[0].sum())), 1)
    number = int(np.clip(fewer // _BIN_ROWS, 2, 32))
    middle = (np.cumsum(t) - t / 2) / rows
    bin_of = np.floor(middle * number).astype(np.int64)
    starts = np.flatnonzero(np.diff(bin_of, prepend=-1))
    return chi_square(np.add.reduceat(t, starts), np.add.reduceat(b, starts, axis=1))


def chi_square(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """Two-sample chi-square statistic of a 2 x K table with given pooled counts, all positive.

    Where the sides differ much in size, the statistic varies more than a chi-square variable; its p-value is
    then that of a scaled one with the same mean and variance (each cell binomial given its total).

    References
    ----------
    J. B. S. Haldane, Biometrika 31 (1940) 346-355 (moments); F. E. Satterthwaite, Biometrics Bull. 2
    (1946) 110-114 (matching).
    """
    rows, size = _sizes(t, b)
    expected = size[:, None] * (t / rows)
    gap = b - expected
    statistic = (gap * gap / t).sum(axis=1) * rows * rows / (size * (rows - size))
    degrees = len(t) - 1
    if degrees < 1:
        return np.zeros(len(b)), np.ones(len(b))
    odds = size / rows * (1 - size / rows)
    extra = (1 / t).sum() * (1 - 6 * odds) / odds
    stretch = 1 + np.maximum(extra, 0.0) / (2 * degrees)
    return statistic, np.asarray(chdtrc(degrees / stretch, statistic / stretch))


def tails(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """Exceedance test: how many current rows lie beyond the reference's outermost 0, 10 and 100 rows.

    Null hypothesis: one distribution. With r reference rows above an edge, at least c current rows lie
    above it exactly when c of the outermost r + c pooled rows are current: a hypergeometric event, bounded
    by the binomial. Both ends and both directions are looked at, and their number is paid for. Valid at
    every n. It finds a wrong unit or a new extreme in few rows, which moves no other statistic.

    References
    ----------
    S. Rosenbaum, Ann. Math. Statist. 25 (1954) 146-150; H. A. David, H. N. Nagaraja, Order Statistics,
    3rd ed. (2003), section 2.4 (exceedances).
    """
    size = b.sum(axis=1)
    share = size / t.sum()
    p = np.ones(len(b))
    most = np.zeros(len(b))
    theirs = np.cumsum(np.pad(b, ((0, 0), (1, 0))), axis=1)  # up to each edge
    mine = np.cumsum(np.pad(t, (1, 0))) - theirs
    above = mine[:, -1:] - mine, theirs[:, -1:] - theirs
    for beyond_mine, beyond_theirs in (above, (mine[:, ::-1], theirs[:, ::-1])):
        for level in _TAIL_LEVELS:
            place = (beyond_mine > level).sum(axis=1)
            row = np.arange(len(b))
            r, c = beyond_mine[row, place], beyond_theirs[row, place]
            more = np.where(c > 0, betainc(np.maximum(c, 1), r + 1, share), 1.0)
            fewer = np.where(r > 0, betainc(np.maximum(r, 1), c + 1, 1 - share), 1.0)
            p = np.minimum(p, np.minimum(more, fewer))
            most = np.maximum(most, c - r * share / np.maximum(1 - share, 1e-12))
    return most, np.minimum(p * 4 * len(_TAIL_LEVELS), 1.0)


def nulls(pooled: Ints, current: Ints) -> tuple[Floats, Floats]:
    """Two-sample test of the share of nulls.

    Null hypothesis: rows of both sides are null equally often. Where the rarer of null and not null has
    under 200 expected rows on a side, the two-sided binomial tail given its total (conservative, as the
    hypergeometric is narrower); else the normal approximation with the hypergeometric variance.

    References
    ----------
    R. A. Fisher, J. R. Stat. Soc. 98 (1935) 39-54.
    """
    rows = int(pooled.sum())
    size = current.sum(axis=1)
    null = int(pooled[-1])
    if null in (0, rows) or rows < 2:
        return np.zeros(len(current)), np.ones(len(current))
    return split(np.array([null]), current[:, -1:], size, rows)


def split(total: Ints, mine: Ints, size: Ints, rows: int) -> tuple[Floats, Floats]:
    """Two-sided p-value of the split of one kind of rows between the sides, smallest over the columns.

    Parameters
    ----------
    total
        Rows of the kind on both sides, shape (K,).
    mine
        Those on the current side, shape (R, K).
    size, rows
        All rows of the current side, shape (R,), and of both.

    Returns
    -------
    statistic, p_value
        Standardised difference and p-value of the kind that differs most; nothing is paid for their number.
    """
    share = (size / rows)[:, None]
    flip = total > rows / 2
    t = np.where(flip, rows - total, total)
    c = np.where(flip, size[:, None] - mine, mine)
    variance = np.maximum(t * share * (1 - share) * (rows - t) / (rows - 1), 1e-300)
    z = (c - t * share) / np.sqrt(variance)
    normal = _two_sided(z)
    few = t * np.minimum(share, 1 - share) < 200
    more = np.where(c > 0, betainc(np.maximum(c, 1), t - c + 1, share), 1.0)
    rest = t - c
    fewer = np.where(rest > 0, betainc(np.maximum(rest, 1), c + 1, 1 - share), 1.0)
    p = np.where(few, np.minimum(2 * np.minimum(more, fewer), 1.0), normal)
    place = p.argmin(axis=1)
    row = np.arange(len(p))
    return np.where(flip[place], -1, 1) * z[row, place], p[row, place]


def bound(pooled: Ints, current: Ints) -> float:
    """An exact p-value at every size: the shares below up to 15 pooled quantiles, and of nulls.

    Null hypothesis: one distribution. Each share's split is hypergeometric given the pooled counts; the smallest
    p-value times their number.
    """
    rows, size = int(pooled.sum()), int(current.sum())
    below, mine = np.cumsum(pooled[:-1]), np.cumsum(current[:-1])
    ranks = np.arange(1, _CUTS + 1) / (_CUTS + 1) * below[-1] if len(below) else np.zeros(0)
    cuts = np.unique(np.searchsorted(below, ranks, side="left"))
    kinds = [(int(below[c]), int(mine[c])) for c in cuts] + [(int(pooled[-1]), int(current[-1]))]
    able = [(total, seen) for total, seen in kinds if 0 < total < rows]
    p = [Split.of(total, size, rows).p_value(seen) for total, seen in able]
    return min(1.0, len(p) * min(p, default=1.0))


BATTERY = Battery(evaluate, WEIGHTS, bound)
NULLS = Battery(
    lambda pooled, current: {"nulls": nulls(pooled, current)},
    {"nulls": 1.0},
    lambda pooled, current: Split.of(int(pooled[-1]), int(current.sum()), int(pooled.sum())).p_value(
        int(current[-1])
    ),
)
"""The test of nulls alone, of columns whose values are not compared."""

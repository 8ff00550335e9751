"""The distances that people know, from counts by cell, with what chance alone would give taken off.

All are between two rows of counts over the same cells. Under no change the plug-in divergences have mean
``(K - 1)(1/n + 1/m)`` times 1 (population stability index), 1/8 (Jensen-Shannon, squared Hellinger); that
much is subtracted, and what is left is never below 0.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import chndtr, chndtrinc, kolmogi, ndtr, ndtri

from .arrays import Floats, Ints

Bounds = Mapping[str, tuple[float, float]]
"""Lower and upper confidence bound by distance."""

_LARGEST_EXACT = 1_000.0


def between(first: Ints, second: Ints) -> Mapping[str, float]:
    """Population stability index, Jensen-Shannon, Hellinger, total variation and L-infinity distance.

    Parameters
    ----------
    first, second
        Rows by cell, shape (K,).

    Returns
    -------
    Mapping
        ``psi`` (nats; empty cells get half a row, as the index is infinite without), ``js`` (distance, base
        2, 0 to 1), ``hellinger``, ``total_variation``, ``l_infinity``; all bias-corrected but the last two.

    References
    ----------
    J. Lin, IEEE Trans. Inf. Theory 37 (1991) 145-151 (Jensen-Shannon); B. Yurdakul, "Statistical
    properties of population stability index" (2018), chapter 3 (its null distribution).
    """
    filled = first + second > 0
    a, b = first[filled], second[filled]
    n, m, cells = int(a.sum()), int(b.sum()), len(a)
    if not n or not m or cells < 2:
        return {"psi": 0.0, "js": 0.0, "hellinger": 0.0, "total_variation": 0.0, "l_infinity": 0.0}
    p, q = a / n, b / m
    chance = (cells - 1) * (1 / n + 1 / m)
    smooth_p, smooth_q = (a + 0.5) / (n + 0.5 * cells), (b + 0.5) / (m + 0.5 * cells)
    psi = float(((smooth_p - smooth_q) * np.log(smooth_p / smooth_q)).sum())
    js = _jensen_shannon(p, q) - chance / 8 / np.log(2)
    hellinger = 1 - float(np.sqrt(p * q).sum()) - chance / 8
    return {
        "psi": max(psi - chance, 0.0),
        "js": float(np.sqrt(max(js, 0.0))),
        "hellinger": float(np.sqrt(max(hellinger, 0.0))),
        "total_variation": float(np.abs(p - q).sum() / 2),
        "l_infinity": float(np.abs(p - q).max()),
    }


def bounds(first: Ints, second: Ints, z: float) -> Bounds:
    """Confidence bounds of the distances that `between` tells, of the populations behind the rows.

    Parameters
    ----------
    first, second
        Rows by cell, shape (K,).
    z
        Two-sided normal quantile of the confidence level.

    Returns
    -------
    Bounds
        ``psi``, ``js``, ``hellinger``: the divergence over ``1/n + 1/m`` (times 8 for the last two, squared) is
        close to a noncentral chi-square variable with K - 1 degrees of freedom; its noncentrality's bounds,
        stretched where the divergence is so large that the delta method knows a larger variance. ``l_infinity``:
        Bonferroni over the cells. ``total_variation``: normal. Empty where nothing can be told.

    References
    ----------
    S. Kullback, Information Theory and Statistics (1959), chapter 6 (noncentral chi-square limit);
    R. J. Serfling, Approximation Theorems (1980), section 3.3 (delta method).
    """
    filled = first + second > 0
    a, b = first[filled], second[filled]
    n, m, cells = int(a.sum()), int(b.sum()), len(a)
    if not n or not m or cells < 2:
        return {}
    p, q = a / n, b / m
    near = (a + 0.5) / (n + 0.5 * cells), (b + 0.5) / (m + 0.5 * cells)
    ratio = near[0] / near[1]
    log = np.log(ratio)
    # By name: how many times it is half a chi-square's share, its value, and its derivatives by p and by q.
    divergences = {
        "psi": (1, ((near[0] - near[1]) * log).sum(), log + 1 - 1 / ratio, 1 - ratio - log),
        "js": (8, _jensen_shannon(p, q) * np.log(2), log / 2 - np.log1p(ratio) / 2, -np.log1p(ratio) / 2),
        "hellinger": (8, 1 - np.sqrt(p * q).sum(), -np.sqrt(1 / ratio) / 2, -np.sqrt(ratio) / 2),
    }
    found: dict[str, tuple[float, float]] = {}
    for name, (times, value, by_p, by_q) in divergences.items():
        unit = (1 / n + 1 / m) / times
        variance = (_variance(near[0], by_p) / n + _variance(near[1], by_q) / m) / unit**2
        low, high = (unit * x for x in _noncentrality(float(value) / unit, cells - 1, variance, z))
        found[name] = (low, high)
    found["js"] = _distance(*(x / np.log(2) for x in found["js"]))
    found["hellinger"] = _distance(*found["hellinger"])
    errors = np.sqrt(near[0] * (1 - near[0]) / n + near[1] * (1 - near[1]) / m)
    largest, half = float(np.abs(p - q).max()), -float(ndtri(ndtr(-z) / cells)) * float(errors.max())
    found["l_infinity"] = (max(largest - half, 0.0), min(largest + half, 1.0))
    apart, chance = float(np.abs(p - q).sum() / 2), float(np.sqrt(2 / np.pi) * errors.sum() / 2)
    up = p < q
    half = z * float(np.sqrt(_variance(near[0], up) / n + _variance(near[1], up) / m))
    found["total_variation"] = (max(apart - chance - half, 0.0), min(apart + half, 1.0))
    return found


def ks_bounds(distance: float, rows: tuple[int, int], z: float) -> tuple[float, float]:
    """Bounds of a Kolmogorov-Smirnov distance: the whole difference of the two functions is within a band.

    References
    ----------
    N. V. Smirnov, Ann. Math. Statist. 19 (1948) 279-281.
    """
    half = float(kolmogi(2 * ndtr(-z)) * np.sqrt(1 / rows[0] + 1 / rows[1]))
    return max(distance - half, 0.0), min(distance + half, 1.0)


def _distance(low: float, high: float) -> tuple[float, float]:
    return float(np.sqrt(min(low, 1.0))), float(np.sqrt(min(high, 1.0)))


def _variance(shares: npt.NDArray[np.floating], values: npt.ArrayLike) -> float:
    values = np.asarray(values, np.float64)
    mean = float((shares * values).sum())
    return max(float((shares * values * values).sum()) - mean * mean, 0.0)


def _noncentrality(statistic: float, degrees: int, variance: float, z: float) -> tuple[float, float]:
    """Bounds of the noncentrality; `variance` is the statistic's by the delta method, without the degrees'."""
    middle = max(statistic - degrees, 0.0)
    if statistic < _LARGEST_EXACT:
        tail = float(ndtr(-z))
        below = float(chndtr(statistic, degrees, 0.0))
        low = float(chndtrinc(statistic, degrees, 1 - tail)) if below > 1 - tail else 0.0
        # A statistic below its mean would give a bound near 0, as if rows were more alike than chance lets them be.
        high = float(chndtrinc(max(statistic, degrees), degrees, tail))
    else:  # normal with variance 2 (degrees + 2 noncentrality), solved for the noncentrality
        centre = statistic - degrees + 2 * z * z
        half = z * float(np.sqrt(max(4 * (statistic - degrees) + 4 * z * z + 2 * degrees, 0.0)))
        low, high = max(centre - half, 0.0), max(centre + half, 0.0)
    stretch = float(np.sqrt(max(variance / (4 * max(middle, degrees)), 1.0)))
    return max(middle - stretch * (middle - low), 0.0), middle + stretch * (high - middle)


def _jensen_shannon(p: Floats, q: Floats) -> float:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / middle), 0) + np.where(q > 0, q * np.log2(q / middle), 0)
    return float(terms.sum() / 2)


def wasserstein(first: Ints, second: Ints, values: Floats) -> float:
    """First Wasserstein distance of two rows of counts at the given ascending values."""
    gap = np.cumsum(first / first.sum() - second / second.sum())[:-1]
    return float((np.abs(gap) * np.diff(values)).sum())

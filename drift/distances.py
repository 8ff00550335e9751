"""The distances that people know, from counts by cell, with what chance alone would give taken off.

All are between two rows of counts over the same cells. Under no change the plug-in divergences have mean
``(K - 1)(1/n + 1/m)`` times 1 (population stability index), 1/8 (Jensen-Shannon, squared Hellinger); that
much is subtracted, and what is left is never below 0.
"""

from collections.abc import Mapping

import numpy as np

from drift.grid import Floats, Ints


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


def _jensen_shannon(p: Floats, q: Floats) -> float:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / middle), 0) + np.where(q > 0, q * np.log2(q / middle), 0)
    return float(terms.sum() / 2)


def wasserstein(first: Ints, second: Ints, values: Floats) -> float:
    """First Wasserstein distance of two rows of counts at the given ascending values."""
    gap = np.cumsum(first / first.sum() - second / second.sum())[:-1]
    return float((np.abs(gap) * np.diff(values)).sum())

"""Whether columns hang together as they did: pairs by rank correlation, and all columns at once.

Both work on the joint sample of a profile (some 8,000 rows), so that their cost does not grow with the data.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, ndtr

from . import shuffles
from .arrays import Floats
from .profiles import Sample

Tests = Mapping[str, tuple[float, float]]
"""Statistic and p-value by test."""

WEIGHTS = {"correlation": 0.7, "joint": 0.3}

FEWEST_ROWS = 50
_FEWEST_OFF = 5.0
_SMALL_SIDE = 1_000
_MOST_COLUMNS = 200
_WORTH_A_LOOK = 0.1
_FEATURES = 64


@dataclass(frozen=True)
class Pair:
    """The pair of columns whose rank correlation changed most."""

    first: str
    second: str
    before: float
    after: float
    low: float
    high: float
    statistic: float
    p_value: float


def names(reference: Sample, current: Sample, most: int = _MOST_COLUMNS) -> list[str]:
    """Columns that can be judged jointly: known on both sides, not constant, mostly not null."""
    found: list[str] = []
    for name in reference:
        if name in current and len(found) < most:
            sides = [np.asarray(s[name]) for s in (reference, current)]
            known = [side[np.isfinite(side)] for side in sides]
            if all(len(k) >= FEWEST_ROWS and k.min() < k.max() for k in known):
                found.append(name)
    return found


def scores(reference: Sample, current: Sample, columns: list[str]) -> tuple[Floats, Floats]:
    """Pooled mid-ranks of both sides in (-1, 1), shape (rows, columns); 0, the middle, where null."""
    rows = len(reference[columns[0]])
    ranks = np.column_stack([_mid_ranks(np.concatenate([reference[n], current[n]])) for n in columns])
    return ranks[:rows], ranks[rows:]


def _mid_ranks(values: npt.NDArray[np.float32]) -> Floats:
    order = np.argsort(values)  # NaN come last
    known = len(values) - int(np.isnan(values).sum())
    ordered = values[order[:known]]
    stops = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, known)
    starts = np.append(0, stops[:-1])
    ranks = np.zeros(len(values))
    ranks[order[:known]] = np.repeat((starts + stops) / max(known, 1) - 1, stops - starts)
    return ranks


def _correlation(x: Floats) -> tuple[Floats, Floats]:
    """Correlations of the columns and the variances of their influence functions."""
    z = x - x.mean(axis=0)
    z /= np.sqrt(np.maximum((z * z).mean(axis=0), 1e-12))
    n = len(z)
    r = z.T @ z / n
    square, cube = z * z, z * z * z
    m22, m31 = square.T @ square / n, cube.T @ z / n
    m40 = (square * square).mean(axis=0)
    variance = m22 - r * (m31 + m31.T) + r * r / 4 * (m40[:, None] + m40[None, :] + 2 * m22)
    return np.clip(r, -0.999999, 0.999999), np.maximum(variance, 1e-12)


def judgeable(x: Floats, y: Floats) -> tuple[npt.NDArray[np.bool_], bool]:
    """Which pairs have enough rows that lie off both columns' heaviest values, and whether any are few.

    Depends on the pooled rows alone, so that it says nothing about the sides. Where both columns are rare, a
    correlation is a matter of one row or two: such a pair cannot be judged.

    Returns
    -------
    pairs, few
        By pair as in ``np.triu_indices``; whether limiting distributions are out of reach.
    """
    pooled = np.concatenate([x, y])
    smaller = min(len(x), len(y))
    off = np.array([1 - np.unique(c, return_counts=True)[1].max() / len(pooled) for c in pooled.T])
    upper = np.triu_indices(len(off), 1)
    expected = smaller * off[upper[0]] * off[upper[1]]
    kept = expected >= _FEWEST_OFF
    return kept, bool(smaller <= _SMALL_SIDE or (expected[kept] < _SMALL_SIDE / 4).any())


def pairs(x: Floats, y: Floats, columns: list[str], z: float) -> Pair | None:
    """Test of equal rank correlations, every pair of columns paid for.

    Null hypothesis: no pair's correlation of pooled mid-ranks differs between the sides. The difference of
    Fisher's transforms over its standard error, from the correlation's influence function, so that no
    distribution is assumed; the smallest p-value times the number of pairs. With up to 1,000 rows on a side, or
    where values are rare, the largest mean difference of the pooled influence function among random shuffles of
    the rows. Below 50 rows the test is silent. Shift and scale of the marginals cancel to first order.

    Parameters
    ----------
    x, y
        Scores of both sides, from `scores`.
    columns
        The columns' names.
    z
        Normal quantile of the interval of the change.

    References
    ----------
    S. J. Devlin, R. Gnanadesikan, J. R. Kettenring, Biometrika 62 (1975) 531-545, section 3 (influence);
    R. A. Fisher, Metron 1 (1921) 3-32 (transform).
    """
    if len(columns) < 2 or min(len(x), len(y)) < FEWEST_ROWS:
        return None
    kept, few = judgeable(x, y)
    if not kept.any():
        return None
    r, s, errors, statistic = _changes(x, y)
    statistic = np.where(kept, statistic, 0.0)
    p = np.where(kept, 2 * ndtr(-_as_normal(np.abs(statistic), min(len(x), len(y)) - 3)), 1.0)
    best = int(p.argmin())
    joint = min(float(p[best]) * int(kept.sum()), 1.0)
    if few and joint <= _WORTH_A_LOOK:
        best, joint = _shuffled(x, y, kept)
    upper = np.triu_indices(len(columns), 1)
    change, half = float(s[best] - r[best]), z * float(errors[best])
    first, second = columns[int(upper[0][best])], columns[int(upper[1][best])]
    before, after = float(r[best]), float(s[best])
    return Pair(first, second, before, after, change - half, change + half, float(statistic[best]), joint)


def _changes(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Of all pairs: both correlations, the standard error of their difference, the statistic."""
    upper = np.triu_indices(x.shape[1], 1)
    (r, v), (s, w) = ((m[upper] for m in _correlation(side)) for side in (x, y))
    v, w = v / len(x), w / len(y)
    spread = np.sqrt(v / (1 - r * r) ** 2 + w / (1 - s * s) ** 2)
    # Columns that all but determine each other have no stable variance: a floor for the transform's.
    spread = np.maximum(spread, 0.25 * np.sqrt(1 / len(x) + 1 / len(y)))
    least = 0.25 * np.sqrt((1 - r * r) ** 2 / len(x) + (1 - s * s) ** 2 / len(y))
    return r, s, np.maximum(np.sqrt(v + w), least), (np.arctanh(s) - np.arctanh(r)) / spread


def _shuffled(x: Floats, y: Floats, kept: npt.NDArray[np.bool_]) -> tuple[int, float]:
    """The pair whose influence function differs most, and the p-value of that among shuffles."""
    x, y = shuffles.thinned(x, y)
    rows = np.concatenate([x, y])
    z = rows - rows.mean(axis=0)
    z /= np.sqrt(np.maximum((z * z).mean(axis=0), 1e-12))
    upper = np.triu_indices(z.shape[1], 1)
    first, second = upper[0][kept], upper[1][kept]
    influence = np.empty((len(z), len(first)), np.float32)
    for place, (i, j) in enumerate(zip(first, second, strict=True)):
        product = z[:, i] * z[:, j]
        influence[:, place] = product - product.mean() / 2 * (z[:, i] ** 2 + z[:, j] ** 2)
    influence -= influence.mean(axis=0)
    influence /= np.maximum(influence.std(axis=0), 1e-6)
    best = int(np.abs(influence[len(x) :].sum(axis=0)).argmax())
    p = shuffles.p_value(influence, len(y), lambda sums: np.abs(sums).max(axis=1))
    return int(np.flatnonzero(kept)[best]), p


def _as_normal(t: Floats, freedom: int) -> Floats:
    """Student's t as a normal deviate (D. L. Wallace, Ann. Math. Statist. 30 (1959) 1121-1130, eq. 1.4)."""
    return np.asarray(np.sqrt(freedom * np.log1p(t * t / freedom)) * (1 - 3 / (4 * freedom)))


def jointly(x: Floats, y: Floats) -> tuple[float, float]:
    """Multivariate two-sample test: maximum mean discrepancy with random Fourier features.

    Null hypothesis: both sides have one joint distribution. Small sides and rare values are judged among shuffles
    of the rows, as in `pairs`. Scores are mapped by random cosines, which
    stand for a Gaussian kernel; the features' mean difference is compared by Hotelling's statistic on the
    features' leading directions. Linear cost, about 20 ms for 8,000 rows of 30 columns on each side. Chosen over
    a domain classifier, which costs a second and needs a split of the rows. The features' seed is fixed.

    Returns
    -------
    statistic, p_value
        (0, 1) with too few rows.

    References
    ----------
    A. Gretton et al., J. Mach. Learn. Res. 13 (2012) 723-773; A. Rahimi, B. Recht, NIPS 20 (2007)
    1177-1184; A. Chwialkowski et al., NIPS 28 (2015) 1981-1989, section 3 (Hotelling's on features).
    """
    n, m = len(x), len(y)
    columns = x.shape[1]
    number = int(min(_FEATURES, (n + m) // 40))
    if columns < 2 or number < 8 or min(n, m) < FEWEST_ROWS:
        return 0.0, 1.0
    rng = np.random.default_rng(columns)
    turn = rng.normal(size=(columns, number)) * (1.2 / np.sqrt(columns / 3))
    phase = rng.uniform(0, 2 * np.pi, number)
    pooled = np.cos(
        np.concatenate([x, y]).astype(np.float32) @ turn.astype(np.float32) + phase.astype(np.float32)
    )
    gap = pooled[:n].mean(axis=0, dtype=np.float64) - pooled[n:].mean(axis=0, dtype=np.float64)
    pooled -= pooled.mean(axis=0)
    covariance = (pooled.T @ pooled).astype(np.float64) / (n + m - 1)
    values, vectors = np.linalg.eigh(covariance * (1 / n + 1 / m))
    kept = values > 1e-5 * values[-1]
    statistic = float((((gap @ vectors[:, kept]) ** 2) / values[kept]).sum())
    # With the covariance of all rows together the statistic over N - 1 is beta distributed.
    degrees, total = int(kept.sum()), n + m - 1
    share = min(statistic / total, 1.0)
    p = float(betainc((total - degrees) / 2, degrees / 2, 1 - share))
    if p <= _WORTH_A_LOOK and judgeable(x, y)[1]:
        x, y = shuffles.thinned(pooled[:n], pooled[n:])
        white = (np.concatenate([x, y]) @ (vectors[:, kept] / np.sqrt(values[kept]))).astype(np.float32)
        white -= white.mean(axis=0)
        p = shuffles.p_value(white, len(y), lambda sums: (sums * sums).sum(axis=1))
    return statistic, p


def of(reference: Sample, current: Sample, moved: Collection[str], z: float) -> tuple[Pair | None, Tests]:
    """Both tests on what two profiles have sampled.

    Parameters
    ----------
    reference, current
        The joint samples.
    moved
        Columns that have changed by themselves: they are left out of the joint test, which would only
        repeat that.
    z
        Normal quantile of the interval.

    Returns
    -------
    pair, tests
        The pair that changed most; statistic and p-value by test.
    """
    columns = names(reference, current)
    if len(columns) < 2:
        return None, {}
    x, y = scores(reference, current, columns)
    still = [i for i, name in enumerate(columns) if name not in moved]
    tests = {"joint": jointly(x[:, still], y[:, still])}
    pair = pairs(x, y, columns, z)
    if pair is not None:
        tests["correlation"] = (pair.statistic, pair.p_value)
    return pair, tests

"""How much changed, with a confidence interval and in words: what a tolerance is compared with."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from .arrays import Floats, Ints
from .distances import wasserstein
from .grid import Grid
from .report import Effect
from .shares import hybrid, of_odds, wilson

_DRAWN_IN = 0.005


@dataclass(frozen=True)
class Moments:
    """Rows, mean, variance and fourth central moment."""

    rows: int
    mean: float
    variance: float
    fourth: float


def interval(confidence: float) -> float:
    """The two-sided normal quantile of a confidence level."""
    return float(ndtri(0.5 + confidence / 2))


def _moments(counts: Ints, values: Floats) -> Moments:
    rows = int(counts.sum())
    if not rows:
        return Moments(0, 0.0, 0.0, 0.0)
    mean = float((counts * values).sum() / rows)
    square = (values - mean) ** 2
    variance = float((counts * square).sum() / max(rows - 1, 1))
    return Moments(rows, mean, variance, float((counts * square * square).sum() / rows))


def drawn_in(first: Grid, second: Grid) -> tuple[Floats, Floats]:
    """Values by cell of both, the outermost 0.5 % of the pooled rows drawn in (winsorised), within -1 and 1.

    Heavy tails would otherwise decide about the standard deviation that effects are told in.
    """
    pooled = np.cumsum(first.counts + second.counts)
    values = first.values(), second.values()
    middle = (first.sums + second.sums) / np.maximum(first.counts + second.counts, 1)
    low = int(np.searchsorted(pooled, _DRAWN_IN * pooled[-1], side="right"))
    high = int(np.searchsorted(pooled, (1 - _DRAWN_IN) * pooled[-1], side="left"))
    bounds = middle[min(low, len(middle) - 1)], middle[min(high, len(middle) - 1)]
    ours, theirs = (np.clip(v, *bounds) for v in values)
    unit = max(abs(bounds[0]), abs(bounds[1])) or 1.0
    return ours / unit, theirs / unit


def of_usual(first: Grid, second: Grid, tolerance: float, z: float) -> Effect | None:
    """Change of the odds that a row lies off the value that most rows of a number have; None without one."""
    pooled = first.counts + second.counts
    usual = int(pooled.argmax())
    if 2 * pooled[usual] <= pooled.sum() or pooled[usual] == pooled.sum():
        return None
    sides = [np.array([g.rows - g.counts[usual], g.counts[usual]], np.int64) for g in (first, second)]
    value = (first.sums + second.sums)[usual] / pooled[usual]
    return of_odds([f"other than {value:.4g}", ""], sides[0], sides[1], tolerance, z)


def of_numbers(first: Grid, second: Grid, tolerance: float, range_tolerance: float, z: float) -> list[Effect]:
    """Shift, change of spread, distance, and rows outside the reference's range.

    Parameters
    ----------
    first, second
        Reference and current on common edges, both with at least one row.
    tolerance, range_tolerance
        Tolerances of the first three and of the last.
    z
        Normal quantile of the intervals.

    Returns
    -------
    list of Effect
        ``shift`` in standard deviations of the reference (delta method), ``spread`` as the natural
        logarithm of the ratio of standard deviations (delta method with the fourth moment), ``distance``
        as Wasserstein over standard deviation, ``above`` and ``below`` as shares of rows (Wilson).
    """
    ours, theirs = drawn_in(first, second)
    a, b = _moments(first.counts, ours), _moments(second.counts, theirs)
    scale = np.sqrt(a.variance) or np.sqrt(b.variance)
    effects = _outside(first, second, range_tolerance, z)
    if not scale:
        if a.mean == b.mean:
            return effects
        low, high = hybrid((0, b.rows), (a.rows, b.rows), z)
        low, high = (low, high) if b.mean > a.mean else (-high, -low)
        words = f"moved from {first.mean():.4g} to {second.mean():.4g}"
        sign = float(np.sign(b.mean - a.mean))
        return [Effect("shift", sign, low, high, "of rows", tolerance, words), *effects]
    shift = (b.mean - a.mean) / scale
    error = _error(a, b) / scale
    error = float(np.sqrt(error**2 + shift**2 / (2 * max(a.rows, 2))))
    half = z * error
    moved = f"moved {'up' if shift > 0 else 'down'} by {abs(shift):.2f} sd ({_between(shift, half)})"
    effects.insert(
        0, Effect("shift", float(shift), float(shift - half), float(shift + half), "sd", tolerance, moved)
    )
    if a.variance > 0 and b.variance > 0 and min(a.rows, b.rows) > 3:
        effects.insert(1, _spread(a, b, tolerance, z))
    effects.append(_distance(first, second, (ours, theirs), float(scale), tolerance, z))
    return effects


def _error(a: Moments, b: Moments) -> float:
    """Standard error of the difference of means; each side is lent two rows of both, lest it look certain.

    A side that happens to hold one value only has no variance of its own (A. Agresti, B. Caffo, Am. Stat. 54 (2000)
    280-288, for shares).
    """
    rows = a.rows + b.rows
    between = a.rows * b.rows / rows**2 * (a.mean - b.mean) ** 2
    pooled = (a.rows * a.variance + b.rows * b.variance) / rows + between
    lent = [max(m.variance, (m.rows * m.variance + 2 * pooled) / (m.rows + 2)) for m in (a, b)]
    return float(np.sqrt(lent[0] / a.rows + lent[1] / b.rows))


def _between(value: float, half: float) -> str:
    sign = 1 if value >= 0 else -1
    return f"{sign * value - half:.2f} to {sign * value + half:.2f}"


def _spread(a: Moments, b: Moments, tolerance: float, z: float) -> Effect:
    ratio = 0.5 * np.log(b.variance / a.variance)
    excess = [max(m.fourth / m.variance**2 - 1, 4 / m.rows) / (4 * m.rows) for m in (a, b)]
    half = z * float(np.sqrt(sum(excess)))
    factor = np.exp(np.clip([ratio, ratio - half, ratio + half], -50, 50))
    how = "widened" if ratio > 0 else "narrowed"
    words = f"{how} to {factor[0]:.3g} times its sd ({factor[1]:.3g} to {factor[2]:.3g})"
    return Effect("spread", float(ratio), float(ratio - half), float(ratio + half), "ln sd", tolerance, words)


def _distance(
    first: Grid, second: Grid, values: tuple[Floats, Floats], scale: float, tolerance: float, z: float
) -> Effect:
    """Wasserstein distance over sd, less its mean under no change; the interval adds the same noise."""
    n, m = first.rows, second.rows
    total = first.counts + second.counts
    middle = np.maximum.accumulate(
        (first.counts * values[0] + second.counts * values[1]) / np.maximum(total, 1)
    )
    filled = total > 0
    at = middle[filled]
    raw = wasserstein(first.counts[filled], second.counts[filled], at) / scale
    share = np.cumsum(total[filled])[:-1] / total.sum()
    noise = float((np.sqrt(share * (1 - share)) * np.diff(at)).sum()) / scale * np.sqrt(1 / n + 1 / m)
    chance = np.sqrt(2 / np.pi) * noise
    value = float(np.sqrt(max(raw**2 - chance**2, 0.0)))
    half = z * float(noise)
    words = f"changed its shape: rows lie {value:.2f} sd apart on average"
    return Effect("distance", value, max(value - half, 0.0), value + half, "sd", tolerance, words)


def _outside(first: Grid, second: Grid, tolerance: float, z: float) -> list[Effect]:
    last = np.flatnonzero(first.counts)
    effects = []
    for name, hits, bound in (
        ("above", int(second.counts[last[-1] + 1 :].sum()), first.high),
        ("below", int(second.counts[: last[0]].sum()), first.low),
    ):
        if hits:
            low, high = wilson(hits, second.rows, z)
            # By chance alone about rows / (reference rows + 1) lie beyond the reference's largest value.
            low = max(low - 1 / (first.rows + 1), 0.0)
            share = hits / second.rows
            words = f"{share:.2%} of rows are {name} the range ever seen ({bound:.4g})"
            effects.append(Effect(name, share, low, high, "of rows", tolerance, words))
    return effects

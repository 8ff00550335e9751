"""How much changed, with a confidence interval and in words: what a tolerance is compared with."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from drift.categories import Counts
from drift.distances import wasserstein
from drift.grid import Floats, Grid, Ints
from drift.report import Effect

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
        whole = Effect("shift", _sign(b.mean - a.mean), *_ordered(b.mean - a.mean), "of rows", tolerance)
        return [_worded(whole, f"moved from {first.mean():.4g} to {second.mean():.4g}"), *effects]
    shift = (b.mean - a.mean) / scale
    error = np.sqrt(a.variance / a.rows + b.variance / b.rows) / scale
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


def _sign(x: float) -> float:
    return float(np.sign(x))


def _ordered(x: float) -> tuple[float, float]:
    return (_sign(x), _sign(x))


def _worded(effect: Effect, words: str) -> Effect:
    return Effect(effect.name, effect.value, effect.low, effect.high, effect.unit, effect.tolerance, words)


def _between(value: float, half: float) -> str:
    sign = 1 if value >= 0 else -1
    return f"{sign * value - half:.2f} to {sign * value + half:.2f}"


def _spread(a: Moments, b: Moments, tolerance: float, z: float) -> Effect:
    ratio = 0.5 * np.log(b.variance / a.variance)
    excess = [max(m.fourth / m.variance**2 - 1, 0.0) / (4 * m.rows) for m in (a, b)]
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


def wilson(hits: int, rows: int, z: float) -> tuple[float, float]:
    """Wilson's confidence interval of a share (J. Am. Stat. Assoc. 22 (1927) 209-212)."""
    if not rows:
        return 0.0, 1.0
    p = hits / rows
    middle = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


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


def of_nulls(nulls: tuple[int, int], rows: tuple[int, int], tolerance: float, z: float) -> Effect:
    """Change of the share of nulls, with the hybrid score interval.

    References
    ----------
    R. G. Newcombe, Stat. Med. 17 (1998) 873-890, method 10.
    """
    (p, q), (a, b) = (nulls[0] / max(rows[0], 1), nulls[1] / max(rows[1], 1)), rows
    (low_p, high_p), (low_q, high_q) = wilson(nulls[0], a, z), wilson(nulls[1], b, z)
    change = q - p
    low = change - np.sqrt((q - low_q) ** 2 + (high_p - p) ** 2)
    high = change + np.sqrt((high_q - q) ** 2 + (p - low_p) ** 2)
    words = f"nulls {'rose' if change > 0 else 'fell'} from {p:.1%} to {q:.1%} of rows"
    return Effect("nulls", change, float(low), float(high), "of rows", tolerance, words)


def of_categories(
    names: list[str], first: Ints, second: Ints, known: Counts, tolerance: float, z: float
) -> Effect:
    """Share of rows that changed category: total variation, less what chance alone would give.

    The chance part is ``sum sqrt(2 p (1 - p) (1/n + 1/m) / pi) / 2``, taken off in squares; the interval is
    normal with the variance of the plug-in distance.
    """
    n, m = int(first.sum()), int(second.sum())
    p, q = first / n, second / m
    gap = q - p
    pooled = (first + second) / (n + m)
    chance = float(np.sqrt(2 * pooled * (1 - pooled) * (1 / n + 1 / m) / np.pi).sum() / 2)
    raw = float(np.abs(gap).sum() / 2)
    value = float(np.sqrt(max(raw**2 - chance**2, 0.0)))
    up = gap > 0
    spread = [float(max(s[up].sum() * (1 - s[up].sum()), 0.0) / r) for s, r in ((p, n), (q, m))]
    half = z * float(np.sqrt(sum(spread)))
    low, high = max(value - half, 0.0), min(value + half, 1.0)
    return Effect("moved", value, low, high, "of rows", tolerance, _story(names, p, q, known, value))


def _story(names: list[str], p: Floats, q: Floats, known: Counts, value: float) -> str:
    words = f"{value:.1%} of rows changed category"
    named = np.array([bool(n) or i < len(known.keys) for i, n in enumerate(names)])
    gap = np.where(named, q - p, 0.0)
    place = int(np.abs(gap).argmax())
    if gap[place]:
        new = " (new)" if p[place] == 0 else " (gone)" if q[place] == 0 else ""
        how = "rose" if gap[place] > 0 else "fell"
        words += f": {names[place][:60]!r}{new} {how} from {p[place]:.1%} to {q[place]:.1%}"
    return words

"""Shares of rows and how they changed: nulls, categories, rare values; with intervals that are never empty."""

import numpy as np
from scipy.special import ndtr, ndtri

from .arrays import Floats, Ints
from .categories import Counts
from .report import Effect

_WORTH_TELLING = 0.01


def wilson(hits: int, rows: int, z: float) -> tuple[float, float]:
    """Wilson's confidence interval of a share (J. Am. Stat. Assoc. 22 (1927) 209-212)."""
    if not rows:
        return 0.0, 1.0
    p = hits / rows
    middle = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def hybrid(hits: tuple[int, int], rows: tuple[int, int], z: float) -> tuple[float, float]:
    """Interval of the difference of two shares, second less first.

    References
    ----------
    R. G. Newcombe, Stat. Med. 17 (1998) 873-890, method 10 (hybrid score).
    """
    p, q = hits[0] / max(rows[0], 1), hits[1] / max(rows[1], 1)
    (low_p, high_p), (low_q, high_q) = wilson(hits[0], rows[0], z), wilson(hits[1], rows[1], z)
    low = q - p - np.sqrt((q - low_q) ** 2 + (high_p - p) ** 2)
    high = q - p + np.sqrt((high_q - q) ** 2 + (p - low_p) ** 2)
    return float(low), float(high)


def of_nulls(nulls: tuple[int, int], rows: tuple[int, int], tolerance: float, z: float) -> Effect:
    """Change of the share of nulls, with the hybrid score interval."""
    p, q = nulls[0] / max(rows[0], 1), nulls[1] / max(rows[1], 1)
    words = f"nulls {'rose' if q > p else 'fell'} from {p:.1%} to {q:.1%} of rows"
    return Effect("nulls", q - p, *hybrid(nulls, rows, z), "of rows", tolerance, words)


def of_categories(
    names: list[str], first: Ints, second: Ints, known: Counts, tolerance: float, z: float
) -> Effect:
    """Share of rows that changed category: total variation, less what chance alone would give.

    The chance part is ``sum sqrt(2 p (1 - p) (1/n + 1/m) / pi) / 2``, taken off in squares; the interval is
    as wide as `hybrid` of the categories that rose, which the distance is the change of.
    """
    n, m = int(first.sum()), int(second.sum())
    p, q = first / n, second / m
    gap = q - p
    pooled = (first + second) / (n + m)
    chance = float(np.sqrt(2 * pooled * (1 - pooled) * (1 / n + 1 / m) / np.pi).sum() / 2)
    raw = float(np.abs(gap).sum() / 2)
    value = float(np.sqrt(max(raw**2 - chance**2, 0.0)))
    up = gap > 0
    rose = int(first[up].sum()), int(second[up].sum())
    change = rose[1] / m - rose[0] / n
    low, high = hybrid(rose, (n, m), z)
    low, high = max(value - (change - low), 0.0), min(value + (high - change), 1.0)
    return Effect("moved", value, low, high, "of rows", tolerance, _story(names, p, q, known, value))


def of_odds(names: list[str], first: Ints, second: Ints, tolerance: float, z: float) -> Effect | None:
    """How many times likelier or less likely the category became whose odds changed most, as a logarithm.

    Total variation does not see that a share of 1 % became 10 %. Looked at are categories of at most half of all rows
    and at least 1 % of a side's, so that a large sample does not make a trifle matter; all of them are paid for.

    Parameters
    ----------
    names
        Categories; unnamed ones (hash buckets) are passed over.
    first, second
        Their rows in the reference and in the current data, shape (K,).
    tolerance
        The smallest natural logarithm of an odds ratio that matters.
    z
        Normal quantile of the interval, before the number of categories is paid for.

    Returns
    -------
    Effect or None
        ``odds``: natural logarithm of the odds ratio, half a row added to each cell (Haldane and Anscombe); its
        interval from the shares' Wilson bounds. None where no category is that frequent.
    """
    n, m = int(first.sum()), int(second.sum())
    frequent = np.maximum(first / n, second / m) >= _WORTH_TELLING
    frequent &= 2 * (first + second) <= n + m  # of two categories the rarer one tells both
    places = [k for k in np.flatnonzero(frequent) if names[k]]
    if not places:
        return None
    z = -float(ndtri(ndtr(-z) / len(places)))
    found = [_odds(names[k], (int(first[k]), int(second[k])), (n, m), tolerance, z) for k in places]
    return max(found, key=lambda e: (e.size, abs(e.value)))


def _odds(name: str, hits: tuple[int, int], rows: tuple[int, int], tolerance: float, z: float) -> Effect:
    """Bounds from the shares' own, each at a confidence at which both together have the stated one."""
    (a, b), (n, m) = hits, rows
    value = _log_odds((b + 0.5) / (m + 1)) - _log_odds((a + 0.5) / (n + 1))
    before, after = (tuple(map(_log_odds, wilson(k, r, z))) for k, r in zip(hits, rows, strict=True))
    low, high = min(after[0] - before[1], value), max(after[1] - before[0], value)
    times = float(np.exp(min(abs(value), 50.0)))
    what = f"{name[:60]!r}" + (" (new)" if not a else " (gone)" if not b else "")
    how = f"{times:.3g} times as likely" if value > 0 else f"{times:.3g} times less likely"
    words = f"{what} is {how}: {a / n:.2%} of rows before, {b / m:.2%} now"
    return Effect("odds", value, low, high, "ln odds", tolerance, words)


def _log_odds(share: float) -> float:
    return float(np.log(max(share, 1e-12)) - np.log(max(1 - share, 1e-12)))


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

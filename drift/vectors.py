"""Columns that are one thing together, such as an embedding: one multivariate test in the place of one for each."""

from collections.abc import Sequence

import numpy as np

from . import dependence
from .arrays import Floats
from .effects import interval
from .judge import Judged
from .policy import ColumnPolicy, Policy
from .profiles import Sample
from .report import Effect
from .significance import Evidence

MOST_COLUMNS = 512
"""Of more, so many at even steps are looked at."""

_FEWEST_COLUMNS = 2
_FEWEST_ROWS = 160
"""Of both sides together in each half: below, neither the test nor the effect says anything."""


def judge(name: str, columns: Sequence[str], sides: tuple[Sample, Sample], policy: Policy) -> Judged | str:
    """The evidence that a vector's distribution changed, and how far it moved; or why it cannot be compared.

    Null hypothesis: both sides have one joint distribution. Tested by maximum mean discrepancy on pooled mid-ranks
    (`dependence.jointly`), by shuffles of the rows where a side has up to 1,000. Valid n: 50 rows a side and 320 in
    all; with fewer it is not judgeable.
    """
    ours, theirs = ({c: side[c] for c in columns if c in side} for side in sides)
    known = dependence.names(ours, theirs, len(columns))
    known = [known[i] for i in np.linspace(0, len(known) - 1, min(len(known), MOST_COLUMNS)).astype(int)]
    if len(known) < _FEWEST_COLUMNS:
        return "a vector of fewer than two columns that are numbers, not constant, on both sides"
    x, y = dependence.scores(*sides, known)
    own = policy.columns.get(name, ColumnPolicy())
    weight = max(policy.weight(name), 0.01)
    tolerance = (policy.material_numeric if own.tolerance is None else own.tolerance) / weight
    if len(x) + len(y) < 2 * _FEWEST_ROWS or min(len(x), len(y)) < dependence.FEWEST_ROWS:
        nothing = Effect("moved", 0.0, 0.0, 0.0, "sd", tolerance, "too few rows")
        return Judged(name, "vector", Evidence(1.0, {}, 1.0), (nothing,), importance=policy.weight(name))
    statistic, p = dependence.jointly(x, y)
    z = interval(policy.confidence)
    along = _along(x, y)
    found = (_moved(*along, tolerance, z), _spread(x, y, tolerance, z))
    evidence, apart = Evidence(p, {"joint": (statistic, p)}), {"ks": _ks(*along)}
    return Judged(name, "vector", evidence, found, apart, policy.weight(name))


def _along(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Both sides along the direction that parts them best: found on every other row and given of the rest, so that it
    is not flattered."""
    (a, c), (b, d) = (x[::2], x[1::2]), (y[::2], y[1::2])
    spread = np.maximum(np.concatenate([a, b]).var(axis=0), 1e-12)
    direction = (b.mean(axis=0) - a.mean(axis=0)) / spread
    return c @ direction, d @ direction


def _ks(ours: Floats, theirs: Floats) -> float:
    """Kolmogorov and Smirnov's distance: by it a drop is ranked among past ones."""
    at = np.concatenate([ours, theirs])
    shares = (np.searchsorted(np.sort(side), at, side="right") / len(side) for side in (ours, theirs))
    return float(np.abs(np.subtract(*shares)).max())


def _spread(x: Floats, y: Floats, tolerance: float, z: float) -> Effect:
    """How many times further the current rows lie from their middle, as a natural logarithm; Welch's interval."""
    ours, theirs = (np.log(np.linalg.norm(side - side.mean(axis=0), axis=1) + 1e-12) for side in (x, y))
    value = float(theirs.mean() - ours.mean())
    half = z * float(np.sqrt(ours.var() / len(ours) + theirs.var() / len(theirs)))
    words = (
        f"{'spread wider' if value > 0 else 'drew closer'}, {np.exp(value):.2f} times as far from its middle"
    )
    return Effect("spread", value, value - half, value + half, "ln", tolerance, words)


def _moved(ours: Floats, theirs: Floats, tolerance: float, z: float) -> Effect:
    """How far the mean moved along that direction, in standard deviations: 0 on average where nothing changed.

    The interval is that of a standardised difference (Hedges, Olkin, *Statistical Methods for Meta-Analysis*, 1985).
    """
    within = (ours.var() * len(ours) + theirs.var() * len(theirs)) / (len(ours) + len(theirs))
    value = float((theirs.mean() - ours.mean()) / np.sqrt(max(within, 1e-12)))
    n, m = len(ours), len(theirs)
    half = z * float(np.sqrt(1 / n + 1 / m + value * value / (2 * (n + m))))
    words = f"moved by {value:.2f} sd ({value - half:.2f} to {value + half:.2f}) along one direction of all its columns"
    return Effect("moved", value, value - half, value + half, "sd", tolerance, words)

"""What pictures are drawn from, small enough to stand in a page's JSON as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.gate.gate_record import Interval

if TYPE_CHECKING:
    from drift import ColumnProfile

BINS = 24
TOP = 7


@dataclass(frozen=True)
class Numbers:
    """Shares of rows by bin between `low` and `high`, before and after."""

    low: float
    high: float
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class Categories:
    """Shares of rows by category, those that moved most first."""

    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class Bar:
    """A named interval, drawn as the champion's (`was`) or the challenger's (`is`)."""

    name: str
    interval: Interval
    cls: str = "is"


@dataclass(frozen=True)
class MetricPoint:
    """The live model's metric on one labelled version."""

    version: int
    value: float | None
    low: float | None
    high: float | None
    n: int
    breached: bool | None


def shape_of(before: ColumnProfile | None, after: ColumnProfile | None) -> Numbers | Categories | None:
    """What a column looked like in the reference and looks like now; None where that cannot be drawn."""
    from drift.categories import Counts
    from drift.grid import Grid

    if before is None or after is None:
        return None
    for part in ("values", "length"):
        one, other = before.parts.get(part), after.parts.get(part)
        if isinstance(one, Grid) and isinstance(other, Grid) and one.rows and other.rows:
            return _numbers(one, other)
        if isinstance(one, Counts) and isinstance(other, Counts) and one.rows and other.rows:
            return _categories(one, other)
    return None


def _numbers(one: object, other: object) -> Numbers:
    import numpy as np

    from drift import grid

    assert isinstance(one, grid.Grid) and isinstance(other, grid.Grid)
    first, second = grid.union(one, other)
    low = min(first.quantile(0.005), second.quantile(0.005))
    high = max(first.quantile(0.995), second.quantile(0.995))
    if not low < high:
        low, high = low - 1, high + 1
    borders = np.linspace(low, high, BINS + 1)[1:-1]
    before, after = (
        tuple(round(float(share), 5) for share in each.on(borders).counts / each.rows)
        for each in (first, second)
    )
    return Numbers(float(low), float(high), before, after)


def _categories(one: object, other: object) -> Categories:
    from drift.categories import Counts

    assert isinstance(one, Counts) and isinstance(other, Counts)
    was = {key: int(n) / one.rows for key, n in zip(one.keys, one.counts, strict=True)}
    now = {key: int(n) / other.rows for key, n in zip(other.keys, other.counts, strict=True)}
    names = sorted(
        {*was, *now},
        key=lambda k: (-(max(was.get(k, 0), now.get(k, 0)) + 4 * abs(was.get(k, 0) - now.get(k, 0))), k),
    )[:TOP]
    return Categories(
        tuple(name[:64] for name in names),
        tuple(round(was.get(name, 0.0), 5) for name in names),
        tuple(round(now.get(name, 0.0), 5) for name in names),
    )

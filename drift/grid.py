"""Counts of numbers in cells: the whole empirical distribution while it is small, quantile cells when not.

A cell holds its right edge: cell i is ``(edges[i-1], edges[i]]``, the last one is everything above.
Counts on the same edges add exactly, which is what lets profiles be merged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Ints

CELLS = 2048
"""Distinct values that are kept exactly, and quantile cells beyond that: a KS error of 1/2048 at most."""

LARGEST = 1e300
"""Numbers beyond this size count as infinite: sums of them would be."""

_TAIL_RANKS = (0, 1, 3, 10, 30, 100, 300)


@dataclass(frozen=True, eq=False)
class Grid:
    """Counts and sums of finite numbers by cell.

    Attributes
    ----------
    edges, counts, sums
        Strictly increasing right edges; rows and sum of values of each cell, one cell more than edges.
    exact
        Every row lies on an edge: nothing is lost.
    low, high
        The smallest and the largest finite value (0 when there are no rows).
    infinite
        Rows that were infinite, or beyond LARGEST; they are in no cell.
    error
        Rows that may be counted on the wrong side of an edge, at most.
    """

    edges: Floats
    counts: Ints
    sums: Floats
    exact: bool
    low: float
    high: float
    infinite: int = 0
    error: int = 0

    @property
    def rows(self) -> int:
        """Finite rows counted."""
        return int(self.counts.sum())

    def values(self) -> Floats:
        """One value per cell: its mean, or its edge where the cell is empty."""
        edges = np.append(self.edges, self.high) if len(self.edges) else np.zeros(1)
        return np.where(self.counts > 0, self.sums / np.maximum(self.counts, 1), edges)

    def mean(self) -> float:
        """Mean of the finite rows."""
        return float(self.sums.sum() / max(self.rows, 1))

    def sd(self) -> float:
        """Standard deviation of the finite rows, of the cells' means."""
        if self.rows < 2:
            return 0.0
        centred = self.values() - self.mean()
        size = float(np.abs(centred).max()) or 1.0
        centred /= size
        return size * float(np.sqrt((self.counts * centred * centred).sum() / (self.rows - 1)))

    def quantile(self, q: float) -> float:
        """The smallest edge below or at which a share of q of the rows lies."""
        if not self.rows:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self.counts), q * self.rows, side="left"))
        return float(self.edges[place]) if place < len(self.edges) else self.high

    def on(self, edges: Floats) -> Grid:
        """The same rows counted on other edges; exact unless a cell must be cut, then evenly.

        Parameters
        ----------
        edges
            Strictly increasing, of any length.

        Returns
        -------
        Grid
            Its ``error`` has grown by the rows of the largest cell that was cut.
        """
        if len(edges) == len(self.edges) and np.array_equal(edges, self.edges):
            return self
        if not self.rows:
            cells = len(edges) + 1
            return replace(self, edges=edges, counts=np.zeros(cells, np.int64), sums=np.zeros(cells))
        if self.exact:
            places = np.searchsorted(edges, self.edges, side="left")
            counts = np.bincount(places, weights=self.counts[:-1], minlength=len(edges) + 1)
            sums = np.bincount(places, weights=self.sums[:-1], minlength=len(edges) + 1).astype(np.float64)
            same = bool(np.isin(self.edges, edges).all())
            return replace(self, edges=edges, counts=counts.astype(np.int64), sums=sums, exact=same)
        return self._cut(edges)

    def _cut(self, edges: Floats) -> Grid:
        known = np.concatenate([[min(self.low, self.edges[0])], self.edges, [max(self.high, self.edges[-1])]])
        known[0] = np.nextafter(known[0], -np.inf)
        below = np.concatenate([[0], np.cumsum(self.counts)])
        total = np.concatenate([[0.0], np.cumsum(self.sums)])
        at = np.rint(np.interp(edges, known, below)).astype(np.int64)
        counts = np.diff(np.concatenate([[0], at, [self.rows]]))
        sums = np.diff(np.concatenate([[0.0], np.interp(edges, known, total), [total[-1]]]))
        cut = ~np.isin(edges, self.edges)
        cells = np.searchsorted(self.edges, edges[cut], side="left")
        error = int(self.counts[cells].max()) if len(cells) else 0
        return replace(self, edges=edges, counts=counts, sums=sums, exact=False, error=self.error + error)


EMPTY = Grid(np.zeros(0), np.zeros(1, np.int64), np.zeros(1), True, 0.0, 0.0)

UNKNOWN = Grid(np.zeros(1), np.zeros(2, np.int64), np.zeros(2), True, 0.0, 0.0)
"""A template for a column of which no value is known: each is kept while they are few."""


def count(ordered: Floats, edges: Floats) -> tuple[Ints, Floats]:
    """Rows and sums by cell of values in ascending order."""
    stops = np.concatenate([np.searchsorted(ordered, edges, side="right"), [len(ordered)]])
    starts = np.concatenate([[0], stops[:-1]])
    counts = stops - starts
    sums = np.zeros(len(counts))
    filled = counts > 0
    if filled.any():
        sums[filled] = np.add.reduceat(ordered, starts[filled])
    return counts, sums


def quantile_edges(ordered: Floats, cells: int = CELLS) -> Floats:
    """Edges at even ranks and at the outermost ranks; a heavy value gets a cell of its own."""
    n = len(ordered)
    ranks = np.linspace(0, n - 1, min(cells, n)).astype(np.int64)
    tails = np.array([r for r in _TAIL_RANKS if r < n], np.int64)
    picks = ordered[np.unique(np.concatenate([ranks, tails, n - 1 - tails]))]
    heavy = np.unique(picks[1:][picks[1:] == picks[:-1]])
    before = np.searchsorted(ordered, heavy, side="left") - 1
    return np.unique(np.concatenate([picks, ordered[before[before >= 0]]]))


def union(first: Grid, second: Grid) -> tuple[Grid, Grid]:
    """Both on common edges: their union where both are exact, else those of the one that is not."""
    if first.exact and second.exact:
        edges = np.union1d(first.edges, second.edges)
    else:
        edges = second.edges if first.exact else first.edges
    return first.on(edges), second.on(edges)


def add(first: Grid, second: Grid) -> Grid:
    """One grid of the rows of both; edges beyond twice CELLS are thinned, which loses no row."""
    if not first.rows or not second.rows:
        kept = second if not first.rows else first
        return replace(kept, infinite=first.infinite + second.infinite)
    a, b = union(first, second)
    grid = Grid(
        a.edges,
        a.counts + b.counts,
        a.sums + b.sums,
        a.exact and b.exact,
        min(a.low, b.low),
        max(a.high, b.high),
        a.infinite + b.infinite,
        a.error + b.error,
    )
    return thin(grid) if len(grid.edges) > 2 * CELLS else grid


def thin(grid: Grid, cells: int = CELLS) -> Grid:
    """Fewer edges, chosen at even ranks; cells are joined, never cut."""
    below = np.cumsum(grid.counts)[:-1]
    tails = np.array(_TAIL_RANKS)
    ranks = np.unique(np.concatenate([np.linspace(0, grid.rows, cells), tails, grid.rows - tails]))
    keep = np.unique(np.minimum(np.searchsorted(below, ranks, side="left"), len(below) - 1))
    last = np.append(keep, len(grid.edges))
    counts = np.diff(np.concatenate([[0], np.cumsum(grid.counts)[last]]))
    sums = np.diff(np.concatenate([[0.0], np.cumsum(grid.sums)[last]]))
    return replace(grid, edges=grid.edges[keep], counts=counts, sums=sums, exact=False)


class GridBuilder:
    """Counts batches of numbers in one pass where no edges are known beforehand.

    While at most CELLS distinct values have been seen the grid is exact. Beyond that the edges are the first batch's
    quantiles; a cell that a later batch fills out of proportion is cut by that batch's own quantiles, and the rows
    already in it are what ``Grid.error`` tells. So the outcome depends on how rows are cut into batches: where it must
    not, edges are known (`drift.tally.Tally`).
    """

    def __init__(self) -> None:
        self._grid = EMPTY

    def add(self, values: Floats, *, whole: bool = False) -> int:
        """Count a batch and say how many of it are NaN, which are left out; infinite values are only counted.

        The batch is sorted in place, and is not kept. Whether the numbers are `whole` makes no difference.
        """
        found = in_order(values)
        if found.infinite:
            self._grid = replace(self._grid, infinite=self._grid.infinite + found.infinite)
        if len(found.values):
            self._add(found.values)
        return found.missing

    def finish(self) -> Grid:
        """The grid of everything added."""
        return self._grid

    def _add(self, finite: Floats) -> None:
        batch = exactly(finite) if self._grid.exact else None
        if batch is not None:
            merged = add(self._grid, batch)
            if len(merged.edges) <= CELLS or not len(self._grid.edges):
                self._grid = merged
                return
        self._count(finite)

    def _count(self, ordered: Floats) -> None:
        held = self._grid
        held = (
            replace(held.on(quantile_edges(ordered)), exact=False) if held.exact else _refine(held, ordered)
        )
        counts, sums = count(ordered, held.edges)
        grid = _grown(held, counts, sums, float(ordered[0]), float(ordered[-1]))
        self._grid = thin(grid) if len(grid.edges) > 2 * CELLS else grid


def exactly(ordered: Floats) -> Grid | None:
    """The whole distribution of values in ascending order; None where more than CELLS differ."""
    some = ordered[:: max(len(ordered) // (4 * CELLS), 1)]  # too many among some are too many among all
    if np.count_nonzero(some[1:] != some[:-1]) >= CELLS:
        return None
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    if len(changes) >= CELLS:
        return None
    stops = np.append(changes, len(ordered) - 1)
    return of_values(ordered[stops], np.diff(stops, prepend=-1))


def of_values(values: Floats, counts: Ints) -> Grid:
    """The exact grid of some values in ascending order, each of which occurs."""
    values = values + 0.0  # no zero below zero: which of the two came first would show
    sums = np.append(values * counts, 0.0)
    return Grid(values, np.append(counts, 0), sums, True, float(values[0]), float(values[-1]))


class Finite(NamedTuple):
    """The finite values of a batch, and how many of it are infinite (or beyond LARGEST) and NaN."""

    values: Floats
    infinite: int
    missing: int
    low: float = np.inf
    high: float = -np.inf


def in_order(values: Floats) -> Finite:
    """In ascending order; they are sorted where they are."""
    values.sort()
    stop, start = len(values), 0
    if stop and not values[-1] <= LARGEST:
        stop = int(np.searchsorted(values, LARGEST, side="right"))
    if stop and values[0] < -LARGEST:
        start = int(np.searchsorted(values[:stop], -LARGEST, side="left"))
    missing, finite = int(np.isnan(values[stop:]).sum()), values[start:stop]
    ends = (float(finite[0]), float(finite[-1])) if len(finite) else ()
    return Finite(finite, len(values) - len(finite) - missing, missing, *ends)


def as_they_are(values: Floats) -> Finite:
    """In the order that they have; there is at least one."""
    low, high = float(values.min()), float(values.max())  # NaN where one is
    if low >= -LARGEST and high <= LARGEST:
        return Finite(values, 0, 0, low, high)
    size = np.abs(values)
    infinite, finite = int(np.count_nonzero(size > LARGEST)), values[size <= LARGEST]
    ends = (float(finite.min()), float(finite.max())) if len(finite) else ()
    return Finite(finite, infinite, len(values) - len(finite) - infinite, *ends)


def _grown(held: Grid, counts: Ints, sums: Floats, low: float, high: float) -> Grid:
    if held.rows:
        low, high = min(held.low, low), max(held.high, high)
    return replace(held, counts=held.counts + counts, sums=held.sums + sums, exact=False, low=low, high=high)


def _refine(held: Grid, ordered: Floats) -> Grid:
    counts, _ = count(ordered, held.edges)
    share = len(ordered) / CELLS
    heavy = np.flatnonzero(counts > max(8 * share, 32))
    if not len(heavy):
        return held
    stops = np.cumsum(counts)
    new = [
        quantile_edges(ordered[stops[cell] - counts[cell] : stops[cell]], int(counts[cell] / share) + 1)
        for cell in heavy
        if ordered[stops[cell] - counts[cell]] < ordered[stops[cell] - 1]
    ]
    if not new:
        return held
    return held.on(np.union1d(held.edges, np.concatenate(new)))

"""Counts of numbers on edges that are known beforehand: the same rows give the same grid, to the byte.

Whatever order stretches of rows come in, and whoever counts which, what they came to merges into what one process
gives. A stretch is always counted whole: floats within it are added in the order of its rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Floats, Ints
from .cells import Cells
from .grid import CELLS, EMPTY, Finite, Grid, add, as_they_are, count, exactly, in_order, of_values
from .sums import Sums

_UNSORTED_ROWS = 16_384  # below, sorting costs less than tables
_SPAN = 65_536  # integers that lie closer together are counted by one table
_EXACT = 2.0**53  # below, sums of integers are exact in a float


class Tally:
    """Counts stretches on a template's edges.

    Where the template is exact, every value is kept until more than CELLS differ, as in the template's own rows.
    """

    def __init__(self, template: Grid) -> None:
        self._edges, self._rows = template.edges, template.counts[:-1]
        self._counts = np.zeros(len(self._edges) + 1, np.int64)
        self._sums = Sums(len(self._counts))
        self._all: Grid | None = EMPTY if template.exact else None
        self._low, self._high = np.inf, -np.inf
        self._infinite = 0
        self._cells: Cells | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the tables, which are made again where more is counted."""
        return {**self.__dict__, "_cells": None}

    def add(self, values: Floats, *, whole: bool = False) -> int:
        """Count a stretch and say how many of it are NaN, which are left out; infinite values are only counted.

        It may be sorted in place, and is not kept. A large one is not sorted. `whole` numbers are integers.
        """
        unsorted = len(values) >= _UNSORTED_ROWS
        found = as_they_are(values) if unsorted else in_order(values)
        self._infinite += found.infinite
        if len(found.values):
            counts, sums = self._counted(found, unsorted=unsorted, whole=whole)
            self._counts += counts
            self._sums.add(sums)
            self._low, self._high = min(self._low, found.low + 0.0), max(self._high, found.high + 0.0)
        return found.missing

    def merge(self, other: Tally) -> None:
        """Count all that another has counted on the same edges."""
        self._counts += other._counts
        self._sums.merge(other._sums)
        self._low, self._high = min(self._low, other._low), max(self._high, other._high)
        self._infinite += other._infinite
        self._keep(other._all)

    def finish(self) -> Grid:
        """The grid of everything added."""
        if not self._counts.any():
            return Grid(EMPTY.edges, EMPTY.counts, EMPTY.sums, True, 0.0, 0.0, self._infinite)
        if self._all is not None:
            known = of_values(self._all.edges, self._all.counts[:-1])
            return Grid(known.edges, known.counts, known.sums, True, known.low, known.high, self._infinite)
        sums = self._sums.total()
        return Grid(self._edges, self._counts, sums, False, self._low, self._high, self._infinite)

    def _counted(self, found: Finite, *, unsorted: bool, whole: bool) -> tuple[Ints, Floats]:
        size = max(-found.low, found.high)
        if unsorted and whole and found.high - found.low < _SPAN and size * len(found.values) < _EXACT:
            return self._count_whole(found.values, found.low)
        return (self._count_unsorted if unsorted else self._count)(found.values)

    def _count_whole(self, finite: Floats, low: float) -> tuple[Ints, Floats]:
        """Of integers so small that no sum of them is rounded, and so close that few differ."""
        rows = np.bincount((finite - low).astype(np.int64))
        steps = np.flatnonzero(rows)
        values, rows = (low + steps).astype(np.float64), rows[steps]
        if self._all is not None:
            self._keep(of_values(values, rows) if len(values) <= CELLS else None)
        place, cells = np.searchsorted(self._edges, values, side="left"), len(self._counts)
        counts, sums = (np.bincount(place, weights=of, minlength=cells) for of in (rows, values * rows))
        return counts.astype(np.int64), sums.astype(np.float64)

    def _count(self, ordered: Floats) -> tuple[Ints, Floats]:
        if self._all is not None:
            self._keep(exactly(ordered))
        return count(ordered, self._edges)

    def _count_unsorted(self, finite: Floats) -> tuple[Ints, Floats]:
        self._cells = self._cells or Cells(self._edges, self._rows)
        if self._all is None:
            return self._cells.count(finite)
        counts, sums, equal, others = self._cells.match(finite)
        some = equal > 0
        known = of_values(self._edges[some], equal[some]) if some.any() else EMPTY
        others.sort()
        rest = exactly(others) if len(others) else EMPTY
        self._keep(add(known, rest) if rest is not None else None)
        return counts, sums

    def _keep(self, more: Grid | None) -> None:
        """Every value that was kept and these, while they are few."""
        merged = add(self._all, more) if self._all is not None and more is not None else None
        self._all = merged if merged is not None and merged.exact and len(merged.edges) <= CELLS else None

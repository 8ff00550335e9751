"""Counts on edges that are known beforehand, without sorting the values: exact, whatever the values are.

Every value gets a bucket by a map that never decreases, of which there are far more than edges. A bucket without an
edge lies wholly in one cell; one with a single edge needs one comparison; only values in buckets of two edges or more
are searched. What a sort costs differs tenfold between processors; this is a handful of passes on all of them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints

_BUCKETS = 1 << 16
_BLOCK = 32_768  # values at once: what fits the cache
_CROWDED = 0.1
"""A share of rows below which one map is as good as another; the first is the cheapest."""


@dataclass(frozen=True)
class Affine:
    """Buckets of even width between two values."""

    low: float
    step: float

    @classmethod
    def over(cls, edges: Floats, cut: int = 0) -> "Affine":
        """A map that spends its buckets between the outermost edges but so many."""
        low, high = float(edges[cut]), float(edges[-1 - cut])
        low, high = (low, high) if high > low else (float(edges[0]), float(edges[-1]))
        step = (_BUCKETS - 3) / (high - low) if high > low else 0.0  # 0 where the distance overflows
        step = step if np.isfinite(step) else 0.0
        return cls(low - 1 / step if step else low, step)

    def buckets(self, values: Floats) -> Ints:
        """The bucket of each value; those beyond the ends share the first and the last."""
        if not self.step:  # an endless distance would be no number times 0
            return np.zeros(len(values), np.int64)
        with np.errstate(over="ignore"):
            place = values - self.low
            place *= self.step
        np.clip(place, 0.0, _BUCKETS - 1.0, out=place)
        return place.astype(np.int64)


@dataclass(frozen=True)
class Folded:
    """Buckets that widen with the distance from a middle: the leading bits of ``|x - middle| + scale``."""

    middle: float
    scale: float
    shift: int
    first: int

    @classmethod
    def over(cls, edges: Floats) -> "Folded":
        """The finest such map that gives each side of the middle half of the buckets."""
        middle = float(edges[len(edges) // 2])
        with np.errstate(over="ignore"):
            away = np.abs(edges - middle)
        scale = float(np.median(away)) / 8 or float(away.max()) or 1.0
        ends = np.array([scale, float(away.max()) + scale]).view(np.int64)
        shift = 0
        while (int(ends[1]) >> shift) - (int(ends[0]) >> shift) >= _BUCKETS // 2 - 1:
            shift += 1
        return cls(middle, scale, shift, int(ends[0]) >> shift)

    def buckets(self, values: Floats) -> Ints:
        """The bucket of each value; those beyond the ends share the first and the last."""
        with np.errstate(over="ignore"):
            away = values - self.middle
            below = away.view(np.int64) >> 63  # all bits of it, or none
            np.abs(away, out=away)
            away += self.scale
        place = away.view(np.int64)
        place >>= self.shift
        place -= self.first
        np.minimum(place, _BUCKETS // 2 - 1, out=place)
        place ^= below
        place += _BUCKETS // 2
        return place


class Cells:
    """Tables that count values on some edges.

    Parameters
    ----------
    edges
        Strictly increasing right edges, at least one; cell i is ``(edges[i-1], edges[i]]``.
    rows
        The reference's rows in each of these cells: where they are, buckets are to be fine.
    """

    def __init__(self, edges: Floats, rows: Ints) -> None:
        self._edges = edges
        maps: list[Affine | Folded] = [
            Affine.over(edges, len(edges) // 100),
            Affine.over(edges),
            Folded.over(edges),
        ]
        self._map = min(maps, key=lambda map_: max(_crowded(map_.buckets(edges), rows), _CROWDED))
        number = np.bincount(self._map.buckets(edges), minlength=_BUCKETS)
        kind = np.int16 if len(edges) < np.iinfo(np.int16).max else np.int64  # small tables stay in the cache
        self._cell = (np.cumsum(number) - number).astype(kind)
        np.invert(self._cell, out=self._cell, where=number == 1)  # below 0 where there is an edge
        self._searched = np.iinfo(kind).min
        self._cell[number > 1] = self._searched
        self._ends = np.append(edges, np.inf)

    def count(self, values: Floats) -> tuple[Ints, Floats]:
        """Rows and sums by cell of finite values in any order: as `drift.grid.count`, sums in another order."""
        counts, sums, _, _ = self._count(values, match=False)
        return counts, sums

    def match(self, values: Floats) -> tuple[Ints, Floats, Ints, Floats]:
        """As `count`; beside it the rows that equal each edge, and the values that equal none."""
        return self._count(values, match=True)

    def _count(self, values: Floats, *, match: bool) -> tuple[Ints, Floats, Ints, Floats]:
        edges, cells = np.append(self._edges, np.nan), len(self._edges) + 1
        counts, sums = np.zeros(cells, np.int64), np.zeros(cells)
        off = np.zeros(cells, np.int64)
        rest: list[Floats] = []
        for start in range(0, len(values), _BLOCK):
            block = values[start : start + _BLOCK]
            place = self._places(block)
            counts += np.bincount(place, minlength=cells)
            sums += np.bincount(place, weights=block, minlength=cells)
            if match and (other := edges[place] != block).any():
                off += np.bincount(place[other], minlength=cells)
                rest.append(block[other])
        return counts, sums, (counts - off)[:-1], np.concatenate(rest) if rest else np.zeros(0)

    def _places(self, block: Floats) -> npt.NDArray[np.int64]:
        cell = np.take(self._cell, self._map.buckets(block))
        near = np.flatnonzero(cell < 0)
        place = cell.astype(np.int64)
        if 4 * len(near) > len(block):
            return self._compared(place, block)
        place[near] = self._compared(place[near], block[near])
        return place

    def _compared(self, cell: Ints, values: Floats) -> Ints:
        """The cells of values that lie in these of the table."""
        searched = np.flatnonzero(cell == self._searched)
        cell ^= cell >> 63
        cell += values > self._ends.take(cell, mode="clip")
        if len(searched):
            cell[searched] = np.searchsorted(self._edges, values[searched], side="left")
        return cell


def _crowded(buckets: Ints, rows: Ints) -> float:
    """The share of rows whose edge shares its bucket with another."""
    shared = buckets[1:] == buckets[:-1]
    crowded = np.append(shared, False) | np.append(False, shared)
    return float(rows[crowded].sum() / max(rows.sum(), 1))

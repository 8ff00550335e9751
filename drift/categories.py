"""Counts of categories: all of them while they are few, heavy ones plus hash buckets when they are many."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from .arrays import Ints

KEEP = 20_000
"""Categories that are kept by name."""

BUCKETS = 1024
"""Hash buckets that hold the rows of all other categories."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Rows by category, most frequent first.

    Attributes
    ----------
    keys, counts
        The categories that are kept by name, and their rows.
    buckets
        Rows of the categories that are not, by hash; empty when every category is kept.
    error
        Rows of a kept category that may be in its bucket, at most.
    """

    keys: tuple[str, ...]
    counts: Ints
    buckets: Ints
    error: int = 0

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.counts.sum() + self.buckets.sum())

    @property
    def closed(self) -> bool:
        """Whether every category is kept by name."""
        return not len(self.buckets)


NONE = Counts((), np.zeros(0, np.int64), np.zeros(0, np.int64))


def bucket(key: str) -> int:
    """The bucket of a category: CRC-32, the same in every process and on every machine."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % BUCKETS


class CountsBuilder:
    """Counts categories in bounded memory.

    Past four times KEEP categories, light ones move to buckets; which ones those are depends on what came first.
    Where a template says which categories it knows, all others move, then and from then on: whatever order rows come
    in, and whoever counts which, the outcome is the same.
    """

    def __init__(self, template: Counts | None = None) -> None:
        self._known = frozenset(template.keys) if template is not None else None
        self._only_known = False
        self._rows: dict[str, int] = {}
        self._buckets = np.zeros(0, np.int64)
        self._error = 0

    def add(self, keys: Iterable[str], counts: Iterable[int]) -> None:
        """Count rows of some categories."""
        rows = self._rows
        for key, number in zip(keys, counts, strict=True):
            rows[key] = rows.get(key, 0) + number
        if len(rows) > 4 * KEEP or self._only_known:
            self._move()

    def add_nameless(self, keys: Iterable[str], counts: Iterable[int]) -> None:
        """Count rows of some categories by their hash alone: what people wrote is not kept."""
        buckets = self._some_buckets()
        for key, number in zip(keys, counts, strict=True):
            buckets[bucket(key)] += number

    def add_counts(self, other: Counts) -> None:
        """Count everything that a profile has counted."""
        self.add(other.keys, other.counts.tolist())
        if not other.closed:
            self._some_buckets()[:] += other.buckets
        self._error += other.error

    def merge(self, other: "CountsBuilder") -> None:
        """Count all that another has counted by the same template."""
        self._only_known |= other._only_known
        self.add(other._rows.keys(), other._rows.values())
        if len(other._buckets):
            self._some_buckets()[:] += other._buckets
        self._error += other._error

    def finish(self) -> Counts:
        """The counts of everything added."""
        if len(self._rows) > KEEP:
            self._shrink(KEEP)
        keys = self._in_order()
        return Counts(tuple(keys), _rows_of(self._rows, keys), self._buckets, self._error)

    def _in_order(self) -> list[str]:
        """The most frequent first, those that are as frequent by name."""
        return sorted(sorted(self._rows), key=self._rows.__getitem__, reverse=True)

    def _move(self) -> None:
        if self._known is None:
            self._shrink(KEEP)
            return
        self._only_known = True
        self._to_buckets([key for key in self._rows if key not in self._known])

    def _shrink(self, keep: int) -> None:
        light = self._in_order()[keep:]
        self._error += self._rows[light[0]]
        self._to_buckets(light)

    def _to_buckets(self, light: list[str]) -> None:
        self.add_nameless(light, [self._rows.pop(key) for key in light])

    def _some_buckets(self) -> Ints:
        if not len(self._buckets):
            self._buckets = np.zeros(BUCKETS, np.int64)
        return self._buckets


def _rows_of(rows: Mapping[str, int], keys: Sequence[str]) -> Ints:
    """The rows of these categories, 0 where there is none."""
    return np.fromiter(map(rows.get, keys, repeat(0)), np.int64, len(keys))


def union(first: Counts, second: Counts) -> tuple[list[str], Ints, Ints]:
    """Both counts over common cells: categories that both can tell, then buckets for the rest.

    Returns
    -------
    keys
        Names of the cells; buckets are called ``""``.
    first, second
        Rows by cell.
    """
    held = [dict(zip(c.keys, c.counts.tolist(), strict=True)) for c in (first, second)]
    if first.closed and second.closed:
        keys = list(first.keys) + [k for k in second.keys if k not in held[0]]
        return keys, _rows_of(held[0], keys), _rows_of(held[1], keys)
    told = [k for k in held[0] if second.closed or k in held[1]]
    told += [k for k in held[1] if k not in held[0] and first.closed]
    known = set(told)
    cells = []
    for counts, rows in zip((first, second), held, strict=True):
        rest = np.zeros(BUCKETS, np.int64) if counts.closed else counts.buckets.copy()
        for key, number in rows.items():
            if key not in known:
                rest[bucket(key)] += number
        cells.append(np.concatenate([_rows_of(rows, told), rest]))
    return told + [""] * BUCKETS, cells[0], cells[1]

"""Counts of categories: all of them while they are few, heavy ones plus hash buckets when they are many."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

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
    """Counts categories in bounded memory: past four times KEEP, light ones move to buckets."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._buckets = np.zeros(0, np.int64)
        self._error = 0

    def add(self, keys: Iterable[str], counts: Iterable[int]) -> None:
        """Count rows of some categories."""
        rows = self._rows
        for key, number in zip(keys, counts, strict=True):
            rows[key] = rows.get(key, 0) + number
        if len(rows) > 4 * KEEP:
            self._shrink(KEEP)

    def add_nameless(self, keys: Iterable[str], counts: Iterable[int]) -> None:
        """Count rows of some categories by their hash alone: what people wrote is not kept."""
        if not len(self._buckets):
            self._buckets = np.zeros(BUCKETS, np.int64)
        for key, number in zip(keys, counts, strict=True):
            self._buckets[bucket(key)] += number

    def merge(self, other: Counts) -> None:
        """Count everything that another part has counted."""
        self.add(other.keys, other.counts.tolist())
        if not other.closed:
            self._buckets = other.buckets + (self._buckets if len(self._buckets) else 0)
        self._error += other.error

    @property
    def distinct(self) -> int:
        """Categories kept by name so far."""
        return len(self._rows)

    def finish(self) -> Counts:
        """The counts of everything added."""
        if len(self._rows) > KEEP:
            self._shrink(KEEP)
        order = sorted(self._rows.items(), key=lambda item: (-item[1], item[0]))
        keys, counts = tuple(k for k, _ in order), np.array([c for _, c in order], np.int64)
        return Counts(keys, counts, self._buckets, self._error)

    def _shrink(self, keep: int) -> None:
        order = sorted(self._rows.items(), key=lambda item: (-item[1], item[0]))
        light = order[keep:]
        if not len(self._buckets):
            self._buckets = np.zeros(BUCKETS, np.int64)
        for key, number in light:
            self._buckets[bucket(key)] += number
        self._error += light[0][1]
        self._rows = dict(order[:keep])


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
        return keys, *(np.array([h.get(k, 0) for k in keys], np.int64) for h in held)  # type: ignore[return-value] # two arrays
    told = [k for k in held[0] if second.closed or k in held[1]]
    told += [k for k in held[1] if k not in held[0] and first.closed]
    known = set(told)
    cells = []
    for counts, rows in zip((first, second), held, strict=True):
        rest = np.zeros(BUCKETS, np.int64) if counts.closed else counts.buckets.copy()
        for key, number in rows.items():
            if key not in known:
                rest[bucket(key)] += number
        cells.append(np.concatenate([np.array([rows.get(k, 0) for k in told], np.int64), rest]))
    return told + [""] * BUCKETS, cells[0], cells[1]

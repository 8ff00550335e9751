"""Rows by the value of one column, each value's rows in a profile of their own, in the same pass."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Ints
from .errors import DataError
from .profiles import Profile

MOST = 50
"""Segments that have a profile of their own; rows of all others are one segment."""

OTHERS = "(others)"
MISSING = "(missing)"


class Counting(Protocol):
    """What counts a segment's rows: a `drift.Profiler`."""

    def update(self, batch: pa.Table) -> None: ...
    def finish(self) -> Profile: ...


class Segments:
    """Splits batches by a column and counts each part apart.

    Parameters
    ----------
    by
        The column whose values are the segments.
    known
        Segments of the reference: they come before any others.
    make
        Makes what counts the rows of a segment.
    """

    def __init__(self, by: str, known: tuple[str, ...], make: Callable[[str], Counting]) -> None:
        self._by = by
        self._make = make
        self._parts: dict[str, Counting] = {}
        self._free = MOST - len(known)
        self._known = frozenset(known)

    def update(self, table: pa.Table) -> None:
        """Count the rows of a batch, each in its segment."""
        if self._by not in table.column_names:
            raise DataError("there is no such column to go by", self._by, "Name a column of the data.")
        column = pc.fill_null(table.column(self._by).cast(pa.string()), MISSING).combine_chunks()
        words = column.dictionary_encode() if not pa.types.is_dictionary(column.type) else column
        codes = np.asarray(words.indices)
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(words.dictionary) + 1))
        places: dict[str, list[Ints]] = {}
        for place, name in enumerate(words.dictionary.to_pylist()):
            rows = order[starts[place] : starts[place + 1]]
            places.setdefault(self._named(name), []).append(rows)
        rest = table.drop_columns([self._by])
        for name, parts in places.items():
            self._parts[name].update(rest.take(np.sort(np.concatenate(parts))))

    def finish(self) -> dict[str, Profile]:
        """The profile of each segment, by name."""
        return {name: self._parts[name].finish() for name in sorted(self._parts)}

    def _named(self, value: str) -> str:
        name = value
        if value not in self._parts and value not in self._known:
            if self._free > 0:
                self._free -= 1
            else:
                name = OTHERS
        if name not in self._parts:
            self._parts[name] = self._make(name)
        return name

"""Rows by the values of some columns, each value's rows in a profile of their own, in the same pass.

Of many rows of one value a sample is counted, so that segments cost no more the more rows there are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import segment_names
from .arrays import Ints
from .arrow_values import plain
from .errors import DataError
from .grid import Grid, thin
from .kinds import is_number
from .profiles import By, ColumnProfile, Profile
from .row_sample import RowSample

MOST = 50
"""Segments that have a profile of their own, of all columns together; rows of a column's others are one segment."""

CELLS = 256
"""Cells of a segment's numbers: a KS error of 1/256 at most, in an eighth of the whole's space."""

SAMPLE_ROWS, TEXT_ROWS = 1_024, 200
"""Rows of a segment's joint sample, and those whose texts are read for their language."""

OTHERS = "(others)"

MOST_ROWS = 5_000
"""Rows of a segment that are counted; of more, so many by chance."""


class Counting(Protocol):
    """What counts a segment's rows: a `drift.Profiler`."""

    def update(self, batch: pa.Table) -> None: ...
    def finish(self) -> Profile: ...


class _Rows:
    """The rows of a segment that are to be counted, until all are known."""

    def __init__(self) -> None:
        self._sample = RowSample(MOST_ROWS)
        self._seen = 0
        self._held: list[pa.Table] = []

    def add(self, table: pa.Table, places: Ints) -> None:
        numbers = np.arange(self._seen, self._seen + len(places))
        self._seen += len(places)
        self._held.append(table.take(places[self._sample.next(numbers)]))
        if sum(part.num_rows for part in self._held) > 2 * MOST_ROWS:
            self._thin()

    def _thin(self) -> None:
        stays, at = np.zeros(self._sample.kept, np.bool_), 0
        stays[self._sample.settle()] = True
        for place, part in enumerate(self._held):
            self._held[place] = part.filter(pa.array(stays[at : at + part.num_rows]))
            at += part.num_rows

    def count(self, counting: Counting) -> Profile:
        self._thin()
        for part in self._held:
            counting.update(part)
        return counting.finish()


class Segments:
    """Splits batches by each of some columns and counts each part apart.

    Parameters
    ----------
    by
        The columns whose values are the segments.
    reference
        Its segments come before any others, and its bands are taken over.
    make
        Makes what counts the rows of a segment.
    """

    def __init__(
        self,
        by: Sequence[str],
        reference: Profile | None,
        make: Callable[[str], Counting],
    ) -> None:
        before = {one.column: one for one in reference.by} if reference is not None else {}
        self._by = {name: before.get(name) for name in by}
        self._make = make
        self._parts: dict[str, _Rows] = {}
        known = reference.segments if reference is not None else {}
        self._known = {name: [s for s in known if s.startswith(f"{name}=")] for name in by}
        self._free = {name: MOST // len(by) - len(self._known[name]) for name in by}

    def update(self, table: pa.Table) -> None:
        """Count the rows of a batch, each in its segment of every column."""
        if not table.num_rows:
            return
        for column in self._by:
            self._count(column, table)

    def finish(self) -> tuple[tuple[By, ...], dict[str, Profile]]:
        """What the segments are by, and the profile of each, by name."""
        settled = tuple(one or By(name) for name, one in self._by.items())
        return settled, {
            name: _small(self._parts[name].count(self._make(name))) for name in sorted(self._parts)
        }

    def _count(self, column: str, table: pa.Table) -> None:
        if column not in table.column_names:
            raise DataError("there is no such column to go by", column, "Name a column of the data.")
        values = table.column(column)
        by = self._by[column] = self._by[column] or _settled(column, values)
        names, codes = _named(values, by)
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
        places: dict[str, list[Ints]] = {}
        for place, name in enumerate(names):
            if starts[place + 1] > starts[place]:
                rows = order[starts[place] : starts[place + 1]]
                places.setdefault(self._kept(column, f"{column}={name}"), []).append(rows)
        rest = table.drop_columns([column])
        for name, parts in places.items():
            self._parts[name].add(rest, np.sort(np.concatenate(parts)))

    def _kept(self, column: str, segment: str) -> str:
        name = segment
        if segment not in self._parts and segment not in self._known[column]:
            if self._free[column] > 0:
                self._free[column] -= 1
            else:
                name = f"{column}={OTHERS}"
        if name not in self._parts:
            self._parts[name] = _Rows()
        return name


def _settled(column: str, values: pa.ChunkedArray) -> By:
    """By each value, or by bands between the quartiles of these first rows."""
    if not is_number(values.type) or len(values.unique()) <= segment_names.MOST_VALUES:
        return By(column)
    known = _numbers(values)
    known = known[np.isfinite(known)]
    edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="lower")) if len(known) else ()
    return By(column, tuple(float(edge) for edge in edges))


def _numbers(values: pa.ChunkedArray) -> Any:
    found = values.cast(pa.float64(), safe=False).combine_chunks()
    return np.asarray(pc.fill_null(found, float("nan")))


def _named(values: pa.ChunkedArray, by: By) -> tuple[list[str], Ints]:
    """The segments' values, and which of them each row has."""
    if by.edges and is_number(values.type):
        numbers = _numbers(values)
        names = segment_names.bands(by.edges)
        bands = np.searchsorted(by.edges, numbers, side="left").astype(np.int64)
        bands[np.isnan(numbers)] = len(names)
        return [*names, segment_names.MISSING], bands
    decoded = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    words = decoded.combine_chunks().dictionary_encode(null_encoding="encode")
    try:
        found = words.dictionary.to_pylist()
    except OverflowError:
        found = [*map(plain, words.dictionary)]
    names = [segment_names.segment_name(value) for value in found]
    return names, np.asarray(words.indices, np.int64)


def _small(profile: Profile) -> Profile:
    """The profile in the space of a segment's."""
    columns = {
        name: replace(
            column,
            parts={
                part: thin(grid, CELLS) if isinstance(grid, Grid) and len(grid.edges) > 2 * CELLS else grid
                for part, grid in column.parts.items()
            },
        )
        for name, column in profile.columns.items()
    }
    return replace(profile, columns=columns)


def within(columns: Mapping[str, ColumnProfile], profile: Profile) -> Profile:
    """The segment's profile without columns that are of another kind in the whole, which a few rows cannot tell."""
    kept = {
        name: column
        for name, column in profile.columns.items()
        if name in columns and column.kind in ("empty", columns[name].kind)
    }
    return replace(profile, columns=kept)

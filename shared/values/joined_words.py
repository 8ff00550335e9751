"""Words of many columns end to end, so that each is counted by itself and all are asked by one call of Arrow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


class JoinedWords:
    """At least one column, none of them empty: distinct words without nulls, and how many rows hold each."""

    def __init__(self, columns: Sequence[tuple[pa.Array, pa.Array]]) -> None:
        one = len(columns) == 1
        self.words = columns[0][0] if one else pa.concat_arrays([words for words, _ in columns])
        self.rows = np.concatenate([rows.to_numpy() for _, rows in columns])
        self.stops = np.cumsum([len(words) for words, _ in columns])
        self.starts = self.stops - [len(words) for words, _ in columns]

    def matching(self, pattern: str) -> Mask:
        """Which words a pattern is found in."""
        return mask(pc.match_substring_regex(self.words, pattern))

    def counts(self, found: Mask) -> list[int]:
        """Rows of each column that hold such a word."""
        rows: list[int] = np.add.reduceat(np.where(found, self.rows, 0), self.starts).tolist()
        return rows

    def all(self, found: Mask) -> list[bool]:
        """Of which columns all words are such."""
        every: list[bool] = np.logical_and.reduceat(found, self.starts).tolist()
        return every

    def first(self, found: Mask) -> list[int | None]:
        """The place of the first such word of each column."""
        places = np.flatnonzero(found)
        if not len(places):
            return [None] * len(self.starts)
        at = np.searchsorted(places, self.starts)
        firsts = places[np.minimum(at, len(places) - 1)]
        return [
            int(place) if start <= place < stop else None
            for place, start, stop in zip(firsts, self.starts, self.stops, strict=True)
        ]

    def column(self, place: Places) -> Places:
        """The column that the word at each place is of."""
        return np.searchsorted(self.stops, place, side="right")

    def of(self, column: int, found: Mask | None = None) -> pa.Array:
        """The words of one column, or those of them that are found."""
        start, stop = int(self.starts[column]), int(self.stops[column])
        words = self.words.slice(start, stop - start)
        return words if found is None else words.filter(pa.array(found[start:stop]))

    def rows_of(self, column: int) -> Places:
        """How many rows hold each word of one column."""
        held: Places = self.rows[self.starts[column] : self.stops[column]]
        return held


def mask(found: pa.Array) -> Mask:
    """As numpy has it; there is no null."""
    made: Mask = found.to_numpy(zero_copy_only=False)
    return made

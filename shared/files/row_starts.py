"""From where on a file can be read without what comes before it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class RowStarts:
    """The rows of a file, and some of them at which reading can begin."""

    rows: int
    """How many there are."""
    starts: tuple[int, ...]
    """Ascending, the first is 0."""
    offsets: tuple[int, ...]
    """What the file calls each of them: a row group, or a byte of the text after its header."""

    def before(self, row: int) -> tuple[int, int]:
        """The last start up to a row, and its place."""
        at = bisect_right(self.starts, row) - 1
        return self.starts[at], self.offsets[at]

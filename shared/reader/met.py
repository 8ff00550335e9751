"""What a pass over some rows shows on the way, and what of it people should know."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.rejections import quoted
from shared.values.arrow_columns import one_piece


@dataclass
class Met:
    """What a pass over some rows showed on the way."""

    rows: int = 0
    blank: int = 0
    """Rows of text without any value."""
    headers: int = 0
    """Rows that repeat the header, where all columns are text: elsewhere a name among numbers is refused."""
    lossy: set[str] = field(default_factory=set)
    """Columns of which a value changed when it became a 64-bit float."""
    cut: set[str] = field(default_factory=set)
    """Columns of times that were finer than microseconds."""
    infinite: set[str] = field(default_factory=set)
    """Columns that hold an infinite number."""
    unpacked: int = 0
    """Bytes of rows of Parquet, which a drop may have no more of than its limit; text is counted when it is opened."""

    def see(self, rows: pa.Table, *, words: bool) -> None:
        """Whole rows of a file of text; `words` where all of its columns are."""
        if all(column.null_count for column in rows.columns):
            self.blank += _blank(rows)
        if words:
            self.headers += _headers(rows)

    def merge(self, other: Met) -> None:
        """What a pass over other rows showed."""
        self.rows += other.rows
        self.blank += other.blank
        self.headers += other.headers
        self.lossy |= other.lossy
        self.cut |= other.cut
        self.infinite |= other.infinite
        self.unpacked += other.unpacked

    def findings(self) -> list[str]:
        told = [f"column {quoted(name)} has values that a 64-bit float rounds" for name in sorted(self.lossy)]
        told += [
            f"column {quoted(name)} has times finer than microseconds, which are cut"
            for name in sorted(self.cut)
        ]
        hold = "rows hold" if self.blank != 1 else "row holds"
        told += [f"{self.blank:,} {hold} no value at all"] if self.blank else []
        again = "rows repeat the header, and count as rows"
        again = again if self.headers != 1 else "row repeats the header, and counts as a row"
        return told + ([f"{self.headers:,} {again}"] if self.headers else [])


def _blank(rows: pa.Table) -> int:
    empty = pc.is_null(one_piece(rows.column(0)))
    for column in rows.columns[1:]:
        empty = pc.and_(empty, pc.is_null(one_piece(column)))
    return int(pc.sum(empty).as_py() or 0)


def _headers(rows: pa.Table) -> int:
    """Rows that hold the names of their columns, as files have that were put together with their headers."""
    again = pa.scalar(True)
    for name in rows.column_names:
        column, wanted = one_piece(rows.column(name)), pa.array([name, f"\ufeff{name}"])
        if pa.types.is_dictionary(column.type):
            found = pc.fill_null(pc.is_in(column.dictionary, value_set=wanted).take(column.indices), False)
        else:
            found = pc.is_in(column, value_set=wanted)
        again = pc.and_(again, found)
        if not pc.any(again).as_py():
            return 0
    return int(pc.sum(again).as_py() or 0)

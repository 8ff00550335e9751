"""Columns have five canonical types; a value that a type cannot hold is told or refused, never changed silently."""

from __future__ import annotations

import pyarrow as pa

from shared.errors import InputRejected
from shared.intake.rejections import quoted, rejected

NUMBER, INTEGER, BOOLEAN, STRING, DATETIME = "number", "integer", "boolean", "string", "datetime"
NOTHING = "nothing"
"""No value was seen: any type fits, and the next drop settles it."""
LONG = "long"
"""Whole numbers that 64 bits cannot hold: kept apart as text, so `string` once it is settled."""

ARROW = {
    NUMBER: pa.float64(),
    INTEGER: pa.int64(),
    BOOLEAN: pa.bool_(),
    STRING: pa.string(),
    DATETIME: pa.timestamp("us", "UTC"),
    NOTHING: pa.null(),
}
EXACT = 2**53
"""Up to here float64 tells whole numbers apart."""


def join(one: str, other: str) -> str | None:
    """The type that holds the values of both, or None."""
    if one == other or other == NOTHING:
        return one
    if one == NOTHING:
        return other
    pair = {one, other}
    if pair == {NUMBER, INTEGER}:
        return NUMBER
    return LONG if LONG in pair and pair <= {LONG, INTEGER, STRING} else None


def infinite(name: str, file: str = "", row: str = "") -> InputRejected:
    """Infinite numbers are broken exports; no model and no statistic can use them. `file` and `row` say where it is."""
    what = f"column {quoted(name)} holds a number that is infinite or beyond 1.8e308"
    return rejected("unparsable-numbers", f"{file}{what}{row}")

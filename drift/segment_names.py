"""The name of the segment that a value is in: one for 1, 1.0 and what JSON makes of either."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

MISSING = "(missing)"

MOST_VALUES = 12
"""Different numbers beyond which a column's segments are the bands between its quartiles."""

_LONGEST = 64


def bands(edges: Sequence[float]) -> list[str]:
    """The names of the bands up to, between and beyond these numbers, of which there is at least one."""
    ends = [f"{edge:g}" for edge in edges]
    return [f"to {ends[0]}", *(f"over {a} to {b}" for a, b in pairwise(ends)), f"over {ends[-1]}"]


def segment_name(value: object, edges: Sequence[float] = ()) -> str:
    """The band that a number is in, where there are edges; else the value's own name, of 64 characters at most."""
    if value is None or value != value:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if edges and isinstance(value, int | float):
        return bands(edges)[bisect_left(edges, value)]
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)[:_LONGEST]

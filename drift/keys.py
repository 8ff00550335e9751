"""Which columns name rows rather than describe them: ids, order numbers, counters, seconds since 1970."""

import re

import numpy as np

from drift.grid import Ints

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_KEYS = frozenset(
    """id ids key pk uuid guid rowid rownum no nr number counter
seq sequence serial timestamp ts epoch""".split()
)  # noqa: SIM905 - one word a line would hide the list
_EVERY_TENTH = 0.1
_FEW_ROWS = 20
_LOOKED = 5_000
_GAP = 20
_SECONDS = (5e8, 4.2e9)  # 1985 to 2103
_UNITS = (1, 1e3, 1e6, 1e9)


def named(name: str) -> bool:
    """Whether a column's name says that it is a key: its last word is ``id``, ``no``, ``key``, ``timestamp``, ..."""
    words = _WORDS.findall(name)
    return bool(words) and words[-1].lower() in _KEYS


def many(distinct: int, rows: int) -> bool:
    """Whether so many values differ that a column named like a key is one: at least every tenth, and 20."""
    return distinct >= max(_FEW_ROWS, _EVERY_TENTH * rows)


def numbered(values: Ints, name: str) -> bool:
    """Whether whole numbers are ids, running numbers or seconds since 1970, by their values and their name.

    Sorted amounts ascend as well: only numbers that lie close together count as running.
    """
    if len(values) < _FEW_ROWS:
        return False
    low, high = int(values.min()), int(values.max())
    steps = np.diff(values)
    ascends = bool((steps >= 0).mean() > 0.98)
    distinct = len(np.unique(values[:_LOOKED]))
    if not many(distinct, min(len(values), _LOOKED)):
        return False
    if named(name) or (ascends and _seconds(low, high)):
        return True
    if ascends:
        return high - low < _GAP * distinct * max(len(values) / _LOOKED, 1)
    dense = high - low < 2 * len(values)
    return dense and int(np.bincount(values - low).max()) == 1


def _seconds(low: int, high: int) -> bool:
    return any(_SECONDS[0] * unit <= low and high <= _SECONDS[1] * unit for unit in _UNITS)

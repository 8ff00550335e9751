"""Which columns name rows rather than describe them: ids, order numbers, counters, seconds since 1970."""

import re

import numpy as np

from .arrays import Ints

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_KEY = re.compile(
    "ids?|key|pk|uuid|guid|rowid|rownum|no|nr|number|counter|seq|sequence|serial|timestamp|ts|epoch",
    re.IGNORECASE,
)
_EVERY_TENTH = 0.1
_FEW_ROWS = 20
_LOOKED = 5_000
_GAP = 20
_LATE = 0.05
_SECONDS = (5e8, 4.2e9)  # 1985 to 2103
_UNITS = (1, 1e3, 1e6, 1e9)


def named(name: str) -> bool:
    """Whether a column's name says that it is a key: its last word is ``id``, ``no``, ``key``, ``timestamp``, ..."""
    words = _WORDS.findall(name)
    return bool(words) and _KEY.fullmatch(words[-1]) is not None


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
    late = -_LATE * (high - low)  # a row that comes a little late; numbers that start again do not run
    ascends = bool((steps >= 0).mean() > 0.98 and steps.min() >= late)
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

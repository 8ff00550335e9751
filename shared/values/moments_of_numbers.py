"""Numbers that count a time, as seconds since 1970 and Excel's days do, or spell one: 20240131, 20240131101500."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.values.column_kinds import ARROW, DATETIME
from shared.values.joined_words import JoinedWords

COMPACT, CLOCK, EXCEL = "20240131", "20240131101500", "Excel's days"
"""CLOCK: a date with hours and minutes, mostly seconds, and maybe their thousandths."""
DAYS_FIRST, MONTHS_FIRST = "31012024", "01312024"
"""As numbers, without the zero in front: 1022024."""
_UNITS = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}
_BEGINS = 3e7  # seconds: late in 1970
_ENDS = 3e10  # the year 2920; so no number fits two units
_LIKELY = (9.4e8, 2.6e9)  # 2000 to 2052
_MONTHS = (190_001, 210_012)
"""As days of Excel they lie between 2420 and 2474; what has such values is 202401, a month."""
_DAYS_TO_1970 = 25_569
_MICROSECONDS_A_DAY = 86_400e6
_LATEST = {DAYS_FIRST: 31_129_999, MONTHS_FIRST: 12_319_999}
_EARLIEST = 1_011_000
STYLES = frozenset({COMPACT, CLOCK, EXCEL, *_LATEST, *_UNITS})
_COMPACT = r"^(1[6-9]|2[01])\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3])[0-5]\d([0-5]\d(\d{3})?)?"
_WHOLE = r"(\.0*)?$"
"""pandas makes floats of whole numbers where one is missing."""
_YEARS = (1600, 2199)
_BELOW_YEAR = {8: True, 10: False, 13: False}
"""Digits behind the year of what is written like CLOCK, and whether such numbers count times of our age as well."""
CLOCKS = f"{_COMPACT}{_TIME}{_WHOLE}"
_LEAST_CLOCK = 1.6e11
_SPELLED = {
    COMPACT: ((r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3"),),
    CLOCK: (
        (r"^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{3})$", r"\1-\2-\3 \4:\5:\6.\7"),
        (r"^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$", r"\1-\2-\3 \4:\5:\6"),
        (r"^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})$", r"\1-\2-\3 \4:\5"),
    ),
    DAYS_FIRST: ((r"^(\d{2})(\d{2})(\d{4})$", r"\3-\2-\1"),),
    MONTHS_FIRST: ((r"^(\d{2})(\d{2})(\d{4})$", r"\3-\1-\2"),),
}


@dataclass
class Range:
    """The least and the greatest of some numbers."""

    all: bool = True
    """Nothing but plain numbers was seen."""
    dates: bool = True
    """All are dates as in 20240131."""
    clocks: bool = True
    """All are times as in 20240131101500."""
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, least: float, most: float, dates: bool, clocks: bool) -> None:
        """The range of further plain numbers."""
        self.least, self.most = min(self.least, least), max(self.most, most)
        self.dates, self.clocks = self.dates and dates, self.clocks and clocks

    def style(self, spelled: str = "") -> str:
        """How such numbers count times, should a person say that they do, and maybe that the day or the month is first
        where they spell it; nothing when they cannot."""
        if not self.all or self.least > self.most:
            return ""
        if spelled and self.least >= _EARLIEST and self.most <= _LATEST[spelled]:
            return spelled
        if self.dates or self.clocks:
            return COMPACT if self.dates else CLOCK
        if _MONTHS[0] <= self.least and self.most <= _MONTHS[1]:
            return ""
        if self.least >= 10_000 and self.most < 2_958_466:  # a year is no day; the last day of 9999
            return EXCEL
        if self.like_clocks:
            return ""
        fits = (u for u, factor in _UNITS.items() if _within(self, _BEGINS, _ENDS, 1e6 / factor))
        return next(fits, "")

    @property
    def like_clocks(self) -> bool:
        """Whether they lie where CLOCK does, which some of them are not: as counts they would be of other centuries."""
        return any(
            _YEARS[0] <= self.most // 10**digits <= _YEARS[1]
            and (not usual or self.least // 10**digits >= _YEARS[0])
            for digits, usual in _BELOW_YEAR.items()
        )

    def likely(self) -> str:
        """How such numbers count times, where hardly anything else has such values."""
        style = self.style()
        if style in _UNITS:
            return style if _within(self, *_LIKELY, 1e6 / _UNITS[style]) else ""
        return style if style == CLOCK or (style == COMPACT and self.least >= 19_000_000) else ""


def _within(numbers: Range, least: float, most: float, factor: float) -> bool:
    return numbers.least >= least * factor and numbers.most <= most * factor


def ranges(joined: JoinedWords) -> list[tuple[float, float, bool, bool]]:
    """Of each column of plain numbers the least, the greatest, and whether all are dates as in 20240131, or times as in
    20240131101500."""
    numbers = pc.cast(pc.replace_substring_regex(joined.words, r"^\+", ""), pa.float64()).to_numpy()
    least, most = (end.reduceat(numbers, joined.starts).tolist() for end in (np.minimum, np.maximum))
    dates = joined.all(joined.matching(f"{_COMPACT}{_WHOLE}"))
    long = max(least) >= _LEAST_CLOCK
    clocks = joined.all(joined.matching(CLOCKS)) if long else [False] * len(least)
    return list(zip(least, most, dates, clocks, strict=True))


def moments(words: pa.Array, style: str) -> pa.Array | None:
    """Plain numbers as times; None when one is no time in this style. Nulls stay null."""
    try:
        if style in _SPELLED:
            return _spelled(pc.replace_substring_regex(words, r"\.0*$", ""), style)
        numbers = pc.cast(words, pa.float64())
        if words.null_count < len(words):
            known = words.drop_null()
            seen = Range()
            seen.add(*ranges(JoinedWords([(known, pa.array(np.ones(len(known), np.int64)))]))[0])
            if seen.style() != style:
                return None
        if style == EXCEL:
            days = pc.multiply(pc.subtract(numbers, _DAYS_TO_1970), _MICROSECONDS_A_DAY)
            micros = pc.multiply(pc.round(pc.divide(days, 1e3)), 1e3)  # Excel keeps milliseconds
        elif pc.all(pc.match_substring_regex(words, r"^\d+$"), min_count=0).as_py():
            return _of_whole(pc.cast(words, pa.int64()), style)
        else:
            micros = pc.round(pc.multiply(numbers, _UNITS[style]))
        return pc.cast(pc.cast(micros, pa.int64()), ARROW[DATETIME])
    except pa.ArrowInvalid:
        return None


def odd_one(words: pa.Array, style: str) -> str:
    """A word that is no time in this style."""
    return next((word for word in words.to_pylist() if word and moments(pa.array([word]), style) is None), "")


def _spelled(words: pa.Array, style: str) -> pa.Array:
    if style in _LATEST:
        words = pc.utf8_lpad(words, 8, "0")
    for pattern, date in _SPELLED[style]:
        words = pc.replace_substring_regex(words, pattern, date)
    return pc.cast(pc.cast(words, pa.timestamp("us")), ARROW[DATETIME])


def _of_whole(numbers: pa.Array, style: str) -> pa.Array:
    factor = _UNITS[style]
    micros = pc.multiply(numbers, int(factor)) if factor >= 1 else pc.divide(numbers, 1000)
    return pc.cast(micros, ARROW[DATETIME])

"""Dates as people and programs write them, as UTC; which number is the day is told by evidence, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from shared.values.column_kinds import ARROW, DATETIME

DAY_FIRST, MONTH_FIRST, YEAR_FIRST, CLEAR = "day-first", "month-first", "year-first", "clear"
"""CLEAR: nothing to choose, as in ISO 8601 and with named months. YEAR_FIRST: 24-01-31."""

_ZONE = r"(?: ?(?P<zone>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)(?:\[[^\]]+\])?)?"


def _clock(mark: str) -> str:
    """A time of day whose hours, minutes and seconds `mark` parts."""
    return (
        rf"(?P<hour>\d{{1,2}}){mark}(?P<minute>\d{{2}})(?:{mark}(?P<second>\d{{2}})(?:[.,](?P<part>\d+))?)?"
        r"(?P<half> ?[AaPp]\.? ?[Mm]\.?)?(?: Uhr)?" + _ZONE
    )


_CLOCK = _clock(":")
_TIME = rf"(?:(?:[Tt ]|, ?| at ){_CLOCK})?$"
_NAMED_TIME = rf"(?:(?:[Tt: ]|, ?| at ){_clock('[:.]')})?$"
"""Oracle writes points: 01-MAR-24 10.15.00.000000 AM."""
_WEEKDAY = r"^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? )?"
_MONTH = r"(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:[a-qs-z][a-z]*|ruar[a-z]*|r)?\.?"
_YEAR_FIRST = r"^(?P<year>\d{4})(?:[-/.] ?|年)(?P<month>\d{1,2})(?:[-/.] ?|月)(?P<day>\d{1,2})[日.]?" + _TIME
_NAMED = (
    r"(?i)"
    + _WEEKDAY
    + r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/ .]*"
    + _MONTH
    + r"[-/ .,]*(?P<year>\d{4}|\d{2})"
    + _NAMED_TIME
)
_MONTH_NAMED = (
    r"(?i)"
    + _WEEKDAY
    + _MONTH
    + r"[-/ .]*(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/ .,]+(?P<year>\d{4})"
    + _NAMED_TIME
)
_UNIX = rf"(?i){_WEEKDAY}{_MONTH} +(?P<day>\d{{1,2}}) {_CLOCK} (?P<year>\d{{4}})$"
_COMPACT = (
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})[T ](?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2}))?"
    r"(?:[.,](?P<part>\d+))?(?P<half>)" + _ZONE + "$"
)
_NUMBERED = r"^(?P<a>\d{1,2})(?P<mark>[-/.]) ?(?P<b>\d{1,2})[-/.] ?(?P<year>\d{4}|\d{2})\.?" + _TIME
_CLEAR = (_YEAR_FIRST, _NAMED, _MONTH_NAMED, _UNIX, _COMPACT)

LOOKS_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?$"
"""What Arrow reads as it is, without a zone."""
FINE = r"[:.]\d{2}[.,]\d{6}\d*[1-9]"
"""Parts of a second below microseconds, which are cut."""
_SOME_MONTH = (
    "(jan|feb|fév|mar|mär|mrz|apr|avr|abr|ma[ijy]|jun|jui|jul|aug|ago|aoû|sep|set|okt|oct|out|nov|dez|dec|déc|dic"
    r"|ene|gen|mag|giu|lug|ott)\pL*\.?"
)
LIKE = (
    r"(?i)^['\[]?([+-]?(\d{4,5} ?[-/.] ?\d{1,2} ?[-/.] ?\d{1,2}"
    r"|\d{1,2} ?[-/.] ?\d{1,2} ?[-/.] ?(\d{4}|\d{2}))([T ,].*)?"
    r"|(.*[ T])?\d{1,2}:\d{2}(:\d{2}([.,:]\d+)?)?( ?[ap]\.? ?m\.?)?([ z+-].*)?"
    r"|\d{4}[-/]\d{2}|\d{1,2}/\d{4}|\d{4}-?W\d{2}(-?\d)?|\d{4}-\d{3}|\d{4}[- ]?Q[1-4]|Q[1-4][-/ ]?\d{2,4}"
    r"|P(\d.*|T\d.*)[YMWDHS]|/Date\(-?\d+.*"
    rf"|(\d{{1,2}}\.?[-/ ]*(de )?)?{_SOME_MONTH}[-/ ]*(de )?(\d{{1,2}},? )?\d{{2,4}}([: T].*)?"
    r"|\d{1,2}[-/](jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec))'?$"
)
"""What looks like a date or a time of day, whether it is read as a time or not."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


@dataclass
class Numbered:
    """Which orders dates of three numbers allow, of all that were seen."""

    all: bool = True
    """Every word is such a date, or begins with a year of four digits."""
    day_first: bool = True
    month_first: bool = True
    year_first: bool = True
    """As in 24-01-31."""
    dotted: bool = True

    def __post_init__(self) -> None:
        self.firsts: set[str] = set()
        self.lasts: set[str] = set()

    def see(self, words: pa.Array) -> None:
        """Look at further words."""
        found = pc.extract_regex(words, _NUMBERED)
        others = words.filter(pc.is_null(found))
        self.all = bool(pc.all(pc.match_substring_regex(others, _YEAR_FIRST), min_count=0).as_py())
        if not self.all or found.null_count == len(found):
            return
        parts = found.drop_null()
        first, second, year, mark = (pc.struct_field(parts, key) for key in ("a", "b", "year", "mark"))
        self.firsts.update(pc.unique(first).to_pylist())
        self.lasts.update(pc.unique(year).to_pylist())
        self.dotted = self.dotted and bool(pc.all(pc.equal(mark, ".")).as_py())
        late, early = (
            bool(pc.all(pc.less_equal(pc.cast(n, pa.int32()), 12)).as_py()) for n in (second, first)
        )
        short = late and not self.dotted and max(map(len, self.lasts)) == 2
        self.day_first = self.day_first and late and moments(words, DAY_FIRST) is not None  # no 30 February
        self.month_first = self.month_first and early and moments(words, MONTH_FIRST) is not None
        self.year_first = self.year_first and short and moments(words, YEAR_FIRST) is not None

    @property
    def by_spread(self) -> bool:
        """Whether only how often each part differs tells the year, for which all values have to be seen."""
        return self.year_first and (self.day_first or self.month_first)

    @property
    def both_orders(self) -> bool:
        """The day or the month may stand first."""
        return self.day_first and self.month_first

    def allows(self, order: str) -> bool:
        """Whether no word contradicts this order."""
        return {DAY_FIRST: self.day_first, MONTH_FIRST: self.month_first, YEAR_FIRST: self.year_first}[order]

    def order(self) -> str:
        """The order that the words show; nothing where they allow several. Years differ less often than days."""
        if self.by_spread:
            if 2 * len(self.firsts) <= len(self.lasts):
                return YEAR_FIRST
            if 2 * len(self.lasts) > len(self.firsts):
                return ""
        elif self.year_first:
            return YEAR_FIRST
        if self.day_first and (self.dotted or not self.month_first):
            return DAY_FIRST
        return MONTH_FIRST if self.month_first and not self.day_first else ""

    @property
    def possible(self) -> bool:
        """Whether every word is a date in some order."""
        return self.all and bool(self.firsts) and (self.day_first or self.month_first or self.year_first)


def is_date(word: str) -> bool:
    """Whether one word is written as a date that is read."""
    return any(re.search(family, word) for family in (*_CLEAR, _NUMBERED))


def dates(words: pa.Array) -> pa.Array:
    """Which words are written as dates that are read."""
    found = pc.match_substring_regex(words, _NUMBERED)
    for family in _CLEAR:
        found = pc.or_(found, pc.match_substring_regex(words, family))
    return found


def moments(words: pa.Array, order: str) -> pa.Array | None:
    """The words as times; None when some word is no time in this order. Nulls stay null."""
    result = pa.nulls(len(words), ARROW[DATETIME])
    for family in _CLEAR if order == CLEAR else (_YEAR_FIRST, _NUMBERED):
        if result.null_count == words.null_count:
            break
        found = pc.extract_regex(words, family)
        if found.null_count == len(found):
            continue
        try:
            times = pc.cast(_iso(found, family, order), ARROW[DATETIME])
        except pa.ArrowInvalid:
            return None
        result = pc.coalesce(result, times)
    return result if result.null_count == words.null_count else None


def moment(text: str) -> pa.Scalar | None:
    """One text as a time, in whatever order it allows alone; None where it is none, or several orders differ."""
    words = pa.array([text])
    if (clear := moments(words, CLEAR)) is not None:
        return clear[0]
    seen = Numbered()
    seen.see(words)
    orders = (order for order in (DAY_FIRST, MONTH_FIRST, YEAR_FIRST) if seen.possible and seen.allows(order))
    found = {times[0] for order in orders if (times := moments(words, order)) is not None}
    if order := seen.order() if seen.possible else "":
        times = moments(words, order)
        return None if times is None else times[0]
    return found.pop() if len(found) == 1 else None


def odd_one(words: pa.Array, order: str) -> str:
    """A word that is no time in this order."""
    return next((word for word in words.to_pylist() if word and moments(pa.array([word]), order) is None), "")


def _iso(found: pa.Array, family: str, order: str) -> pa.Array:
    """The parts of dates as ISO 8601 with a zone."""

    def part(key: str) -> pa.Array:
        text = pc.struct_field(found, key)
        return pc.if_else(pc.equal(text, ""), None, text)

    if family == _NUMBERED:
        places = {
            DAY_FIRST: ("year", "b", "a"),
            MONTH_FIRST: ("year", "a", "b"),
            YEAR_FIRST: ("a", "b", "year"),
        }
        year, month, day = map(part, places[order])
    else:
        year, day = part("year"), part("day")
        month = _month_numbers(part("name")) if "?P<name>" in family else part("month")
    short = pc.equal(pc.utf8_length(year), 2)
    century = pc.if_else(pc.less(pc.cast(year, pa.int32()), 69), "20", "19")  # as POSIX reads two digits
    year = pc.if_else(short, pc.binary_join_element_wise(century, year, ""), year)
    hour = _hours(pc.fill_null(part("hour"), "0"), pc.fill_null(part("half"), ""))
    minute, second_ = (pc.fill_null(part(key), "00") for key in ("minute", "second"))
    fraction = pc.utf8_slice_codeunits(pc.fill_null(part("part"), "0"), 0, 6)
    zone = pc.fill_null(part("zone"), "Z")
    zone = pc.replace_substring_regex(zone, r"(?i)^(z|UTC|GMT)$", "Z")
    clock = pc.binary_join_element_wise(_two(hour), minute, second_, ":")
    date = pc.binary_join_element_wise(year, _two(month), _two(day), "-")
    moment = pc.binary_join_element_wise(date, clock, "T")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(moment, fraction, "."), zone, "")


def _two(text: pa.Array) -> pa.Array:
    return pc.utf8_lpad(text, 2, "0")


def _month_numbers(names: pa.Array) -> pa.Array:
    place = pc.index_in(pc.utf8_lower(names), value_set=pa.array(_MONTHS))
    return pc.cast(pc.add(place, 1), pa.string())


def _hours(hour: pa.Array, half: pa.Array) -> pa.Array:
    """Hours of a clock of 24, whatever half of the day was named."""
    afternoon = pc.match_substring_regex(half, "(?i)p")
    number = pc.cast(hour, pa.int32())
    in_half = pc.subtract(number, pc.multiply(pc.divide(number, 12), 12))
    in_half = pc.add(in_half, pc.if_else(afternoon, 12, 0))
    return pc.cast(pc.if_else(pc.equal(half, ""), number, in_half), pa.string())

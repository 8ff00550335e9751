"""Dates as people and programs write them, as UTC; which number is the day is told by evidence, or not at all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.reader.column_kinds import ARROW, DATETIME

DAY_FIRST, MONTH_FIRST, CLEAR = "day-first", "month-first", "clear"
"""CLEAR: nothing to choose, as in ISO 8601 and with named months."""

_TIME = (
    r"(?:(?:[T ]|, ?| at )(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?"
    r"(?P<half> ?[AaPp]\.?[Mm]\.?)?(?: ?(?P<zone>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?$"
)
_WEEKDAY = r"^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? )?"
_MONTH = r"(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
_NAMED = (
    r"(?i)"
    + _WEEKDAY
    + r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/ .]*"
    + _MONTH
    + r"[-/ .,]*(?P<year>\d{4}|\d{2})"
)
_MONTH_NAMED = r"(?i)" + _WEEKDAY + _MONTH + r"[-/ .]*(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/ .,]+(?P<year>\d{4})"
_NUMBERED = r"^(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})[-/.](?P<year>\d{4}|\d{2})"

LOOKS_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?$"
"""What Arrow reads as it is, without a zone."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def numbered(words: pa.Array) -> pa.Array:
    """Which words are dates whose day and month are both numbers, behind the other: a struct, null where not."""
    return pc.extract_regex(words, _NUMBERED + _TIME)


def orders(found: pa.Array) -> tuple[bool, bool, bool]:
    """Whether the numbers allow the day first, the month first, and whether all are written with points."""
    found = found.drop_null()
    first, second = (pc.cast(pc.struct_field(found, key), pa.int32()) for key in ("a", "b"))
    dotted = pc.all(pc.equal(pc.struct_field(found, "mark"), "."), min_count=0).as_py()
    return (
        bool(pc.all(pc.less_equal(second, 12), min_count=0).as_py()),
        bool(pc.all(pc.less_equal(first, 12), min_count=0).as_py()),
        bool(dotted),
    )


def moments(words: pa.Array, order: str) -> pa.Array | None:
    """The words as times; None when some word is no time in this order. Nulls stay null."""
    result = pa.nulls(len(words), ARROW[DATETIME])
    families = [_YEAR_FIRST, _NAMED, _MONTH_NAMED] if order == CLEAR else [_YEAR_FIRST, _NUMBERED]
    for family in families:
        if result.null_count == words.null_count:
            break
        found = pc.extract_regex(words, family + _TIME)
        if found.null_count == len(found):
            continue
        try:
            times = pc.cast(_iso(found, family, order), ARROW[DATETIME])
        except pa.ArrowInvalid:
            return None
        result = pc.coalesce(result, times)
    return result if result.null_count == words.null_count else None


def _iso(found: pa.Array, family: str, order: str) -> pa.Array:
    """The parts of dates as ISO 8601 with a zone."""

    def part(key: str) -> pa.Array:
        text = pc.struct_field(found, key)
        return pc.if_else(pc.equal(text, ""), None, text)

    first, second = ("a", "b") if order == DAY_FIRST else ("b", "a")
    if family == _NUMBERED:
        day, month = part(first), part(second)
    else:
        day = part("day")
        month = part("month") if family == _YEAR_FIRST else _month_numbers(part("name"))
    year = part("year")
    short = pc.equal(pc.utf8_length(year), 2)
    century = pc.if_else(pc.less(pc.cast(year, pa.int32()), 69), "20", "19")  # as POSIX reads two digits
    year = pc.if_else(short, pc.binary_join_element_wise(century, year, ""), year)
    hour = _hours(pc.fill_null(part("hour"), "0"), pc.fill_null(part("half"), ""))
    minute, second_ = (pc.fill_null(part(key), "00") for key in ("minute", "second"))
    fraction = pc.utf8_slice_codeunits(pc.fill_null(part("part"), "0"), 0, 6)
    zone = pc.fill_null(part("zone"), "Z")
    zone = pc.replace_substring_regex(zone, r"^(z|UTC|GMT)$", "Z")
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

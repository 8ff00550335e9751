"""Columns have five canonical types; text becomes numbers only where all of it does, and no value is lost silently."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.rejections import quoted, rejected

NUMBER, INTEGER, BOOLEAN, STRING, DATETIME = "number", "integer", "boolean", "string", "datetime"
NOTHING = "nothing"
"""No value was seen: any type fits."""

ARROW = {
    NUMBER: pa.float64(),
    INTEGER: pa.int64(),
    BOOLEAN: pa.bool_(),
    STRING: pa.string(),
    DATETIME: pa.timestamp("us", "UTC"),
}

_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?$"
_INFINITE = r"(?i)^[+-]?inf(inity)?$"
_WHOLE = r"^[+-]?(\d{1,18}|[0-8]\d{18})$"
_LONG = r"^[+-]?\d{19,}$"
_CODE = r"^[+-]?0\d"
_DATE = r"^\d{4}-\d{2}-\d{2}"
_MOSTLY = 0.95


def join(one: str, other: str) -> str | None:
    """The type that holds the values of both, or None."""
    if one == other or other == NOTHING:
        return one
    if one == NOTHING:
        return other
    return NUMBER if {one, other} == {NUMBER, INTEGER} else None


@dataclass
class TextColumn:
    """What a column of text can be read as, told after all of it was seen."""

    commas_allowed: bool = False
    """The separator is no comma, so that numbers may have decimal commas."""
    values: int = 0
    plain: int = 0
    comma: int = 0
    infinite: int = 0
    whole: int = 0
    codes: bool = False
    boolean: bool = True
    datetime: bool = True
    odd: str = ""
    """Some value that is no number."""

    def see(self, column: pa.Array) -> None:
        column = column.drop_null()
        if not len(column):
            return
        self.values += len(column)
        distinct, counts = pc.value_counts(column).flatten()
        whole, long = (pc.match_substring_regex(distinct, pattern) for pattern in (_WHOLE, _LONG))
        lossy = pc.and_not(long, whole)  # whole numbers that float64 would change
        is_number = pc.and_not(pc.match_substring_regex(distinct, _PLAIN), lossy)
        self.plain += _count(is_number, counts)
        if self.commas_allowed:
            with_comma = pc.and_not(pc.match_substring_regex(distinct, _COMMA), lossy)
            self.comma += _count(with_comma, counts)
            is_number = pc.or_(is_number, with_comma)
        if not self.odd and not _all(is_number):
            self.odd = str(distinct.filter(pc.invert(is_number))[0].as_py())
        self.infinite += _count(pc.match_substring_regex(distinct, _INFINITE), counts)
        self.whole += _count(whole, counts)
        self.codes = self.codes or bool(pc.any(pc.match_substring_regex(distinct, _CODE)).as_py())
        words = pc.is_in(pc.utf8_lower(distinct), value_set=pa.array(["true", "false"]))
        self.boolean = self.boolean and _all(words)
        self.datetime = self.datetime and _is_datetime(distinct)

    @property
    def decimal_commas(self) -> bool:
        return self.plain < self.values == self.comma

    @property
    def type(self) -> str:
        if not self.values:
            return NOTHING
        if self.codes:  # leading zeros, as in postal codes, would be lost
            return STRING
        if self.whole == self.values:
            return INTEGER
        if self.values in (self.plain, self.comma):
            return NUMBER
        return BOOLEAN if self.boolean else DATETIME if self.datetime else STRING

    @property
    def spoilt_numbers(self) -> bool:
        """Nearly all values are numbers: the others are mistakes rather than text."""
        near = max(self.plain, self.comma) + self.infinite
        return self.type == STRING and not self.codes and near >= _MOSTLY * self.values


def _count(mask: pa.Array, counts: pa.Array) -> int:
    return pc.sum(counts.filter(mask)).as_py() or 0


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask).as_py())


def _is_datetime(column: pa.Array) -> bool:
    if not _all(pc.match_substring_regex(column, _DATE)):
        return False
    try:
        _datetimes(column)
    except pa.ArrowInvalid:
        return False
    return True


def _datetimes(column: pa.Array) -> pa.Array:
    """ISO 8601 text as UTC; what has no zone is taken as UTC."""
    column = pc.replace_substring_regex(column, r"(\.\d{6})\d+", r"\1")
    column = pc.replace_substring_regex(column, r"^(\d{4}-\d{2}-\d{2})$", r"\1T00:00:00Z")
    column = pc.replace_substring_regex(
        column, r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(:\d{2}(\.\d+)?)?)$", r"\1T\2Z"
    )
    return pc.cast(column, ARROW[DATETIME])


def from_text(column: pa.Array, name: str, kind: str, decimal_commas: bool) -> pa.Array:
    """A column of text as its type. It has been seen, so that only numbers beyond float64 can fail."""
    if kind == STRING:
        return column
    if kind == DATETIME:
        return _datetimes(column)
    if kind == BOOLEAN:
        return pc.equal(pc.utf8_lower(column), "true")
    if decimal_commas:
        column = pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
    numbers = pc.cast(pc.replace_substring_regex(column, r"^\+", ""), ARROW[kind])
    if kind == NUMBER:
        check_finite(numbers, name)
    return numbers


def check_finite(column: pa.Array, name: str) -> None:
    """Infinite numbers are broken exports; no model and no statistic can use them."""
    if pc.any(pc.is_inf(column)).as_py():
        raise rejected(
            "unparsable-numbers", f"column {quoted(name)} holds a number that is infinite or beyond 1.8e308"
        )


def canonical(kind: pa.DataType) -> str | None:
    """The canonical type of an Arrow type, or None when Driftloop has no use for it."""
    if pa.types.is_dictionary(kind):
        return canonical(kind.value_type)
    if pa.types.is_null(kind):
        return NOTHING
    if pa.types.is_boolean(kind):
        return BOOLEAN
    if pa.types.is_integer(kind):
        return INTEGER
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return NUMBER
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return STRING
    return DATETIME if pa.types.is_date(kind) or pa.types.is_timestamp(kind) else None


def from_arrow(column: pa.Array, name: str, kind: str) -> pa.Array:
    """A typed column as its canonical type, NaN as null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kind == DATETIME and pa.types.is_timestamp(column.type) and column.type.tz is None:
        column = pc.cast(column, pa.timestamp("us"), safe=False)
        return pc.cast(column, ARROW[DATETIME])
    if kind == DATETIME:
        return pc.cast(column, ARROW[DATETIME], safe=False)
    try:
        column = pc.cast(column, ARROW[kind], safe=kind != NUMBER)
    except pa.ArrowInvalid as error:
        raise rejected(
            "unparsable-numbers", f"column {quoted(name)} holds a value that is no 64-bit {kind}"
        ) from error
    if kind == NUMBER:
        check_finite(column, name)
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    return column

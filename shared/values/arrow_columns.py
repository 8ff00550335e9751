"""Typed columns become canonical ones; what a type cannot hold is told, or refused."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from drift.arrow_values import of_decimals
from shared.intake.rejections import quoted, rejected
from shared.values.column_kinds import (
    ARROW,
    BOOLEAN,
    DATETIME,
    EXACT,
    INTEGER,
    LONG,
    NOTHING,
    NUMBER,
    STRING,
)

_SURE_DIGITS = 15
"""A float64 holds so many decimal digits."""
_DECIMAL_BITS = 128


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
    if pa.types.is_decimal(kind):
        return NUMBER if kind.scale > 0 else INTEGER
    if pa.types.is_floating(kind):
        return NUMBER
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return STRING
    return DATETIME if pa.types.is_date(kind) or pa.types.is_timestamp(kind) else None


def extension_name(field: pa.Field) -> str:
    """What an application calls the type of a column that is stored as another, as `arrow.json`; empty for none.

    Arrow knows of such a type only where a package has registered it; the file says it in any case.
    """
    if isinstance(field.type, pa.BaseExtensionType):
        return str(field.type.extension_name)
    name: bytes = (field.metadata or {}).get(b"ARROW:extension:name", b"")
    return name.decode("utf-8", "replace")


def stored(kind: pa.DataType) -> pa.DataType:
    """What values of a type are stored as: text of `arrow.json`; of most types themselves."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def one_piece(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks()


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes of any length: Impala, Hive and old Spark write text so, without a word that it is
    (SPARK-2927, apache/iceberg#11367)."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def needs_a_look(kind: pa.DataType) -> bool:
    """Whether only the values tell if the canonical type holds them."""
    if is_bytes(kind):
        return True
    if pa.types.is_decimal(kind):
        return bool(kind.precision > (_SURE_DIGITS if kind.scale > 0 else 18) or kind.scale < 0)
    return bool(pa.types.is_uint64(kind))


def as_text(column: pa.Array) -> pa.Array | None:
    """A column of bytes as text; None where a value is no UTF-8."""
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowInvalid:
        return None


def computable(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The same values: of floats of 16 bits, and of decimals of 32 and 64, Arrow computes hardly anything."""
    kind = column.type
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_decimal(kind) and kind.bit_width < _DECIMAL_BITS:
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    return column


def as_words(column: pa.Array) -> pa.Array:
    """A column as text; whole floats without an exponent, as 20240131101500."""
    column = computable(column)
    if pa.types.is_floating(column.type):
        known = column.filter(pc.is_finite(column)).cast(pa.float64())
        whole = pc.and_(pc.equal(pc.floor(known), known), pc.less_equal(pc.abs(known), EXACT))
        if pc.all(whole, min_count=0).as_py():
            finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
            column = finite.cast(pa.int64())
    return column.cast(pa.string())


class WideColumn:
    """What the values of a wide column are: text, or whole, within 64 bits, exact as a float."""

    def __init__(self) -> None:
        self._whole = self._fits = self._exact = self._text = True

    def see(self, column: pa.Array) -> None:
        if is_bytes(column.type):
            self._text = self._text and as_text(column) is not None
            return
        column = computable(column.drop_null())
        if not len(column):
            return
        if pa.types.is_uint64(column.type):
            self._fits = self._fits and pc.max(column).as_py() < 2**63
            return
        self._whole = self._whole and bool(pc.all(pc.equal(pc.floor(column), column), min_count=0).as_py())
        ends = pc.min_max(column).as_py()
        self._fits = self._fits and ends["min"] >= -(2**63) and ends["max"] < 2**63
        if self._exact:
            try:
                back = pc.cast(pc.cast(column, pa.float64()), column.type, safe=False)
                self._exact = bool(pc.all(pc.equal(back, column), min_count=0).as_py())
            except pa.ArrowInvalid:
                self._exact = False

    def kind(self, type_: pa.DataType) -> str | None:
        """Amounts are numbers; whole numbers that a float would change are kept apart; for bytes that are no text there
        is no use."""
        if is_bytes(type_):
            return STRING if self._text else None
        if pa.types.is_decimal(type_) and type_.scale > 0 and (self._exact or not self._whole):
            return NUMBER
        return INTEGER if self._whole and self._fits else LONG


def from_arrow(column: pa.Array, name: str, kind: str, *, lenient: bool = False) -> tuple[pa.Array, bool]:
    """A typed column as its canonical type; and whether a value was rounded or a time cut on the way.

    `lenient` columns are ignored ones: their values stop nothing.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    column = computable(column)
    if pa.types.is_floating(column.type) and kind != NUMBER:
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if column.null_count == len(column):  # whatever type it was written as
        return pa.nulls(len(column), ARROW[STRING if kind == LONG else kind]), False
    if kind == NOTHING:
        raise rejected(
            "damaged-parquet", f"column {quoted(name)} has values, and its footer says that it has none"
        )
    if kind in (STRING, LONG):
        return _text(column), False
    if kind == DATETIME:
        return _moments(column, name, lenient)
    if kind == NUMBER:
        return _numbers(column)
    try:
        return pc.cast(column, ARROW[kind]), False
    except pa.ArrowInvalid as error:
        raise rejected(
            "unparsable-numbers", f"column {quoted(name)} holds a value that is not a 64-bit {kind}"
        ) from error


def _text(column: pa.Array) -> pa.Array:
    text = pc.cast(column, pa.string())
    if pa.types.is_decimal(column.type):
        text = pc.replace_substring_regex(text, r"\.0+$", "")
    return text


def _numbers(column: pa.Array) -> tuple[pa.Array, bool]:
    kind = column.type
    if pa.types.is_decimal(kind):
        made = of_decimals(column)
        if kind.precision <= _SURE_DIGITS:
            return made, False
        back = pc.cast(made, kind, safe=False)
        return made, not pc.all(pc.equal(back, column), min_count=0).as_py()
    lossy = False
    if pa.types.is_integer(kind):
        ends = pc.min_max(column).as_py()
        lossy = ends["min"] is not None and (ends["min"] < -EXACT or ends["max"] > EXACT)
    return pc.cast(column, pa.float64(), safe=False), lossy


def _moments(column: pa.Array, name: str, lenient: bool) -> tuple[pa.Array, bool]:
    """Times of any unit as microseconds; what has no zone is taken as UTC."""
    fine = pa.types.is_timestamp(column.type) and column.type.unit == "ns"
    unit = pa.timestamp("us", column.type.tz) if pa.types.is_timestamp(column.type) else pa.timestamp("us")
    try:
        whole = pc.cast(column, unit, safe=not (fine or lenient))
        cut = fine and not pc.cast(whole, column.type).equals(column)
    except pa.ArrowInvalid as error:
        raise rejected(
            "unsupported-column", f"column {quoted(name)} holds a time beyond the year 290,000"
        ) from error
    return pc.cast(whole, ARROW[DATETIME]), cut

"""How a column is judged: by its type, its name and its values."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import identifiers
from .arrow_values import CODES, Column, in_one, numbers
from .report import Kind

_FEW_ROWS = 20  # fewer rows say nothing about whether a column is an id or free text


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are judged as numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_string(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are judged as categories or text."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    views = pa.types.is_string_view(value)
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or views)


def is_moment(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are points in time."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def natural_kind(column: Column, name: str = "") -> Kind:
    """How a column is judged when nobody has said so.

    Whole numbers are ids where `drift.identifiers.numbered` says so: all different and dense, ascending and close
    together, seconds since 1970 that ascend, or many of them under a name like ``customer_id`` even if they occur
    again. Strings are where all are different without white space, or many are under such a name. Other strings
    of which more than half are different are text.
    """
    kind = column.type
    if pa.types.is_boolean(kind):
        return "boolean"
    if is_moment(kind):
        return "datetime"
    if is_number(kind):
        return "id" if pa.types.is_integer(kind) and _numbered(column, name) else "numeric"
    if pa.types.is_dictionary(kind) and not is_string(kind):
        return "category"
    return _string_kind(column, name) if is_string(kind) else "other"


def _string_kind(column: Column, name: str) -> Kind:
    rows = len(column) - column.null_count
    if rows < _FEW_ROWS:
        return "category"
    encoded = in_one(column)
    values = encoded.dictionary if pa.types.is_dictionary(encoded.type) else encoded.unique()
    distinct = len(values) - (1 if values.null_count else 0)
    if distinct > 0.5 * rows and pa.types.is_dictionary(encoded.type):  # it may list words that no row has
        distinct = len(encoded.indices.unique().drop_null())
    named = identifiers.named(name) and identifiers.many(distinct, rows)
    if distinct <= 0.5 * rows and not named:
        return "category"
    spaced = pc.any(pc.match_substring_regex(values.slice(0, 1000), r"\s")).as_py()
    if named and not spaced:
        return "id"
    return "id" if distinct == rows and not spaced else "text"


def _numbered(column: Column, name: str) -> bool:
    values = numbers(column.drop_null(), CODES)
    if len(np.unique(values[:1000])) < min(1000, len(values)) and not identifiers.named(name):
        steps = np.diff(values[:1000])
        if not (steps >= 0).mean() > 0.98:  # the common case: numbers that occur again, in no order
            return False
    return identifiers.numbered(values, name)


def fits(kind: Kind, type_: pa.DataType) -> bool:
    if kind == "numeric":
        return is_number(type_)
    if kind == "datetime":
        return is_moment(type_)
    if kind == "text":
        return is_string(type_)
    if kind == "boolean":
        return bool(pa.types.is_boolean(type_))
    return not pa.types.is_nested(type_)

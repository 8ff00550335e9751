"""Values of Arrow columns as numbers, without pandas and mostly without new memory."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .arrays import Floats, Ints
from .errors import DataError

Column: TypeAlias = pa.Array | pa.ChunkedArray


class _Scratch(threading.local):
    """Memory that a thread uses again for every column: fresh pages would cost as much as sorting them."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._held = np.empty(0, kind)

    def of(self, rows: int) -> npt.NDArray[Any]:
        if len(self._held) < rows:
            self._held = np.empty(rows, self._held.dtype)
        return self._held[:rows]


_doubles, CODES = _Scratch(np.float64), _Scratch(np.int64)
_SECONDS = {
    "day": Decimal(86_400),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
}
_NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_DTYPES = {pa.type_for_alias(name): np.dtype(name) for name in _NUMBERS}


def plain(value: pa.Scalar) -> object:
    """As Python has it; a time of a year that it does not have in seconds, since Arrow writes some in another year."""
    try:
        return value.as_py()
    except OverflowError:
        unit = "day" if pa.types.is_date32(value.type) else getattr(value.type, "unit", "ms")
        return f"{(value.value * _SECONDS[unit]).normalize():f} seconds since 1970"


def in_one(column: Column) -> pa.Array:
    """The column in one piece, its dictionary as well."""
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def numbers(column: Column, scratch: _Scratch = _doubles, null: float = np.nan) -> npt.NDArray[Any]:
    """The values, as doubles, NaN where null, in memory that this thread's next call uses again."""
    values, valid = _raw(column)
    found = scratch.of(len(values))
    found[:] = values
    if valid is not None:
        found[np.flatnonzero(~valid)] = null
    return found


def present(column: Column) -> Floats:
    """The values that are not null, as doubles, in memory of their own or that this thread's next call uses again."""
    values, valid = _raw(column)
    if valid is not None:
        values = values[valid]
        if values.dtype == np.float64:
            return values
    found: Floats = _doubles.of(len(values))
    found[:] = values
    return found


def picked(column: Column, places: Ints) -> Floats:
    """The values at some places, NaN where null."""
    values, valid = _raw(column)
    found = values[places].astype(np.float64)
    if valid is not None:
        found[~valid[places]] = np.nan
    return found


def of_decimals(column: Column) -> Column:
    """The doubles that are nearest to decimals, as by their digits: Arrow's own cast is one beside it for every eighth
    (apache/arrow#35942), and slower."""
    return column.cast(pa.string()).cast(pa.float64())


def indices(places: Ints) -> pa.Array:
    """Places for Arrow's `take`; `pa.array` would import pandas."""
    return pa.Int64Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])


def _raw(column: Column) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """Values as Arrow holds them, whatever lies where they are null, and which of them are not null.

    Arrow's own `to_numpy` would import pandas, which takes longer than many a profile.
    """
    column = in_one(column)
    if pa.types.is_decimal(column.type):
        column = of_decimals(column)
    elif pa.types.is_float16(column.type):
        column = column.cast(pa.float64())
    bits, data = column.buffers()
    kind = _DTYPES[column.type]
    values = np.frombuffer(data, kind, len(column), column.offset * kind.itemsize)
    if not column.null_count:
        return values, None
    first, stop = column.offset // 8, column.offset + len(column)
    some = np.frombuffer(bits, np.uint8)[first : (stop + 7) // 8]
    whole = np.unpackbits(some, bitorder="little").view(np.bool_)
    return values, whole[column.offset - 8 * first : stop - 8 * first]


def moments(column: Column, name: str = "", values: Callable[[Column], Floats] = numbers) -> Floats:
    """Points in time as seconds since 1970 (UTC), in memory as of `numbers`, or of `present`.

    `DataError` where one lies beyond the microseconds that 64 bits hold; cast without a check, it comes out as
    another time."""
    kind = column.type
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    unit = pa.timestamp("us", tz=zone)
    fine = pa.types.is_timestamp(kind) and kind.unit == "ns"
    try:
        whole = values(column.cast(unit, safe=not fine).cast(pa.int64()))
    except pa.ArrowInvalid as error:
        raise DataError(
            "it holds a time beyond the year 290,000", name, "Repair the export, or leave the column out."
        ) from error
    whole /= 1e6
    return whole

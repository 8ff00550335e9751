"""One column's batches in, its profile out: which kind it is, and what of it is counted."""

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from . import identifiers, order
from .arrays import Floats, Ints
from .categories import CountsBuilder
from .grid import Grid, GridBuilder
from .languages import Languages
from .order import Order
from .profiles import ColumnProfile
from .report import Kind

_FEW_ROWS = 20  # fewer rows say nothing about whether a column is an id or free text
_HEAD = 200  # characters of a text in which a word is looked for
_MARKS = ".,;:!?\"'()[]{}"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Column: TypeAlias = pa.Array | pa.ChunkedArray


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


class _Scratch(threading.local):
    """Memory that a thread uses again for every column: fresh pages would cost as much as sorting them."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._held = np.empty(0, kind)

    def of(self, rows: int) -> npt.NDArray[Any]:
        if len(self._held) < rows:
            self._held = np.empty(rows, self._held.dtype)
        return self._held[:rows]


_doubles, _codes = _Scratch(np.float64), _Scratch(np.int64)
_NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_DTYPES = {pa.type_for_alias(name): np.dtype(name) for name in _NUMBERS}


def numbers(column: Column, scratch: _Scratch = _doubles, null: float = np.nan) -> npt.NDArray[Any]:
    """The values, as doubles, NaN where null, in memory that this thread's next call uses again."""
    values, valid = _raw(column)
    found = scratch.of(len(values))
    found[:] = values
    if valid is not None:
        found[np.flatnonzero(~valid)] = null
    return found


def picked(column: Column, places: Ints) -> Floats:
    """The values at some places, NaN where null."""
    values, valid = _raw(column)
    found = values[places].astype(np.float64)
    if valid is not None:
        found[~valid[places]] = np.nan
    return found


def _raw(column: Column) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """Values as Arrow holds them, whatever lies where they are null, and which of them are not null.

    Arrow's own `to_numpy` would import pandas, which takes longer than many a profile.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_decimal(column.type) or pa.types.is_float16(column.type):
        column = column.cast(pa.float64())
    bits, data = column.buffers()
    kind = _DTYPES[column.type]
    values = np.frombuffer(data, kind, len(column), column.offset * kind.itemsize)
    if not column.null_count:
        return values, None
    first = column.offset // 8
    whole = np.unpackbits(np.frombuffer(bits, np.uint8)[first:], bitorder="little").view(np.bool_)
    return values, whole[column.offset - 8 * first :][: len(column)]


class ColumnBuilder:
    """Counts one column, batch by batch.

    Parameters
    ----------
    name
        The column's name.
    template
        The reference's profile of the column: its kind and its grid are taken over.
    kind
        A kind that a person has settled.
    """

    def __init__(self, name: str, template: ColumnProfile | None = None, kind: Kind | None = None) -> None:
        self.name = name
        self.kind: Kind | None = kind
        self._template = template
        self._type: pa.DataType | None = None
        self._rows = 0
        self._nulls = 0
        self._parts: dict[str, GridBuilder | CountsBuilder] = {}
        self._count: Callable[[Column], None] = self._ignore
        self._keep: npt.NDArray[np.int64] | None = None
        self._order = Order()
        self._blocks = 0
        self._keys = (0, 0)
        self.sample: list[Floats] = []
        self._languages = Languages()

    def add(self, column: Column, keep: Ints | None = None, read: Ints | None = None) -> None:
        """Count a batch; `keep` are the places of the joint sample's rows, `read` those of the texts to read."""
        self._languages.add(column, read)
        self._rows += len(column)
        self._nulls += column.null_count
        if pa.types.is_null(column.type) or not len(column):
            if self._type is None and pa.types.is_null(column.type):
                self._type = column.type
            if keep is not None:
                self.sample.append(np.full(len(keep), np.nan))
            return
        if self._type is None or pa.types.is_null(self._type):
            self._begin(column)
        self._keep = keep
        self._look(column)
        self._count(column)

    def _look(self, column: Column) -> None:
        """See whether neighbours are alike, or keys occur again, in a few blocks of rows."""
        if self.kind == "id":
            plain = is_number(column.type) or is_string(column.type)
            if plain and self._keys[0] < order.HEAD_ROWS:
                head = column.slice(0, order.HEAD_ROWS - self._keys[0]).drop_null()
                self._keys = (self._keys[0] + len(head), self._keys[1] + len(head.unique()))
            return
        if self.kind not in ("numeric", "boolean", "category"):
            return
        for part in order.blocks(len(column), self._blocks):
            block = column.slice(part.start, part.stop - part.start)
            if self.kind == "numeric":
                self._order += order.of_numbers(numbers(block))
            else:
                self._order += order.of_codes(_coded(block))
            self._blocks += 1

    def skip(self, rows: int, sampled: int, read: int) -> None:
        """Count rows of a part that has no such column as nulls."""
        self._languages.skip(read)
        self._rows += rows
        self._nulls += rows
        if sampled:
            self.sample.append(np.full(sampled, np.nan))

    def finish(self, read: npt.NDArray[np.bool_] | None = None) -> ColumnProfile:
        """The profile of everything added; of the texts that were to be read, these are."""
        parts = {name: part.finish() for name, part in self._parts.items()}
        if self.kind == "text" and read is not None and (languages := self._languages.finish(read)):
            parts["language"] = languages
        kind = self.kind if self._type is not None and not pa.types.is_null(self._type) else "empty"
        return ColumnProfile(
            self.name,
            kind or "empty",
            _type_name(self._type),
            self._rows,
            self._nulls,
            parts,
            self._order,
            self._keys,
        )

    def _begin(self, column: Column) -> None:
        self._type = column.type
        if self.kind is None and self._template is not None and self._template.kind not in ("empty", "other"):
            self.kind = self._template.kind
        if self.kind is None or not _fits(self.kind, column.type):
            self.kind = natural_kind(column, self.name)
        counted: dict[str, tuple[Callable[[Column], None], tuple[str, ...], tuple[str, ...]]] = {
            "numeric": (self._count_numbers, ("values",), ()),
            "boolean": (self._count_categories, (), ("values",)),
            "category": (self._count_categories, (), ("values",)),
            "text": (self._count_text, ("length",), ("pattern", "word")),
            "datetime": (self._count_moments, ("values",), ("weekday", "hour")),
        }
        if self.kind not in counted:
            return
        self._count, grids, counts = counted[self.kind]
        for part in grids:
            known = self._template.parts.get(part) if self._template is not None else None
            self._parts[part] = GridBuilder(known if isinstance(known, Grid) else None)
        for part in counts:
            self._parts[part] = CountsBuilder()

    def _ignore(self, column: Column) -> None:
        """Ids and nested values are not counted; their nulls are."""

    def _count_numbers(self, column: Column) -> None:
        if self._keep is not None:
            self.sample.append(picked(column, self._keep))
        self._nulls += self._grid("values").add(numbers(column)) - column.null_count

    def _count_categories(self, column: Column) -> None:
        keys, counts = tally(column)
        self._counts("values").add(keys, counts)

    def _count_text(self, column: Column) -> None:
        text = pc.cast(column, pa.string()).drop_null()
        self._grid("length").add(numbers(pc.utf8_length(text)))
        shape = pc.replace_substring_regex(text, r"\p{L}+", "a")
        shape = pc.replace_substring_regex(shape, r"\p{N}+", "9")
        shape = pc.replace_substring_regex(shape, r"(a[\s'.,-]*)+", "a ")
        self._counts("pattern").add(*tally(pc.utf8_slice_codeunits(shape, 0, 40)))
        self._counts("word").add_nameless(*tally(one_word(text)))

    def _count_moments(self, column: Column) -> None:
        seconds = moments(column)
        hours, rows = _tally_hours(seconds[np.isfinite(seconds)] if column.null_count else seconds)
        self._grid("values").add(seconds)
        weekday = np.bincount((hours // 24 + 3) % 7, weights=rows, minlength=7).astype(np.int64)
        hour = np.bincount(hours % 24, weights=rows, minlength=24).astype(np.int64)
        self._counts("weekday").add(_WEEKDAYS, weekday.tolist())
        self._counts("hour").add((f"{h:02}h" for h in range(24)), hour.tolist())

    def _grid(self, part: str) -> GridBuilder:
        builder = self._parts[part]
        assert isinstance(builder, GridBuilder)
        return builder

    def _counts(self, part: str) -> CountsBuilder:
        builder = self._parts[part]
        assert isinstance(builder, CountsBuilder)
        return builder


def _type_name(kind: pa.DataType | None) -> str:
    if kind is None:
        return "null"
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind)


def moments(column: Column) -> Floats:
    """Points in time as seconds since 1970 (UTC), NaN where null, in memory as of `numbers`."""
    kind = column.type
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    unit = pa.timestamp("us", tz=zone)
    whole = numbers(column.cast(unit, safe=False).cast(pa.int64()))
    whole /= 1e6
    return whole


def _tally_hours(seconds: Floats) -> tuple[Ints, Ints]:
    """Hours since 1970 and the rows in each."""
    hours = np.floor(seconds / 3600).astype(np.int64)
    first, last = (int(hours.min()), int(hours.max())) if len(hours) else (0, -1)
    if last - first > max(len(hours), 1):
        return np.unique(hours, return_counts=True)
    return np.arange(first, last + 1), np.bincount(hours - first, minlength=last - first + 1)


def tally(column: Column) -> tuple[list[str], list[int]]:
    """Categories and their rows; nulls are left out."""
    whole = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    chunks = whole.unify_dictionaries().chunks
    if not chunks:
        return [], []
    words = chunks[-1].dictionary
    rows = np.zeros(len(words), np.int64)
    for chunk in chunks:
        size = len(chunk.dictionary)
        rows[:size] += np.bincount(numbers(chunk.indices, _codes, size), minlength=size)[:size]
    names = (words if is_string(words.type) else words.cast(pa.string())).to_pylist()
    if None in names or not rows.all():
        kept = [
            (name, number)
            for name, number in zip(names, rows.tolist(), strict=True)
            if number and name is not None
        ]
        return [name for name, _ in kept], [number for _, number in kept]
    return names, rows.tolist()


def one_word(text: Column) -> pa.Array:
    """One word of each row that has any, in small letters, among its first 200 characters.

    Which one follows from the row's length alone, so that rows stay exchangeable: all words would count long rows
    several times.
    """
    whole = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    head = pc.utf8_slice_codeunits(whole, 0, _HEAD)
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(head)))
    starts = np.asarray(words.offsets.to_numpy(), np.int64)
    number = np.diff(starts)
    lengths = numbers(pc.utf8_length(whole), _codes, 0)
    places = starts[:-1] + lengths % np.maximum(number, 1)
    return pc.utf8_trim(words.values.take(pa.array(places[number > 0])), _MARKS)


def _coded(column: Column) -> Ints:
    """Categories as whole numbers, rows that are null left out."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = whole.drop_null()
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    codes: Ints = numbers(whole.indices.cast(pa.int64()), _codes).copy()
    return codes


def row_bits(column: Column) -> npt.NDArray[np.uint64] | None:
    """The values as bits that are equal where the values are; None where the type is not compared."""
    if is_number(column.type):
        return numbers(column).view(np.uint64).copy()
    if is_moment(column.type):
        return moments(column).view(np.uint64).copy()
    if is_string(column.type) or pa.types.is_boolean(column.type):
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        return numbers(whole.indices.cast(pa.int64()), _codes, -1).astype(np.uint64)
    return None


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
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
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
    values = numbers(column.drop_null(), _codes)
    if len(np.unique(values[:1000])) < min(1000, len(values)) and not identifiers.named(name):
        steps = np.diff(values[:1000])
        if not (steps >= 0).mean() > 0.98:  # the common case: numbers that occur again, in no order
            return False
    return identifiers.numbered(values, name)


def _fits(kind: Kind, type_: pa.DataType) -> bool:
    if kind == "numeric":
        return is_number(type_)
    if kind == "datetime":
        return is_moment(type_)
    if kind == "text":
        return is_string(type_)
    if kind == "boolean":
        return bool(pa.types.is_boolean(type_))
    return not pa.types.is_nested(type_)

"""One column's batches in, its profile out: which kind it is, and what of it is counted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from . import order
from .arrays import Floats, Ints
from .arrow_values import CODES, Column, in_one, indices, moments, numbers, picked, present
from .categories import Counts, CountsBuilder
from .errors import DataError
from .grid import Grid, GridBuilder
from .kinds import fits, is_moment, is_number, is_string, natural_kind
from .languages import Languages
from .order import Looks, Order
from .profiles import PARTS, ColumnProfile
from .report import Kind
from .tally import Tally

_HEAD = 200  # characters of a text in which a word is looked for
_MARKS = ".,;:!?\"'()[]{}"
_ASCII, _ANY_SCRIPT = (r"[A-Za-z]+", r"[0-9]+"), (r"\p{L}+", r"\p{N}+")
"""Runs of letters and of digits; those of all scripts take Arrow milliseconds at each call."""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


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
        self._parts: dict[str, GridBuilder | Tally | CountsBuilder] = {}
        self._count: Callable[[Column], None] = self._ignore
        self._keep: Ints = np.zeros(0, np.int64)
        self._order = Order()
        self._keys = (0, 0)
        self.sample: list[Floats] = []
        self._languages = Languages()

    def add(self, column: Column, keep: Ints, read: Ints, looks: Looks) -> None:
        """Count a batch; `keep` are the places of the joint sample's rows, `read` those of the texts to read."""
        self._rows += len(column)
        self._nulls += column.null_count
        if pa.types.is_null(column.type) or not len(column):
            if self._type is None and pa.types.is_null(column.type):
                self._type = column.type
            self.sample.append(np.full(len(keep), np.nan))
            self._languages.skip(len(read))
            return
        if self._type is None or pa.types.is_null(self._type):
            self._begin(column)
        if self.kind == "text":
            self._languages.add(column, read)
        else:
            self._languages.skip(len(read))
        self._keep = keep
        self._look(column, looks)
        if pa.types.is_primitive(column.type) or pa.types.is_dictionary(column.type):
            column = in_one(column)  # once; long texts may be too long for one piece
        self._count(column)

    def merge(self, other: "ColumnBuilder") -> None:
        """Count all that another has counted of other rows by the same template."""
        self._rows += other._rows
        self._nulls += other._nulls
        self._order += other._order
        self._keys = self._keys[0] + other._keys[0], self._keys[1] + other._keys[1]
        self.sample += other.sample
        self._languages.merge(other._languages)
        if self._type is None or pa.types.is_null(self._type):
            self._type, self.kind, self._parts = other._type or self._type, other.kind, other._parts
            return
        for name, part in other._parts.items():
            mine = self._parts[name]
            if isinstance(mine, GridBuilder) or type(mine) is not type(part):
                raise DataError(
                    "its edges are each part's own", self.name, "Count all parts by one template."
                )
            mine.merge(part)  # type: ignore[arg-type] # of one type, as was looked at

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_template": None}

    def _look(self, column: Column, looks: Looks) -> None:
        """See whether neighbours are alike, or keys occur again, in a few blocks of rows."""
        if self.kind == "id":
            plain = is_number(column.type) or is_string(column.type)
            if plain and looks.head:
                head = column.slice(0, looks.head).drop_null()
                self._keys = (self._keys[0] + len(head), self._keys[1] + len(head.unique()))
            return
        if self.kind not in ("numeric", "boolean", "category"):
            return
        for part in looks.blocks:
            block = column.slice(part.start, part.stop - part.start)
            if self.kind == "numeric":
                self._order += order.of_numbers(numbers(block))
            else:
                self._order += order.of_codes(_coded(block))

    def settle(self, read: Ints) -> None:
        """Hold no more texts than are to be read."""
        self._languages.settle(read)

    def skip(self, rows: int, sampled: int, read: int) -> None:
        """Count rows of a part that has no such column as nulls."""
        self._languages.skip(read)
        self._rows += rows
        self._nulls += rows
        if sampled:
            self.sample.append(np.full(sampled, np.nan))

    def finish(self, read: Ints) -> ColumnProfile:
        """The profile of everything added; of the texts that were to be read, these are. A column without a value is
        empty, whatever type it was written as."""
        if self._type is None or pa.types.is_null(self._type) or self._nulls == self._rows > 0:
            return ColumnProfile(self.name, "empty", "null", self._rows, self._nulls)
        parts = {name: part.finish() for name, part in self._parts.items()}
        if self.kind == "text" and (languages := self._languages.finish(read)):
            parts["language"] = languages
        return ColumnProfile(
            self.name,
            self.kind or "empty",
            _type_name(self._type),
            self._rows,
            self._nulls,
            parts,
            self._order,
            self._keys,
        )

    def _begin(self, column: Column) -> None:
        self._type = column.type
        told = (self.kind, self._template.kind if self._template is not None else None)
        fit = (k for k in told if k is not None and k not in ("empty", "other") and fits(k, column.type))
        self.kind = next(fit, None) or natural_kind(column, self.name)
        count = {
            "numeric": self._count_numbers,
            "boolean": self._count_categories,
            "category": self._count_categories,
            "text": self._count_text,
            "datetime": self._count_moments,
        }
        self._count = count.get(self.kind, self._ignore)
        grids, counts = PARTS.get(self.kind, ((), ()))
        known = self._template.parts if self._template is not None else {}
        for part in grids:
            edges = known.get(part)
            self._parts[part] = (
                Tally(edges) if isinstance(edges, Grid) and len(edges.edges) else GridBuilder()
            )
        for part in counts:
            keys = known.get(part)
            self._parts[part] = CountsBuilder(keys if isinstance(keys, Counts) else None)

    def _ignore(self, column: Column) -> None:
        """Ids and nested values are not counted; their nulls are."""

    def _count_numbers(self, column: Column) -> None:
        self.sample.append(picked(column, self._keep))
        whole = pa.types.is_integer(column.type)
        self._nulls += self._grid("values").add(present(column), whole=whole)

    def _count_categories(self, column: Column) -> None:
        if pa.types.is_floating(column.type):
            known = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
            self._nulls += known.null_count - column.null_count
            column = known
        keys, counts = tally(column)
        self._counts("values").add(keys, counts)

    def _count_text(self, column: Column) -> None:
        text = pc.cast(column, pa.string()).drop_null()
        self._grid("length").add(numbers(pc.utf8_length(text)))
        plain = pc.all(pc.string_is_ascii(text), min_count=0).as_py()
        letters, digits = _ASCII if plain else _ANY_SCRIPT
        shape = pc.replace_substring_regex(text, letters, "a")
        shape = pc.replace_substring_regex(shape, digits, "9")
        shape = pc.replace_substring_regex(shape, r"(a[\s'.,-]*)+", "a ")
        self._counts("pattern").add(*tally(pc.utf8_slice_codeunits(shape, 0, 40)))
        self._counts("word").add_nameless(*tally(one_word(text)))

    def _count_moments(self, column: Column) -> None:
        seconds = moments(column, self.name, present)
        self._grid("values").add(seconds)
        hours, rows = _tally_hours(seconds)  # the last to see the seconds: it makes hours of them
        weekday = np.bincount((hours // 24 + 3) % 7, weights=rows, minlength=7).astype(np.int64)
        hour = np.bincount(hours % 24, weights=rows, minlength=24).astype(np.int64)
        self._counts("weekday").add(_WEEKDAYS, weekday.tolist())
        self._counts("hour").add((f"{h:02}h" for h in range(24)), hour.tolist())

    def _grid(self, part: str) -> GridBuilder | Tally:
        builder = self._parts[part]
        assert isinstance(builder, GridBuilder | Tally)
        return builder

    def _counts(self, part: str) -> CountsBuilder:
        builder = self._parts[part]
        assert isinstance(builder, CountsBuilder)
        return builder


def _type_name(kind: pa.DataType | None) -> str:
    if kind is None:
        return "null"
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _tally_hours(seconds: Floats) -> tuple[Ints, Ints]:
    """Hours since 1970 and the rows in each; the seconds become hours where they are."""
    hours = np.floor(np.divide(seconds, 3600, out=seconds), out=seconds)
    first, last = (int(hours.min()), int(hours.max())) if len(hours) else (0, -1)
    if last - first > max(len(hours), 1):
        return np.unique(hours.astype(np.int64), return_counts=True)
    hours -= first
    return np.arange(first, last + 1), np.bincount(hours.astype(np.int64), minlength=last - first + 1)


def tally(column: Column) -> tuple[list[str], list[int]]:
    """Categories and their rows; nulls are left out."""
    if pa.types.is_floating(column.type):
        column = pc.add(column, pa.scalar(0, column.type))  # so that -0 is 0
    coded = in_one(column if pa.types.is_dictionary(column.type) else column.dictionary_encode())
    words, size = coded.dictionary, len(coded.dictionary)
    rows = np.bincount(numbers(coded.indices, CODES, size), minlength=size)[:size]
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
    whole = in_one(text)
    head = pc.utf8_slice_codeunits(whole, 0, _HEAD)
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(head)))
    starts = numbers(words.offsets, CODES).copy()
    number = np.diff(starts)
    lengths = numbers(pc.utf8_length(whole), CODES, 0)
    places = starts[:-1] + lengths % np.maximum(number, 1)
    return pc.utf8_trim(words.values.take(indices(places[number > 0])), _MARKS)


def _coded(column: Column) -> Ints:
    """Categories as whole numbers, rows that are null left out."""
    whole = in_one(column).drop_null()
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    codes: Ints = numbers(whole.indices.cast(pa.int64()), CODES).copy()
    return codes


def row_bits(column: Column) -> npt.NDArray[np.uint64] | None:
    """The values as bits that are equal where the values are; None where the type is not compared."""
    if is_number(column.type):
        return numbers(column).view(np.uint64).copy()
    if is_moment(column.type):
        return moments(column).view(np.uint64).copy()
    if is_string(column.type) or pa.types.is_boolean(column.type):
        whole = in_one(column)
        whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        return numbers(whole.indices.cast(pa.int64()), CODES, -1).astype(np.uint64)
    return None

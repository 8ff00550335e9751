"""Parquet is read batch by batch, and its footer is believed in nothing that could cost memory."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.files.drop_files import MIB, Limits
from shared.files.formats import Budget
from shared.files.place import Place, source
from shared.files.row_starts import RowStarts
from shared.intake.rejections import quoted, rejected
from shared.values.arrow_columns import (
    WideColumn,
    as_text,
    as_words,
    canonical,
    extension_name,
    is_bytes,
    needs_a_look,
    stored,
)
from shared.values.column_kinds import STRING
from shared.values.evidence import Look
from shared.values.nulls import without
from shared.values.texts import distinct, trimmed

_ROW_GROUPS = 10_000
_FOOTER_BYTES = 64 * MIB
_BATCH_BYTES = 16 * MIB
_BATCH_ROWS = 65_536
_HEAD_ROWS = 2_000
_LARGE = 19_000_000
"""Dates as in 20240131 are no smaller, and seconds since 1970 have not been since."""
_SPARK = b"org.apache.spark.version"
"""What Spark writes into a footer, since 3.0 (SPARK-25102)."""
_DAMAGE = (
    pa.ArrowInvalid,
    pa.ArrowNotImplementedError,
    pa.ArrowTypeError,
    pa.ArrowIndexError,
    UnicodeDecodeError,
    OSError,
)


@dataclass(frozen=True)
class Footer:
    """Columns that have a name of their own and no nesting."""

    empty: frozenset[str] = frozenset()
    """Without a value."""
    without_range: frozenset[str] = frozenset()
    """Floats that may hold nothing but NaN."""
    large: tuple[str, ...] = ()
    """Numbers that may count times; those of 16 bits hold none, and their statistics are bytes."""


@dataclass(frozen=True)
class Parquet:
    """One Parquet file whose footer has been read."""

    path: Place
    name: str
    schema: pa.Schema
    rows: int
    batch_rows: int
    limits: Limits
    nulls: tuple[str, ...] = ()
    """Texts that mean no value."""
    times96: tuple[str, ...] = ()
    """Columns of times of 96 bits that may be finer than microseconds."""
    meant: Mapping[str, str] = field(default_factory=dict)
    """Columns of a type of an application's own, such as `pandas.period`; `schema` has what it is stored as."""

    @cached_property
    def footer(self) -> Footer:
        """What the footer shows of columns; costs more than to open the file."""
        with pq.ParquetFile(source(self.path), **guards()) as file:
            return _shown(file.metadata, self.schema)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.schema.names)

    @property
    def plain(self) -> bool:
        """Whether every column is of a type that is judged as it is."""
        return (
            not self.nulls
            and not self.meant
            and self.rows > 0
            and all(
                pa.types.is_floating(f.type)
                or pa.types.is_boolean(f.type)
                or _is_plain_word(f.type)
                or (pa.types.is_integer(f.type) and not pa.types.is_uint64(f.type))
                or (pa.types.is_timestamp(f.type) and f.type.unit != "ns")
                for f in self.schema
            )
        )

    def kind(self, column: str) -> str | None:
        """The canonical type of a column; None when there is no use for it."""
        type_ = self.schema.field(column).type
        if not needs_a_look(type_):
            return canonical(type_)
        wide = WideColumn()
        for batch in self.batches([column], Budget(sys.maxsize, sys.maxsize)):
            wide.see(batch.column(0))
        return wide.kind(type_)

    def is_empty(self, column: str) -> bool:
        """Whether no row has a value, be it written as null or, of floats, as NaN."""
        if column not in self.footer.without_range:
            return column in self.footer.empty
        batches = self.batches([column], Budget(sys.maxsize, sys.maxsize))
        return all(pc.all(pc.is_nan(batch.column(0)), min_count=0).as_py() for batch in batches)

    def is_text(self, column: str) -> bool:
        """Whether a column holds text."""
        type_ = self.schema.field(column).type
        return canonical(type_) == STRING or (is_bytes(type_) and self.kind(column) == STRING)

    def is_plain_number(self, column: str) -> bool:
        """Whether a column holds integers or floats."""
        kind = self.schema.field(column).type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    def head(self, columns: tuple[str, ...]) -> dict[str, Look]:
        """What the first rows show of some columns of text."""
        looks = {name: Look() for name in columns}
        first = replace(self, batch_rows=_HEAD_ROWS).batches(list(columns), Budget(sys.maxsize, sys.maxsize))
        if columns and (batch := next(first, None)) is not None:
            for name in columns:
                words = as_words(batch.column(name)).dictionary_encode()
                looks[name].see(*distinct(pa.chunked_array([trimmed(words)])))
        return looks

    def look(self, columns: tuple[str, ...]) -> dict[str, Look]:
        """What all rows show of some columns of text."""
        looks = {name: Look() for name in columns}
        for batch in self.batches(list(columns), Budget(sys.maxsize, sys.maxsize)):
            for name in columns:
                words = as_words(without(batch.column(name), self.nulls)).dictionary_encode()
                looks[name].see(*distinct(pa.chunked_array([trimmed(words)])))
        return looks

    def row_starts(self) -> RowStarts:
        """Where its row groups begin."""
        with pq.ParquetFile(source(self.path), **guards()) as file:
            meta = file.metadata
            sizes = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
        starts = tuple(accumulate(sizes, initial=0))
        return RowStarts(self.rows, starts, tuple(range(len(starts))))

    def batches(self, columns: list[str], budget: Budget, group: int = 0) -> Iterator[pa.RecordBatch]:
        """The rows of these columns, in the order of the file, from a row group on."""
        rows = self.row_starts().starts[group] if group else 0
        try:
            with pq.ParquetFile(source(self.path), **guards(), pre_buffer=False) as file:
                groups = range(group, file.metadata.num_row_groups)
                for batch in file.iter_batches(
                    self.batch_rows, row_groups=groups, columns=columns, use_threads=False
                ):
                    batch = _as_stored(batch) if self.meant else batch
                    budget.spend(batch.nbytes, self.name)
                    self._check_texts(batch)
                    rows += batch.num_rows
                    if rows > self.rows:
                        break
                    yield self.without_nulls(batch)
        except _DAMAGE as error:
            raise rejected(
                "damaged-parquet", f"{quoted(self.name)} cannot be decoded ({quoted(str(error)[:100])})"
            ) from error
        if rows != self.rows:
            raise rejected(
                "damaged-parquet", f"{quoted(self.name)} says {self.rows:,} rows and holds {rows:,}"
            )

    def finer(self) -> list[str]:
        """The columns of `times96` that hold a time finer than microseconds, which is cut."""
        if not self.times96:
            return []
        found = set[str]()
        try:
            for whole, fine in zip(self._counted("us"), self._counted("ns"), strict=True):
                found |= {name for name in self.times96 if (whole[name] * 1000 != fine[name]).any()}
        except _DAMAGE:
            return []  # it is told where the rows are read
        return sorted(found)

    def _counted(self, unit: str) -> Iterator[dict[str, npt.NDArray[np.int64]]]:
        """The columns of `times96` as integers, batch by batch; beyond 64 bits they begin anew."""
        with pq.ParquetFile(
            source(self.path), **{**guards(), "coerce_int96_timestamp_unit": unit}, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(self.batch_rows, columns=list(self.times96), use_threads=False):
                numbers = (pc.fill_null(column.cast(pa.int64()), 0) for column in batch.columns)
                yield {name: each.to_numpy() for name, each in zip(batch.schema.names, numbers, strict=True)}

    def without_nulls(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Columns of text without what means no value; numbers are looked at where they are one with other files'."""
        for place, kind in enumerate(batch.schema.types) if self.nulls else ():
            words = as_text(batch.column(place)) if _is_word(kind) else None
            if words is not None:
                said = pc.is_in(pc.utf8_trim_whitespace(words), value_set=pa.array(self.nulls))
                kept = pc.if_else(said, None, words).cast(kind)
                batch = batch.set_column(place, batch.schema.field(place), kept)
        return batch

    def _check_texts(self, batch: pa.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            values = column.dictionary if pa.types.is_dictionary(column.type) else column
            if not _is_word(values.type):
                continue
            if pa.types.is_string_view(values.type):
                values = values.cast(pa.large_string())
            values.validate(full=True)  # or bytes that are no UTF-8 would come out of text
            longest = pc.max(pc.binary_length(values)).as_py() or 0
            if longest > self.limits.max_field_bytes:
                raise rejected(
                    "field-too-large",
                    f"{quoted(self.name)} has a value of {longest:,} bytes in {quoted(name)}",
                )


def _is_word(kind: pa.DataType) -> bool:
    return canonical(kind) == STRING or is_bytes(kind)


def _is_plain_word(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def guards() -> dict[str, int | str]:
    """Bounds on what a footer may ask for; times of 96 bits as microseconds, as nanoseconds end in the year 2262."""
    bounds = {"thrift_string_size_limit": _FOOTER_BYTES, "thrift_container_size_limit": 1_000_000}
    return {**bounds, "coerce_int96_timestamp_unit": "us"}


def open_parquet(path: Place, name: str, limits: Limits) -> Parquet:
    """Read the footer, after its frame has been looked at."""
    _check_frame(path, name)
    try:
        with pq.ParquetFile(source(path), **guards()) as file:
            meta, schema = file.metadata, file.schema_arrow
    except _DAMAGE as error:
        raise rejected(
            "damaged-parquet", f"{quoted(name)} has no readable footer ({quoted(str(error)[:100])})"
        ) from error
    if meta.num_columns > limits.max_columns or len(schema) > limits.max_columns:
        columns = max(meta.num_columns, len(schema))
        raise rejected(
            "too-many-columns", f"{quoted(name)} has {columns:,} columns, the limit is {limits.max_columns:,}"
        )
    if meta.num_row_groups > _ROW_GROUPS:
        groups = f"{meta.num_row_groups:,} row groups, the limit is {_ROW_GROUPS:,}"
        raise rejected("too-many-row-groups", f"{quoted(name)} has {groups}")
    if not 0 <= meta.num_rows <= limits.max_rows:
        raise rejected(
            "too-many-rows", f"{quoted(name)} has {meta.num_rows:,} rows, the limit is {limits.max_rows:,}"
        )
    meant = {each.name: kind for each in schema if (kind := extension_name(each))}
    schema = pa.schema([each.with_type(stored(each.type)) for each in schema], metadata=schema.metadata)
    found = Parquet(path, name, schema, meta.num_rows, _batch_rows(meta), limits, meant=meant)
    return replace(found, times96=_times96(meta, schema)) if any(map(_is_plain_time, schema)) else found


def _as_stored(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [each.storage if isinstance(each, pa.ExtensionArray) else each for each in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _is_plain_time(field: pa.Field) -> bool:
    """Of 96 bits there is no other."""
    return bool(pa.types.is_timestamp(field.type) and field.type.tz is None)


def _times96(meta: pq.FileMetaData, schema: pa.Schema) -> tuple[str, ...]:
    if _SPARK in (meta.metadata or {}):
        return ()
    leaves = [
        leaf for leaf in map(meta.schema.column, range(meta.num_columns)) if leaf.physical_type == "INT96"
    ]
    return tuple(leaf.path for leaf in leaves if leaf.path in schema.names)


def _shown(meta: pq.FileMetaData, schema: pa.Schema) -> Footer:
    names = {name for name, count in Counter(schema.names).items() if count == 1}
    flat = {path: at for at in range(meta.num_columns) if (path := meta.schema.column(at).path) in names}
    empty = {name for name, at in flat.items() if _holds(meta, at, lambda known: not known.num_values)}
    floats = [name for name in flat if name not in empty and pa.types.is_floating(schema.field(name).type)]
    whole = [name for name in flat if pa.types.is_integer(schema.field(name).type)]
    numbers = [*whole, *(name for name in floats if not pa.types.is_float16(schema.field(name).type))]
    return Footer(
        empty=frozenset(empty),
        without_range=frozenset(
            n for n in floats if _holds(meta, flat[n], lambda known: not known.has_min_max)
        ),
        large=tuple(name for name in numbers if _holds(meta, flat[name], _is_large)),
    )


def _is_large(known: Any) -> bool:
    return bool(known.has_min_max and known.min >= _LARGE)


def _holds(meta: pq.FileMetaData, at: int, what: Callable[[Any], bool]) -> bool:
    """Whether something holds of a column's statistics in all row groups."""
    groups = (meta.row_group(group).column(at).statistics for group in range(meta.num_row_groups))
    return meta.num_rows > 0 and all(known is not None and what(known) for known in groups)


def _check_frame(path: Place, name: str) -> None:
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 8))
        tail = stream.read(8)
    if size < 12 or tail[4:] != b"PAR1":
        raise rejected("truncated", f"{quoted(name)} begins as Parquet and does not end as Parquet")
    footer = int.from_bytes(tail[:4], "little")
    if footer > size - 12:
        raise rejected(
            "truncated", f"{quoted(name)} has {size:,} bytes and says its footer alone has {footer:,}"
        )
    if footer > _FOOTER_BYTES:
        raise rejected("too-many-row-groups", f"{quoted(name)} has a footer of {footer:,} bytes")


def _batch_rows(meta: pq.FileMetaData) -> int:
    """So many rows that a batch is a few megabytes, by what the footer says; the memory limit does not rely on it."""
    said = sum(max(0, meta.row_group(group).total_byte_size) for group in range(meta.num_row_groups))
    width = max(8 * meta.num_columns, said // max(1, meta.num_rows))
    return int(max(64, min(_BATCH_ROWS, _BATCH_BYTES // max(1, width))))

"""A data file of a Delta table, read as the table's log says: its columns, its partition, without deleted rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.files.drop_files import DropFile, Limits
from shared.files.formats import Budget
from shared.files.parquet import Footer, Parquet, open_parquet
from shared.files.row_starts import RowStarts
from shared.intake.rejections import quoted, rejected
from shared.tables.deletion_vectors import Rows, deleted_rows
from shared.tables.snapshot import TableColumn, TablePart
from shared.values.arrow_columns import canonical

_TYPES = {
    "string": pa.string(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_LIST = re.compile(r"array<(.+)>")
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True, kw_only=True)
class TableFile(Parquet):
    """Its schema is the table's; what the file lacks is empty."""

    base: Parquet
    """The file as it lies."""
    there: Mapping[str, str]
    """Column -> its name in the file."""
    values: Mapping[str, pa.Scalar]
    """Of the columns that the file does not hold."""
    deleted: Rows

    @property
    def footer(self) -> Footer:
        """The table says what its columns are."""
        return Footer()

    @property
    def plain(self) -> bool:
        """Its bytes alone do not say what its rows are."""
        return False

    def row_starts(self) -> RowStarts:
        """Its beginning alone: the log says by number which rows are deleted."""
        return RowStarts(self.rows, (0,), (0,))

    def batches(self, columns: list[str], budget: Budget, group: int = 0) -> Iterator[pa.RecordBatch]:
        """The rows of these columns that the table still has, in the order of the file."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        at = 0
        for batch in self._read([self.there[name] for name in columns if name in self.there], budget):
            first, at = at, at + batch.num_rows
            arrays = [self._column(batch, field) for field in schema]
            whole = pa.RecordBatch.from_arrays(arrays, schema=schema)
            gone = self.deleted[np.searchsorted(self.deleted, first) : np.searchsorted(self.deleted, at)]
            if len(gone):
                kept = np.ones(batch.num_rows, np.bool_)
                kept[gone - first] = False
                whole = whole.filter(pa.array(kept))
            if whole.num_rows:
                yield self.without_nulls(whole)

    def _read(self, own: list[str], budget: Budget) -> Iterator[pa.RecordBatch]:
        base = replace(self.base, batch_rows=self.batch_rows)
        if own:
            yield from base.batches(own, budget)
            return
        for first in range(0, base.rows, base.batch_rows):  # of a partition only the log's values are wanted
            size = min(base.batch_rows, base.rows - first)
            yield pa.RecordBatch.from_arrays([pa.nulls(size)], names=[""])

    def _column(self, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        if field.name in self.values:
            return pa.repeat(self.values[field.name], batch.num_rows)
        column = batch.column(self.there[field.name])
        if column.type.equals(field.type):
            return column
        try:
            return pc.cast(column, field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise rejected(
                "mixed-schemas",
                f"column {quoted(field.name)} is {quoted(str(column.type))} in {quoted(self.name)} and "
                f"{quoted(str(field.type))} in its table",
            ) from error


def open_table_file(
    file: DropFile, part: TablePart, limits: Limits, nulls: tuple[str, ...] = ()
) -> TableFile:
    """Read the footer, the deletion vector, and settle where each column of the table is found."""
    base = open_parquet(file.path, file.name, limits)
    gone = deleted_rows(part.deleted, file.name, base.rows) if part.deleted else np.zeros(0, np.int64)
    in_file = _by_id(base, file.name) if part.table.by_id else _by_name(base)
    there: dict[str, str] = {}
    values: dict[str, pa.Scalar] = {}
    fields = []
    for column in part.table.columns:
        kind = arrow_type(column.type)
        own = in_file.get(column.field_id if part.table.by_id else column.physical)
        if own is None and not part.table.by_id:
            own = in_file.get(column.physical.casefold())
        if column.name in part.values:
            values[column.name] = value_of(column, part.values[column.name], file.name)
            fields.append(pa.field(column.name, values[column.name].type))
        elif own is None:
            values[column.name] = pa.scalar(None, kind or pa.null())
            fields.append(pa.field(column.name, kind or pa.null()))
        else:
            there[column.name] = own
            found = base.schema.field(own).type
            same = kind is None or canonical(kind) == canonical(found)
            fields.append(pa.field(column.name, found if same else kind))
    schema = pa.schema(fields, metadata=base.schema.metadata)
    rows = base.rows - len(gone)
    about = base.path, base.name, schema, rows, base.batch_rows, limits, nulls
    return TableFile(*about, base=base, there=there, values=values, deleted=gone)


def _by_name(base: Parquet) -> dict[Any, str]:
    """Names, and as Delta compares them, in any case, where that tells them apart."""
    loose = [name.casefold() for name in base.schema.names]
    alone = {low: name for low, name in zip(loose, base.schema.names, strict=True) if loose.count(low) == 1}
    return {**alone, **{name: name for name in base.schema.names}}


def _by_id(base: Parquet, file: str) -> dict[Any, str]:
    """Names by the number that Parquet's own schema has for them."""
    ids = {int(f.metadata[_FIELD_ID]): f.name for f in base.schema if _FIELD_ID in (f.metadata or {})}
    if not ids:
        raise rejected("bad-delta-log", f"{quoted(file)} numbers no columns, by which its table finds them")
    return ids


def arrow_type(kind: str) -> pa.DataType | None:
    """The Arrow type of a primitive type of Delta, or of a list of them; None for any other, which is read as its file
    has it."""
    if (found := _LIST.fullmatch(kind)) is not None:
        element = arrow_type(found[1])
        return None if element is None else pa.list_(element)
    if (found := _DECIMAL.fullmatch(kind)) is not None:
        precision, scale = int(found[1]), int(found[2])
        return pa.decimal128(precision, scale) if 1 <= precision <= 38 and scale <= precision else None
    return _TYPES.get(kind)


def value_of(column: TableColumn, text: str | None, file: str) -> pa.Scalar:
    """The value of a partition, which the log has as text, as its column's type."""
    kind = arrow_type(column.type)
    if kind is None:
        raise rejected(
            "unsupported-column",
            f"partition column {quoted(column.name)} is {quoted(column.type or 'nested')}",
        )
    try:
        return pa.scalar(None if text is None else _parsed(kind, text), kind)
    except (ValueError, ArithmeticError, pa.ArrowException) as error:
        raise rejected(
            "bad-delta-log",
            f"{quoted(file)} has the value {quoted(text or '')} of partition column {quoted(column.name)}, which is "
            f"{quoted(column.type)}",
        ) from error


def _parsed(kind: pa.DataType, text: str) -> Any:
    if pa.types.is_string(kind):
        return text
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_floating(kind):
        return float(text)
    if pa.types.is_decimal(kind):
        return Decimal(text)
    if pa.types.is_boolean(kind):
        return pc.cast(pa.scalar(text), kind).as_py()
    if pa.types.is_date(kind):
        return date.fromisoformat(text)
    if pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=None) if kind.tz is None else moment
    return text.encode()

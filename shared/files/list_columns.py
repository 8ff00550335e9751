"""Lists of numbers in Parquet and Delta tables, such as an embedding in one column, become a column for each number."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import takewhile

import pyarrow as pa
import pyarrow.compute as pc

from shared.files.drop_files import ReadSpec
from shared.files.formats import Budget
from shared.files.parquet import Parquet
from shared.intake.rejections import quoted, rejected
from shared.values.column_kinds import NUMBER


@dataclass(frozen=True, kw_only=True)
class WithLists(Parquet):
    """Its schema has `embedding_0`, `embedding_1`, … in the place of `embedding`."""

    base: Parquet
    """The file as it lies."""
    lists: Mapping[str, int]
    """Columns of lists, with how many numbers each row has."""
    of: Mapping[str, tuple[str, int]]
    """Column of a number -> the list that it is from, and its place there."""

    @property
    def plain(self) -> bool:
        """Its bytes alone do not say what its columns are."""
        return False

    def batches(self, columns: list[str], budget: Budget, group: int = 0) -> Iterator[pa.RecordBatch]:
        """The rows of these columns, in the order of the file, from a row group on."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        own = list(dict.fromkeys(self.of[name][0] if name in self.of else name for name in columns))
        for batch in self.base.batches(own, budget, group):
            self._check_lengths(batch)
            arrays = [self._column(batch, name) for name in columns]
            yield self.without_nulls(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        if name not in self.of:
            return batch.column(name)
        column, place = self.of[name]
        return pc.list_element(batch.column(column), place)

    def _check_lengths(self, batch: pa.RecordBatch) -> None:
        for name, length in self.lists.items():
            if name in batch.schema.names:
                ends = pc.min_max(pc.list_value_length(batch.column(name))).as_py()
                if other := next((n for n in ends.values() if n is not None and n != length), None):
                    where = f"column {quoted(name)} of {quoted(self.name)}"
                    raise rejected(
                        "unsupported-column", f"{where} holds lists of {length:,} and of {other:,} numbers"
                    )


def widened(file: Parquet, spec: ReadSpec, told: list[str]) -> Parquet:
    """The file with a column for each number of its lists; itself where it has none. Ignored lists stay as they are."""
    lists = {
        field.name: length
        for field in file.schema
        if _is_numbers(field.type) and field.name not in spec.ignore
        if (length := _length(file, field, spec))
    }
    if not lists:
        return file
    if (columns := len(file.schema) - len(lists) + sum(lists.values())) > spec.limits.max_columns:
        limit = f"the limit is {spec.limits.max_columns:,}"
        raise rejected(
            "too-many-columns",
            f"{quoted(file.name)} has {columns:,} columns, with one for each number of its lists; {limit}",
        )
    found: list[pa.Field] = []
    of: dict[str, tuple[str, int]] = {}
    for field in file.schema:
        if field.name not in lists:
            found.append(field)
            continue
        names = [f"{field.name}_{place}" for place in range(lists[field.name])]
        found += [pa.field(name, field.type.value_type) for name in names]
        of |= {name: (field.name, place) for place, name in enumerate(names)}
        if names[0] not in spec.known_columns:
            told.append(
                f"column {quoted(field.name)} holds lists of {len(names):,} numbers, which are read as "
                f"{quoted(names[0])} to {quoted(names[-1])}; drift.vectors judges them as one thing"
            )
    known = {field.name: getattr(file, field.name) for field in fields(Parquet)}
    known["schema"] = pa.schema(found, metadata=file.schema.metadata)
    return WithLists(**known, base=file, lists=lists, of=of)


def found_lists(files: Iterable[object]) -> dict[str, dict[str, str]]:
    """The columns of numbers that the lists of these files become, by list; the longest where they differ."""
    found: dict[str, dict[str, str]] = {}
    for file in files:
        for column, length in file.lists.items() if isinstance(file, WithLists) else ():
            if length > len(found.get(column, ())):
                found[column] = {f"{column}_{place}": NUMBER for place in range(length)}
    return found


def unknown_lists(file: object, found: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """Those of lists of which this file has nothing but nulls: it alone cannot know how long they are."""
    if not found or not isinstance(file, Parquet):
        return {}
    columns = [field.name for field in file.schema if field.name in found and _is_numbers(field.type)]
    return {name: kind for column in columns for name, kind in found[column].items()}


def _is_numbers(kind: pa.DataType) -> bool:
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(nested and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)))


def _length(file: Parquet, field: pa.Field, spec: ReadSpec) -> int:
    """Numbers of a row: as the type says, or the first list, or the version before; 0: nobody knows."""
    if pa.types.is_fixed_size_list(field.type):
        return int(field.type.list_size)
    for batch in file.batches([field.name], Budget(sys.maxsize, sys.maxsize)):
        first = pc.list_value_length(batch.column(0)).drop_null()
        if len(first):
            return int(first[0].as_py())
    places = takewhile(
        lambda place: f"{field.name}_{place}" in spec.known_columns, range(spec.limits.max_columns)
    )
    return len(list(places))

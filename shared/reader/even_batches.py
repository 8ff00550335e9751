"""A drop's rows in batches whose ends depend on the rows alone, not on files, row groups or blocks that bring them.

So the same rows in the same order become the same version, profile and samples, to the byte, however they were cut; and
ten thousand small files make no ten thousand row groups. A batch ends with a stretch (`drift.profiler.STRETCH_ROWS`),
too: what is read from a stretch on has the batches that the whole has there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drift.profiler import STRETCH_ROWS

ROWS = 65_536
CELLS = 2_000_000
"""A wide drop has fewer rows a batch."""

TEXT_BYTES = 32 * 1024 * 1024
"""A batch ends with the row that brings its texts to so many bytes."""


def even(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in their order."""
    held: list[pa.RecordBatch] = []
    rows = size = at = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        while rows >= (most := _most(batch.num_columns, at)) or size >= TEXT_BYTES:
            table = pa.Table.from_batches(held)
            stop = _stop(table, most, size)
            if not stop:
                break
            yield _one(table.slice(0, stop))
            at += stop
            rest = table.slice(stop)
            held, rows, size = rest.to_batches(), rest.num_rows, rest.nbytes
    if rows:
        yield _one(pa.Table.from_batches(held))


def _most(columns: int, at: int) -> int:
    """Rows that a batch may have which begins at this row of a stretch."""
    return min(ROWS, max(1, CELLS // max(1, columns)), STRETCH_ROWS - at % STRETCH_ROWS)


def _stop(table: pa.Table, most: int, size: int) -> int:
    """How many of the rows make a batch; 0 while more may belong to it."""
    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    if texts and size >= TEXT_BYTES:
        lengths = (pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64) for column in texts)
        reached = int(np.searchsorted(np.cumsum(sum(lengths)), TEXT_BYTES)) + 1
        if reached <= min(most, table.num_rows):
            return reached
    return most if table.num_rows >= most else 0


def _one(table: pa.Table) -> pa.RecordBatch:
    arrays = [
        column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)

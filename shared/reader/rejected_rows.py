"""Rows that a contract rejects are kept as they were read, each with its number and the rules that it breaks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.files.place import Folder
from shared.reader.contract_pass import Rejected, any_of
from shared.reader.parquet_part import ParquetPart


class RejectedRows:
    """A Parquet file beside those of the split; there is none where no row is rejected."""

    def __init__(self, file: Folder, schema: pa.Schema) -> None:
        row, rules = _free("row", schema), _free("rules", schema)
        self._schema = pa.schema([pa.field(row, pa.int64()), pa.field(rules, pa.string()), *schema])
        self._file = file
        self._part: ParquetPart | None = None

    def add(self, batch: pa.RecordBatch, rejected: Rejected, before: int) -> None:
        """Keep the rejected rows of a batch; `before` rows came ahead of it."""
        self._part = self._part or ParquetPart(self._file, self._schema)
        kept = any_of(rejected)
        numbers = pa.array(np.flatnonzero(kept.to_numpy(zero_copy_only=False)) + before + 1, pa.int64())
        rules = pa.repeat("", len(numbers))
        for rule, rows in rejected:
            gap = pc.if_else(pc.equal(rules, ""), "", "; ")
            more = pc.binary_join_element_wise(rules, pa.scalar(rule), gap)
            rules = pc.if_else(rows.filter(kept), more, rules)
        arrays = [numbers, rules, *batch.filter(kept).columns]
        self._part.write(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        if self._part is not None:
            self._part.close()


def _free(name: str, schema: pa.Schema) -> str:
    """A name that no column of the drop has."""
    while name in schema.names:
        name += "_"
    return name

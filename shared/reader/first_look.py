"""What rows of a drop show of columns that no reference knows: of what kind they are, and on which edges they count.

Kinds come from the first stretch, where ids run on; edges and categories from rows of the whole drop that a hash of
their number chooses, so that a sorted file shows all of itself. Both depend on nothing but the rows and their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import drift
from drift.profiler import STRETCH_ROWS
from shared.reader.evidence_sample import RowSample, chances

LEAST, CELLS = 8_192, 16_000_000
"""Of a wide drop fewer rows are looked at, but never fewer than this."""

_NUMBER = ""
"""No column of a drop has this name."""


class FirstLook:
    """Looks at some rows of some columns."""

    def __init__(self, schema: pa.Schema, columns: Sequence[str], kinds: Mapping[str, drift.Kind]) -> None:
        self.rows = 0
        self._columns, self._kinds = list(columns), {n: k for n, k in kinds.items() if n in columns}
        self._head = drift.Profiler(columns=self._kinds)
        numbered = pa.schema([*(schema.field(name) for name in columns), pa.field(_NUMBER, pa.int64())])
        size = min(STRETCH_ROWS, max(LEAST, CELLS // len(numbered)))
        self._sample = RowSample(numbered, size)

    def add(self, batch: pa.RecordBatch, numbers: npt.NDArray[np.int64]) -> None:
        """The next rows of the drop, with their numbers in it."""
        self.rows += batch.num_rows
        columns = [batch.column(name) for name in self._columns]
        some = pa.RecordBatch.from_arrays(columns, names=list(self._columns))
        self._head.update(some.slice(0, int(np.searchsorted(numbers, STRETCH_ROWS))))
        row = pa.array(numbers, pa.int64())
        numbered = pa.RecordBatch.from_arrays([*some.columns, row], names=[*self._columns, _NUMBER])
        self._sample.add(numbered, chances(numbers))

    def profile(self) -> drift.Profile:
        """Kinds, edges and categories."""
        found = self._head.finish().columns.values()
        kinds = {column.name: column.kind for column in found if column.kind not in ("empty", "other")}
        rows = self._sample.table().sort_by(_NUMBER).drop_columns([_NUMBER]).replace_schema_metadata()
        return drift.profile(rows, columns={**kinds, **self._kinds})

"""Of rows that belong together, for example one customer's, the first one of each is profiled: the rest depend on it.

What one customer's first row says depends on no other customer, so tests of rows hold again, whatever the customers'
numbers of rows; rows without a key stand for themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MOST = 1_000_000
"""Keys that are remembered; later ones are left out of the profile, which has rows enough by then."""


class OneOfEach:
    """The rows whose key no row before them had; every row where no column is named, or it is missing."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._seen: set[object] = set()

    def of(
        self, batch: pa.RecordBatch, places: npt.NDArray[np.int64]
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        """These rows of a batch, and their places in the drop."""
        if not self._column or self._column not in batch.schema.names or not batch.num_rows:
            return batch, places
        column = batch.column(self._column)
        if pa.types.is_timestamp(column.type):  # Python's times end with the year 9999
            column = column.cast(pa.int64())
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        found, first = np.unique(codes, return_index=True)
        keys = encoded.dictionary.to_pylist()
        kept = codes == -1
        for code, place in zip(found.tolist(), first.tolist(), strict=True):
            if code >= 0 and keys[code] not in self._seen and len(self._seen) < MOST:
                self._seen.add(keys[code])
                kept[place] = True
        return batch.filter(pa.array(kept)), places[kept]

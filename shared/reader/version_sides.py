"""The files that some rows of a drop become: those to train on, the holdout, and those of neither."""

from __future__ import annotations

from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.files.place import Folder
from shared.reader.parquet_part import ParquetPart
from shared.reader.rejected_rows import RejectedRows


class _Side:
    """One part of the split, as a Parquet file; of an `optional` part without rows there is none."""

    def __init__(self, file: Folder, schema: pa.Schema, *, optional: bool = False) -> None:
        self.rows = 0
        self._file, self._schema = file, schema
        self._part = None if optional else ParquetPart(file, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._part = self._part or ParquetPart(self._file, self._schema)
            self._part.write(batch)
            self.rows += batch.num_rows

    def close(self) -> None:
        if self._part is not None:
            self._part.close()


class Sides:
    """Writes rows where they belong, under `output`, in files that carry the number of their part of the drop."""

    def __init__(self, output: Folder, schema: pa.Schema, target: str, part: int) -> None:
        name = f"part-{part:05d}.parquet"
        self._target = target
        self._train = _Side(output / "train" / name, schema, optional=part > 0)
        self._holdout = _Side(output / "holdout" / name, schema, optional=part > 0)
        self._unlabelled = _Side(output / "unlabelled" / name, schema, optional=True)
        self.rejected = RejectedRows(output / "rejected" / name, schema)

    def __enter__(self) -> Sides:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for side in (self._train, self._holdout, self._unlabelled, self.rejected):
            side.close()

    def add(self, batch: pa.RecordBatch, kept: npt.NDArray[np.bool_]) -> None:
        """Rows, and which of them are kept back from every training."""
        labelled = pc.is_valid(batch.column(self._target)).to_numpy(zero_copy_only=False)
        self._holdout.add(batch.filter(pa.array(kept)))
        self._train.add(batch.filter(pa.array(~kept & labelled)))
        self._unlabelled.add(batch.filter(pa.array(~kept & ~labelled)))

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Rows of train, holdout and unlabelled."""
        return np.array([self._train.rows, self._holdout.rows, self._unlabelled.rows])

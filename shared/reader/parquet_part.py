"""A file of a version, written batch by batch where its folder lies: on this machine, or elsewhere."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from shared.files.place import Folder


class ParquetPart:
    """It is there from now on."""

    def __init__(self, file: Folder, schema: pa.Schema) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="snappy")

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()
        self._file.close()

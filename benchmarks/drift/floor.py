"""The floor: reading the columns and nothing else."""

import sys
from pathlib import Path

from timing import Clock

clock = Clock()
import pyarrow.csv  # noqa: E402 - what is timed
import pyarrow.parquet as pq  # noqa: E402

mode, folder = sys.argv[1], Path(sys.argv[2])
clock.imported()
if mode == "csv":
    pyarrow.csv.read_csv(folder / "current.csv")
else:
    for name in ["current"] if mode == "one" else ["reference", "current"]:
        file = pq.ParquetFile(folder / f"{name}.parquet")
        for group in range(file.num_row_groups):
            for column in file.schema_arrow.names:
                file.read_row_group(group, columns=[column])
clock.done()

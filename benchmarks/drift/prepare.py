"""Makes the two files, the CSV and the stored reference of one size, once."""

import sys
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import workload

folder, rows = Path(sys.argv[1]), int(sys.argv[2])
for seed, name in ((1, "reference"), (2, "current")):
    workload.write(folder / f"{name}.parquet", seed, rows)
if rows <= 2_000_000 and not (folder / "current.csv").exists():
    pyarrow.csv.write_csv(pyarrow.parquet.read_table(folder / "current.parquet"), folder / "current.csv")
    pyarrow.csv.write_csv(pyarrow.parquet.read_table(folder / "reference.parquet"), folder / "reference.csv")

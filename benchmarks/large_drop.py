"""`python -m benchmarks.large_drop [MILLIONS]`: what reading a large drop takes in the program of a Spark job.

The program, without Spark around it, reads Parquet by range from the local Azure, and writes the version there: of a
quarter of the rows, then of all, so that memory can be seen to stay. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from benchmarks.document import write
from local.azure import LocalAzure
from shared.files.drop_files import Limits, ReadSpec
from shared.reader.child import peak_mb
from shared.spark import program
from shared.spark.read_order import Order, OrderedFile
from shared.wiring import READINGS

MILLIONS, GROUP, NUMBERS = 4, 250_000, 40
SPEC = ReadSpec("bought", limits=Limits(max_bytes=2**40, max_rows=2**40, memory_mb=16_384))


def rows(place: Path, groups: int) -> int:
    """A Parquet file of so many row groups; its size."""
    random = np.random.default_rng(7)
    writer = None
    for _ in range(groups):
        columns = {f"x{n}": random.normal(size=GROUP) for n in range(NUMBERS)}
        words = {name: random.choice(["north", "south", "east"], GROUP) for name in ("place", "from")}
        table = pa.table({**columns, **words, "bought": random.integers(0, 2, GROUP)})
        writer = writer or pq.ParquetWriter(place, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return place.stat().st_size


def read(account: str, name: str) -> None:
    """In a process of its own: what it took, as JSON."""
    program.Job(account, READINGS, name, DefaultAzureCredential()).run()
    used = os.times()
    print(json.dumps({"cpu_s": used.user + used.system, "wall_s": used.elapsed, "peak_mb": peak_mb()}))


def figures(azure: LocalAzure, place: Path, groups: int) -> str:
    """A line of the table."""
    size, name = rows(place, groups), f"bench-{groups}"
    account = azure.settings.storage("blob")
    with BlobServiceClient(account, DefaultAzureCredential()) as service, place.open("rb") as file:
        blob = service.get_blob_client("landing", f"{name}/rows.parquet")
        etag = str(blob.upload_blob(file, overwrite=True)["etag"]).strip('"')
        order = Order((OrderedFile("landing", blob.blob_name, etag, size),), SPEC.to_document())
        for part, content in (("order.json", order.to_bytes()), ("reference.bin", b"")):
            service.get_blob_client(READINGS, f"{name}/{part}").upload_blob(content, overwrite=True)
    command = [sys.executable, "-m", "benchmarks.large_drop", "read", account, name]
    took = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    rate = size / 1e6 / took["cpu_s"]
    return (
        f"| {groups * GROUP:,} rows, {size / 1e6:,.0f} MB | {took['cpu_s']:.0f} s | {rate:.0f} MB/s | "
        f"{100_000 / rate / 3600:.1f} h | {took['peak_mb']:,.0f} MB |"
    )


def main() -> None:
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else MILLIONS
    with tempfile.TemporaryDirectory() as place, LocalAzure(Path(place, "azure")) as azure:
        os.environ.update(azure.environment("publisher"))
        lines = "\n".join(figures(azure, Path(place, "rows"), n) for n in (millions, 4 * millions))
    write(f"""## A drop that a job reads

`python -m benchmarks.large_drop {millions}`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, pyarrow
{pa.__version__}, on cores shared with other work. Parquet of {NUMBERS} numbers, two columns of words and the target,
read by range from the local Azure and written there as a version, by one process.

| drop | processor | of Parquet | 100 GB at that rate | memory |
| --- | ---: | ---: | ---: | ---: |
{lines}
""")


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        read(*sys.argv[2:4])
    else:
        main()

"""`python -m benchmarks.large_drop [MILLIONS]`: what reading a large drop takes in the program of a Spark job.

The program, without Spark around it, reads Parquet by range from the local Azure, and writes the version there, by one
task and by two: of a quarter of the rows, then of all, so that memory can be seen to stay. Writes its section of
docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

import drift
from benchmarks.document import write
from local.azure import LocalAzure
from shared.files.drop_files import Limits, ReadSpec
from shared.reader.child import peak_mb
from shared.reader.drop_plan import Plan
from shared.spark import program, span_task
from shared.spark.read_order import Order, OrderedFile
from shared.spark.span_task import Outcome, Task
from shared.wiring import READINGS

MILLIONS, GROUP, NUMBERS, TURNS = 4, 250_000, 40, 3
SPEC = ReadSpec("bought", limits=Limits(max_bytes=2**40, max_rows=2**40, memory_mb=16_384, seconds=6 * 3600))


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


class Processes:
    """Executors without Spark: two processes, each a task at a time."""

    slots = side_by_side = 2
    fetched = 0

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(self.slots, mp_context=get_context("spawn"))
        list(
            self._pool.map(_nothing, range(self.slots))
        )  # begun, as Spark's workers are before their second task

    def each(self, plan: Plan, tasks: Sequence[Task]) -> Sequence[Outcome]:
        packed = pickle.dumps(plan)
        return list(self._pool.map(_one, [packed] * len(tasks), tasks))

    def end(self) -> None:
        self._pool.shutdown()


def _one(plan: bytes, task: Task) -> Outcome:
    return span_task.run(pickle.loads(plan), task, _nothing)  # noqa: S301  # our own


def _nothing(_: int) -> None:
    """Neither counted nor done."""


def read(account: str, name: str, tasks: str) -> None:
    """In a process of its own: what it took, as JSON."""
    executors = Processes() if tasks == "2" else None
    job = program.Job(account, READINGS, name, DefaultAzureCredential(), executors)
    began = time.monotonic()
    job.run()
    wall = time.monotonic() - began
    if executors is not None:
        executors.end()
    used = os.times()
    cpu = used.user + used.system + used.children_user + used.children_system
    print(json.dumps({"cpu_s": cpu, "wall_s": wall, "peak_mb": peak_mb()}))


def asked(azure: LocalAzure, place: Path, groups: int, known: bool) -> tuple[str, int]:
    """An order for so many row groups, where the local Azure has it: its name and the file's size."""
    size, name = rows(place, groups), f"bench-{groups}-{'later' if known else 'first'}"
    account = azure.settings.storage("blob")
    reference = drift.profile(pq.ParquetFile(place).read_row_group(0)).to_bytes() if known else b""
    with BlobServiceClient(account, DefaultAzureCredential()) as service, place.open("rb") as file:
        blob = service.get_blob_client("landing", f"{name}/rows.parquet")
        etag = str(blob.upload_blob(file, overwrite=True)["etag"]).strip('"')
        order = Order((OrderedFile("landing", blob.blob_name, etag, size),), SPEC.to_document())
        for part, content in (("order.json", order.to_bytes()), ("reference.bin", reference)):
            service.get_blob_client(READINGS, f"{name}/{part}").upload_blob(content, overwrite=True)
    return name, size


def took(azure: LocalAzure, name: str, tasks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.large_drop", "read", azure.settings.storage("blob"), name]
    done = subprocess.run([*command, str(tasks)], capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(done)
    return found


def figures(azure: LocalAzure, place: Path, groups: int, known: bool) -> str:
    """A line of the table: one task and two in turns, medians."""
    name, size = asked(azure, place, groups, known)
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(TURNS):
        for tasks, figures_of in found.items():
            figures_of.append(took(azure, name, tasks))

    def middle(tasks: int, what: str) -> float:
        return statistics.median(one[what] for one in found[tasks])

    one, two = middle(1, "wall_s"), middle(2, "wall_s")
    rate = size / 1e6 / middle(1, "cpu_s")
    what = "a later drop" if known else "a first drop"
    return (
        f"| {what}: {groups * GROUP:,} rows, {size / 1e6:,.0f} MB | {middle(1, 'cpu_s'):.0f} s | {rate:.0f} MB/s | "
        f"{middle(2, 'cpu_s') / middle(1, 'cpu_s'):.2f} | {two / one:.2f} | {middle(1, 'peak_mb'):,.0f} MB |"
    )


def main() -> None:
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else MILLIONS
    groups = 4 * millions
    with tempfile.TemporaryDirectory() as place, LocalAzure(Path(place, "azure")) as azure:
        os.environ.update(azure.environment("publisher"))
        drops = ((max(1, groups // 4), True), (groups, True), (groups, False))
        lines = "\n".join(figures(azure, Path(place, "rows"), n, known) for n, known in drops)
    write(f"""## A drop that a job reads

`python -m benchmarks.large_drop {millions}`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, pyarrow
{pa.__version__}, on {os.cpu_count()} cores shared with other work and with the local Azure. Parquet of {NUMBERS}
numbers, two columns of words and the target, read by range from the local Azure and written there as a version: by one
task, and by two in processes of their own, in turns; medians of {TURNS}. A later drop is counted as the version before
it; a first one is gone through once before.

| drop | processor, one task | of Parquet | processor, two to one | time, two to one | memory of the driver |
| --- | ---: | ---: | ---: | ---: | ---: |
{lines}
""")


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        read(*sys.argv[2:5])
    else:
        main()

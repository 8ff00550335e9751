"""`python -m benchmarks.huge_drop [MILLIONS]`: a drop of 100 million rows, by a Spark job and by one process.

A tenth of the rows, then all of them, so that memory can be seen to stay. Both write the whole version to the local
Azure; the Spark job is a real one (pyspark, `spark-submit`), which the product submits. The floor is Arrow that reads
the same blob by the same ranges and does nothing with the rows. Writes its section of docs/benchmarks.md. No part of
`make bench`: it needs Java 17, some 50 GB of disk and an hour of two cores.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

import drift
from benchmarks.document import write
from benchmarks.large_drop import SPEC, took
from local.azure import LocalAzure
from shared.azure.client import Workspace, credential
from shared.azure.registry import Registry
from shared.port_rules import READING_TAG
from shared.ports import Ports, ReadingSpec
from shared.reader.child import peak_mb
from shared.settings import Settings
from shared.spark.blob_places import READ_BYTES, BlobFile, BlobFolder
from shared.spark.read_answer import ANSWER, MOST_ANSWER
from shared.spark.read_order import Order, OrderedFile
from shared.wiring import READINGS, azure_ports

MILLIONS, GROUP, NUMBERS = 100, 250_000, 40
ROUNDED = [f"x{n}" for n in range(0, NUMBERS, 2)]
"""Half of the columns have two digits after the point, as amounts have; the others all that a float has."""
WORDS = ("north", "south", "east")
EXECUTORS, CORES = 1, 2


def group(random: np.random.Generator) -> pa.Table:
    columns: dict[str, object] = {}
    for n in range(NUMBERS):
        values = random.standard_normal(GROUP)
        columns[f"x{n}"] = np.rint(values * 100) / 100 if f"x{n}" in ROUNDED else values
    for name in ("place", "from"):
        chosen = pa.array(random.integers(0, len(WORDS), GROUP, dtype="int8"))
        columns[name] = pa.DictionaryArray.from_arrays(chosen, list(WORDS)).cast(pa.string())
    return pa.table({**columns, "bought": random.integers(0, 2, GROUP)})


def landed(service: BlobServiceClient, name: str, groups: int) -> OrderedFile:
    """A Parquet file of so many row groups, written as it is made."""
    random = np.random.default_rng(groups)
    folder = BlobFolder(lambda file: service.get_blob_client("landing", f"{name}/{file}"))
    with (folder / "rows.parquet").open("wb") as place:
        writer = None
        for _ in range(groups):
            table = group(random)
            writer = writer or pq.ParquetWriter(
                place, table.schema, use_dictionary=[*ROUNDED, "place", "from"]
            )
            writer.write_table(table)
        if writer is not None:
            writer.close()
    found = service.get_blob_client("landing", f"{name}/rows.parquet").get_blob_properties()
    return OrderedFile("landing", f"{name}/rows.parquet", str(found.etag).strip('"'), int(found.size))


def floor(account: str, name: str, etag: str, size: str) -> None:
    """In a process of its own: Arrow reads it all."""
    client = BlobServiceClient(account, DefaultAzureCredential()).get_blob_client("landing", name)
    began = time.monotonic()
    with BlobFile(client, name, etag, int(size), lambda fetched: None).open("rb") as file:
        for _ in pq.ParquetFile(file, buffer_size=READ_BYTES).iter_batches(131_072, use_threads=False):
            pass
    wall, used = time.monotonic() - began, os.times()
    print(json.dumps({"cpu_s": used.user + used.system, "wall_s": wall, "peak_mb": peak_mb()}))


@dataclass
class Seen:
    """What a job's processes took, as far as a look each second shows it."""

    cpu: dict[int, float] = field(default_factory=dict)
    python_mb: float = 0.0

    def look(self, name: str) -> None:
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                command = one.cmdline()
                if not command or f"/{name}/" not in " ".join([*command, one.cwd()]):
                    continue
                times, held = one.cpu_times(), one.memory_info().rss / 1e6
                self.cpu[one.pid] = times.user + times.system
                if not Path(command[0]).name.startswith("java"):
                    self.python_mb = max(self.python_mb, held)


def by_spark(ports: Ports, code: str, name: str, order: bytes, reference: bytes) -> dict[str, float]:
    spec = ReadingSpec(
        name, "bench", code, "Standard_E4s_v3", CORES, EXECUTORS, 16_384, order, reference,
        {READING_TAG: name},
    )  # fmt: skip
    seen, began = Seen(), time.monotonic()
    while (found := ports.readings.ensure(spec)).status == "running":
        seen.look(name)
        time.sleep(1)
    wall = time.monotonic() - began
    if found.status != "completed":
        raise SystemExit(f"{name} {found.status}: {found.error}")
    answer = json.loads(ports.readings.left(name, ANSWER, MOST_ANSWER))
    if answer.get("tasks") != CORES:
        raise SystemExit(f"{name} was not read by {CORES} tasks: {answer.get('alone') or answer.get('text')}")
    return {"wall_s": wall, "cpu_s": sum(seen.cpu.values()), "peak_mb": seen.python_mb}


def emptied(service: BlobServiceClient, name: str) -> None:
    """So that the disk holds one version at a time."""
    container = service.get_container_client(READINGS)
    for blob in container.list_blobs(name_starts_with=f"{name}/rows/"):
        container.delete_blob(blob)


def figures(azure: LocalAzure, ports: Ports, code: str, groups: int) -> str:
    account = azure.settings.storage("blob")
    reference = drift.profile(group(np.random.default_rng(0))).to_bytes()
    with BlobServiceClient(account, DefaultAzureCredential()) as service:
        file = landed(service, f"huge-{groups}", groups)
        print(f"{groups * GROUP:,} rows, {file.size / 1e9:.1f} GB", flush=True)
        asked = [sys.executable, "-m", "benchmarks.huge_drop", "floor", account, file.name, file.etag]
        least = json.loads(subprocess.check_output([*asked, str(file.size)], text=True))
        print("floor", least, flush=True)
        order = Order((file,), SPEC.to_document()).to_bytes()
        named = f"one-{groups}"
        for part, content in (("order.json", order), ("reference.bin", reference)):
            service.get_blob_client(READINGS, f"{named}/{part}").upload_blob(content, overwrite=True)
        one = took(azure, named, 1)
        print("one process", one, flush=True)
        emptied(service, named)
        spark_name = f"spark-{groups}-{hashlib.sha256(order).hexdigest()[:6]}"
        spark = by_spark(ports, code, spark_name, order, reference)
        print("Spark", spark, flush=True)
        emptied(service, spark_name)
        service.get_blob_client("landing", file.name).delete_blob()
    return "\n".join(
        f"| {groups * GROUP:,} rows, {file.size / 1e9:.1f} GB | {who} | {took_['wall_s']:,.0f} s | "
        f"{took_['cpu_s']:,.0f} s | {took_['wall_s'] / least['wall_s']:.1f} | {took_['peak_mb']:,.0f} MB |"
        for who, took_ in (("Arrow alone", least), ("one process", one), ("Spark, two tasks", spark))
    )


def main() -> None:
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else MILLIONS
    groups = 4 * millions
    with tempfile.TemporaryDirectory() as place, LocalAzure(Path(place, "azure")) as azure:
        os.environ.update(azure.environment("publisher"))
        code = Registry(Workspace(Settings.from_environment(os.environ), credential())).reader()
        ports = azure_ports(Settings.from_environment(azure.environment("app")))
        lines = "\n".join(figures(azure, ports, code, n) for n in (max(1, groups // 10), groups))
    write(f"""## A drop of 20 GB

`python -m benchmarks.huge_drop {millions}`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, on
{os.cpu_count()} cores shared with other work and with the local Azure; pyarrow {pa.__version__} in one process, and in
the Spark job what Azure ML's runtime 3.5 has (pyspark 3.5.5, pyarrow 19.0.0). A later drop of one Parquet file:
{NUMBERS} numbers, half of them with two digits after the point, two columns of words and the target. Read by range from
the local Azure, and written there as a version; once each. A job's memory is that of its largest Python process.

| drop | read by | time | processor | times the floor | memory |
| --- | --- | ---: | ---: | ---: | ---: |
{lines}
""")


if __name__ == "__main__":
    if sys.argv[1:2] == ["floor"]:
        floor(*sys.argv[2:6])
    else:
        main()

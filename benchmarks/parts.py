"""`python -m benchmarks.parts [PARTS]`: a drop of ten thousand small part files, downloaded and read.

Reading is that of the process that reads drops, with the limits of a loop that says nothing but that of time: a machine
may be shared. Downloads are from the local Azure, each request a moment later, as on a network. Writes its section of
docs/benchmarks.md.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from benchmarks.document import write
from local.azure import LocalAzure
from shared.azure.blobs import AzureBlobs
from shared.azure.client import Clients, credential
from shared.azure.failures import BoundedTransport
from shared.errors import InputRejected
from shared.files.drop_files import DropFile, Limits, ReadSpec
from shared.intake import read_drop
from shared.reader import child_pool
from shared.settings import Settings

PARTS, ROWS, NUMBERS = 10_000, 200, 12
BLOBS, LATER_S = 400, 0.02
SPEC = ReadSpec("bought", limits=Limits(seconds=1800))


def parts(folder: Path, kind: str, number: int) -> list[DropFile]:
    """So many files of a drop."""
    random = np.random.default_rng(7)
    for part in range(number):
        columns = {f"x{n}": random.normal(size=ROWS) for n in range(NUMBERS)}
        words = random.choice(["north", "south"], ROWS)
        table = pa.table({**columns, "place": words, "bought": random.integers(0, 2, ROWS)})
        place = folder / f"part-{part:05d}.{kind}"
        if kind == "csv":
            arrow_csv.write_csv(table, place)
        else:
            pq.write_table(table, place)
    files = sorted(folder.iterdir())
    return [DropFile(file, file.name, file.stat().st_size, file.name) for file in files]


def figures(kind: str, number: int) -> str:
    """A line of the table: seconds of processor that reading took, its memory, its rows."""
    with tempfile.TemporaryDirectory() as place:
        (folder := Path(place, "in")).mkdir()
        files = parts(folder, kind, number)
        before = _children_s()
        try:
            came_to = f"{read_drop(files, SPEC, Path(place, 'out')).rows:,} rows"
        except InputRejected as rejection:
            came_to = f"refused: {rejection.code}"
        child_pool.stop()
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"| {number:,} files of {kind} | {_children_s() - before:.0f} s | {largest:,.0f} MB | {came_to} |"


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Later(BoundedTransport):
    """Each answer comes a moment later."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        time.sleep(LATER_S)
        return super().send(request, **kwargs)


def downloads() -> tuple[float, float]:
    """Seconds that blobs take one by one, and together."""
    with tempfile.TemporaryDirectory() as place, LocalAzure(Path(place, "azure")) as azure:
        os.environ.update(azure.environment("app"))
        clients = Clients(Settings.from_environment(os.environ), credential(), _Later)
        blobs = AzureBlobs(clients.blobs(), clients.blobs)
        wanted = {
            Path(place, str(n)): blobs.upload("landing", f"parts/{n}", b"x" * 10_000) for n in range(BLOBS)
        }
        began = time.perf_counter()
        for to, blob in wanted.items():
            blobs.download(blob, to)
        between = time.perf_counter()
        blobs.download_all(wanted)
        return between - began, time.perf_counter() - between


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else PARTS
    lines = "\n".join(figures(kind, number) for kind in ("parquet", "csv"))  # the largest child is the last
    alone, together = downloads()
    write(f"""## Ten thousand part files

`python -m benchmarks.parts {number}`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, pyarrow
{pa.__version__}, on cores shared with other work. Each file has {ROWS} rows of {NUMBERS + 2} columns.

| read as a drop | processor | memory | came to |
| --- | ---: | ---: | --- |
{lines}

{BLOBS} blobs of 10 kB, each request {LATER_S * 1000:.0f} ms later than the local Azure answers: {alone:.1f} s
one by one, {together:.1f} s as a drop's parts are downloaded.
""")


if __name__ == "__main__":
    main()

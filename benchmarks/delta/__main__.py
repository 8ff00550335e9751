"""Our reading of Delta tables beside delta-rs's: a table of 1,000 commits that it writes, and tables of others.

    python -m pip install --no-deps --target FOLDER deltalake arro3-core deprecated wrapt
    python -m benchmarks.delta FOLDER [TABLES]

It prints what differs, and writes its section of docs/benchmarks.md. TABLES is a folder of tables, such as
`crates/test/tests/data` of github.com/delta-io/delta-rs, which Spark and Databricks wrote: each is read by both.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.document import write
from shared.errors import InputRejected
from shared.files.drop_files import Limits
from shared.files.formats import Budget
from shared.memory import FakeClock, memory_ports
from shared.tables import delta_table
from shared.tables.snapshot import LOG
from shared.tables.table_file import open_table_file
from tests.faults import Call, watched

COMMITS = 1_000
ROWS = 200
STEP = 199
"""Every so many commits both are compared."""
WHY = "[decision 47](decisions/0047-a-commit-is-the-whole-table.md) says why"
ANY = Budget(1 << 50, 1 << 50)


# --- a table of many commits ---------------------------------------------------------------------


def written(folder: Path) -> None:
    """Appends to three partitions; every 20th commit deletes rows, every 100th makes few files of many."""
    from deltalake import DeltaTable, write_deltalake

    random = np.random.default_rng(7)
    while (version := _version(folder)) < COMMITS:
        if version > 0 and version % 100 == 99:
            DeltaTable(folder).optimize.compact()
        if version > 0 and version % 20 == 19:
            DeltaTable(folder).delete(f"number % 97 = {version % 97}")
        write_deltalake(folder, _rows(random, version), mode="append", partition_by=["place"])


def _version(folder: Path) -> int:
    from deltalake import DeltaTable

    return int(DeltaTable(folder).version()) if folder.exists() else -1


def _rows(random: np.random.Generator, version: int) -> pa.Table:
    return pa.table(
        {
            "number": np.arange(ROWS) + ROWS * version,
            "size": random.normal(size=ROWS),
            "place": random.choice(["north", "south", "east"], ROWS),
            "at": pa.array(np.full(ROWS, 1_700_000_000_000_000 + version), pa.timestamp("us", "UTC")),
        }
    )


# --- both readings -------------------------------------------------------------------------------


def ours(folder: Path, version: int | None = None) -> pa.Table | None:
    """Every row, in an order of its own; None where there is none."""
    try:
        files = delta_table.of_folder(folder, version)
    except InputRejected as refused:
        if refused.code != "no-data":
            raise
        return None
    found = []
    for file in files:
        assert file.table is not None
        opened = open_table_file(file, file.table, Limits())
        found += [pa.Table.from_batches([batch]) for batch in opened.batches(list(opened.columns), ANY)]
    return pa.concat_tables(found, promote_options="permissive") if found else None


def theirs(folder: Path, version: int | None = None) -> pa.Table | None:
    from deltalake import DeltaTable, QueryBuilder

    table = DeltaTable(folder, version=version)
    batches = QueryBuilder().register("t", table).execute("select * from t").read_all()
    read = pa.table(batches)
    return read if read.num_rows else None


def differing(mine: pa.Table | None, other: pa.Table | None) -> int:
    """Rows of either that the other has not as often."""
    counts = [Counter(_texts(table)) for table in (mine, other)]
    return sum((counts[0] - counts[1]).values()) + sum((counts[1] - counts[0]).values())


def _texts(table: pa.Table | None) -> Iterator[tuple[str, ...]]:
    """Rows as texts; a time without a zone is in UTC to both, and is written either way."""
    if table is None:
        return
    columns = [
        [str(value).removesuffix("+00:00") for value in table[n].to_pylist()]
        for n in sorted(table.column_names)
    ]
    yield from zip(*columns, strict=True)


def compared(tables: Path) -> Iterator[tuple[str, str]]:
    """Of each table below a folder, whether both read the same rows, and what either says who does not."""
    for log in sorted(tables.rglob(LOG)):
        said: list[Any] = []
        for read in (ours, theirs):
            try:
                said.append(read(log.parent))
            except Exception as error:  # noqa: BLE001 - a witness fails as it likes; it is printed
                said.append(f"{getattr(error, 'code', type(error).__name__)}: {str(error)[:120]}")
        mine, other = said
        if isinstance(mine, str) and isinstance(other, str):
            verdict = "both refuse"
        elif isinstance(mine, str) or isinstance(other, str):
            verdict = f"only one reads it: {mine if isinstance(mine, str) else other}"
        else:
            count = differing(mine, other)
            verdict = f"rows differ: {count}" if count else "the same rows"
        yield log.parent.relative_to(tables).as_posix(), verdict


# --- figures -------------------------------------------------------------------------------------


def median_s(what: Callable[[], object]) -> float:
    """The median of five."""
    found = []
    for _ in range(5):
        began = time.perf_counter()
        what()
        found.append(time.perf_counter() - began)
    return sorted(found)[2]


def as_drop(folder: Path, version: int) -> tuple[float, int]:
    """Seconds from a listing to the files of a commit, its log read in the process of drops; downloads."""
    downloads = 0

    def around(call: Call, go: Callable[[], object]) -> object:
        nonlocal downloads
        if call.name == "blobs.download_all":
            (wanted,) = call.arguments
            assert isinstance(wanted, dict)
            downloads += len(wanted)
        return go()

    blobs = watched(memory_ports(FakeClock()), around).blobs
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            blobs.upload("landing", path.relative_to(folder).as_posix(), path)
    there = {blob.name: blob for blob in blobs.list("landing", "")}

    def read() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            delta_table.of_blobs(blobs, there, "the table", version, Path(scratch), Limits())

    read()  # the process begins
    took = median_s(read)
    return took, downloads // 6


def figures(folder: Path) -> list[tuple[str, float, int]]:
    """Seconds to the files of the newest commit, ours and theirs, in words; of a drop; its downloads of the log."""
    from deltalake import DeltaTable

    found = []
    bare = folder.with_name("bare")
    shutil.copytree(folder, bare)
    for path in (bare / LOG).iterdir():
        if "checkpoint" in path.name:
            path.unlink()
    version = _version(folder)
    for words, place in (("checkpoints every 100 commits", folder), ("no checkpoint", bare)):
        mine = median_s(partial(delta_table.of_folder, place))
        other = median_s(lambda: DeltaTable(place).get_add_actions())  # noqa: B023 - run at once
        took, downloads = as_drop(place, version)
        found.append((f"{words}: here {mine:.2f} s, delta-rs {other:.2f} s", took, downloads))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("tables", type=Path, nargs="?")
    given = parser.parse_args()
    sys.path.insert(0, str(given.packages))
    import deltalake

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "table"
        began = time.perf_counter()
        written(folder)
        print(f"written in {time.perf_counter() - began:,.0f} s", flush=True)
        versions = [*range(1, COMMITS, STEP), _version(folder)]
        differ = [v for v in versions if differing(ours(folder, v), theirs(folder, v))]
        rows = table.num_rows if (table := ours(folder)) else 0
        lines = [f"| {words} | {took:.2f} s | {downloads:,} |" for words, took, downloads in figures(folder)]
    others = dict(compared(given.tables)) if given.tables else {}
    for name, verdict in others.items():
        print(f"{name}: {verdict}")
    write(_section(versions, differ, rows, lines, others, deltalake.__version__))


def _section(
    versions: list[int], differ: list[int], rows: int, lines: list[str], others: dict[str, str], release: str
) -> str:
    same = f"{len(versions) - len(differ)} of {len(versions)} commits looked at have the same rows in both"
    told = f" ({differ} differ)" if differ else ""
    table = "\n".join(lines)
    kinds = Counter(verdict.partition(":")[0] for verdict in others.values())
    count = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    witness = f"\n\nTables that others wrote, read by both: {count}\n({WHY})." if others else ""
    return f"""## A Delta table of 1,000 commits

`python -m benchmarks.delta FOLDER TABLES`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, deltalake
{release} as writer and witness. Appends to three partitions, deletes, compactions; {rows:,} rows at the end.
{same}{told}.

| from the log to the newest commit's files | as a drop, in the reading process | files of the log downloaded |
| --- | ---: | ---: |
{table}{witness}
"""


if __name__ == "__main__":
    main()

"""Contracts, side by side: the same forty rules by Driftloop, Pandera and Great Expectations, and the floor of reading.

    python -m benchmarks.contracts [--rows 1000000] [--repeat 3] [--peers PYTHON]

PYTHON is an interpreter whose environment holds pandera, great_expectations, pandas and pyarrow; without it the peers
are left out and nothing is written. Each measurement is a fresh process that reads the same Parquet file; contenders
take turns, medians are told.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contender import measured
from benchmarks.document import write

HERE = Path(__file__).parent
OURS = ("driftloop", "floor")
PEERS = ("pandera", "great_expectations")
NAMES = {"floor": "floor: reading the file", "great_expectations": "Great Expectations", "pandera": "Pandera"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    parts = [_section(rows, asked.repeat, asked.peers) for rows in asked.rows]
    head = (
        f"## Contracts: forty rules\n\nMeasured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores "
        f"({platform.machine()}), Python {platform.python_version()}, {_versions(asked.peers)}; the machine is shared, "
        f"load average at the start {load:.1f}. Medians of {asked.repeat} processes that took turns, reading included: "
        "8 ranges, 18 rules of nulls, 5 lists of values, 3 patterns, 3 lengths, uniqueness, an order of two columns, a "
        "row count. "
        f"`python -m benchmarks.contracts --rows {' '.join(map(str, asked.rows))} --peers PYTHON`"
    )
    text = "\n\n".join([head, *parts]) + "\n"
    print(text)
    if asked.peers:
        write(text)


def _versions(peers: str) -> str:
    ours = f"pyarrow {version('pyarrow')}"
    if not peers:
        return ours
    names = ("pandera", "great_expectations", "pandas", "pyarrow")
    code = f"from importlib.metadata import version; print(', '.join(f'{{n}} {{version(n)}}' for n in {names!r}))"
    done = subprocess.run([peers, "-c", code], capture_output=True, text=True, check=True)
    return f"{ours}; the peers with {done.stdout.strip()}"


def _section(rows: int, repeat: int, peers: str) -> str:
    with tempfile.TemporaryDirectory(prefix="driftloop-contracts-") as folder:
        file = Path(folder) / "rows.parquet"
        subprocess.run([sys.executable, str(HERE / "workload.py"), str(file), str(rows)], check=True)
        contenders = [(name, sys.executable) for name in OURS]
        contenders += [(name, peers) for name in PEERS if peers]
        seen: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in contenders}
        for _ in range(repeat):
            for name, python in contenders:
                seen[name].append(_measure(python, name, file))
    medians = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0] if key != "said"}
        for name, found in seen.items()
    }
    lines = [
        f"### {rows:,} rows",
        "",
        "| | import s | run s, reading included | run CPU s | peak RSS MB | broken rules | rows | CPU, times ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in medians.items():
        ratio = one["cpu"] / medians["driftloop"]["cpu"]
        cells = (
            f"{one['import']:.2f} | {one['run']:.2f} | {one['cpu']:.2f} | {one['rss_mb']:.0f} | "
            f"{one['broken']:.0f} | {one['rows']:.0f} | {ratio:.1f}"
        )
        lines.append(f"| {NAMES.get(name, name)} | {cells} |")
    said = [
        f"- {NAMES.get(name, name)}: `{_line(found[0]['said'])}`"
        for name, found in seen.items()
        if name != "floor"
    ]
    note = (
        "All find the same: of equal rows the peers count each, Driftloop all but the first; a row whose two columns "
        "are out of order Pandera counts once for each column of the file. What each says of the first broken rule:"
    )
    return "\n".join([*lines, "", note, "", *said])


def _line(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")[:300]


_QUIET = {
    "GX_ANALYTICS_ENABLED": "false",
    "DISABLE_PANDERA_IMPORT_WARNING": "True",
    "TQDM_DISABLE": "1",
}


def _measure(python: str, name: str, file: Path) -> dict[str, Any]:
    return measured(python, HERE / "contender.py", name, file, quiet=_QUIET)


if __name__ == "__main__":
    main()

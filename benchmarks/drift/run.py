"""Drift, side by side: Driftloop, the scipy loop, Evidently where installed, and the floor of reading the file.

    python benchmarks/drift/run.py --rows 100000 1000000 --repeat 5 [--evidently PYTHON] [--write docs/benchmarks.md]

Every measurement is a fresh process, so that nothing is warm but the file cache; contenders take turns, and
medians are told. The two files hold the same 43 columns drawn twice from one distribution.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
START, STOP = "<!-- drift:start -->", "<!-- drift:stop -->"

CONTENDERS = {
    "driftloop, stored reference": ("ours.py", "stored"),
    "driftloop, both files": ("ours.py", "both"),
    "driftloop, stored reference, CSV": ("ours.py", "stored-csv"),
    "scipy loop (KS, chi-square), both files": ("scipy_loop.py", "both"),
    "floor: Parquet, one file": ("floor.py", "one"),
    "floor: Parquet, two files": ("floor.py", "both"),
    "floor: CSV by Arrow, one file": ("floor.py", "csv"),
}


def measure(python: str, script: str, mode: str, folder: Path) -> dict[str, float]:
    """Seconds of import and of the run, and peak RSS, of one contender in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, str(HERE / script), mode, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise SystemExit(f"{script} {mode} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def rounds(rows: int, repeat: int, peers: dict[str, tuple[str, str, str]]) -> dict[str, dict[str, float]]:
    """Medians by contender; peers that take minutes run once."""
    folder = Path(tempfile.gettempdir()) / "driftloop-benchmark" / str(rows)
    subprocess.run(
        [sys.executable, str(HERE / "prepare.py"), str(folder), str(rows)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    seen: dict[str, list[dict[str, float]]] = {}
    for turn in range(repeat):
        for name, (script, mode) in CONTENDERS.items():
            seen.setdefault(name, []).append(measure(sys.executable, script, mode, folder))
        for name, (python, script, mode) in peers.items():
            if not turn:
                seen[name] = [measure(python, script, mode, folder)]
    return {
        name: {key: statistics.median(one[key] for one in all_) for key in ("import", "run", "cpu", "rss_mb")}
        for name, all_ in seen.items()
    }


def table(rows: int, found: dict[str, dict[str, float]]) -> str:
    """The medians as Markdown, with ratios to ours and to the floors."""
    ours = found["driftloop, stored reference"]["run"]
    lines = [
        f"### {rows:,} rows a side",
        "",
        "| | import s | run s, reading included | run CPU s | peak RSS MB | times ours (stored) |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in found.items():
        ratio = values["run"] / ours
        lines.append(
            f"| {name} | {values['import']:.2f} | {values['run']:.2f} | {values['cpu']:.2f} "
            f"| {values['rss_mb']:.0f} | {ratio:.1f} |"
        )
    one = ours / found["floor: Parquet, one file"]["run"]
    two = found["driftloop, both files"]["run"] / found["floor: Parquet, two files"]["run"]
    csv = found["driftloop, stored reference, CSV"]["run"] / found["floor: CSV by Arrow, one file"]["run"]
    told = f"Against a stored reference {one:.2f} x the floor of one file; both files {two:.2f} x; CSV {csv:.2f} x."
    return "\n".join([*lines, "", told, ""])


def main() -> None:
    """Measure, print, and write the section of the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--evidently", help="a Python that has evidently installed")
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    peers = {}
    if chosen.evidently:
        peers["Evidently, default preset, both files"] = (chosen.evidently, "evidently_preset.py", "both")
    versions = ", ".join(
        f"{n} {importlib.metadata.version(n)}" for n in ("numpy", "scipy", "pyarrow", "pandas")
    )
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, {versions}; load average at the start {os.getloadavg()[0]:.1f}. Medians "
        f"of {chosen.repeat} processes that took turns; Evidently ran once."
    )
    parts = [head, ""]
    for rows in chosen.rows:
        parts.append(table(rows, rounds(rows, chosen.repeat, peers)))
        print("\n".join(parts[-1:]), flush=True)
    if chosen.write:
        write(chosen.write, "\n".join(parts))


def write(path: Path, text: str) -> None:
    """Replace the section between the markers, or append it."""
    old = path.read_text() if path.exists() else "# Benchmarks\n"
    section = f"{START}\n## Drift\n\n{text}{STOP}\n"
    if START in old:
        before, rest = old.split(START, 1)
        section = before + section + rest.split(STOP, 1)[1].lstrip("\n")
    else:
        section = old.rstrip("\n") + "\n\n" + section
    path.write_text(section)


if __name__ == "__main__":
    main()

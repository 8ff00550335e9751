"""Drift, side by side: Driftloop, the scipy loop, the peers that are installed, and the floor of reading the file.

    python -m benchmarks.drift [--rows 100000 1000000] [--repeat 5] [--peers FOLDER] [--write docs/benchmarks.md]

FOLDER holds an environment for each peer, named as in PEERS. Every measurement is a fresh process, so that
nothing is warm but the file cache; contenders take turns, and medians are told. The two files hold the same 43
columns drawn twice from one distribution.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.contender import LONGEST_S, measured
from benchmarks.document import DOCUMENT, write

HERE = Path(__file__).parent

CONTENDERS = {
    "driftloop, stored reference": ("ours.py", "stored"),
    "driftloop, both files": ("ours.py", "both"),
    "driftloop, stored reference, CSV": ("ours.py", "stored-csv"),
    "scipy loop (KS, chi-square), both files": ("scipy_loop.py", "both"),
    "floor: Parquet, one file": ("floor.py", "one"),
    "floor: Parquet, two files": ("floor.py", "both"),
    "floor: CSV by Arrow, one file": ("floor.py", "csv"),
}
PEERS = {
    "evidently": ("evidently", "Evidently {}, default preset"),
    "nannyml": ("nannyml", "NannyML {}, univariate, 10 chunks"),
    "deepchecks": ("deepchecks", "Deepchecks {}, feature drift (of at most 100k rows)"),
    "alibi": ("alibi-detect", "alibi-detect {}, tabular drift"),
    "whylogs": ("whylogs", "whylogs {}, both profiles and scores"),
}
LARGEST = 2_000_000  # rows a side that CSV and peers are tried with


def measure(python: str, script: str, mode: str, folder: Path) -> dict[str, float]:
    """Seconds of import and of the run, and peak RSS, of one contender in a process of its own."""
    quiet = {"NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "1"}
    return measured(python, HERE / script, mode, folder, quiet=quiet)


def rounds(
    rows: int, repeat: int, peers: dict[str, str], lost: dict[str, str]
) -> dict[str, dict[str, float]]:
    """Medians by contender; peers take minutes and run once. Who fails is told in `lost`."""
    folder = Path(tempfile.gettempdir()) / "driftloop-benchmark" / str(rows)
    subprocess.run(
        [sys.executable, str(HERE / "prepare.py"), str(folder), str(rows)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    seen: dict[str, list[dict[str, float]]] = {}
    for _ in range(repeat):
        for name, (script, mode) in CONTENDERS.items():
            if rows <= LARGEST or "csv" not in mode:
                seen.setdefault(name, []).append(measure(sys.executable, script, mode, folder))
    for name, python in peers.items() if rows <= LARGEST else ():
        label = PEERS[name][1].format(version_of(python, PEERS[name][0]))
        try:
            seen[label] = [measure(python, "peers.py", name, folder)]
        except subprocess.TimeoutExpired:
            lost[label] = f"no result within {LONGEST_S} s"
        except RuntimeError as error:
            lost[label] = str(error).splitlines()[0]
    return {
        name: {key: statistics.median(one[key] for one in all_) for key in ("import", "run", "cpu", "rss_mb")}
        for name, all_ in seen.items()
    }


def version_of(python: str, distribution: str) -> str:
    """What is installed in a peer's environment."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


RATIOS = (
    ("driftloop, stored reference", "floor: Parquet, one file"),
    ("driftloop, both files", "floor: Parquet, two files"),
    ("driftloop, stored reference, CSV", "floor: CSV by Arrow, one file"),
)


def table(rows: int, found: dict[str, dict[str, float]], lost: dict[str, str]) -> str:
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
    told = []
    for ours_, floor in RATIOS:
        if ours_ in found:
            run, cpu = (found[ours_][key] / found[floor][key] for key in ("run", "cpu"))
            told.append(f"{ours_}: {run:.2f} x the {floor} ({cpu:.2f} x in CPU time)")
    told = ["; ".join(told) + "."]
    failed = [f"{name} did not run: {why}" for name, why in lost.items()]
    return "\n".join([*lines, "", *told, *failed, ""])


def processor() -> str:
    """The processor's name, or its kind where the system does not tell."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def sort_ms() -> float:
    """Milliseconds of CPU that numpy takes to sort a million numbers: it differs tenfold between processors."""
    numbers = np.random.default_rng(0).normal(size=(5, 1_000_000))
    taken = []
    for row in numbers:
        start = time.process_time()
        row.sort()
        taken.append(time.process_time() - start)
    return 1000 * statistics.median(taken)


def main() -> None:
    """Measure, print, and write the section of the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="a folder of environments, one a peer")
    parser.add_argument("--write", type=Path, default=DOCUMENT)
    chosen = parser.parse_args()
    pythons = {name: chosen.peers / name / "bin" / "python" for name in PEERS} if chosen.peers else {}
    peers = {name: str(python) for name, python in pythons.items() if python.exists()}
    versions = ", ".join(
        f"{n} {importlib.metadata.version(n)}" for n in ("numpy", "scipy", "pyarrow", "pandas")
    )
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({processor()}), where numpy sorts a "
        f"million numbers in {sort_ms():.0f} ms of CPU time; Python "
        f"{platform.python_version()}, {versions}; the machine is shared, load average at the start "
        f"{os.getloadavg()[0]:.1f}. Medians of {chosen.repeat} processes that took turns; peers ran once. Reading "
        f"is included. `python -m benchmarks.drift --rows {' '.join(map(str, chosen.rows))} --repeat "
        f"{chosen.repeat} --peers FOLDER`"
    )
    parts = [head, ""]
    for rows in chosen.rows:
        lost: dict[str, str] = {}
        parts.append(table(rows, rounds(rows, chosen.repeat, peers, lost), lost))
        print("\n".join(parts[-1:]), flush=True)
    if peers:
        write("## Drift: cost\n\n" + "\n".join(parts), chosen.write)
    else:
        print("no --peers: printed only, so that the document keeps the comparison")


if __name__ == "__main__":
    main()

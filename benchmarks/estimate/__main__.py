"""A metric without labels, side by side: Driftloop's estimate and NannyML's CBPE on four public data sets.

    python -m benchmarks.estimate [--runs 24] --peers PYTHON

PYTHON is an interpreter whose environment holds nannyml, statsmodels, scikit-learn and pyarrow; it also makes the cases
(`prepare.py`). Contenders take turns, data set by data set; each is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contender import measured
from benchmarks.document import write

HERE = Path(__file__).parent
SETS = {"fair": "Fair", "randhie": "RAND HIE", "california": "California", "employment": "ACS employment"}
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
PACKAGES = ("nannyml", "statsmodels", "scikit-learn", "numpy", "pandas")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--peers", required=True)
    asked = parser.parse_args()
    lines, cpu = [], dict.fromkeys(("driftloop", "cbpe"), 0.0)
    kept: dict[str, list[bool]] = {name: [] for name in cpu}
    with tempfile.TemporaryDirectory(prefix="driftloop-estimate-") as folder:
        for name, label in SETS.items():
            about = measured(asked.peers, HERE / "prepare.py", folder, name, asked.runs, quiet=QUIET)
            seen = {}
            for contender, python in (("driftloop", sys.executable), ("cbpe", asked.peers)):
                seen[contender] = measured(
                    python, HERE / "contender.py", contender, folder, name, quiet=QUIET
                )
                cpu[contender] += seen[contender]["cpu_s"]
            lines += _lines(f"{label} ({about['rows']:,} rows)", seen, about["truth"], kept)
    text = "\n".join(
        [_head(asked.runs, asked.peers), "", *_TABLE, *lines, "", _cost(cpu, asked.runs, kept), ""]
    )
    print(text)
    write(text)


Case = tuple[str, str, str]
"""Metric, shift, contender."""


def _lines(
    label: str,
    seen: dict[str, dict[str, Any]],
    truth: dict[str, dict[str, float]],
    kept: dict[str, list[bool]],
) -> list[str]:
    cells: dict[Case, list[tuple[float, bool, float]]] = defaultdict(list)
    for contender, answers in seen.items():
        for one in answers["found"]:
            said = truth[one["file"]][one["metric"]]
            shift = one["file"].split("-")[1]
            held = one["low"] <= said <= one["high"]
            kept[contender].append(held)
            cells[one["metric"], shift, contender].append(
                (abs(one["value"] - said), held, one["high"] - one["low"])
            )
    lines = []
    for metric, shift in sorted({case[:2] for case in cells}):
        row = [label, metric, {"0": "none", "1": "moderate", "2": "strong"}[shift]]
        for contender in ("driftloop", "cbpe"):
            found = cells[metric, shift, contender]
            row.append(f"{statistics.mean(error for error, _, _ in found):.4f}")
            row.append(f"{statistics.mean(held for _, held, _ in found):.0%}")
            row.append(f"{statistics.mean(width for _, _, width in found):.3f}")
        lines.append(f"| {' | '.join(row)} |")
    return lines


_TABLE = (
    "| data | metric | shift of inputs | ours: error | covers | width | CBPE: error | covers | width |",
    "|---|---|---|---:|---:|---:|---:|---:|---:|",
)


def _head(runs: int, python: str) -> str:
    code = f"from importlib.metadata import version; print(', '.join(f'{{n}} {{version(n)}}' for n in {PACKAGES!r}))"
    theirs = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"## A metric before its labels\n\nMeasured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, numpy {version('numpy')}; the peer with {theirs}. {runs} runs a cell, half "
        "boosted trees, half logistic regressions; up to 2,000 labelled holdout rows and 1,000 served ones; only the "
        "inputs change. Error: mean distance from what the labels then say. Intervals of 90 %; of CBPE its sampling "
        f"error, taken as normal. `python -m benchmarks.estimate --runs {runs} --peers PYTHON`"
    )


def _cost(cpu: dict[str, float], runs: int, kept: dict[str, list[bool]]) -> str:
    cases = runs * 3 * len(SETS)
    each = {name: seconds / cases for name, seconds in cpu.items()}
    ours, theirs = each["driftloop"], each["cbpe"]
    covers = {name: statistics.mean(held) for name, held in kept.items()}
    return (
        f"CPU a case, both metrics: {ours:.2f} s ours, {theirs:.2f} s CBPE (whose import is in it). Over all cells "
        f"{covers['driftloop']:.0%} of our intervals cover, and {covers['cbpe']:.0%} of CBPE's.\n\n"
        "How to read it. CBPE calibrates the score; how its error depends on anything else, a shift of inputs brings "
        "to light. Its interval has the noise of the labels alone. Ours has that of the weighed holdout as well, so it "
        "is wider the stronger the shift. Where the score's calibration holds under the shift all the same, our "
        "correction by few weighed rows only adds noise, and the error is a little larger. A cell has few runs: one "
        f"of {runs} is {1 / runs:.0%}."
    )


if __name__ == "__main__":
    main()

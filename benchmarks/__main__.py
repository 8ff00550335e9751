"""`make bench`: benchmarks in turn; each writes its own section of docs/benchmarks.md, `drift` and `contracts`
only beside their peers (`--peers`). `alone`, `delta`, `estimate` and `streams` are left out: they need packages of
their own. So is `small_drop`, which prints alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = (
    "backtest",
    "canary",
    "canary.horizon",
    "contracts",
    "drift",
    "drift.clusters",
    "drift.power",
    "large_drop",
    "package",
    "parts",
    "tower",
)


def main() -> int:
    failed = []
    for name in (f"benchmarks.{module}" for module in MODULES):
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", name], cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all benchmarks ran; see docs/benchmarks.md")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

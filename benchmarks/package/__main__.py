"""How large the deployed package is, and what a cold start pays before the first event.

    python -m benchmarks.package      prints the tables and writes "Package and cold start" of docs/benchmarks.md

Each time is the median over fresh interpreters, one after the other; what they import is in the file cache.
"""

from __future__ import annotations

import io
import os
import platform
import statistics
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.document import write
from tests.infra.package import ROOT, deployed

TIMES = 9
STARTS = {
    "an empty interpreter": "pass",
    "importing function_app": "import function_app",
    "importing and indexing it": "import function_app; function_app.app.get_functions()",
    "its ports over Azure, nothing asked yet": "import function_app, functions.app; functions.app.ports()",
    "importing azure.ai.ml": "import azure.ai.ml",
    "importing pandas": "import pandas",
    "importing scipy.stats": "import scipy.stats",
    "importing pyarrow": "import pyarrow",
}
MEASURED = """
import resource, sys, time
began = time.perf_counter()
{code}
took_ms = (time.perf_counter() - began) * 1000
print(took_ms, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(sys.modules))
"""
SETTINGS = {
    name: f"https://account.{service}.core.windows.net"
    for name, service in (
        ("DRIFTLOOP_STORAGE__blobServiceUri", "blob"),
        ("DRIFTLOOP_STORAGE__queueServiceUri", "queue"),
        ("DRIFTLOOP_STORAGE__tableServiceUri", "table"),
        ("DRIFTLOOP_TOPIC_ENDPOINT", "events"),
    )
} | dict.fromkeys(
    (
        "DRIFTLOOP_SUBSCRIPTION_ID",
        "DRIFTLOOP_RESOURCE_GROUP",
        "DRIFTLOOP_WORKSPACE",
        "DRIFTLOOP_LOGS_WORKSPACE_ID",
    ),
    "measured",
)


def start(code: str) -> tuple[float, float, float]:
    """Milliseconds, MB of memory, modules: medians."""
    command = [sys.executable, "-W", "ignore", "-c", MEASURED.format(code=code)]
    seen = []
    for _ in range(TIMES):
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | SETTINGS, capture_output=True, text=True, check=True
        )
        seen.append([float(number) for number in done.stdout.split()])
    ms, mb, modules = (statistics.median(column) for column in zip(*seen, strict=True))
    return ms, mb, modules


def packed() -> tuple[int, int, int]:
    """Files, bytes, bytes as a zip."""
    buffer, files = io.BytesIO(), deployed()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(ROOT / file, file)
    return len(files), sum((ROOT / file).stat().st_size for file in files), len(buffer.getvalue())


def dependencies() -> list[tuple[float, str]]:
    """(MB, name) of what requirements.txt installs here, greatest first."""
    found = []
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if not line or line[0] in "# ":
            continue
        pin = Requirement(line.removesuffix("\\").strip())
        if pin.marker is None or pin.marker.evaluate():
            found.append((_size_mb(pin.name), pin.name))
    return sorted(found, reverse=True)


def _size_mb(name: str) -> float:
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return 0.0
    paths = [Path(str(file.locate())) for file in files if not str(file).endswith(".pyc")]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def section() -> str:
    files, size, zipped = packed()
    installed = dependencies()
    starts = {name: start(code) for name, code in STARTS.items()}
    app, ml = starts["importing function_app"][0], starts["importing azure.ai.ml"][0]
    table = "\n".join(
        f"| {name} | {ms:,.0f} ms | {mb:,.0f} MB | {modules:,.0f} |"
        for name, (ms, mb, modules) in starts.items()
    )
    largest = ", ".join(f"{name} {mb:.0f} MB" for mb, name in installed[:6])
    return f"""## Package and cold start

`python -m benchmarks.package`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},
{os.cpu_count()} cores shared with other work; medians of {TIMES} fresh interpreters.

The deployed package, which .funcignore leaves: {files} files, {size / 1e3:,.0f} kB, {zipped / 1e3:,.0f} kB as a zip.
What it installs: {len(installed)} packages, {sum(mb for mb, _ in installed):,.0f} MB without byte code;
the largest are {largest}.

| a fresh interpreter, and | takes | memory | modules |
| --- | ---: | ---: | ---: |
{table}

Importing the app takes {app / ml:.0%} of what importing azure.ai.ml takes: an index, or a timer that finds
nothing due, never pays for it. Azure ML's client, pandas and Arrow are imported by the first call that needs them,
once a process. What the platform adds before the interpreter starts was not measured: that needs an account
(docs/assumptions.md).

"""


if __name__ == "__main__":
    report = section()
    print(report)
    write(report)

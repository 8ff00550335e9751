"""Drift detection alone beside Evidently: what `pip install` brings, and how long an import takes.

    python -m benchmarks.alone FOLDER     prints the table and writes "Drift alone" of docs/benchmarks.md

Each is installed into an environment of its own in FOLDER, with nothing else in it, from the package index. Then both
run beside a project that has a `shared/` and a `drift.py`.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.document import write

ROOT = Path(__file__).parents[2]
TIMES = 7
EVIDENTLY = "0.7.23"
QUIET = {"DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore", "OPENBLAS_NUM_THREADS": "1"}
MEASURED = """
import resource, sys, time
began = time.process_time()
{code}
took_ms = (time.process_time() - began) * 1000
print(took_ms, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(sys.modules))
"""
ROWS = """
import pyarrow, random
random.seed(1)
first, second = (
    {"x": [random.gauss(mean, 1) for _ in range(1000)], "word": random.choices("abc", k=1000)} for mean in (0, 1)
)
"""
BESIDE = "import shared, drift; assert (shared.OWNER, drift.OWNER) == ('the project', 'the project')\n"


@dataclass(frozen=True)
class Contender:
    name: str
    asked: str
    """What pip is asked for."""
    imports: str
    report: str
    """A report on `first` and `second`, whose last line says whether it found the drift."""
    besides: tuple[str, ...] = ()
    """What it needs and does not ask for."""


OURS = "driftloop-drift"
CONTENDERS = (
    Contender(
        OURS,
        "",
        "from driftloop import drift as alone",
        "assert alone.compare(pyarrow.table(first), pyarrow.table(second)).material",
    ),
    Contender(
        "Evidently",
        f"evidently=={EVIDENTLY}",
        "from evidently import Report\nfrom evidently.presets import DataDriftPreset",
        "import pandas\nfound = Report([DataDriftPreset()]).run(pandas.DataFrame(second), pandas.DataFrame(first))\n"
        "assert 'x' in str(found.dict())",
        ("pandas<3",),
    ),
)


@dataclass(frozen=True)
class Seen:
    version: str
    wheel_kb: float
    packages: int
    installed_mb: float
    import_ms: float
    report_ms: float
    memory_mb: float
    modules: float


def measure(one: Contender, folder: Path) -> Seen:
    home = folder / one.name
    wheel = fetch(one, folder / "wheels" / one.name)
    if not home.exists():
        _uv("venv", "--quiet", "--no-project", "--python", sys.executable, str(home))
        _uv("pip", "install", "--quiet", "--python", str(home / "bin/python"), str(wheel), *one.besides)
    project = folder / "project"
    (project / "shared").mkdir(parents=True, exist_ok=True)
    (project / "shared" / "__init__.py").write_text("OWNER = 'the project'\n")
    (project / "drift.py").write_text("OWNER = 'the project'\n")
    imported = [_start(home, project, one.imports) for _ in range(TIMES)]
    reported = [_start(home, project, BESIDE + ROWS + one.imports + "\n" + one.report) for _ in range(TIMES)]
    ms, mb, modules = (statistics.median(column) for column in zip(*imported, strict=True))
    packages = sorted(home.glob("lib/*/site-packages/*.dist-info"))
    files = [file for file in home.glob("lib/**/*") if file.is_file() and file.suffix != ".pyc"]
    return Seen(
        wheel.name.split("-")[1],
        wheel.stat().st_size / 1e3,
        len(packages),
        sum(file.stat().st_size for file in files) / 1e6,
        ms,
        statistics.median(took for took, _, _ in reported),
        mb,
        modules,
    )


def fetch(one: Contender, place: Path) -> Path:
    """Its own wheel, without those that it needs."""
    if not list(place.glob("*.whl")):
        source = folder_of_ours(place) if one.name == OURS else one.asked
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place)]
        subprocess.run([*command, str(source)], check=True)
    (wheel,) = place.glob("*.whl")
    return wheel


def folder_of_ours(place: Path) -> Path:
    """A copy: a build leaves files beside its sources."""
    copy = place / "drift"
    shutil.copytree(ROOT / "drift", copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return copy


def _uv(*arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name("uv")), *arguments], check=True)


def _start(home: Path, project: Path, code: str) -> tuple[float, float, float]:
    """Milliseconds, MB of memory, modules, in a fresh interpreter that stands in the project."""
    done = subprocess.run(
        [str(home / "bin/python"), "-c", MEASURED.format(code=code)],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    ms, mb, modules = map(float, done.stdout.split())
    return ms, mb, modules


def section(folder: Path) -> str:
    seen = {one.name: measure(one, folder) for one in CONTENDERS}
    ours, theirs = seen.values()
    lines = (
        ("its own wheel, kB", "wheel_kb"),
        ("packages installed with it", "packages"),
        ("installed, MB without byte code", "installed_mb"),
        ("modules that an import loads", "modules"),
        ("import, ms of CPU", "import_ms"),
        ("memory after the import, MB", "memory_mb"),
        ("import and a first report on 1,000 rows of two columns, ms of CPU", "report_ms"),
    )
    table = "\n".join(
        f"| {words} | {getattr(ours, field):,.0f} | {getattr(theirs, field):,.0f} |" for words, field in lines
    )
    return f"""## Drift alone

`python -m benchmarks.alone FOLDER`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}.
Each is installed by itself into an empty environment, from its wheel and the package index. Times are CPU time, because
the machine is shared, and medians of {TIMES} fresh interpreters. They stand in a project with a `shared/` and a
`drift.py` of its own, which it still imports beside both.

| | {OURS} {ours.version} | Evidently {theirs.version} |
| --- | ---: | ---: |
{table}

Ours loads NumPy, Arrow and SciPy with the first call, so the last row is the one to compare; most of its megabytes are
theirs. Evidently's import fails beside pandas 3, which its wheel allows; it was given the newest before. What both do
with larger data: *Drift: cost*.
"""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    made = section(Path(sys.argv[1]).resolve())
    print(made)
    write(made)

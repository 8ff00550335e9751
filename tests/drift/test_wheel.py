"""Drift detection alone: a small wheel of one namespace, which hides nobody's `shared` or `drift`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = 400_000
"""Bytes. Evidently's wheel has ten times as many."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content; built from a copy, because a build leaves files beside its sources."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "drift", place / "drift", ignore=shutil.ignore_patterns("__pycache__"))
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
    subprocess.run([sys.executable, "-m", "pip", *build, str(place / "drift")], check=True)
    (wheel,) = place.glob("*.whl")
    assert wheel.stat().st_size < SMALL
    with zipfile.ZipFile(wheel) as packed:
        tops = {name.split("/")[0] for name in packed.namelist()}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"driftloop"}
        packed.extractall(place / "installed")
    return place / "installed"


def _run(project: Path, program: str, installed: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project,
        env={"PYTHONPATH": str(installed), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_project_keeps_its_own_shared_and_drift(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").write_text("OWNER = 'the project'\n")
    (tmp_path / "drift.py").write_text("OWNER = 'the project'\n")
    program = (
        "import shared, drift as mine\n"
        "from driftloop import drift\n"
        "import sys, numpy, pyarrow\n"
        "rng = numpy.random.default_rng(7)\n"
        "here = pyarrow.table({'x': rng.normal(size=2000), 'key': range(2000)})\n"
        "there = pyarrow.table({'x': rng.normal(1, size=2000), 'key': range(2000)})\n"
        "report = drift.compare(here, there, ignore=['key'])\n"
        "ours = sorted(m for m in sys.modules if m.split('.')[0] in ('cli', 'functions', 'tower', 'azure'))\n"
        "print(shared.OWNER, mine.OWNER, report.material, [c.name for c in report.columns], ours, sep='; ')\n"
    )
    assert _run(tmp_path, program, installed) == "the project; the project; True; ['x']; []"


def test_every_public_name_is_there_under_the_wheels_name(installed: Path, tmp_path: Path) -> None:
    program = (
        "from driftloop import drift\n"
        "print({getattr(drift, name).__module__.split('.')[:2] == ['driftloop', 'drift'] for name in drift.__all__"
        " if hasattr(getattr(drift, name), '__module__') and name != 'Kind'})\n"
    )
    assert _run(tmp_path, program, installed) == "{True}"


def test_it_needs_what_it_says_and_no_more(installed: Path, tmp_path: Path) -> None:
    (metadata,) = installed.glob("*.dist-info/METADATA")
    required = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    needs = {line.split(":")[1].split(">")[0].strip() for line in required if ";" not in line}
    assert needs == {"numpy", "pyarrow", "scipy"}
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('pandas', 'polars', 'pydantic', 'yaml', 'requests'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import pyarrow\n"
        "from driftloop import drift\n"
        "table = pyarrow.table({'x': list(range(500)), 'word': ['a', 'b'] * 250})\n"
        "report = drift.compare(table, table)\n"
        "print(report.material, len(drift.report_html(report)) > 1000, bool(report.to_dict()))\n"
    )
    assert _run(tmp_path, program, installed) == "False True True"

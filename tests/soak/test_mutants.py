"""Small mutations of the guards that decide who is believed: nearly each must fail a test.

`mutmut` changes one thing at a time in a copy of the project and runs the tests that reach it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.soak import figures

ROOT = Path(__file__).parents[2]
MUTMUT = "mutmut==3.8.1"
MUTATED = [
    "functions/identity.py",
    "functions/answers.py",
    "functions/visits.py",
    "tower/csrf.py",
    "shared/port_rules.py",
]
TESTS = ["tests/functions_app", "tests/tower/test_acting.py", "tests/core/test_port_rules.py"]
LEAST = 0.95
"""Of those that a test reaches. The others were read: a default that is never seen, an upper-case HTTP word."""

CONFIG = f"""
[tool.mutmut]
source_paths = ["functions", "shared", "tower", "cli", "drift"]
only_mutate = {MUTATED}
also_copy = ["function_app.py", "host.json", "local", "loops", "demo", "infra", "docs", "benchmarks", "README.md"]
pytest_add_cli_args = ["-m", "not soak"]
pytest_add_cli_args_test_selection = {TESTS}
do_not_mutate_patterns = ['raise (Forged|InvariantBroken|Denied|InputRejected)\\(', '^\\s+f?"[^"]*"$']
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's files as git has them, with the tool's settings."""
    to = tmp_path / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  # whichever git there is
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    with (to / "pyproject.toml").open("a") as settings:
        settings.write(CONFIG)
    return to


@pytest.fixture
def mutmut(tmp_path: Path) -> Path:
    """The tool in an environment of its own, which sees our packages: the project does not depend on it."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    done = subprocess.run([venv / "bin/pip", "install", "-q", MUTMUT], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{MUTMUT} cannot be installed; it comes from the package index: {done.stderr[-300:]}")
    theirs = Path(subprocess.check_output([venv / "bin/python", "-c", "import mutmut; print(mutmut.__file__)"],
                                          cwd=tmp_path, text=True).strip()).parents[1]  # fmt: skip
    (theirs / "project.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin/mutmut"


@pytest.mark.soak
def test_nearly_every_mutant_dies(copy: Path, mutmut: Path) -> None:
    run = subprocess.run([mutmut, "run", "--max-children", "2"], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    told = subprocess.check_output([mutmut, "results", "--all", "true"], cwd=copy, text=True)
    found = re.findall(r"^\s*(\S+): (\w[\w ]*)$", told, re.MULTILINE)
    killed = [name for name, state in found if state == "killed"]
    lived = [name for name, state in found if state == "survived"]
    unreached = [name for name, state in found if state == "no tests"]
    assert len(killed) > 200, told[-3000:]
    figures.keep(
        "Mutants",
        f"{len(found)} small mutations of {', '.join(MUTATED)}: {len(killed)} killed, {len(lived)} alive "
        f"({', '.join(name.rpartition('.')[2] for name in lived)}), {len(unreached)} that no test reaches",
    )
    assert len(killed) >= LEAST * (len(killed) + len(lived)), lived

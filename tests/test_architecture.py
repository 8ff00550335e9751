"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    "azure.ai.ml",
    "pandas",
    "scipy",
    "pyarrow",
    "numpy",
    "pydantic",
    "azure.identity",
    "azure.storage",
    "jinja2",
)
PURE = (
    "shared/domain",
    "shared/stats",
    "shared/errors.py",
    "shared/state/hash_chain.py",
    "shared/retraining/policy.py",
    "shared/verdict/metric.py",
    "shared/release/machine.py",
    "shared/release/observations.py",
    "shared/release/document.py",
    "shared/release/gate/gate_judge.py",
    "shared/release/gate/holdout.py",
    "shared/release/gate/smoke.py",
    "shared/release/canary/canary_judge.py",
    "shared/release/canary/bake_judge.py",
    "shared/release/canary/arms.py",
    "shared/release/canary/harm.py",
    "shared/release/canary/tolerance.py",
    "shared/release/canary/timeline.py",
)
IMPURE_MODULES = {
    "os",
    "time",
    "random",
    "socket",
    "subprocess",
    "requests",
    "httpx",
    "tempfile",
    "threading",
}
IMPURE_CALLS = {"now", "utcnow", "today", "time", "monotonic", "open", "print", "input", "uuid4", "getenv"}


def test_importing_the_app_imports_nothing_heavy() -> None:
    code = "import sys, function_app; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "azure.functions" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def pure_files() -> list[Path]:
    found = [file for place in PURE for file in sorted((ROOT / place).rglob("*.py"))]
    return found + [ROOT / place for place in PURE if place.endswith(".py")]


@pytest.mark.parametrize("file", pure_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_pure_core_reads_no_clock_no_environment_and_no_chance(file: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in IMPURE_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found += [f"{name}() in line {node.lineno}"] if name in IMPURE_CALLS else []
    assert found == []


def test_nothing_of_ours_unpickles_or_loads_yaml_unsafely() -> None:
    """S10: untrusted bytes are never given to a loader that can run code."""
    banned = {
        ("pickle", "loads"),
        ("pickle", "load"),
        ("yaml", "load"),
        ("joblib", "load"),
        ("marshal", "loads"),
    }
    found = []
    for place in ("functions", "cli", "tower", "shared", "drift"):
        for file in sorted((ROOT / place).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                owner = getattr(node, "value", None)
                if isinstance(node, ast.Attribute) and (getattr(owner, "id", ""), node.attr) in banned:
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_make_has_ten_targets_or_fewer_and_tells_what_each_does() -> None:
    make = shutil.which("make")
    assert make is not None, "make runs these tests"
    run = subprocess.run([make, "-C", str(ROOT), "help"], capture_output=True, text=True, check=True)
    told = [line.split()[1] for line in run.stdout.splitlines() if line.strip().startswith("make ")]
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert set(told) == set(phony.removeprefix(".PHONY:").split())
    assert len(told) <= 10

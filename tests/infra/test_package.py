"""Azure gets the app, all of it and nothing else; what it installs is pinned by hash."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.infra.package import ROOT, deployed, pack

FOLDERS = {"functions", "tower", "shared", "drift"}
FILES = {"function_app.py", "host.json", "requirements.txt"}
LOCK = ROOT / "requirements.lock"


def test_only_the_app_is_deployed() -> None:
    places = {path.parts[0] for path in deployed()}

    assert places == FOLDERS | FILES


def test_all_of_the_app_is_deployed() -> None:
    sources = {p.relative_to(ROOT) for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.is_file()}
    wanted = {path for path in sources if "__pycache__" not in path.parts}

    assert wanted <= set(deployed())


def test_a_folder_that_nobody_ignores_would_be_seen(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".funcignore", tmp_path)
    for name in ("function_app.py", "notes/secret.txt", "local/azure.py", "tests/x.py", "demo/x.py", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert [path.as_posix() for path in deployed(tmp_path)] == ["function_app.py", "notes/secret.txt"]


def test_the_package_is_small() -> None:
    size = sum((ROOT / path).stat().st_size for path in deployed())

    assert size < 2_000_000, f"{size:,} bytes: what is in there?"


def test_the_package_is_whole_by_itself(tmp_path: Path) -> None:
    """Every module of the app is imported where nothing else of the checkout is."""
    code = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import function_app, functions, shared, drift
for package in (functions, shared, drift):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
missing = [name for name in ("local", "tests", "demo", "benchmarks") if importlib.util.find_spec(name)]
print(missing, function_app.__file__)
"""
    app = pack(tmp_path / "app")
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, app], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    missing, file = done.stdout.strip().split(" ", 1)
    assert Path(file) == app / "function_app.py"
    # An editable install of the checkout puts `local` on the path of this interpreter; the app never asks for it.
    assert "local" not in {line.split()[0] for line in _loaded(app)}, missing


def _loaded(app: Path) -> list[str]:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import function_app; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, app], capture_output=True, text=True, check=True, cwd=app
    )
    return done.stdout.split()


def _locked() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in LOCK.read_text().splitlines():
        if line and line[0] not in "# ":
            pin = Requirement(line.removesuffix("\\").strip())
            found.setdefault(pin.name.lower(), []).append(pin)
    return found


def test_every_file_is_pinned_by_its_hash() -> None:
    text = LOCK.read_text()
    pins = re.findall(r"^([^\s#].*?)\s*\\$", text, re.MULTILINE)
    parts = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]

    assert len(pins) == len(parts) > 50
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", part) for part in parts)
    assert "http" not in re.sub(r"opentelemetry\S*|\bhttp\w+==", "", text), "no address of a registry"


def test_the_pins_are_those_of_the_requirements() -> None:
    locked = _locked()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            specifiers = {str(pin.specifier) for pin in locked[wanted.name.lower()]}
            assert str(wanted.specifier) in specifiers, f"make {LOCK.name} again (its second line says how)"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_pins_are_unambiguous(python: str) -> None:
    environment = {"python_full_version": f"{python}.0", "python_version": python, "sys_platform": "linux"}
    for name, pins in _locked().items():
        active = [pin for pin in pins if pin.marker is None or Marker(str(pin.marker)).evaluate(environment)]
        assert len(active) <= 1, f"{name} has {len(active)} pins on {python}"


def test_the_tests_run_with_the_versions_that_are_deployed() -> None:
    """Of what we require ourselves; what these bring along follows the lock in Azure, and the newest fit here."""
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    wanted = [Requirement(line) for line in lines]
    active = [one for one in wanted if one.marker is None or one.marker.evaluate()]
    installed = {one.name: version(one.name) for one in active}
    assert [one for one in active if not one.specifier.contains(installed[one.name])] == [], installed

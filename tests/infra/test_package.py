"""Azure gets the app, all of it and nothing else; what it installs is pinned by hash."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.infra.package import ROOT, deployed, pack

FOLDERS = {"functions", "tower", "shared", "drift"}
FILES = {"function_app.py", "host.json", "requirements.txt", "docs/operations.md"}
LOCK = ROOT / "requirements.txt"
LOCKS = ("requirements.txt", "requirements-dev.txt")
PYTHONS = ("3.11", "3.12", "3.13")
ONLY_ELSEWHERE = {"3.13": {"werkzeug"}}
"""By Python: what only a version needs that is not installed here: azure-functions 2 is for Python 3.13."""


def test_only_the_app_is_deployed() -> None:
    found = {path.as_posix() for path in deployed()}
    places = {path.split("/")[0] for path in found - FILES}

    assert found >= FILES
    assert places == FOLDERS


def test_all_of_the_app_is_deployed() -> None:
    sources = {p.relative_to(ROOT) for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.is_file()}
    wanted = {path for path in sources if "__pycache__" not in path.parts}

    assert wanted <= set(deployed())


def test_a_folder_that_nobody_ignores_would_be_seen(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".funcignore", tmp_path)
    for name in (
        "function_app.py",
        "notes/secret.txt",
        "local/azure.py",
        "tests/x.py",
        "demo/x.py",
        "docs/x.md",
        ".env",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert [path.as_posix() for path in deployed(tmp_path)] == ["function_app.py", "notes/secret.txt"]


def test_the_package_is_small() -> None:
    size = sum((ROOT / path).stat().st_size for path in deployed())

    assert size < 3_000_000, f"{size:,} bytes: what is in there?"


def test_the_package_is_whole_by_itself(tmp_path: Path) -> None:
    """Every module of the app is imported where nothing else of the checkout is."""
    code = """
import importlib, pkgutil, sys
app, checkout = sys.argv[1:]
sys.path = [app, *(path for path in sys.path if path != checkout)]
import function_app, functions, shared, drift
for package in (functions, shared, drift):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
found = [name for name in ("local", "tests", "demo", "benchmarks") if importlib.util.find_spec(name)]
assert not found, f"{found} can be imported: the rest of the checkout is still there"
from shared import guide
assert guide.find("cooldown"), "the help is not in the package"
print(function_app.__file__)
"""
    app = pack(tmp_path / "app")
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, app, ROOT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert Path(done.stdout.strip()) == app / "function_app.py"


def _pins(file: Path) -> dict[str, list[Requirement]]:
    """By name: each version that a file pins, with its marker."""
    found: dict[str, list[Requirement]] = {}
    for line in file.read_text().splitlines():
        if line and line[0] not in "# -":
            pin = Requirement(line.partition("#")[0].removesuffix("\\").strip())
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def _active(pins: list[Requirement], python: str) -> list[Requirement]:
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate(_environment(python))]


def _environment(python: str, extra: str = "") -> dict[str, str]:
    """Azure's: Linux on x86-64."""
    return {
        "python_full_version": f"{python}.9",
        "python_version": python,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "extra": extra,
    }


@pytest.mark.parametrize("file", LOCKS)
def test_every_file_is_pinned_by_its_hash(file: str) -> None:
    text = (ROOT / file).read_text()
    pins = re.findall(r"^([^\s#].*?)\s*\\$", text, re.MULTILINE)
    parts = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]

    assert len(pins) == len(parts) > 50
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", part) for part in parts)
    assert "http" not in re.sub(r"opentelemetry\S*|\bhttp\w+==", "", text), "no address of a registry"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("short", ["requirements.in", "requirements-dev.in"])
def test_the_short_list_is_in_its_lock(short: str, python: str) -> None:
    locked = _pins(ROOT / short.replace(".in", ".txt"))
    for name, wanted in _pins(ROOT / short).items():
        for one in _active(wanted, python):
            (pin,) = _active(locked[name], python)
            assert pin.specifier == one.specifier, "run: make lock"


@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_deployed_is_what_is_tested(python: str) -> None:
    deployed_pins, tested = _pins(LOCK), _pins(ROOT / "requirements-dev.txt")
    for name, pins in deployed_pins.items():
        assert [pin.specifier for pin in _active(pins, python)] == [
            pin.specifier for pin in _active(tested[name], python)
        ], name


@pytest.mark.parametrize("python", PYTHONS)
def test_every_transitive_package_is_pinned_and_no_other(python: str) -> None:
    """What each installed package says that it needs, on each Python; nothing floats when Azure installs."""
    locked, reached = _pins(LOCK), set()
    waiting = [one for wanted in _pins(ROOT / "requirements.in").values() for one in _active(wanted, python)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        (pin,) = _active(locked.get(name, []), python) or [None]
        assert pin is not None, f"{name} is not pinned on Python {python}; run: make lock"
        (exact,) = (one.version for one in pin.specifier)
        assert wanted.specifier.contains(exact, prereleases=True), f"{wanted} and {pin}"
        for extra in ("", *wanted.extras):
            if (name, extra) not in reached:
                reached.add((name, extra))
                waiting += _needs(name, exact, python, extra)
    unreached = {name for name, pins in locked.items() if _active(pins, python)} - {
        name for name, _ in reached
    }
    assert unreached <= ONLY_ELSEWHERE.get(python, set())


def _needs(name: str, pinned: str, python: str, extra: str) -> list[Requirement]:
    """Of a package that is installed here as it is pinned; another version of it says nothing of this one."""
    found = distribution(name)
    if found.version != pinned:
        assert python not in platform.python_version(), (
            f"{name} {found.version} is installed, {pinned} pinned: make setup"
        )
        return []
    needs = [Requirement(line) for line in found.requires or []]
    return [one for one in needs if one.marker is None or one.marker.evaluate(_environment(python, extra))]


def test_what_the_tests_run_with_is_what_is_pinned() -> None:
    differing = []
    for file in LOCKS:
        for name, pins in _pins(ROOT / file).items():
            for pin in (one for one in pins if one.marker is None or one.marker.evaluate()):
                if not pin.specifier.contains(version(name), prereleases=True):
                    differing.append(f"{name} {version(name)}, pinned {pin.specifier}")
    assert differing == [], "run: make setup"

"""A step runs only where its environment's packages are installed; otherwise it fails and names them.

What the environment does not bring is hidden from a scoring process, although this machine has it: `absent` names it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from local.jobs.exceptions import StepFailed
from local.state import Document

LOCATION_VARIABLE = "DRIFTLOOP_LOCAL_ML_PYTHON"
_CHECKOUT = Path(__file__).parents[2]
_NOT_PACKAGES = {"python", "pip", "setuptools", "wheel"}
_ONLY_FOR_AZURE = {"azureml-mlflow"}
"""Connects MLflow with Azure's tracking server; the local tracking store needs no plugin."""
_LIST_PACKAGES = """
import importlib.metadata as m, json
def modules(d):
    found = set()
    for file in d.files or []:
        parts = [*file.parts[:-1], file.name.split(".")[0]] if file.suffix in (".py", ".so") else []
        parts = parts[:-1] if parts[-1:] == ["__init__"] else parts
        if parts and all(part.isidentifier() for part in parts):
            found.update(".".join(parts[:n]) for n in range(1, min(len(parts), 3) + 1))
    return sorted(found)
print(json.dumps([
    [d.metadata["Name"], d.version, d.requires or [], modules(d)] for d in m.distributions() if d.metadata["Name"]
]))
"""
_BROUGHT_ALONG = ("pip", "setuptools", "wheel", "azureml-inference-server-http")
"""What an image has that serves: Python's own tools, and the server itself."""

FULL_MLFLOW = (
    "flask",
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "sqlalchemy",
)
"""What MLflow requires and the skinny one, which stands for it here, does not."""


class Package(NamedTuple):
    """A distribution of the local job environment."""

    version: str
    requires: list[str]
    modules: list[str]
    """Dotted names of what it brings, three levels deep."""


def job_python() -> Path:
    """The interpreter that steps run with: the variable's, else the checkout's `.venv-ml`, else our own."""
    chosen = os.environ.get(LOCATION_VARIABLE)
    if chosen:
        return Path(chosen)
    usual = _CHECKOUT / ".venv-ml" / "bin" / "python"
    return usual if usual.exists() else Path(sys.executable)


def check(name: str, environment: Document) -> None:
    """StepFailed when the environment asks for what the local job environment does not have."""
    python = job_python()
    installed = _installed(python, _stamp(python))
    problems = [text for line in requirements(environment) if (text := _problem(line, installed))]
    if problems:
        raise StepFailed(
            f"environment {name} asks for {'; '.join(problems)}."
            " Add what is missing to requirements-ml.txt, and run make setup."
        )


def requirements(environment: Document) -> list[str]:
    """The packages that an environment asks for, as pip requirements, from its conda file."""
    text = environment.get("condaFile") or ""
    found = (yaml.safe_load(text) if text else None) or {}
    lines: list[str] = []
    for entry in found.get("dependencies") or []:
        if isinstance(entry, dict):
            lines += [str(line) for line in entry.get("pip") or []]
        else:
            lines.append(_from_conda(str(entry)))
    return lines


def _from_conda(entry: str) -> str:
    """`numpy=1.26` of conda means `numpy==1.26.*` of pip; a channel and a build are left out."""
    entry = entry.split("::")[-1].strip()
    if any(sign in entry for sign in ("==", ">", "<", "!", "~")):
        return entry
    name, _, version = entry.partition("=")
    number = version.split("=")[0]
    return f"{name}=={number}.*" if number and not number.endswith("*") else name


def _problem(line: str, installed: dict[str, Package]) -> str | None:
    wanted = _requirement(line)
    if wanted is None:
        return None  # nothing that can be compared
    name = canonicalize_name(wanted.name)
    if name in _NOT_PACKAGES | _ONLY_FOR_AZURE or (wanted.marker and not wanted.marker.evaluate()):
        return None
    found = installed.get(name)
    if found is None:
        return f"{wanted}, which is not installed in the local job environment"
    if not wanted.specifier.contains(found.version, prereleases=True):
        return f"{wanted}, but the local job environment has {wanted.name} {found.version}"
    return None


def absent(asked: Iterable[str]) -> list[str]:
    """Modules that the local job environment has, and one made of these requirements alone would not."""
    installed = _installed(job_python(), _stamp(job_python()))
    there: set[str] = set()
    waiting = [*_BROUGHT_ALONG, *asked]
    while waiting:
        wanted = _requirement(waiting.pop())
        name = canonicalize_name(wanted.name) if wanted else ""
        if wanted is None or name not in installed or f"{name}{sorted(wanted.extras)}" in there:
            continue
        there |= {name, f"{name}{sorted(wanted.extras)}"}
        waiting += [line for line in installed[name].requires if _applies(line, wanted.extras)]
    kept = {module for name in there & installed.keys() for module in installed[name].modules}
    others = {module for name in installed.keys() - there for module in installed[name].modules} - kept
    return sorted(module for module in others if module.rpartition(".")[0] not in others)


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(line.split("#")[0].strip())
    except InvalidRequirement:
        return None  # an option of pip, a path or an address


def _applies(line: str, extras: set[str]) -> bool:
    wanted = _requirement(line)
    if wanted is None or wanted.marker is None:
        return wanted is not None
    return any(wanted.marker.evaluate({"extra": extra}) for extra in extras or {""})


def _stamp(python: Path) -> tuple[int, ...]:
    """Changes when something is installed or removed, so that the list is read again."""
    folders = python.parent.parent.glob("lib/python*/site-packages")
    return tuple(folder.stat().st_mtime_ns for folder in folders)


@lru_cache(maxsize=8)
def _installed(python: Path, stamp: tuple[int, ...]) -> dict[str, Package]:
    listing = subprocess.run(
        [str(python), "-I", "-c", _LIST_PACKAGES], capture_output=True, text=True, check=True
    )
    return {canonicalize_name(name): Package(*rest) for name, *rest in json.loads(listing.stdout)}

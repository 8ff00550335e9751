"""A step runs only where its environment's packages are installed; otherwise it fails and names them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

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
_LIST_PACKAGES = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions() if d.metadata['Name']}))"
)


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


def _problem(line: str, installed: dict[str, str]) -> str | None:
    try:
        wanted = Requirement(line.split("#")[0].strip())
    except InvalidRequirement:
        return None  # an option of pip, a path or an address: nothing that can be compared
    name = canonicalize_name(wanted.name)
    if name in _NOT_PACKAGES | _ONLY_FOR_AZURE or (wanted.marker and not wanted.marker.evaluate()):
        return None
    found = installed.get(name)
    if found is None:
        return f"{wanted}, which is not installed in the local job environment"
    if not wanted.specifier.contains(found, prereleases=True):
        return f"{wanted}, but the local job environment has {wanted.name} {found}"
    return None


def _stamp(python: Path) -> tuple[int, ...]:
    """Changes when something is installed or removed, so that the list is read again."""
    folders = python.parent.parent.glob("lib/python*/site-packages")
    return tuple(folder.stat().st_mtime_ns for folder in folders)


@lru_cache(maxsize=8)
def _installed(python: Path, stamp: tuple[int, ...]) -> dict[str, str]:
    listing = subprocess.run(
        [str(python), "-I", "-c", _LIST_PACKAGES], capture_output=True, text=True, check=True
    )
    packages: dict[str, str] = json.loads(listing.stdout)
    return {canonicalize_name(name): version for name, version in packages.items()}

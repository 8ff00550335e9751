"""Tools that look at the project from an environment of their own: what is looked at must not be changed by them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def installed(package: str, folder: Path) -> Path:
    """The folder of commands of a new environment that has this package."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", package]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{package} could not be installed: {done.stderr.strip()[-200:]}")
    return folder / "bin"

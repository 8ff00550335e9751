"""No package that is pinned has a known weakness; asked of the database of pypi.org, so only in the long tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AUDIT = "pip-audit==2.10.1"
UNREACHABLE = ("ConnectionError", "ServiceError", "Max retries", "timed out", "could not be audited")


@pytest.mark.soak
def test_no_pinned_package_has_a_known_weakness(tmp_path: Path) -> None:
    """In an environment of its own: what looks for weaknesses must not change what is looked at."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [str(tmp_path / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", AUDIT]
    if subprocess.run(pip, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{AUDIT} could not be installed")
    command = [str(tmp_path / "venv" / "bin" / "pip-audit"), "--require-hashes", "--disable-pip", "--strict"]
    done = subprocess.run(
        [*command, "--requirement", str(ROOT / "requirements.lock")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("the database of weaknesses could not be reached")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]

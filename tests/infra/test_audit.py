"""No package that is pinned has a known weakness; asked of the database of pypi.org, so only in the long tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import requests

from tests.infra.tools import installed

ROOT = Path(__file__).parents[2]
AUDIT = "pip-audit==2.10.1"
WEAK = "https://pypi.org/pypi/jinja2/2.4.1/json"
"""A release whose weaknesses are known for long: who does not tell of them is not the database."""


@pytest.mark.soak
def test_no_pinned_package_has_a_known_weakness(tmp_path: Path) -> None:
    why_not = _database()
    if why_not:
        pytest.skip(f"nothing was audited: {why_not}")
    command = [str(installed(AUDIT, tmp_path / "venv") / "pip-audit"), "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [*command, "--strict", "--requirement", str(ROOT / "requirements.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def _database() -> str:
    """Why the database of weaknesses cannot be asked; empty when it can."""
    try:
        answer = requests.get(WEAK, timeout=30)
    except requests.RequestException as error:
        return f"pypi.org cannot be reached ({type(error).__name__})"
    if answer.status_code != 200:
        return f"the index answers {answer.status_code} where pypi.org tells of weaknesses; it is a mirror"
    return "" if answer.json().get("vulnerabilities") else "the index keeps no record of weaknesses"

"""checkov finds nothing in the templates that docs/threat-model.md does not answer; it is asked in the long tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.tools import installed

ROOT = Path(__file__).parents[2]
CHECKOV = "checkov==3.3.30"
ANSWERED = re.compile(r"^\| (CKV_AZURE_\d+(?:, CKV_AZURE_\d+)*) \|", re.MULTILINE)


@pytest.mark.soak
def test_what_checkov_finds_is_mended_or_answered(tmp_path: Path) -> None:
    """A resource under a condition is scanned as if the condition held: checkov cannot read it otherwise."""
    command = installed(CHECKOV, tmp_path / "venv") / "checkov"
    infra = Path(shutil.copytree(ROOT / "infra", tmp_path / "infra"))
    for file in infra.rglob("*.bicep"):
        file.write_text(re.sub(r" = if \([^{]*\) \{\n", " = {\n", file.read_text()))
    rows = ANSWERED.findall((ROOT / "docs" / "threat-model.md").read_text())
    answered = {check for row in rows for check in row.split(", ")}

    assert _failed(command, infra) == answered

    storage = infra / "modules" / "storage.bicep"
    storage.write_text(storage.read_text().replace("'TLS1_2'", "'TLS1_0'"))
    assert _failed(command, infra) - answered == {"CKV_AZURE_44"}, "a mistake was planted"


def _failed(command: Path, infra: Path) -> set[str]:
    flags = ["--framework", "bicep", "--compact", "--quiet", "--skip-download", "--output", "json"]
    done = subprocess.run(
        [command, "--directory", infra, *flags], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    assert found["summary"]["resource_count"] > 30, "the templates were not read"
    return {one["check_id"] for one in found["results"]["failed_checks"]}

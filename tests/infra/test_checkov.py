"""checkov finds nothing in what the templates make that docs/threat-model.md leaves unanswered; a long test."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.infra.compiler import ROOT, Snapshots
from tests.infra.test_snapshots import ASKED, CASES
from tests.infra.tools import installed

CHECKOV = "checkov==3.3.30"
ANSWERED = re.compile(r"^\| (CKV2?_AZURE_\d+(?:, CKV2?_AZURE_\d+)*) \|", re.MULTILINE)
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


@pytest.mark.soak
def test_what_checkov_finds_is_mended_or_answered(tmp_path: Path, snapshots: Snapshots) -> None:
    """It is given the compiler's snapshot of a new workspace, as its own reader of Bicep knows too little of it."""
    command = installed(CHECKOV, tmp_path / "venv") / "checkov"
    made = snapshots.of(ASKED | CASES["a new workspace"], tmp_path)
    rows = ANSWERED.findall((ROOT / "docs" / "threat-model.md").read_text())
    answered = {check for row in rows for check in row.split(", ")}

    assert _failed(command, made, tmp_path) == answered

    planted = made.replace('"TLS1_2"', '"TLS1_0"')
    assert _failed(command, planted, tmp_path) - answered == {"CKV_AZURE_44"}, "a mistake was planted"


def _failed(command: Path, made: str, folder: Path) -> set[str]:
    resources = json.loads(made)["predictedResources"]
    template = folder / "template" / "all.json"
    template.parent.mkdir(exist_ok=True)
    template.write_text(
        json.dumps({"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": resources}, indent=1)
    )
    flags = ["--framework", "arm", "--compact", "--quiet", "--skip-download", "--output", "json"]
    done = subprocess.run(
        [command, "--directory", template.parent, *flags], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    read = found["summary"]
    assert (read["resource_count"], read["parsing_errors"]) == (len(resources), 0), "not all was read"
    return {one["check_id"] for one in found["results"]["failed_checks"]}

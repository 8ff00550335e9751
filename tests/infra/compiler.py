"""Microsoft's Bicep compiler: what it says of the templates, and what a deployment would make.

Without one the tests that ask it skip, and say what is missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
_BESIDE = ROOT.parent / "shared" / "tools" / "bicep" / "bicep"


def bicep() -> str:
    """The compiler: beside the checkout, then on the PATH."""
    found = str(_BESIDE) if _BESIDE.is_file() else shutil.which("bicep")
    if found is None:
        pytest.skip("no Bicep compiler: neither ../shared/tools/bicep/bicep nor `bicep` on the PATH")
    return found


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [bicep(), *map(str, arguments)]
    # Without ICU the compiler does not start otherwise.
    environment = os.environ | {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def diagnostics(infra: Path, folder: Path) -> list[str]:
    """Every line that `build` and `lint` print."""
    done = [
        _run("build", infra / "main.bicep", "--outfile", folder / "main.json"),
        _run("lint", infra / "main.bicep"),
    ]
    return [line for one in done for line in (one.stdout + one.stderr).splitlines() if line.strip()]


def parameters(environment: Mapping[str, str], infra: Path = INFRA) -> dict[str, Any]:
    """What azd makes of main.parameters.json: variables are filled in, and numbers read where a number is wanted."""
    document = json.loads((infra / "main.parameters.json").read_text())["parameters"]
    numbers = re.findall(r"^param (\w+) int", (infra / "main.bicep").read_text(), re.MULTILINE)
    found: dict[str, Any] = {}
    for name, entry in document.items():
        (variable, default) = re.fullmatch(r"\$\{(\w+)=?(.*)\}", entry["value"]).groups()  # type: ignore[union-attr]
        value = environment.get(variable) or default
        found[name] = int(value) if name in numbers else value
    return found


class RefusedDeployment(Exception):
    """The templates say themselves that these parameters cannot be deployed."""


def snapshot(environment: Mapping[str, str], folder: Path, infra: Path = INFRA) -> str:
    """The text of a snapshot of everything that `azd provision` would make with these variables."""
    target = Path(shutil.copytree(infra, folder / "infra"))
    lines = [f"param {name} = {_literal(value)}" for name, value in parameters(environment, infra).items()]
    case = folder / "case.bicepparam"
    case.write_text("\n".join([f"using './{target.name}/main.bicep'", *lines, ""]))
    ids = ("--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT)
    done = _run("snapshot", case, "--mode", "overwrite", *ids)
    file = folder / "case.snapshot.json"
    if done.returncode != 0 or not file.exists():
        raise RefusedDeployment(done.stdout + done.stderr)
    return file.read_text()


def _literal(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

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

NO_ICU = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
"""Without ICU the compiler does not start otherwise."""


def bicep() -> str:
    """The compiler: beside the checkout, then on the PATH."""
    found = str(_BESIDE) if _BESIDE.is_file() else shutil.which("bicep")
    if found is None:
        pytest.skip("no Bicep compiler: neither ../shared/tools/bicep/bicep nor `bicep` on the PATH")
    return found


def parameters(environment: Mapping[str, str], infra: Path = INFRA) -> dict[str, Any]:
    """What azd makes of main.parameters.json: variables are filled into its text, so that a value with a quotation mark
    breaks it (azure-dev, bicep_provider.go, `loadParameters`), and numbers read where a number is wanted."""
    document = json.loads((infra / "main.parameters.json").read_text())["parameters"]
    numbers = re.findall(r"^param (\w+) int", (infra / "main.bicep").read_text(), re.MULTILINE)
    found: dict[str, Any] = {}
    for name, entry in document.items():
        (variable, default) = re.fullmatch(r"\$\{(\w+)=?(.*)\}", entry["value"]).groups()  # type: ignore[union-attr]
        value = json.loads(f'"{environment.get(variable) or default}"')
        found[name] = int(value) if name in numbers else value
    return found


class RefusedDeployment(Exception):
    """The templates say themselves that these parameters cannot be deployed."""


class Snapshots:
    """The compiler as a process that is asked again and again: started anew, it takes seven times as long."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [bicep(), "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | NO_ICU,
        )
        self._asked = 0

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def diagnostics(self, infra: Path) -> list[str]:
        """All that `bicep build` and `bicep lint` would print of the templates."""
        found = self._ask("bicep/compile", path=str(infra / "main.bicep"))["result"]["diagnostics"]
        return [f"{one['source']}: {one['level']} {one['code']}: {one['message']}" for one in found]

    def of(self, environment: Mapping[str, str], folder: Path, infra: Path = INFRA) -> str:
        """The text of a snapshot of everything that `azd provision` would make with these variables."""
        target = Path(shutil.copytree(infra, folder / "infra"))
        lines = [
            f"param {name} = {_literal(value)}" for name, value in parameters(environment, infra).items()
        ]
        case = folder / "case.bicepparam"
        case.write_text("\n".join([f"using './{target.name}/main.bicep'", *lines, ""]))
        ids = {"tenantId": TENANT, "subscriptionId": SUBSCRIPTION}
        answer = self._ask("bicep/getSnapshot", path=str(case), metadata=ids, externalInputs=[])
        if "error" in answer:
            raise RefusedDeployment(answer["error"]["message"])
        return str(answer["result"]["snapshot"])

    def _ask(self, method: str, **wanted: object) -> dict[str, Any]:
        """JSON-RPC 2.0 with the headers of the Language Server Protocol: `bicep jsonrpc --help`."""
        assert self._process.stdin and self._process.stdout
        self._asked += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._asked, "method": method, "params": wanted}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()
        size = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        assert size, "the compiler ended before it answered"
        found: dict[str, Any] = json.loads(self._process.stdout.read(size))
        return found


def _literal(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

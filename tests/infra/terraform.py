"""Terraform itself over infra/terraform: what it would make of an environment, as a snapshot of Bicep says it.

Without the command the tests that ask it skip, and say so.
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

from tests.infra.compiler import INFRA, SUBSCRIPTION, TENANT
from tests.infra.providers import Served, plain

MODULE = INFRA / "terraform"


def variables(environment: Mapping[str, str], infra: Path = INFRA) -> str:
    """What azd makes of main.tfvars.json: the text with variables filled in, as with Bicep's parameters
    (azure-dev, terraform_provider.go, `createParametersFile`)."""
    text = (infra / "terraform" / "main.tfvars.json").read_text()
    return re.sub(r"\$\{(\w+)=?([^}]*)\}", lambda one: environment.get(one[1]) or one[2], text)


class RefusedPlan(Exception):
    """Terraform does not plan, or apply, with these variables."""


class Terraform:
    """Terraform with both providers in this process, set up once for a copy of infra/."""

    def __init__(self, folder: Path, infra: Path = INFRA) -> None:
        if shutil.which("terraform") is None:
            pytest.skip("no `terraform` on the PATH")
        self._folder, self._infra, self._asked = folder, infra, 0
        self._served = Served(folder, SUBSCRIPTION, TENANT)
        alone = {"TF_DATA_DIR": str(folder / "data"), "TF_CLI_CONFIG_FILE": os.devnull}
        self._environment = os.environ | self._served.environment | alone | {"CHECKPOINT_DISABLE": "1"}
        self.run("init", "-input=false")

    def close(self) -> None:
        self._served.close()

    def run(self, *arguments: str) -> str:
        command = ["terraform", f"-chdir={self._infra / 'terraform'}", *arguments, "-no-color"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=self._environment, timeout=120
        )
        if done.returncode != 0:
            raise RefusedPlan(" ".join((done.stdout + done.stderr).replace("│", " ").split()))
        return done.stdout

    def applied(self, environment: Mapping[str, str]) -> Applied:
        """Everything that `azd provision` would make with these variables."""
        self._asked += 1
        self._file("tfvars.json").write_text(variables(environment, self._infra))
        self._served.taken()
        self.run("apply", "-auto-approve", *self._where())
        taken = self._served.taken()
        outputs = json.loads(self._file("tfstate").read_text())["outputs"]
        made = {identity: _said(identity, one) for identity, one in taken.items()}
        return Applied(made, {name: one["value"] for name, one in outputs.items()})

    def planned_again(self) -> str:
        """What it would change of what was applied last, with the same variables."""
        return self.run("plan", *self._where())

    def destroyed(self) -> set[str]:
        """What `azd down` would delete of what was applied last."""
        self.run("destroy", "-auto-approve", *self._where())
        return self._served.deleted()

    def _file(self, kind: str) -> Path:
        return self._folder / f"{self._asked}.{kind}"

    def _where(self) -> tuple[str, ...]:
        return (f"-var-file={self._file('tfvars.json')}", f"-state={self._file('tfstate')}", "-input=false")


class Applied:
    def __init__(self, made: dict[str, dict[str, Any]], outputs: dict[str, Any]) -> None:
        self.made, self.outputs = made, outputs

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [{"id": identity, **one} for identity, one in self.made.items() if one["type"] == kind]


def _said(identity: str, one: dict[str, Any]) -> dict[str, Any]:
    """One resource in the words of a snapshot."""
    if one["kind"].startswith("azurerm_"):
        translated: dict[str, Any] = _AZURERM[one["kind"]](one)
        return translated
    kind, _, version = one["type"].partition("@")
    said = {"type": kind, "apiVersion": version, **(plain(one["body"]) or {})}
    said |= {name: one[name] for name in ("location", "tags") if one.get(name)}
    for block in one.get("identity") or []:
        said["identity"] = {"type": block["type"]}
        if block["identity_ids"]:
            said["identity"]["userAssignedIdentities"] = {name: {} for name in block["identity_ids"]}
    return said


_AZURERM: dict[str, Any] = {
    "azurerm_resource_group": lambda one: {
        "type": "Microsoft.Resources/resourceGroups",
        "location": one["location"],
        "tags": one["tags"],
    },
    "azurerm_user_assigned_identity": lambda one: {
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
        "location": one["location"],
        "tags": one["tags"],
    },
    "azurerm_role_assignment": lambda one: {
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": one["role_definition_id"],
            "principalId": one["principal_id"],
            "principalType": one["principal_type"],
        },
    },
}

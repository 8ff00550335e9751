"""What the documents tell a person to type, set and read is what the files hold."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import cli
from cli import doctor_network
from shared.settings import Settings
from tests.infra.templates import TERRAFORMS, TEXTS, outputs, providers, settings, variables

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DOCS = ("docs/deploy.md", "docs/identities.md", "docs/assumptions.md", "docs/threat-model.md", "SECURITY.md")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"
PLATFORM = {"WEBSITE_AUTH_ENABLED", "AZURE_VERIFIED"}
AZD = {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_ENV_NAME", "AZURE_LOCATION"}


def _commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", DEPLOY, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_every_driftloop_command_exists_with_its_options() -> None:
    command = typer.main.get_command(cli.app)
    told = [line.split() for line in _commands() if "driftloop " in line and "bin/driftloop" in line]
    assert {words[1] for words in told} >= {"doctor", "validate", "publish", "drop", "status"}
    for words in told:
        found = command.commands[words[1]]  # type: ignore[attr-defined]  # typer's group has it
        known = {option for parameter in found.params for option in parameter.opts}
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= known, " ".join(words)


def test_overrides_in_the_commands_are_keys_of_a_loop_file() -> None:
    reference = (ROOT / "docs" / "reference-loop-file.md").read_text()
    overrides = re.findall(r"--set ([\w.]+)=", DEPLOY)
    assert overrides
    assert all(f"`{key}`" in reference for key in overrides)
    (cluster,) = re.findall(r"--set train\.compute=([\w-]+)", DEPLOY)
    assert f"name: '{cluster}'" in TEXTS["modules/training.bicep"]


def test_every_setting_is_told_and_every_told_name_exists() -> None:
    known = (
        set(Settings.names())
        | settings()
        | set(variables())
        | outputs()
        | PLATFORM
        | AZD
        | set(TERRAFORMS.values())
    )
    told = set(
        re.findall(
            r"`?\b((?:DRIFTLOOP|AZURE|APPLICATIONINSIGHTS|PYTHON|WEBSITE)_\w+|AzureWebJobs\w+)", DEPLOY
        )
    )
    assert told - known == {"DRIFTLOOP_LOOPS", "DRIFTLOOP_AUTH_OWNERS"}, (
        "the workflow's own, the script's own"
    )
    assert settings() | set(Settings.names()) <= told


def test_what_azd_is_told_to_set_is_a_parameter() -> None:
    told = set(re.findall(r"azd env set (\w+)", DEPLOY))
    assert told
    assert told <= set(variables()) | set(TERRAFORMS.values())


def test_the_command_gets_all_settings_from_theoutputs() -> None:
    needed = {
        name for field, name in zip(_fields(), Settings.names(), strict=True) if field not in _optional()
    }
    assert needed <= outputs()


def _fields() -> list[str]:
    return list(Settings.__dataclass_fields__)


def _optional() -> set[str]:
    return set(Settings.defaults()) | {"endpoint_identity", "lineage_url", "lineage_key", "http_keys"}


def test_providers_to_register_are_those_of_the_templates() -> None:
    (listed,) = re.findall(r"for provider in (.*?); do", DEPLOY)
    used = {namespace.removeprefix("Microsoft.") for namespace in providers()}
    assert used - {"Network"} == set(listed.split()) - {"AlertsManagement"}
    private = re.findall(r"^az provider register --namespace (Microsoft\.\w+)$", DEPLOY, re.MULTILINE)
    assert tuple(private) == doctor_network.PROVIDERS


@pytest.mark.parametrize("document", DOCS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text()
    here = (ROOT / document).parent
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    missing = [link for link in links if not (here / link).exists()]
    paths = re.findall(r"`((?:infra|docs|tests|shared|loops)/[\w./-]+)`", text)
    paths += re.findall(r"\btests/[\w./]*\w", text) if document.endswith("threat-model.md") else []
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert [path for path in missing if path != "promises.md"] == []


def test_every_identity_is_explained() -> None:
    text = (ROOT / "docs" / "identities.md").read_text()
    table = yaml.safe_load((INFRA / "identities.yaml").read_text())
    assert [who for who in table["identities"] if f"`{who}`" not in text] == []


def test_assumptions_are_numbered_and_each_can_be_settled() -> None:
    text = (ROOT / "docs" / "assumptions.md").read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if re.match(r"\| A\d+ ", line)]
    assert [row[0].strip() for row in rows] == [f"A{number}" for number in range(1, len(rows) + 1)]
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)


def test_app_roles_are_those_that_the_functions_ask_for() -> None:
    from functions import alerts
    from shared.domain import caller

    declared = {role["value"] for role in json.loads((INFRA / "app-roles.json").read_text())}
    assert declared == {alerts.ROLE, caller.ACTING_ROLE, caller.LOOKING_ROLE}
    assert len({role["id"] for role in json.loads((INFRA / "app-roles.json").read_text())}) == len(declared)
    script = (INFRA / "register-app.sh").read_text()
    assert all(role in script for role in declared)
    assert all(role in DEPLOY for role in declared)


def test_the_script_is_a_script_and_finds_each_role() -> None:
    subprocess.run(["/bin/sh", "-n", INFRA / "register-app.sh"], check=True)
    roles = json.loads((INFRA / "app-roles.json").read_text())
    (function,) = re.findall(r"role_id\(\) \{.*?\n\}\n", (INFRA / "register-app.sh").read_text(), re.DOTALL)
    for role in roles:
        script = f"here={INFRA}\n{function}\nrole_id {role['value']}"
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == role["id"]


@pytest.fixture
def workflow() -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return loaded


def test_the_workflow_stores_no_secret_and_deploys_only_what_was_merged(workflow: dict[Any, Any]) -> None:
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert workflow["permissions"] == {"contents": "read"}
    deploy = workflow["jobs"]["deploy"]
    assert deploy["if"] == "github.event_name == 'push'" and deploy["needs"] == "test"
    assert workflow[True]["push"] == {"branches": ["main"]}  # YAML 1.1 reads `on` as true
    assert deploy["environment"] == "production"
    assert deploy["permissions"] == {"contents": "read", "id-token": "write"}


def test_the_workflows_actions_are_pinned_by_commit() -> None:
    """A tag can be moved. The commits are those of the tags in the repositories of the actions, read there."""
    text = "\n".join(path.read_text() for path in WORKFLOW.parent.iterdir())
    uses = re.findall(r"uses: (\S+)@(\S+)( # v\d+\.\d+\.\d+)?$", text, re.MULTILINE)
    assert len(uses) == text.count("uses:") > 14
    assert len({use[0] for use in uses}) == len(set(uses)), "one action, one commit"
    assert [use for use in uses if not re.fullmatch("[0-9a-f]{40}", use[1]) or not use[2]] == []


def test_the_workflow_runs_what_exists(workflow: dict[Any, Any]) -> None:
    runs = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    command = typer.main.get_command(cli.app)
    named = set(re.findall(r"\bdriftloop (\w+)", "\n".join(runs)))
    assert named == {"validate", "publish", "doctor"}
    assert named <= set(command.commands)  # type: ignore[attr-defined]  # typer's group has it
    assert "--require-hashes -r requirements.txt" in "\n".join(runs)


def test_the_workflows_variables_are_told_and_reach_the_templates(workflow: dict[Any, Any]) -> None:
    passed = set(re.findall(r"vars\.(\w+)", WORKFLOW.read_text()))
    assert all(re.search(rf"`{name}\b", DEPLOY) for name in passed)
    given = set(workflow["jobs"]["deploy"]["env"])
    required = {"AZURE_ENV_NAME", "AZURE_LOCATION", "DRIFTLOOP_AUTH_CLIENT_ID", "DRIFTLOOP_AUTH_OBJECT_ID"}
    named_by = {"DRIFTLOOP_SALT", "DRIFTLOOP_TOKEN"}  # without them all would be made anew under other names
    assert required | named_by <= given
    assert given - set(variables()) - set(TERRAFORMS.values()) - AZD == {"DRIFTLOOP_LOOPS"}


def test_the_hooks_of_azd_are_scripts_that_exist() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text())
    for hook in project["hooks"].values():
        script = ROOT / hook["run"]
        assert script.is_file() and script.stat().st_mode & 0o111

"""The pipeline for Azure DevOps does what the workflow for GitHub does, and neither hides a failure.

Sources: https://learn.microsoft.com/azure/devops/pipelines/yaml-schema, and azd's own template,
https://github.com/Azure/azure-dev/blob/main/cli/azd/resources/pipeline/.azdo/azure-dev.ymlt
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.templates import variables

ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / ".azdo" / "pipelines" / "azure-dev.yml"
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
SIGN_IN = ("azd auth login", "azd config set auth.")
"""Each platform's own way; all other commands are the same."""


def _workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())
    return loaded


def _pipeline() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PIPELINE.read_text())
    return loaded


def _stages() -> dict[str, dict[str, Any]]:
    return {stage["stage"]: stage for stage in _pipeline()["stages"]}


def _steps() -> dict[str, list[dict[str, Any]]]:
    """By stage: its steps in Azure Pipelines."""
    (test,), (deploy,) = (_stages()[name]["jobs"] for name in ("test", "deploy"))
    return {"test": test["steps"], "deploy": deploy["strategy"]["runOnce"]["deploy"]["steps"]}


def _shell(step: dict[str, Any]) -> str:
    return str(
        step.get("run") or step.get("script") or step.get("inputs", {}).get("inlineScript") or ""
    ).strip()


def _commands(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Name and script of every step that runs one, without signing in."""
    found = [
        (str(step.get("name") or step.get("displayName") or ""), _shell(step))
        for step in steps
        if _shell(step)
    ]
    return [one for one in found if not one[1].startswith(SIGN_IN)]


@pytest.mark.parametrize("stage", ["test", "deploy"])
def test_both_do_the_same_in_the_same_order(stage: str) -> None:
    ours = _commands(_steps()[stage])
    assert ours == _commands(_workflow()["jobs"][stage]["steps"])
    assert len(ours) == {"test": 2, "deploy": 4}[stage]


def test_both_run_on_the_same_machine_for_the_same_time() -> None:
    jobs = _workflow()["jobs"]
    assert {job["runs-on"] for job in jobs.values()} == {_pipeline()["pool"]["vmImage"]}
    for name, job in jobs.items():
        (ours,) = _stages()[name]["jobs"]
        assert ours["timeoutInMinutes"] == job["timeout-minutes"]
        given = [
            step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")
        ]
        asked = [
            step["inputs"]["versionSpec"]
            for step in _steps()[name]
            if step.get("task") == "UsePythonVersion@0"
        ]
        assert asked == given != []


def test_only_what_is_merged_is_deployed_and_a_person_can_hold_it() -> None:
    """Build.Reason: https://learn.microsoft.com/azure/devops/pipelines/build/variables"""
    deploy = _stages()["deploy"]
    assert deploy["dependsOn"] == "test"
    assert deploy["condition"].startswith("and(succeeded(), ")
    assert "ne(variables['Build.Reason'], 'PullRequest')" in deploy["condition"]
    assert "eq(variables['Build.SourceBranch'], 'refs/heads/main')" in deploy["condition"]
    assert deploy["jobs"][0]["environment"] == _workflow()["jobs"]["deploy"]["environment"] == "production"
    assert _pipeline()["trigger"] == {"branches": {"include": ["main"]}}


def test_no_secret_is_stored_and_a_session_outlives_its_token() -> None:
    for step in _steps()["deploy"]:
        assert "env" not in step
        if step.get("task", "").startswith("AzureCLI@"):
            assert step["inputs"]["keepAzSessionActive"] is True
            assert step["inputs"]["azureSubscription"] == "azconnection"
    asked = [
        step for step in _steps()["deploy"] if re.match(r"azd [pd]|.*\bdriftloop ", _shell(step), re.DOTALL)
    ]
    assert [step.get("task") for step in asked] == ["AzureCLI@2"] * 3
    outs = [step for steps in _steps().values() for step in steps if "checkout" in step]
    assert outs == [{"checkout": "self", "persistCredentials": False}] * 2


def test_variables_that_are_not_set_are_not_passed_as_text() -> None:
    """`$(NAME)` of a variable that is not set stays as it is, and would become a name of ours."""
    assert re.findall(r"\$\(([A-Z]\w*)\)", PIPELINE.read_text().partition("trigger:")[2]) == []
    set_here = _stages()["deploy"]["variables"]
    given = {
        name: value for name, value in _workflow()["jobs"]["deploy"]["env"].items() if "${{" not in value
    }
    assert set_here == given and set(given) <= set(variables())
    (section,) = re.findall(r"## Azure DevOps\n(.*?)\n## ", DEPLOY, re.DOTALL)
    assert "azconnection" in section and ".azdo/pipelines/azure-dev.yml" in section


def _run(script: str, folder: Path, **answers: int) -> tuple[int, list[str]]:
    """As Azure Pipelines runs it, by a bash that goes on after an error; and what was called."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("azd", "driftloop", "python"):
        words = "; ".join(f'[ "$*" != "{call}" ] || exit {code}' for call, code in answers.items())
        tool = tools / name
        tool.write_text(
            f'#!/bin/bash\necho "{name} $*" >> {folder}/calls\n{words}\n'
            '[ "$*" != "env get-values" ] || echo DRIFTLOOP_ENVIRONMENT=\\"test\\"\n'
        )
        tool.chmod(0o755)
    path = {"PATH": f"{tools}:{os.environ['PATH']}", "DRIFTLOOP_LOOPS": "loops/a loops/b"}
    done = subprocess.run(["/bin/bash", "-c", script], env=path, cwd=folder, check=False, timeout=60)
    calls = folder / "calls"
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


def _publishing() -> str:
    return _commands(_steps()["deploy"])[-1][1]


PUBLISHED = [
    "azd env get-values",
    "driftloop publish loops/a",
    "driftloop publish loops/b --to test",
    "driftloop doctor",
]


@pytest.mark.parametrize(
    ("answers", "code", "called"),
    [
        ({}, 0, 4),
        ({"doctor": 3}, 0, 4),
        ({"doctor": 1}, 1, 4),
        ({"publish loops/a": 1}, 1, 2),
        ({"publish loops/b --to test": 1}, 1, 3),
        ({"env get-values": 1}, 1, 1),
    ],
)
def test_a_step_that_publishes_fails_when_something_in_it_failed(
    answers: dict[str, int], code: int, called: int, tmp_path: Path
) -> None:
    for name, more in (("a", ""), ("b", "environments: {test: {}}\n")):
        loop = tmp_path / "loops" / name / "loop.yaml"
        loop.parent.mkdir(parents=True)
        loop.write_text(f"loop: {name}\n{more}")
    assert _run(_publishing(), tmp_path, **answers) == (code, PUBLISHED[:called])


def test_every_script_of_several_commands_ends_with_the_first_that_fails() -> None:
    scripts = [script for steps in _steps().values() for _, script in _commands(steps)]
    assert [script for script in scripts if "\n" in script and not script.startswith("set -e\n")] == []

"""The pipelines for Azure DevOps do what the workflows for GitHub do, and none hides a failure.

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
WORKFLOWS = ROOT / ".github" / "workflows"
PIPELINES = ROOT / ".azdo" / "pipelines"
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
PAIRS = {"deploy": "azure-dev", "promote": "promote"}
"""By workflow: the pipeline that does the same, stage by stage."""
STAGES = [("deploy", "test"), ("deploy", "deploy"), ("promote", "share"), ("promote", "promote")]
SIGN_IN = ("azd auth login", "azd config set auth.")
"""Each platform's own way; all other commands are the same."""


def _workflow(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text())
    return loaded


def _pipeline(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((PIPELINES / f"{PAIRS[name]}.yml").read_text())
    return loaded


def _stage(name: str, stage: str) -> dict[str, Any]:
    (found,) = [one for one in _pipeline(name)["stages"] if one["stage"] == stage]
    return dict(found)


def _steps(name: str, stage: str) -> list[dict[str, Any]]:
    (job,) = _stage(name, stage)["jobs"]
    return list(job["steps"] if "steps" in job else job["strategy"]["runOnce"]["deploy"]["steps"])


def _shell(step: dict[str, Any]) -> str:
    own = step.get("inputs", {}).get("inlineScript")
    return str(step.get("run") or step.get("script") or own or "").strip()


def _commands(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Name and script of every step that runs one, without signing in."""
    scripts = [(str(step.get("name") or step.get("displayName") or ""), _shell(step)) for step in steps]
    return [one for one in scripts if one[1] and not one[1].startswith(SIGN_IN)]


def test_each_workflow_has_its_pipeline() -> None:
    assert {path.stem for path in WORKFLOWS.iterdir()} == set(PAIRS)
    assert {path.stem for path in PIPELINES.iterdir()} == set(PAIRS.values())
    told = [(name, stage["stage"]) for name in PAIRS for stage in _pipeline(name)["stages"]]
    assert told == STAGES == [(name, job) for name in PAIRS for job in _workflow(name)["jobs"]]


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_both_do_the_same_in_the_same_order(name: str, stage: str) -> None:
    ours, job = _commands(_steps(name, stage)), _workflow(name)["jobs"][stage]
    assert ours == _commands(job["steps"])
    assert len(ours) == (4 if stage == "deploy" else 2)
    assert _stage(name, stage).get("dependsOn") == job.get("needs")


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_both_run_on_the_same_machine_for_the_same_time(name: str, stage: str) -> None:
    job, (ours,) = _workflow(name)["jobs"][stage], _stage(name, stage)["jobs"]
    assert job["runs-on"] == _pipeline(name)["pool"]["vmImage"]
    assert ours["timeoutInMinutes"] == job["timeout-minutes"]
    assert ours.get("environment") == job.get("environment")
    given = [
        step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")
    ]
    pythons = [step for step in _steps(name, stage) if step.get("task") == "UsePythonVersion@0"]
    assert [step["inputs"]["versionSpec"] for step in pythons] == given != []


def test_only_what_is_merged_is_deployed_and_a_person_can_hold_it() -> None:
    """Build.Reason: https://learn.microsoft.com/azure/devops/pipelines/build/variables"""
    deploy = _stage("deploy", "deploy")
    assert deploy["condition"].startswith("and(succeeded(), ")
    assert "ne(variables['Build.Reason'], 'PullRequest')" in deploy["condition"]
    assert "eq(variables['Build.SourceBranch'], 'refs/heads/main')" in deploy["condition"]
    assert deploy["jobs"][0]["environment"] == "production"
    assert _pipeline("deploy")["trigger"] == {"branches": {"include": ["main"]}}


def test_only_a_person_promotes_and_what_they_type_is_no_command() -> None:
    """https://docs.github.com/actions/security-for-github-actions/security-guides/security-hardening-for-github-actions"""
    assert set(_workflow("promote")[True]) == {"workflow_dispatch"}  # YAML 1.1 reads `on` as true
    ours = _pipeline("promote")
    assert ours["trigger"] == ours["pr"] == "none"
    assert [one["name"] for one in ours["parameters"]] == list(
        _workflow("promote")[True]["workflow_dispatch"]["inputs"]
    )
    for _, stage in STAGES[2:]:
        job = _workflow("promote")["jobs"][stage]
        assert not any("${{" in script for _, script in _commands(job["steps"]))
        given = {key: value for key, value in job["env"].items() if "inputs." in value}
        typed = [step["env"] for step in _steps("promote", stage) if "env" in step]
        assert [
            {key: value.replace("parameters", "inputs") for key, value in one.items()} for one in typed
        ] == [given]


def test_the_same_file_is_handed_over() -> None:
    shared = _workflow("promote")["jobs"]["share"]["steps"][-1]["with"]
    assert (shared["name"], shared["path"]) == ("release", "release.html") and shared["retention-days"] == 1
    assert _steps("promote", "share")[-1] == {"publish": "release.html", "artifact": "release"}
    taken = [
        step["with"]
        for step in _workflow("promote")["jobs"]["promote"]["steps"]
        if "download" in step.get("uses", "")
    ]
    assert taken == [{"name": "release"}]
    (ours,) = [step["inputs"] for step in _steps("promote", "promote") if "Download" in step.get("task", "")]
    assert ours == {"artifactName": "release", "targetPath": "$(System.DefaultWorkingDirectory)"}


@pytest.mark.parametrize("name", PAIRS)
def test_no_secret_is_stored_and_a_session_outlives_its_token(name: str) -> None:
    assert "secrets." not in (WORKFLOWS / f"{name}.yml").read_text()
    steps = [step for stage in _pipeline(name)["stages"] for step in _steps(name, stage["stage"])]
    asked = [step for step in steps if re.match(r"azd [pd]|.*\bdriftloop (?!val)", _shell(step), re.DOTALL)]
    asked = [step for step in asked if "make test" not in _shell(step) and ".venv" not in _shell(step)]
    assert [step.get("task") for step in asked] == ["AzureCLI@2"] * (3 if name == "deploy" else 2)
    assert all(step["inputs"]["keepAzSessionActive"] is True for step in asked)
    assert {step["inputs"]["azureSubscription"] for step in asked} <= {"azconnection", "azconnection-test"}
    outs = [step for step in steps if "checkout" in step]
    assert outs == [{"checkout": "self", "persistCredentials": False}] * 2


def test_variables_that_are_not_set_are_not_passed_as_text() -> None:
    """`$(NAME)` of a variable that is not set stays as it is, and would become a name of ours."""
    for path in PIPELINES.iterdir():
        code = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
        assert re.findall(r"\$\(([A-Z]\w*)\)", code) == []
    given = _workflow("deploy")["jobs"]["deploy"]["env"]
    own = {name: value for name, value in given.items() if "${{" not in value}
    assert _stage("deploy", "deploy")["variables"] == own and set(own) <= set(variables())
    (section,) = re.findall(r"## Azure DevOps\n(.*?)\n## ", DEPLOY, re.DOTALL)
    for told in (
        "azconnection",
        "azconnection-test",
        *(f".azdo/pipelines/{one}.yml" for one in PAIRS.values()),
    ):
        assert f"`{told}`" in section
    groups = [_stage("promote", stage)["variables"] for _, stage in STAGES[2:]]
    assert groups == [[{"group": "driftloop-test"}], [{"group": "driftloop-production"}]]
    assert all(f"`{group['group']}`" in section for (group,) in groups)


def _run(script: str, folder: Path, **answers: int) -> tuple[int, list[str]]:
    """As Azure Pipelines runs it, by a bash that goes on after an error; and what was called."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("azd", "driftloop", "python"):
        words = "; ".join(f'[ "$*" != "{call}" ] || exit {code}' for call, code in answers.items())
        tool = tools / name
        tool.write_text(
            f'#!/bin/bash\necho "{name} $*" >> {folder}/calls\n{words}\n'
            '[ "$*" != "env get-values" ] || echo DRIFTLOOP_TABLE=\\"driftloop\\"\n'
        )
        tool.chmod(0o755)
    path = {"PATH": f"{tools}:{os.environ['PATH']}", "AZURE_ENV_NAME": "prod"}
    path |= {"DRIFTLOOP_LOOPS": "loops/a loops/b", "RELEASE": "churn/7", "REASON": "two weeks; $(date)"}
    done = subprocess.run(["/bin/bash", "-c", script], env=path, cwd=folder, check=False, timeout=60)
    calls = folder / "calls"
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


def _last(name: str, stage: str) -> str:
    return _commands(_steps(name, stage))[-1][1]


PUBLISHED = [
    "azd env get-values",
    "driftloop publish loops/a --to prod",
    "driftloop publish loops/b --to prod",
    "driftloop doctor",
]


@pytest.mark.parametrize(
    ("answers", "code", "called"),
    [
        ({}, 0, 4),
        ({"doctor": 3}, 0, 4),
        ({"doctor": 1}, 1, 4),
        ({"publish loops/a --to prod": 1}, 1, 2),
        ({"publish loops/b --to prod": 1}, 1, 3),
        ({"env get-values": 1}, 1, 1),
    ],
)
def test_a_step_that_publishes_fails_when_something_in_it_failed(
    answers: dict[str, int], code: int, called: int, tmp_path: Path
) -> None:
    assert _run(_last("deploy", "deploy"), tmp_path, **answers) == (code, PUBLISHED[:called])


@pytest.mark.parametrize(
    ("stage", "does"),
    [
        ("share", "driftloop share churn/7 --to release.html"),
        ("promote", "driftloop promote release.html --reason two weeks; $(date)"),
    ],
)
def test_a_promotion_has_the_settings_of_its_environment_and_fails_with_its_command(
    stage: str, does: str, tmp_path: Path
) -> None:
    calls = ["azd env refresh prod --no-prompt", "azd env get-values", does]
    for number, (_, command) in enumerate(call.split(" ", 1) for call in calls):
        (tmp_path / str(number)).mkdir()
        failing = {command.replace("$", "\\$"): 1}
        assert _run(_last("promote", stage), tmp_path / str(number), **failing) == (1, calls[: number + 1])


def test_every_script_of_several_commands_ends_with_the_first_that_fails() -> None:
    scripts = [script for name, stage in STAGES for _, script in _commands(_steps(name, stage))]
    assert [script for script in scripts if "\n" in script and not script.startswith("set -e\n")] == []

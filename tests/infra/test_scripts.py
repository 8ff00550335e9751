"""The scripts that azd runs, with stand-ins for `az` and `azd` that answer from a table and note what was asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.infra.compiler import INFRA

GROUP = "/subscriptions/s/resourceGroups/team-ml/providers"
WORKSPACE = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/team"
TOPIC = f"{GROUP}/Microsoft.EventGrid/systemTopics/theirs"

_STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$ASKED"
[ "$(basename "$0")" = az ] || exit 0
while IFS='|' read -r asked code answer; do
    case "$*" in
    *"$asked"*) [ -z "$answer" ] || echo "$answer"; exit "$code" ;;
    esac
done < "$ANSWERS"
echo "nothing is known of: $*" >&2
exit 9
"""


class Run:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("az", "azd"):
            (folder / name).write_text(_STAND_IN)
            (folder / name).chmod(0o755)

    def __call__(
        self, script: str, answers: Mapping[str, str | int], **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`answers`: by a part of the command, what it prints, or the code that it ends with."""
        lines = [
            f"{asked}|{answer}|" if isinstance(answer, int) else f"{asked}|0|{answer}"
            for asked, answer in answers.items()
        ]
        (self._folder / "answers").write_text("".join(f"{line}\n" for line in lines))
        (self._folder / "asked").write_text("")
        path = f"{self._folder}:{os.environ['PATH']}"
        own = {"ASKED": str(self._folder / "asked"), "ANSWERS": str(self._folder / "answers"), "PATH": path}
        known = {"AZURE_ENV_NAME": "prod"} | own | environment
        return subprocess.run(
            [INFRA / script], env=known, capture_output=True, text=True, check=False, timeout=60
        )

    def asked(self, part: str) -> list[str]:
        return [line for line in (self._folder / "asked").read_text().splitlines() if part in line]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


ANSWERS: dict[str, str | int] = {
    f"--ids {WORKSPACE} --query location": "northeurope",
    f"--ids {WORKSPACE} --query properties.systemDatastoresAuthMode": "identity",
    f"--ids {WORKSPACE} --query properties.storageAccount": f"{GROUP}/Microsoft.Storage/storageAccounts/teamml",
    f"--ids {WORKSPACE} --query properties.containerRegistry": "",
    "resource list --resource-type Microsoft.EventGrid/systemTopics": TOPIC,
    f"--ids {TOPIC} --query properties.source": WORKSPACE.upper(),
    f"--ids {TOPIC} --query tags": "",
    f"--ids {TOPIC} --query identity.principalId": "p",
}


def test_what_exists_is_read_and_kept(run: Run) -> None:
    done = run("read-existing.sh", ANSWERS, DRIFTLOOP_EXISTING_WORKSPACE=WORKSPACE)
    assert done.returncode == 0, done.stderr
    kept = [
        line.removeprefix("azd env set DRIFTLOOP_EXISTING_WORKSPACE_") for line in run.asked("azd env set")
    ]
    assert [line.strip() for line in kept] == [
        "LOCATION northeurope",
        f"STORAGE {GROUP}/Microsoft.Storage/storageAccounts/teamml",
        "REGISTRY",
        f"TOPIC {TOPIC}",
    ]
    assert "has no container registry yet" in done.stderr


def test_a_topic_of_this_environment_is_not_taken_for_somebody_elses(run: Run) -> None:
    ours = ANSWERS | {f"--ids {TOPIC} --query tags": "prod"}
    done = run("read-existing.sh", ours, DRIFTLOOP_EXISTING_WORKSPACE=WORKSPACE)
    assert done.returncode == 0, done.stderr
    assert run.asked("azd env set DRIFTLOOP_EXISTING_WORKSPACE_TOPIC") == [
        "azd env set DRIFTLOOP_EXISTING_WORKSPACE_TOPIC "
    ]


PRIVATE = {"DRIFTLOOP_NETWORK": "private", "DRIFTLOOP_EXISTING_WORKSPACE": WORKSPACE}


def test_the_network_of_a_workspace_is_read_in_a_private_deployment(run: Run) -> None:
    more: dict[str, str | int] = {
        f"--ids {WORKSPACE} --query properties.managedNetwork.isolationMode": "AllowInternetOutbound",
        "cloud show": "AzureCloud",
    }
    done = run("read-existing.sh", ANSWERS | more, **PRIVATE)
    assert done.returncode == 0, done.stderr
    (kept,) = run.asked("azd env set DRIFTLOOP_EXISTING_WORKSPACE_ISOLATION")
    assert kept.endswith(" AllowInternetOutbound")


def test_a_private_network_is_refused_outside_the_public_cloud(run: Run) -> None:
    """No Flex Consumption there (vscode-azurefunctions#4698, acmebot#1102), and no isolated endpoints (azure-ai-docs,
    reference-machine-learning-cloud-parity.md)."""
    done = run("read-existing.sh", ANSWERS | {"cloud show": "AzureChinaCloud"}, **PRIVATE)
    assert done.returncode != 0
    assert "AzureChinaCloud" in done.stderr
    assert not run.asked("azd env set")


STOPPED = {
    "no such workspace": ({f"--ids {WORKSPACE} --query location": 3}, "az ml workspace show --query id"),
    "a workspace with keys": (
        {f"--ids {WORKSPACE} --query properties.systemDatastoresAuthMode": "accesskey"},
        "--system-datastores-auth-mode identity",
    ),
    "a topic without an identity": (
        {f"--ids {TOPIC} --query identity.principalId": ""},
        f"az eventgrid system-topic update --ids {TOPIC} --identity systemassigned",
    ),
}


@pytest.mark.parametrize("case", STOPPED)
def test_what_cannot_be_used_stops_with_the_command_that_helps(case: str, run: Run) -> None:
    changed, words = STOPPED[case]
    done = run("read-existing.sh", ANSWERS | changed, DRIFTLOOP_EXISTING_WORKSPACE=WORKSPACE)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_topic_on_our_own_account_is_found(run: Run) -> None:
    account = "/subscriptions/s/resourceGroups/rg-prod/providers/Microsoft.Storage/storageAccounts/stx"
    answers = ANSWERS | {"--name stx": account, f"--ids {TOPIC} --query properties.source": account}
    address = "https://stx.blob.core.windows.net"
    done = run("read-existing.sh", answers, DRIFTLOOP_STORAGE__blobServiceUri=address)
    assert done.returncode == 0, done.stderr
    assert run.asked("azd env set") == [f"azd env set DRIFTLOOP_EXISTING_BLOB_TOPIC {TOPIC}"]


PARTNER = "/subscriptions/s/resourceGroups/sales/providers/Microsoft.Storage/storageAccounts/partner"
BESIDE = PARTNER.replace("partner", "beside")
LANDINGS: dict[str, str | int] = {
    f"--ids {PARTNER} --query location": "northeurope",
    f"--ids {BESIDE} --query location": "westeurope",
    "resource list --resource-type Microsoft.EventGrid/systemTopics": TOPIC,
    f"--ids {TOPIC} --query properties.source": PARTNER.upper(),
    f"--ids {TOPIC} --query tags": "",
    f"--ids {TOPIC} --query identity.principalId": "p",
}


def test_accounts_in_which_drops_land_are_read_once_each(run: Run) -> None:
    places = [
        f"{account}/blobServices/default/containers/{name}"
        for account, name in ((PARTNER, "a"), (PARTNER, "b"), (BESIDE, "a"))
    ]
    done = run("read-existing.sh", LANDINGS, DRIFTLOOP_LANDINGS=", ".join(places))
    assert done.returncode == 0, done.stderr
    assert run.asked("azd env set") == [
        "azd env set DRIFTLOOP_LANDING_LOCATIONS partner=northeurope,beside=westeurope",
        f"azd env set DRIFTLOOP_LANDING_TOPICS partner={TOPIC}",
    ]


def test_an_account_in_which_drops_land_that_cannot_be_read_stops(run: Run) -> None:
    place = f"{PARTNER}/blobServices/default/containers/a"
    done = run(
        "read-existing.sh", LANDINGS | {f"--ids {PARTNER} --query location": 3}, DRIFTLOOP_LANDINGS=place
    )
    assert done.returncode != 0 and "az storage container-rm show" in done.stderr


def test_nothing_is_asked_where_nothing_exists(run: Run) -> None:
    assert run("read-existing.sh", {}).returncode == 0
    assert run.asked("") == []


@pytest.mark.parametrize("name", ["DRIFTLOOP_EXISTING_GROUP", "DRIFTLOOP_EXISTING_WORKSPACE"])
def test_azd_down_is_stopped_where_a_group_is_not_ours(name: str, run: Run) -> None:
    """azd up to mid-2026 deletes every group of the output resources (azure-dev, standard_deployments.go)."""
    done = run("before-down.sh", {}, **{name: WORKSPACE})
    assert done.returncode == 1
    assert WORKSPACE in done.stderr and "azd-env-name=prod" in done.stderr


def test_azd_down_goes_on_where_everything_is_ours(run: Run) -> None:
    assert run("before-down.sh", {}).returncode == 0


def test_azd_down_goes_on_where_terraform_knows_what_it_made(tmp_path: Path) -> None:
    infra = tmp_path / "infra"
    infra.mkdir()
    shutil.copy(INFRA / "before-down.sh", infra)
    theirs = os.environ | {"DRIFTLOOP_EXISTING_GROUP": "team", "AZURE_ENV_NAME": "prod"}
    project = (INFRA.parent / "azure.yaml").read_text()
    for text, code in ((project, 1), (project.replace("provider: bicep", "provider: terraform"), 0)):
        (tmp_path / "azure.yaml").write_text(text)
        done = subprocess.run([infra / "before-down.sh"], env=theirs, capture_output=True, check=False)
        assert done.returncode == code


def test_whoever_deploys_becomes_an_owner_of_the_registration(run: Run) -> None:
    """Azure Monitor asks it of who makes a secure webhook (azure-monitor-docs, alerts/action-groups.md)."""
    answers: dict[str, str | int] = {"ad app owner list": "first", "ad app owner add": ""}
    known = {
        "DRIFTLOOP_AUTH_CLIENT_ID": "app",
        "AZURE_PRINCIPAL_ID": "first",
        "DRIFTLOOP_AUTH_OWNERS": "second third",
    }
    done = run("register-app.sh", answers, **known)
    assert done.returncode == 0, done.stderr
    assert [line.split()[-1] for line in run.asked("owner add")] == ["second", "third"]


@pytest.mark.parametrize("refused", ["ad app owner list", "ad app owner add"])
def test_who_may_not_make_owners_is_told_what_an_owner_runs(refused: str, run: Run) -> None:
    answers: dict[str, str | int] = {"ad app owner list": "", "ad app owner add": ""} | {refused: 1}
    done = run("register-app.sh", answers, DRIFTLOOP_AUTH_CLIENT_ID="app", AZURE_PRINCIPAL_ID="me")
    assert done.returncode == 0, done.stderr
    assert "az ad app owner add --id app --owner-object-id" in done.stderr

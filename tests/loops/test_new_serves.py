"""What `driftloop new` makes goes from a file to a live model; what serves already is adopted by `driftloop adopt`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint
from azure.identity import DefaultAzureCredential
from typer.testing import CliRunner

from cli import acts, app, session
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE
from shared.audit import answer
from shared.domain.release import Phase
from shared.words import say
from tests.acceptance.typed import ROOT, typed
from tests.loops.driven import DrivenStage
from tests.loops.test_new import made
from tests.patience import rest


def promoted(told: DrivenStage, data: Path, folder: Path) -> None:
    """Publish the loop as it was made, drop the file that it was made from, and see its model serve."""
    told.folder = folder
    told.publish(())
    told.ports.blobs.upload("landing", f"{told.loop}/{data.name}", data.read_bytes())
    told.wait("release 1", lambda: told.state.next_release > 1 and come_through(told))
    assert told.weights() == {"r1-a1": 100}
    told.ask("pause", "the test is done")


@pytest.mark.soak
@pytest.mark.parametrize("name", ["houses", "sales", "towns", "dirty"])
def test_what_is_made_of_a_file_is_promoted_as_it_stands(
    stage: Callable[[str], DrivenStage], tmp_path: Path, name: str
) -> None:
    promoted(stage(name), *made(tmp_path, name))


def come_through(told: DrivenStage) -> bool:
    release = told.release(1)
    assert release.phase not in (Phase.FAILED, Phase.CLEANING, Phase.REJECTED, Phase.HOLDING), say(
        release.reason
    )
    return told.state.champion is not None


@contextmanager
def beside(command: list[str]) -> Iterator[None]:
    """A command in a process of its own, as in another terminal, ended when that is over."""
    words = [sys.executable, "-c", "from cli import main; main()", *command[1:]]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def follow_the_tutorial(told: DrivenStage, patch: pytest.MonkeyPatch, *, canary: bool) -> None:
    """Everything that docs/tutorial.md says to type, in its order; what it says will be seen is seen.

    Without its canary, which takes minutes and measures latency, release 2 is aborted, as the tutorial says one may.
    """
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), re.DOTALL)
    exec(compile(program, "docs/tutorial.md", "exec"), {})  # noqa: S102 - our own document
    session.settings.cache_clear()
    patch.setattr(session, "ports", lambda: told.ports)  # what is asked for is received at once
    patch.setattr(acts, "WAIT_S", 0.1)  # and taken up by the waits below
    for command in typed("docs/tutorial.md"):
        assert command[0] == "driftloop"
        if command[1] == "traffic" and not canary:
            told.ask("abort", "only a tutorial", "2")
            told.wait("the end of release 2", lambda: told.state.open_release is None)
            continue
        if command[1] == "traffic":
            told.wait("the canary", lambda: told.release(2).phase is Phase.CANARY)
            with beside(command):
                told.wait("the end of release 2", lambda: told.state.open_release is None)
            continue
        result = CliRunner().invoke(app, command[1:], env={"COLUMNS": "200"})
        assert result.exit_code == 0, f"{command}: {result.output} {result.exception}"
        match command[1:]:
            case ["backtest", *_]:
                assert "fee moved up" in result.output
            case ["drop", _, "months/1.csv"]:
                told.wait("release 1", lambda: told.state.next_release > 1 and come_through(told))
                assert told.weights() == {"r1-a1": 100}
            case ["audit", _]:
                assert "months" not in result.output and "hash chain verified" in result.output
            case ["drop", _, "months/4.csv"]:
                told.wait("its verdict", lambda: bool(told.state.denial))
            case ["explain", "churn"]:
                assert "fee moved up" in result.output and "cooldown until" in result.output
            case ["retrain", *_]:
                told.wait("release 2", lambda: told.state.open_release == 2)
            case ["explain", "churn/2"]:
                assert "the fee doubled" in result.output
            case ["status", *_] if told.state.next_release == 3 and canary:
                assert "release 2 live" in result.output
    assert told.weights() == ({"r2-a1": 100} if canary else {"r1-a1": 100})


@pytest.mark.soak
def test_the_tutorial_to_its_end(
    stage: Callable[[str], DrivenStage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    follow_the_tutorial(stage("churn"), monkeypatch, canary=True)


@pytest.mark.soak  # minutes, most of them waiting
def test_a_classification_is_promoted_and_what_serves_already_is_adopted(
    stage: Callable[[str], DrivenStage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is the tutorial. The adopted deployment is made by hand, with the tutorial's model."""
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as tutorial:
        follow_the_tutorial(stage("churn"), tutorial, canary=False)
    data, folder = tmp_path / "months" / "1.csv", tmp_path / "loops" / "churn"
    file = folder / "loop.yaml"
    file.write_text(
        re.sub(r"churn$|churn/", lambda it: it[0].replace("churn", "taken"), file.read_text(), flags=re.M)
    )
    deploy_by_hand("taken", "azureml:churn:1")
    session.settings.cache_clear()
    session.ports.cache_clear()
    result = CliRunner().invoke(app, ["adopt", str(folder), "--data", str(data)])
    assert result.exit_code == 0, f"{result.output} {result.exception}"
    told = stage("taken")
    assert told.state.champion is not None
    assert told.state.champion.deployment == "blue"
    served = answer.audit(told.ports, "taken").served
    assert served is not None and "/churn/versions/1" in served.model
    assert told.weights() == {"blue": 100}


def deploy_by_hand(endpoint: str, model: str) -> None:
    client = MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)
    client.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name=endpoint, auth_mode="aad_token")
    ).result()
    client.online_deployments.begin_create_or_update(
        ManagedOnlineDeployment(
            name="blue",
            endpoint_name=endpoint,
            model=model,
            instance_type="Standard_DS3_v2",
            instance_count=1,
        )
    )
    began = time.monotonic()
    while client.online_deployments.get("blue", endpoint).provisioning_state != "Succeeded":
        assert time.monotonic() - began < 120, "the deployment does not come up"
        rest(began, most_s=1)
    found = client.online_endpoints.get(endpoint)
    found.traffic = {"blue": 100}
    client.online_endpoints.begin_create_or_update(found).result()

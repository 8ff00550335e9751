"""What `driftloop new` makes goes from a file to a live model; what serves already is adopted by `driftloop adopt`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint
from typer.testing import CliRunner

from shared import views
from shared.azure.client import Workspace, credential
from shared.cli import app, session
from shared.model import Phase
from tests.loops.driven import DrivenStage
from tests.loops.test_new import made


@pytest.mark.parametrize("name", ["churn", "houses"])
def test_a_loop_from_a_file_is_promoted_as_it_stands(
    stage: Callable[[str], DrivenStage], tmp_path: Path, name: str
) -> None:
    data, folder = made(tmp_path, name)
    told = stage(name)
    told.folder = folder
    told.publish(())
    told.ports.blobs.upload("landing", f"{name}/{data.name}", data.read_bytes())
    told.wait("release 1", lambda: told.state.next_release > 1 and come_through(told))
    assert told.state.champion is not None
    assert told.weights() == {"r1-a1": 100}
    told.ask("pause", "the test is done")


def come_through(told: DrivenStage) -> bool:
    release = told.release(1)
    assert release.phase not in (Phase.FAILED, Phase.CLEANING, Phase.REJECTED, Phase.HOLDING), release.reason
    return told.state.champion is not None


def test_what_serves_already_is_adopted(stage: Callable[[str], DrivenStage], tmp_path: Path) -> None:
    """The endpoint and its deployment are made by hand, with the model of another loop."""
    data, folder = made(tmp_path, "churn")
    file = folder / "loop.yaml"
    file.write_text(file.read_text().replace("loop: churn", "loop: taken").replace("churn/", "taken/"))
    file.write_text(file.read_text().replace("endpoint: churn", "endpoint: taken"))
    told = stage("taken")
    deploy_by_hand(Workspace(told.settings, credential()), "taken", "azureml:churn:1")
    session.settings.cache_clear()
    session.ports.cache_clear()
    result = CliRunner().invoke(app, ["adopt", str(folder), "--data", str(data)])
    assert result.exit_code == 0, f"{result.output} {result.exception}"
    assert told.state.champion is not None
    assert told.state.champion.deployment == "blue"
    served = views.audit(told.ports, "taken").served
    assert served is not None and "/churn/versions/1" in served.model
    assert told.weights() == {"blue": 100}


def deploy_by_hand(workspace: Workspace, endpoint: str, model: str) -> None:
    client = workspace()
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
    deadline = time.monotonic() + 120
    while client.online_deployments.get("blue", endpoint).provisioning_state != "Succeeded":
        assert time.monotonic() < deadline, "the deployment does not come up"
        time.sleep(0.5)
    found = client.online_endpoints.get(endpoint)
    found.traffic = {"blue": 100}
    client.online_endpoints.begin_create_or_update(found).result()

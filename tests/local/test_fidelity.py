"""What the local Azure answers has only fields that Azure's own client knows, and its reference is what it answers."""

from __future__ import annotations

import importlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local import reference
from local.azure import LocalAzure
from local.identity.roles import object_id
from local.settings import WORKSPACE_ID
from shared.azure.client import Workspace, credential
from shared.ports import DeploymentSpec
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.stage import SdkStage, eventually
from tests.local.azure_types import FILE, ML, below

TYPES: dict[str, list[str]] = json.loads(FILE.read_text())["properties"]
MODELS = {
    "Workspace": "",
    "Datastore": "/datastores/driftloop_versions",
    "DataVersionBase": "/data/{data}/versions/1",
    "DataContainer": "/data/{data}",
    "EnvironmentVersion": "/environments/{environment}/versions/1",
    "ComponentVersion": "/components/{component}/versions/1",
    "CodeVersion": "/codes/{code}",
    "ModelVersion": "/models/{model}/versions/1",
    "JobBase": "/jobs/{job}",
    "OnlineEndpoint": "/onlineEndpoints/{endpoint}",
    "OnlineDeployment": "/onlineEndpoints/{endpoint}/deployments/good",
    "BatchEndpoint": "/batchEndpoints/{batch}",
    "BatchDeployment": "/batchEndpoints/{batch}/deployments/good",
}
FREE = (
    "tags",
    *(f"properties.{name}" for name in ("tags", "properties", "componentSpec", "jobs", "settings")),
)
"""What the caller likes: a component's specification, a pipeline's nodes and settings are no models of the client."""


@pytest.fixture(scope="module")
def named(local_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One thing of each kind, made by the client; its names by kind."""
    settings = Settings.from_environment(os.environ)
    ml = Workspace(settings, credential())()
    stage = SdkStage(azure_ports(settings), ml, credential(), tmp_path_factory.mktemp("fidelity"))
    name, job = f"f{uuid.uuid4().hex[:8]}", stage.job("good")
    stage.ended(job)
    stage.ports.training.ensure_model(name, "1", job.name, {"a": "b"})
    eventually(lambda: stage.ports.serving.ensure_endpoint(name), lambda seen: seen.state == "ready")
    spec = stage.deployment(name, "good")
    assert stage.deployed(spec).state == "ready"
    batch = _batch(stage, f"{name}-batch")
    base = stage.model().split("/models/")[1].split("/")[0]
    code = spec.code.split("/codes/")[1]
    return {
        "data": base, "environment": base, "component": base, "code": code,
        "model": name, "job": job.name, "endpoint": name, "batch": batch,
    }  # fmt: skip


def _batch(stage: SdkStage, name: str) -> str:
    """A batch endpoint with a default deployment; nothing is asked of it."""
    batch = stage.ports.batch
    eventually(lambda: batch.ensure_endpoint(name), lambda seen: seen.state == "ready")
    model = stage.registered(name, "1", {"MLmodel": b"flavors: {}", "conda.yaml": b"dependencies: [pip]"})
    spec = DeploymentSpec(name, "good", model, "", compute="driftloop-cpu")
    eventually(lambda: batch.ensure_deployment(spec), lambda seen: seen.state == "ready")
    batch.set_traffic(name, {"good": 100})
    return name


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_has_only_known_fields(model: str, local_azure: LocalAzure, named: dict[str, str]) -> None:
    known = below(importlib.import_module(ML), model, "", ())
    answer = _get(local_azure, MODELS[model].format_map(named))
    assert set(answer) >= {"id", "name", "properties"}

    unknown = [path for path in _paths(answer, "") if not _is_known(path, known)]

    assert unknown == []


GROUP = WORKSPACE_ID.partition("/providers/")[0]
SUBSCRIBED = GROUP.partition("/resourceGroups/")[0]
REGION = f"{SUBSCRIBED}/providers/Microsoft.MachineLearningServices/locations/local"
AROUND = {
    "Microsoft.EventGrid/systemTopics": f"{SUBSCRIBED}/providers/Microsoft.EventGrid/systemTopics",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": (
        f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgst-blobs-local/eventSubscriptions"
    ),
    "Microsoft.Insights/diagnosticSettings": (
        f"{WORKSPACE_ID}/onlineEndpoints/e/providers/Microsoft.Insights/diagnosticSettings"
    ),
    "Microsoft.Web/sites": f"{GROUP}/providers/Microsoft.Web/sites",
    "Microsoft.ManagedIdentity/userAssignedIdentities": (
        f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    ),
    "Microsoft.Authorization/roleAssignments": (
        f"{SUBSCRIBED}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '{object_id('app')}'"
    ),
    "Usage": f"{REGION}/usages",
    "VirtualMachineSize": f"{REGION}/vmSizes",
}
"""Lists around the workspace: types that the templates make, or models of Azure ML's client."""

GIVEN = {
    "id", "type", "identity.principalId", "properties.provisioningState", "properties.principalId",
    "properties.scope", "properties.enabled",
}  # fmt: skip
"""What Azure adds: the known names of a type are those that one may set."""


@pytest.mark.parametrize("kind", AROUND)
def test_a_list_around_the_workspace_has_only_known_fields(kind: str, local_azure: LocalAzure) -> None:
    for name, value in local_azure.environment("publisher").items():
        os.environ[name] = value
    try:
        answer = _get(local_azure, AROUND[kind], under="")["value"]
    finally:
        os.environ.update(local_azure.environment("app"))
    known = {*TYPES[kind], *GIVEN} if "/" in kind else {*_below(kind), "name.value", "name.localizedValue"}

    assert answer
    assert [path for one in answer for path in _paths(one, "") if not _is_known(path, known)] == []


def _below(model: str) -> set[str]:
    return below(importlib.import_module(ML), model, "", ())


def test_an_unknown_field_would_be_seen() -> None:
    known = below(importlib.import_module(ML), "OnlineEndpoint", "", ())
    answer = {"properties": {"authMode": "AADToken", "trafic": 100}}
    assert [path for path in _paths(answer, "") if not _is_known(path, known)] == ["properties.trafic"]


def _get(azure: LocalAzure, path: str, under: str = WORKSPACE_ID) -> dict[str, Any]:
    settings = azure.settings
    token = credential().get_token(f"{settings.arm}/.default").token
    answer = requests.get(
        f"{settings.arm}{under}{path}{'&' if '?' in path else '?'}api-version=2025-12-01",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(settings.bundle),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _paths(value: object, prefix: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            path = f"{prefix}{key}"
            yield path
            if not path.endswith(FREE):
                yield from _paths(inner, f"{path}.")
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, prefix)


def _is_known(path: str, known: set[str]) -> bool:
    reached = {""}
    for part in path.split("."):
        steps = {f"{before}.{step}".lstrip(".") for before in reached for step in (part, "*")}
        reached = steps & known
        if any(one.endswith("*") for one in reached):
            return True
    return bool(reached)


def test_the_reference_is_what_is_answered() -> None:
    page = Path(reference.PAGE)
    assert page.read_text() == reference.page(), "write it again: python -m local.reference"

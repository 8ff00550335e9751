"""What the local Azure answers has only fields that Azure's own client knows, and its reference is what it answers."""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local import reference
from local.azure import LocalAzure
from local.settings import WORKSPACE_ID
from shared.azure.client import Workspace, credential
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.stage import SdkStage, eventually
from tests.infra.generate_types import ML, below

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
    base = stage.model().split("/models/")[1].split("/")[0]
    code = spec.code.split("/codes/")[1]
    return {
        "data": base, "environment": base, "component": base, "code": code,
        "model": name, "job": job.name, "endpoint": name,
    }  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_has_only_known_fields(model: str, local_azure: LocalAzure, named: dict[str, str]) -> None:
    known = below(importlib.import_module(ML), model, "", ())
    answer = _get(local_azure, MODELS[model].format_map(named))
    assert set(answer) >= {"id", "name", "properties"}

    unknown = [path for path in _paths(answer, "") if not _is_known(path, known)]

    assert unknown == []


def test_an_unknown_field_would_be_seen() -> None:
    known = below(importlib.import_module(ML), "OnlineEndpoint", "", ())
    answer = {"properties": {"authMode": "AADToken", "trafic": 100}}
    assert [path for path in _paths(answer, "") if not _is_known(path, known)] == ["properties.trafic"]


def _get(azure: LocalAzure, below_workspace: str) -> dict[str, Any]:
    settings = azure.settings
    token = credential().get_token(f"{settings.arm}/.default").token
    answer = requests.get(
        f"{settings.arm}{WORKSPACE_ID}{below_workspace}?api-version=2025-12-01",
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

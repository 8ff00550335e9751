"""Resource Manager's own rules hold for every kind of resource."""

from __future__ import annotations

import ssl
import uuid

import httpx
import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Data
from azure.identity import DefaultAzureCredential

from local.azure import LocalAzure
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID


def arm_get(azure: LocalAzure, path: str, **query: str) -> httpx.Response:
    token = DefaultAzureCredential().get_token(azure.settings.arm + "/.default").token
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(verify=ssl.create_default_context(cafile=str(azure.settings.bundle))) as client:
        return client.get(f"{azure.settings.arm}{WORKSPACE_ID}{path}", params=query, headers=headers)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "MissingApiVersionParameter"),
        ({"api-version": "latest"}, "InvalidApiVersionParameter"),
    ],
)
def test_resource_manager_wants_an_api_version(
    local_azure: LocalAzure, query: dict[str, str], code: str
) -> None:
    """Source: MicrosoftDocs/azure-docs, azure-resource-manager, the error codes of the same names."""
    answer = arm_get(local_azure, "/data", **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_lists_come_in_pages_and_a_filter_that_is_not_known_is_refused(local_azure: LocalAzure) -> None:
    """Source: microsoft/api-guidelines, azure/Guidelines.md, "Collections": `value` and `nextLink`."""
    client = MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)
    name = f"paged-{uuid.uuid4().hex[:8]}"
    for version in range(23):
        path = f"azureml://datastores/workspaceblobstore/paths/{name}/{version}"
        client.data.create_or_update(Data(name=name, version=str(version), type="uri_folder", path=path))
    first = arm_get(local_azure, f"/data/{name}/versions", **{"api-version": "2023-04-01"}).json()
    assert len(first["value"]) == 10
    assert "nextLink" in first
    assert len({found.version for found in client.data.list(name)}) == 23
    refused = arm_get(local_azure, "/data", **{"api-version": "2023-04-01", "$filter": "name eq 'x'"})
    assert refused.status_code == 501
    assert "$filter" in refused.text

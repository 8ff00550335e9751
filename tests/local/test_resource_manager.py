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


def arm_write(
    azure: LocalAzure, method: str, path: str, body: dict[str, object], **headers: str
) -> httpx.Response:
    token = DefaultAzureCredential().get_token(azure.settings.arm + "/.default").token
    given = {"authorization": f"Bearer {token}"} | {name.replace("_", "-"): headers[name] for name in headers}
    with httpx.Client(verify=ssl.create_default_context(cafile=str(azure.settings.bundle))) as client:
        url = f"{azure.settings.arm}{WORKSPACE_ID}{path}?api-version=2023-04-01"
        return client.request(method, url, json=body, headers=given)


def test_a_write_under_a_condition_that_does_not_hold_is_412(local_azure: LocalAzure) -> None:
    """Source: Azure/azure-resource-manager-rpc, v1.0/resource-api-reference.md: 412 "if the resource doesn't pass the
    condition specified by the If-Match header"."""
    path = f"/onlineEndpoints/etag-{uuid.uuid4().hex[:8]}"

    def write(tag: str, **headers: str) -> int:
        body = {"location": "local", "tags": {"a": tag}, "properties": {"authMode": "AADToken"}}
        return arm_write(local_azure, "PUT", path, body, **headers).status_code

    def etag() -> str:
        return arm_get(local_azure, path, **{"api-version": "2023-04-01"}).headers["etag"]

    assert write("1", if_match="*") == 412
    assert write("1", if_none_match="*") == 201
    seen = etag()
    assert etag() == seen
    assert write("2", if_none_match="*") == 412
    assert write("2", if_match=seen) == 200
    assert write("3", if_match=seen) == 412
    assert write("3", if_match=f'"x", {etag()}') == 200
    assert arm_write(local_azure, "DELETE", path, {}, if_match=seen).status_code == 412
    assert arm_write(local_azure, "DELETE", path, {}, if_match=etag()).status_code == 202


def test_a_deployment_wants_its_endpoint(local_azure: LocalAzure) -> None:
    """Source: azure-ai-ml, _online_deployment_operations.py, which asks for the endpoint before it uploads."""
    answer = arm_write(
        local_azure, "PUT", "/onlineEndpoints/none-such/deployments/blue", {"location": "local"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")


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

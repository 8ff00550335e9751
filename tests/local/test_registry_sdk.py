"""The unmodified SDK alone shares with a registry and reads from it; the registry is as strict as Azure's."""

from __future__ import annotations

import os
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment, Model
from azure.ai.ml.exceptions import ValidationException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential

from local.assets.models import Assets
from local.azure import LocalAzure
from local.identity.roles import Grant, Roles
from local.registries.exceptions import Taken
from local.registries.models import Registry
from local.service import Service
from local.settings import (
    REGISTRY,
    REGISTRY_ID,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
    WORKSPACE_GUID,
    settings_of,
)
from local.state import State

SERVICE = "/mferp/managementfrontend"
DATAPLANE, STABLE = "2021-10-01-dataplanepreview", "2024-10-01"


@pytest.fixture
def person(local_azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> DefaultAzureCredential:
    """Who publishes: only they may write to the registry."""
    monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
    for name, value in local_azure.environment("publisher").items():
        monkeypatch.setenv(name, value)
    return DefaultAzureCredential()


@pytest.fixture
def client(local_azure: LocalAzure) -> MLClient:
    """The workspace's, as the app: it registers what a job made, which the publisher cannot."""
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


@pytest.fixture
def sharer(client: MLClient, person: DefaultAzureCredential) -> MLClient:
    return MLClient(person, SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


@pytest.fixture
def registry(person: DefaultAzureCredential) -> MLClient:
    return MLClient(person, registry_name=REGISTRY)


@pytest.fixture
def model(client: MLClient, tmp_path: Path) -> str:
    """The name of a registered model, version 1."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "weights.txt").write_text("2")
    name = f"m-{uuid.uuid4().hex[:8]}"
    client.models.create_or_update(Model(name=name, version="1", path=folder, tags={"driftloop.job": "j"}))
    return name


@pytest.fixture
def raw(person: DefaultAzureCredential, local_azure: LocalAzure) -> Callable[..., httpx.Response]:
    """A call of the registry's service without the SDK, by its path below the registry."""
    token = person.get_token(f"{local_azure.settings.arm}/.default").token

    def call(method: str, path: str, body: object = None, base: str = SERVICE) -> httpx.Response:
        return httpx.request(
            method,
            f"{local_azure.settings.arm}{base}{REGISTRY_ID}{path}",
            params={"api-version": DATAPLANE if base else STABLE},
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]),
            trust_env=False,
        )

    return call


@pytest.fixture
def roles(local_azure: LocalAzure) -> Iterator[httpx.Client]:
    yield local_azure.control
    local_azure.control.put("/local/roles", json={}).raise_for_status()


def share(client: MLClient, name: str, to: str = "", version: str = "1") -> Any:
    return client.models.share(
        name, "1", share_with_name=to or name, share_with_version=version, registry_name=REGISTRY
    )


def source(
    kind: str, name: str, version: str = "1", location: str = "local", guid: str = WORKSPACE_GUID
) -> dict[str, Any]:
    asset = f"azureml://locations/{location}/workspaces/{guid}/{kind}/{name}/versions/{version}"
    return {
        "properties": {
            "referenceType": "Id",
            "destinationName": name,
            "destinationVersion": version,
            "sourceAssetId": asset,
        }
    }


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


class TestShared:
    def test_a_model_is_copied_with_its_tags_under_the_version_that_was_asked_for(
        self, sharer: MLClient, registry: MLClient, model: str
    ) -> None:
        """Versions of a registry are free texts (azure-ai-ml, dataplane preview, _model_versions_operations.py)."""
        made = share(sharer, model, to="birds", version=f"3-{model}")

        assert made.id == f"azureml://registries/{REGISTRY}/models/birds/versions/3-{model}"
        found = registry.models.get("birds", f"3-{model}")
        assert (found.tags, found.type) == ({"driftloop.job": "j"}, "custom_model")
        assert "datastores" not in found.path, "a deep copy lies in the registry's own storage"

    def test_an_environment_is_copied(self, client: MLClient, sharer: MLClient, registry: MLClient) -> None:
        name, conda = f"e-{uuid.uuid4().hex[:8]}", {"dependencies": ["python=3.11"]}
        client.environments.create_or_update(
            Environment(name=name, version="1", image="ubuntu", conda_file=conda)
        )
        asked = {"share_with_name": name, "share_with_version": "c0ffee", "registry_name": REGISTRY}
        sharer.environments.share(name, "1", **asked)
        found = registry.environments.get(name, "c0ffee")
        assert (found.image, found.conda_file) == ("ubuntu", conda)

    def test_a_version_that_exists_is_refused_by_the_client(self, sharer: MLClient, model: str) -> None:
        """azure-ai-ml, operations/_model_operations.py, create_or_update of a WorkspaceAssetReference."""
        share(sharer, model)
        with pytest.raises(ValidationException, match="already exists in registry"):
            share(sharer, model)

    def test_nor_is_it_overwritten_by_a_call_without_the_client(
        self, sharer: MLClient, model: str, raw: Callable[..., httpx.Response]
    ) -> None:
        """The REST comment speaks of overwriting, the client refuses (_restclient,
        _resource_management_asset_reference_operations.py): nothing may rest on the former."""
        share(sharer, model)
        answer = raw("POST", "/import", source("models", model))
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict")

    def test_a_deleted_version_can_never_be_made_again(
        self, sharer: MLClient, model: str, raw: Callable[..., httpx.Response]
    ) -> None:
        """Azure/azureml-assets#2919."""
        share(sharer, model)
        assert raw("DELETE", f"/models/{model}/versions/1", base="").status_code == 204
        with pytest.raises(HttpResponseError, match="cannot be created again"):
            share(sharer, model)
        share(sharer, model, version="2")

    def test_an_archived_version_still_has_its_number(
        self, sharer: MLClient, registry: MLClient, model: str
    ) -> None:
        """Azure/azureml-examples#3743; a list shows it (_model_operations.py ignores the view)."""
        share(sharer, model)
        registry.models.archive(model, "1")
        with pytest.raises(ValidationException, match="already exists"):
            share(sharer, model)
        assert [each.version for each in registry.models.list(model)] == ["1"]

    def test_an_import_is_answered_202_and_ends_later(
        self, local_azure: LocalAzure, model: str, raw: Callable[..., httpx.Response]
    ) -> None:
        """azure-ai-ml, _restclient …/_resource_management_asset_reference_operations.py: 202 with Location, then no
        body. A second one meanwhile is refused."""
        local_azure.control.put("/local/pace/registry.import", json={"pace": "2 looks"}).raise_for_status()
        try:
            begun = raw("POST", "/import", source("models", model))
        finally:
            local_azure.control.put("/local/pace/registry.import", json={"pace": "immediate"})
        assert begun.status_code == 202 and begun.headers["Retry-After"]
        assert raw("POST", "/import", source("models", model)).status_code == 409
        token = begun.request.headers["Authorization"]
        seen = []
        while seen[-1:] != [200]:
            look = httpx.get(
                begun.headers["Location"],
                headers={"Authorization": token},
                verify=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]),
                trust_env=False,
            )
            seen.append(look.status_code)
            time.sleep(0.05)
        assert seen[:2] == [202, 202] and look.content == b""


class TestRefused:
    def test_both_a_workspace_and_a_registry(self, person: DefaultAzureCredential) -> None:
        """azure-ai-ml, _ml_client.py."""
        with pytest.raises(ValidationException, match="cannot be used together"):
            MLClient(person, SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE, registry_name=REGISTRY)

    def test_without_a_role_the_client_cannot_be_made(
        self, person: DefaultAzureCredential, roles: httpx.Client
    ) -> None:
        """MicrosoftDocs/azure-docs#122537."""
        lost = [["publisher", "AzureML Registry User", "shared-registry"]]
        roles.put("/local/roles", json={"without": lost}).raise_for_status()
        with pytest.raises(HttpResponseError, match="is not allowed to access registry") as refused:
            MLClient(person, registry_name=REGISTRY)
        assert "UnAuthorizedRegistryAccess" in str(refused.value)

    def test_a_reader_may_not_write(
        self, person: DefaultAzureCredential, sharer: MLClient, model: str, roles: httpx.Client
    ) -> None:
        """MicrosoftDocs/azure-ai-docs, machine-learning/how-to-manage-registries.md, how-to-assign-roles.md."""
        lost = ["publisher", "AzureML Registry User", "shared-registry"]
        also = ["publisher", "Reader", "shared-registry"]
        roles.put("/local/roles", json={"without": [lost], "also": [also]}).raise_for_status()
        with pytest.raises(HttpResponseError, match="registries/assets/write"):
            share(sharer, model)

    def test_a_registry_that_is_not_there(self, person: DefaultAzureCredential) -> None:
        with pytest.raises(ResourceNotFoundError):
            MLClient(person, registry_name="another")

    def test_a_component_of_a_workspace(self, raw: Callable[..., httpx.Response]) -> None:
        """MicrosoftDocs/azure-ai-docs, machine-learning/how-to-registry-network-isolation.md: none can be shared."""
        answer = raw("POST", "/import", source("components", "penguins_training"))
        assert answer.status_code == 400 and "Create them in the registry" in message(answer)

    def test_a_model_of_another_workspace(self, raw: Callable[..., httpx.Response], model: str) -> None:
        for body in (
            source("models", model, location="moon"),
            source("models", model, guid=str(uuid.uuid4())),
        ):
            assert raw("POST", "/import", body).status_code == 404

    def test_a_name_with_a_dot_at_its_end_or_beginning(self, sharer: MLClient, model: str) -> None:
        """azure-ai-ml, dataplane preview, _model_versions_operations.py; the client leaves the check to the service."""
        for name in (".m", "m.", "-m", "_m", "m" * 256):
            with pytest.raises(HttpResponseError, match="cannot name"):
                share(sharer, model, to=name)

    def test_names_differ_by_case(self, sharer: MLClient, registry: MLClient, model: str) -> None:
        """azure-ai-ml, dataplane preview, _model_versions_operations.py: asset names are case-sensitive."""
        share(sharer, model)
        with pytest.raises(ResourceNotFoundError):
            registry.models.get(model.upper(), "1")

    @pytest.mark.soak
    def test_a_model_with_too_many_files(
        self, client: MLClient, model: str, sharer: MLClient, tmp_path: Path
    ) -> None:
        """MicrosoftDocs/azure-ai-docs, machine-learning/resource-limits-capacity.md: 1,500 files a version."""
        folder = tmp_path / "many"
        folder.mkdir()
        for number in range(1_501):
            (folder / f"{number}").write_text("")
        many = f"{model}-many"
        client.models.create_or_update(Model(name=many, version="1", path=folder))
        with pytest.raises(HttpResponseError, match="at most 1500 files"):
            share(sharer, many)

    def test_a_workspace_in_a_region_that_the_registry_does_not_serve(
        self, sharer: MLClient, model: str, local_azure: LocalAzure
    ) -> None:
        """MicrosoftDocs/azure-ai-docs, how-to-share-models-pipelines-across-workspaces-with-registries.md."""
        local_azure.control.put("/local/registry", json={"regions": ["moon"]}).raise_for_status()
        try:
            with pytest.raises(HttpResponseError, match="one of the registry's regions"):
                share(sharer, model)
        finally:
            local_azure.control.put("/local/registry", json={}).raise_for_status()

    def test_neither_version_nor_label(self, registry: MLClient) -> None:
        """azure-ai-ml, operations/_model_operations.py, get."""
        with pytest.raises(ValidationException, match="Must provide"):
            registry.models.get("m")
        with pytest.raises(ValidationException, match="Cannot specify both"):
            registry.models.get("m", version="1", label="latest")


class TestCreatedInTheRegistry:
    def test_an_environment_that_exists_stays_as_it_is_whatever_is_sent(self, registry: MLClient) -> None:
        """Azure/azure-sdk-for-python#30208: the old one is the answer, tags included, and no error."""
        name = f"e-{uuid.uuid4().hex[:8]}"
        registry.environments.create_or_update(
            Environment(name=name, version="1", image="ubuntu", tags={"a": "1"})
        )
        again = Environment(name=name, version="1", image="debian", tags={"a": "2"})
        assert registry.environments.create_or_update(again).image == "ubuntu"
        assert registry.environments.get(name, "1").tags == {"a": "1"}

    def test_a_models_path_cannot_change(
        self, sharer: MLClient, model: str, raw: Callable[..., httpx.Response]
    ) -> None:
        """azure-ai-ml, operations/_model_operations.py, ASSET_PATH_ERROR."""
        share(sharer, model)
        body = {"properties": {"modelUri": "https://elsewhere/other"}}
        answer = raw("PUT", f"/models/{model}/versions/1", body)
        assert answer.status_code == 400 and "cannot be changed" in message(answer)

    def test_of_many_who_create_a_version_at_once_one_content_stays(
        self, person: DefaultAzureCredential
    ) -> None:
        name = f"e-{uuid.uuid4().hex[:8]}"

        def create(number: int) -> str:
            own = MLClient(person, registry_name=REGISTRY)
            return str(
                own.environments.create_or_update(
                    Environment(name=name, version="1", image=f"i{number}")
                ).image
            )

        with ThreadPoolExecutor(4) as pool:
            images = set(pool.map(create, range(4)))
        assert len(images) == 1


def test_resource_manager_shows_the_same_version(
    sharer: MLClient, model: str, raw: Callable[..., httpx.Response]
) -> None:
    """Azure/azure-rest-api-specs, stable/2024-10-01, registries.json and examples/Registry/*."""
    share(sharer, model)
    by_arm = raw("GET", f"/models/{model}/versions/1", base="").json()
    assert by_arm == raw("GET", f"/models/{model}/versions/1").json()
    assert raw("GET", "", base="").json()["name"] == REGISTRY


def test_two_local_azures_share_one_registry(tmp_path: Path) -> None:
    """What one copied in lies where the other looks."""
    folders = [
        settings_of(tmp_path / name, registry=tmp_path / "registry") for name in ("test", "production")
    ]
    assert folders[0].registry == folders[1].registry == tmp_path / "registry"
    again = settings_of(tmp_path / "test", environment="test")
    assert (again.registry, again.environment_name) == (tmp_path / "registry", "test"), (
        "what was given is kept"
    )
    assert again.arm == folders[0].arm and settings_of(tmp_path / "test") == again
    services = [Service(one, State(one.folder / "state.sqlite")) for one in folders]
    ours, theirs = (Registry(service, service.clock) for service in services)
    ours.put("environments", "e", "1", {"properties": {"image": "ubuntu"}}, "me")
    assert theirs.get("environments", "e", "1")["properties"]["image"] == "ubuntu"
    for one in (ours, theirs):
        one.stop()
    for service in services:
        service.close()


def test_an_import_that_a_local_azure_died_in_keeps_its_version_from_nobody(tmp_path: Path) -> None:
    folders = [settings_of(tmp_path / name, registry=tmp_path / "registry") for name in ("ours", "theirs")]
    services = [Service(one, State(one.folder / "state.sqlite")) for one in folders]
    ours = services[0]
    ours.add(Assets(ours.state, ours.clock))
    ours.get(Assets).put("environments", "e", "1", {"properties": {"image": "ubuntu"}})
    cut_off = Registry(ours, ours.clock)
    cut_off._copying.shutdown()
    with pytest.raises(RuntimeError):  # from here on it is as if the process were gone
        cut_off.begin_import(source("environments", "e"), "me")
    theirs = Registry(services[1], ours.clock)
    with pytest.raises(Taken):  # who is another cannot know whether it goes on
        theirs.put("environments", "e", "1", {"properties": {}}, "me")
    again = Registry(ours, ours.clock)
    assert [body["status"] for _, body in ours.state.items("operation")] == ["Failed"]
    again.begin_import(source("environments", "e"), "me")
    for one in (again, theirs):
        one.stop()
    for service in services:
        service.close()


def test_the_table_gives_the_app_no_more_than_to_read() -> None:
    assets = "Microsoft.MachineLearningServices/registries/assets"
    roles = Roles()
    for who, may in (("app", False), ("endpoint", False), ("publisher", True)):
        assert roles.allows(who, f"{assets}/read", "shared-registry")
        assert roles.allows(who, f"{assets}/write", "shared-registry") is may
    roles.change([Grant("app", "Reader", "shared-registry")])
    assert not roles.allows("app", f"{assets}/read", "shared-registry")

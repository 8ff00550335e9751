"""The unmodified SDK alone registers and reads every kind of asset on the local Azure."""

import base64
import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import Input, MLClient, Output, command, dsl, load_component
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Data, Environment, Model
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.azure import LocalAzure
from local.settings import ACCOUNT, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID


@pytest.fixture
def client(local_azure: LocalAzure) -> MLClient:
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


@pytest.fixture
def name() -> str:
    """A new name: the tests share one workspace."""
    return f"thing_{uuid.uuid4().hex[:8]}"


def landed(name: str, version: str, path: str = "one/", **tags: str) -> Data:
    return Data(
        name=name,
        version=version,
        type=AssetTypes.URI_FOLDER,
        path=f"azureml://datastores/driftloop_versions/paths/{path}",
        tags=tags,
    )


def versions_in(client: MLClient, name: str) -> list[str]:
    return [each.version for each in client.data.list(name)]


class TestData:
    def test_latest_is_what_was_created_last(self, client: MLClient, name: str) -> None:
        for version in ("b7", "a1"):
            client.data.create_or_update(landed(name, version, f"{version}/"))
        client.data.create_or_update(landed(name, "b7", "b7/", touched="again"))

        latest = client.data.get(name, label="latest")

        assert latest.version == "a1"
        assert latest.path.endswith("/datastores/driftloop_versions/paths/a1/")
        assert sorted(versions_in(client, name)) == ["a1", "b7"]

    def test_the_same_content_again_is_accepted_and_tags_change(self, client: MLClient, name: str) -> None:
        client.data.create_or_update(landed(name, "1", Length="10"))
        client.data.create_or_update(landed(name, "1", Length="12"))
        assert client.data.get(name, "1").tags == {"Length": "12"}
        assert versions_in(client, name) == ["1"]

    def test_other_content_under_the_same_version_is_refused(self, client: MLClient, name: str) -> None:
        client.data.create_or_update(landed(name, "1", "one/"))
        with pytest.raises(HttpResponseError, match="already exists") as refusal:
            client.data.create_or_update(landed(name, "1", "two/"))
        assert refusal.value.error is not None and refusal.value.error.code == "UserError"
        assert client.data.get(name, "1").path.endswith("/paths/one/")

    def test_of_many_who_claim_a_version_at_once_one_gets_it(self, client: MLClient, name: str) -> None:
        def claim(number: int) -> bool:
            try:
                client.data.create_or_update(landed(name, "1", f"{number}/"))
            except HttpResponseError as refusal:
                assert "already exists" in refusal.message
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = [number for number, has_it in enumerate(pool.map(claim, range(8))) if has_it]
        assert len(won) == 1
        assert client.data.get(name, "1").path.endswith(f"/paths/{won[0]}/")

    def test_without_a_version_the_next_number_is_taken(self, client: MLClient, name: str) -> None:
        for _ in range(2):
            client.data.create_or_update(Data(name=name, type="uri_file", path="https://example.org/a.csv"))
        assert sorted(versions_in(client, name)) == ["1", "2"]

    def test_what_is_not_there_is_not_found(self, client: MLClient, name: str) -> None:
        with pytest.raises(ResourceNotFoundError, match=name):
            client.data.get(name, "1")

    def test_a_local_file_is_uploaded_by_identity(
        self, client: MLClient, name: str, tmp_path: Path, local_azure: LocalAzure
    ) -> None:
        file = tmp_path / "rows.csv"
        file.write_text(f"a\n{name}\n")
        made = client.data.create_or_update(Data(name=name, version="1", type="uri_file", path=str(file)))
        assert "/datastores/workspaceblobstore/paths/" in made.path
        blob = made.path.split("/paths/")[1]
        assert blob_service(local_azure).get_blob_client("azureml-blobstore", blob).download_blob().readall()

    def test_an_archived_version_leaves_the_list(self, client: MLClient, name: str) -> None:
        client.data.create_or_update(landed(name, "1"))
        client.data.create_or_update(landed(name, "2"))
        client.data.archive(name, "1")
        assert versions_in(client, name) == ["2"]
        assert client.data.get(name, "1").version == "1"

    def test_an_archived_name_leaves_the_list_until_it_is_restored(self, client: MLClient, name: str) -> None:
        client.data.create_or_update(landed(name, "1"))
        client.data.archive(name)
        assert name not in [each.name for each in client.data.list()]
        client.data.restore(name)
        assert name in [each.name for each in client.data.list()]


class TestEnvironments:
    def test_an_environment_keeps_its_image_and_its_packages(self, client: MLClient, name: str) -> None:
        conda = {"name": "x", "dependencies": ["python=3.11", {"pip": ["scikit-learn==1.8.0"]}]}
        client.environments.create_or_update(
            Environment(name=name, version="c0ffee", image="ubuntu", conda_file=conda)
        )
        found = client.environments.get(name, "c0ffee")
        assert found.image == "ubuntu"
        assert found.conda_file == conda
        with pytest.raises(ResourceExistsError):
            client.environments.create_or_update(Environment(name=name, version="c0ffee", image="debian"))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text(f"print('{uuid.uuid4()}')\n")
    return folder


def train(name: str, code: Path, environment: str) -> Any:
    return command(
        name=name,
        command="python train.py --data ${{inputs.data}} --rate ${{inputs.rate}} --model ${{outputs.model}}",
        code=str(code),
        environment=environment,
        inputs={"data": Input(type="uri_folder"), "rate": Input(type="number", default=0.5)},
        outputs={"model": Output(type="custom_model")},
    ).component


@pytest.fixture
def environment(client: MLClient) -> str:
    made = client.environments.create_or_update(Environment(name="base", version="1", image="ubuntu"))
    return f"azureml:{made.name}:{made.version}"


class TestComponents:
    def test_unchanged_code_is_not_uploaded_again(
        self, client: MLClient, name: str, code: Path, environment: str, local_azure: LocalAzure
    ) -> None:
        first = client.components.create_or_update(train(name, code, environment), version="1")
        containers = container_names(local_azure)
        second = client.components.create_or_update(train(name, code, environment), version="2")
        assert container_names(local_azure) == containers
        assert first.code == second.code
        (code / "train.py").write_text("print('changed')\n")
        third = client.components.create_or_update(train(name, code, environment), version="3")
        assert third.code != first.code
        assert len(container_names(local_azure)) == len(containers) + 1

    def test_a_command_component_is_read_back(
        self, client: MLClient, name: str, code: Path, environment: str
    ) -> None:
        client.components.create_or_update(train(name, code, environment), version="1")
        found = client.components.get(name, "1")
        assert found.type == "command"
        assert found.inputs["rate"].default == 0.5
        assert found.outputs["model"].type == "custom_model"
        assert client.components.get(name).version == "1", "without a version: the default one"

    def test_a_version_does_not_change_its_content(
        self, client: MLClient, name: str, code: Path, environment: str
    ) -> None:
        client.components.create_or_update(train(name, code, environment), version="1")
        client.components.create_or_update(train(name, code, environment), version="1")
        (code / "train.py").write_text("print('changed')\n")
        with pytest.raises(ResourceExistsError, match="already exists"):
            client.components.create_or_update(train(name, code, environment), version="1")

    def test_a_pipeline_component_from_python(
        self, client: MLClient, name: str, code: Path, environment: str
    ) -> None:
        step = client.components.create_or_update(train(f"{name}_step", code, environment), version="1")

        @dsl.pipeline(name=name, version="1")
        def training(data: Input(type="uri_folder")) -> dict[str, Any]:
            done = step(data=data, rate=0.1)
            return {"model": done.outputs.model}

        client.components.create_or_update(training)
        found = client.components.get(name, "1")
        assert found.type == "pipeline"
        assert list(found.jobs) == ["done"]
        assert list(found.outputs) == ["model"]

    def test_a_pipeline_component_from_yaml_registers_its_steps(
        self, client: MLClient, name: str, code: Path, environment: str, tmp_path: Path
    ) -> None:
        (tmp_path / "pipeline.yml").write_text(
            f"""
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: {name}
version: "1"
inputs:
  data: {{type: uri_folder}}
outputs:
  model: {{type: custom_model}}
jobs:
  fit:
    type: command
    component:
      type: command
      command: python train.py ${{{{inputs.data}}}} ${{{{outputs.model}}}}
      code: ./code
      environment: {environment}
      inputs:
        data: {{type: uri_folder}}
      outputs:
        model: {{type: custom_model}}
    inputs:
      data: ${{{{parent.inputs.data}}}}
    outputs:
      model: ${{{{parent.outputs.model}}}}
"""
        )
        client.components.create_or_update(load_component(tmp_path / "pipeline.yml"))
        found = client.components.get(name, "1")
        assert "azureml_anonymous" in str(found.jobs["fit"].component)


class TestModels:
    def test_versions_are_counted_and_listed(self, client: MLClient, name: str) -> None:
        for path in ("one", "two"):
            client.models.create_or_update(
                Model(
                    name=name, path=f"azureml://datastores/workspaceblobstore/paths/{path}", tags={"by": path}
                )
            )
        assert sorted(each.version for each in client.models.list(name)) == ["1", "2"]
        assert client.models.get(name, label="latest").tags == {"by": "two"}
        assert client.models.get(name, "1").path.endswith("/paths/one")

    def test_a_model_is_downloaded_by_identity(
        self, client: MLClient, name: str, tmp_path: Path, local_azure: LocalAzure
    ) -> None:
        blob_service(local_azure).get_blob_client("azureml-blobstore", f"{name}/weights.txt").upload_blob(
            b"42"
        )
        path = f"azureml://datastores/workspaceblobstore/paths/{name}"
        client.models.create_or_update(Model(name=name, path=path))
        client.models.download(name, "1", tmp_path)
        assert (tmp_path / name / name / "weights.txt").read_bytes() == b"42"

    def test_tags_are_added_to_a_model_that_stays_as_it_is(self, client: MLClient, name: str) -> None:
        path = "azureml://datastores/workspaceblobstore/paths/m"
        made = client.models.create_or_update(Model(name=name, path=path, tags={"release": "1"}))
        made.tags["ledger_head"] = "abc"
        client.models.create_or_update(made)
        assert client.models.get(name, "1").tags == {"release": "1", "ledger_head": "abc"}
        made.path = path + "2"
        with pytest.raises(HttpResponseError, match="modelUri"):
            client.models.create_or_update(made)

    def test_a_version_must_be_a_whole_number(self, client: MLClient, name: str) -> None:
        model = Model(name=name, version="1.0.0", path="azureml://datastores/workspaceblobstore/paths/m")
        with pytest.raises(HttpResponseError, match="positive integer"):
            client.models.create_or_update(model)


class TestKeyless:
    def test_no_answer_holds_the_account_key(self, client: MLClient, local_azure: LocalAzure) -> None:
        store = client.datastores.get_default(include_secrets=True)
        key = local_azure.settings.account_key
        assert store.name == "workspaceblobstore"
        assert key not in str(store._to_rest_object())
        secrets = arm_request(local_azure, "POST", "/datastores/workspaceblobstore/listSecrets").json()
        assert secrets["secretsType"] == "Sas"
        assert key not in json.dumps(secrets)
        address = f"{local_azure.settings.storage('blob')}/azureml-blobstore?{secrets['sasToken']}"
        list(ContainerClient.from_container_url(address).list_blobs())

    def test_another_key_opens_nothing(self, local_azure: LocalAzure) -> None:
        known = base64.b64encode(b"\0" * 64).decode()
        service = BlobServiceClient(
            local_azure.settings.storage("blob"), {"account_name": ACCOUNT, "account_key": known}
        )
        with pytest.raises(HttpResponseError, match="Key based authentication is not permitted"):
            service.get_account_information()


class TestIdentity:
    def test_a_token_names_its_audience(self, local_azure: LocalAzure) -> None:
        identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
        token = identity.get_token("https://ml.azure.local/.default").token
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert claims["aud"] == "https://ml.azure.local"

    @pytest.mark.parametrize("header", ["", "wrong"])
    def test_who_does_not_know_the_header_gets_no_token(self, local_azure: LocalAzure, header: str) -> None:
        answer = requests.get(
            f"{local_azure.settings.arm}/msi/token",
            params={"resource": "https://storage.azure.com"},
            headers={"X-IDENTITY-HEADER": header},
            timeout=30,
        )
        assert answer.status_code == 401
        assert "access_token" not in answer.text

    def test_a_token_for_another_audience_is_refused(self, local_azure: LocalAzure) -> None:
        token = DefaultAzureCredential().get_token("https://storage.azure.com/.default").token
        answer = arm_request(local_azure, "GET", "/data", token=token)
        assert answer.status_code == 401
        assert "audience" in answer.json()["error"]["message"]

    def test_a_forged_token_is_refused(self, local_azure: LocalAzure) -> None:
        good = DefaultAzureCredential().get_token(f"{local_azure.settings.arm}/.default").token
        head, body, _ = good.split(".")
        assert arm_request(local_azure, "GET", "/data", token=good).status_code == 200
        assert arm_request(local_azure, "GET", "/data", token=f"{head}.{body}.forged").status_code == 401
        assert arm_request(local_azure, "GET", "/data", token="").status_code == 401


class TestBoundaries:
    def test_what_is_not_emulated_says_so(self, client: MLClient, local_azure: LocalAzure) -> None:
        with pytest.raises(HttpResponseError, match="not emulated") as refusal:
            client.schedules.get("nightly")
        assert refusal.value.status_code == 501
        assert "/schedules/nightly" in refusal.value.message
        assert arm_request(local_azure, "DELETE", "/data/x").status_code == 501

    def test_ids_are_read_in_any_case(self, client: MLClient, local_azure: LocalAzure) -> None:
        shouted = arm_request(local_azure, "GET", "", path=WORKSPACE_ID.upper())
        assert shouted.json()["name"] == WORKSPACE
        foreign = arm_request(local_azure, "GET", "", path=WORKSPACE_ID + "2")
        assert foreign.status_code == 404

    def test_the_control_surface_needs_its_secret(self, local_azure: LocalAzure) -> None:
        address = f"{local_azure.settings.arm}/local/pace/deployment"
        assert requests.put(address, json={"pace": "2 looks"}, timeout=30).status_code == 403
        assert local_azure.control.put("/local/pace/nothing", json={"pace": "2 looks"}).status_code == 204
        assert local_azure.control.put("/local/pace/nothing", json={"pace": "soon"}).status_code == 400

    def test_state_outlives_the_workspace_process(self, tmp_path: Path) -> None:
        with LocalAzure(tmp_path / "state") as azure:
            put = {
                "properties": {
                    "dataUri": "azureml://datastores/driftloop_versions/paths/x",
                    "dataType": "uri_file",
                }
            }
            assert arm_request(azure, "PUT", "/data/kept/versions/7", json=put).status_code == 201
            azure.part("workspace").kill()
            azure.start_workspace()
            found = arm_request(azure, "GET", "/data/kept/versions/7")
            assert found.json()["name"] == "7"


def arm_request(
    azure: LocalAzure,
    method: str,
    below: str,
    *,
    path: str = WORKSPACE_ID,
    token: str | None = None,
    **options: Any,
) -> requests.Response:
    """A raw request to Resource Manager, for what the SDK would not send."""
    settings = azure.settings
    if token is None:
        issued = requests.get(
            f"{settings.arm}/msi/token",
            params={"resource": settings.arm},
            headers={"X-IDENTITY-HEADER": settings.identity_header},
            verify=str(settings.bundle),
            timeout=30,
        )
        token = issued.json()["access_token"]
    return requests.request(
        method,
        f"{settings.arm}{path}{below}?api-version=2023-04-01-preview",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(settings.bundle),
        timeout=30,
        **options,
    )


def blob_service(azure: LocalAzure) -> BlobServiceClient:
    return BlobServiceClient(azure.settings.storage("blob"), DefaultAzureCredential())


def container_names(azure: LocalAzure) -> set[str]:
    return {each.name for each in blob_service(azure).list_containers()}

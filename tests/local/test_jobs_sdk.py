"""The unmodified SDK alone submits, follows, cancels and reads jobs, which really run."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.ai.ml import Input, MLClient, Output, command, dsl, load_component, load_job
from azure.ai.ml.entities import Component, Data, Environment, Job, PipelineComponent
from azure.ai.ml.exceptions import JobException
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from local.azure import LocalAzure
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE

ENDED = ("Completed", "Failed", "Canceled")
TIMEOUT_S = 90


@pytest.fixture(scope="module")
def client(local_azure: LocalAzure) -> MLClient:
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


@pytest.fixture(scope="module")
def blobs(local_azure: LocalAzure) -> Iterator[BlobServiceClient]:
    with BlobServiceClient(local_azure.settings.storage("blob"), DefaultAzureCredential()) as made:
        yield made


@pytest.fixture(scope="module")
def environment(client: MLClient) -> str:
    """An environment whose packages are all there."""
    conda = {"name": "e", "channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["pandas"]}]}
    made = Environment(name="job-env", image="example/base:1", conda_file=_yaml(conda))
    return f"azureml:job-env:{client.environments.create_or_update(made).version}"


@pytest.fixture
def name() -> str:
    return f"job-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def penguins(client: MLClient, blobs: BlobServiceClient, name: str) -> str:
    """A data asset of two files; returns its id."""
    landing = blobs.get_container_client("versions")
    for season, rows in (("2007", "adelie\ngentoo\n"), ("2008", "chinstrap\n")):
        landing.upload_blob(f"{name}/part/{season}.csv", rows)
    path = f"azureml://datastores/driftloop_versions/paths/{name}/"
    return str(client.data.create_or_update(Data(name=name, version="v1", type="uri_folder", path=path)).id)


def _yaml(content: object) -> str:
    import tempfile

    import yaml

    file = Path(tempfile.mkdtemp()) / "conda.yml"
    file.write_text(yaml.safe_dump(content))
    return str(file)


def ended(client: MLClient, name: str, timeout_s: float = TIMEOUT_S) -> Job:
    return reached(client, name, ENDED, timeout_s)


def reached(client: MLClient, name: str, statuses: tuple[str, ...], timeout_s: float = TIMEOUT_S) -> Job:
    deadline = time.monotonic() + timeout_s
    while (job := client.jobs.get(name)).status not in statuses:
        assert time.monotonic() < deadline, f"{name} is still {job.status}"
        time.sleep(0.1)
    return job


def failure(client: MLClient, name: str) -> str:
    with pytest.raises(JobException) as caught:
        client.jobs.stream(name)
    return str(caught.value)


def text_at(blobs: BlobServiceClient, container: str, path: str) -> str:
    content: bytes = blobs.get_blob_client(container, path).download_blob().readall()
    return content.decode()


PREP = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
name: prep
type: command
inputs:
  data: {{type: uri_folder}}
  limit: {{type: integer, default: 10}}
  note: {{type: string, optional: true}}
outputs:
  prepared: {{type: uri_folder}}
environment: {environment}
command: >-
  sort ${{{{inputs.data}}}}/part/*.csv | head -n ${{{{inputs.limit}}}} > ${{{{outputs.prepared}}}}/rows.txt &&
  echo "note: none" $[[&& echo "note: ${{{{inputs.note}}}}"]]
"""

TRAIN = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
name: train
type: command
inputs:
  prepared: {{type: uri_folder}}
  rate: {{type: number, default: 0.5}}
outputs:
  model: {{type: custom_model}}
environment: {environment}
code: ./src
command: python train.py ${{{{inputs.prepared}}}} ${{{{inputs.rate}}}} ${{{{outputs.model}}}}
"""

TRAIN_PY = """
import os, sys
rows = open(sys.argv[1] + "/rows.txt").read().split()
open(sys.argv[3] + "/model.txt", "w").write(f"{len(rows)} rows, rate {sys.argv[2]}, {os.environ.get('SPECIES', '')}")
print("trained on", rows)
"""


@pytest.fixture
def parts(tmp_path: Path, environment: str) -> tuple[Component, Component]:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(TRAIN_PY)
    (tmp_path / "prep.yml").write_text(PREP.format(environment=environment))
    (tmp_path / "train.yml").write_text(TRAIN.format(environment=environment))
    return load_component(tmp_path / "prep.yml"), load_component(tmp_path / "train.yml")


# azure-ai-ml calls azure-storage-blob in a way that this deprecates; it is theirs to mend.
DOWNLOADS = pytest.mark.filterwarnings("ignore:The use of a 'BlobProperties' instance:DeprecationWarning")


class TestPipelines:
    @DOWNLOADS
    def test_from_yaml(
        self,
        client: MLClient,
        blobs: BlobServiceClient,
        parts: tuple[Component, Component],
        penguins: str,
        name: str,
        tmp_path: Path,
    ) -> None:
        (tmp_path / "pipeline.yml").write_text(f"""
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
experiment_name: penguins
settings: {{default_compute: serverless}}
inputs:
  data: {{type: uri_folder, path: "{penguins}"}}
  rate: 0.25
outputs:
  model: {{type: custom_model, path: "azureml://datastores/workspaceblobstore/paths/models/{name}/"}}
jobs:
  train:
    type: command
    component: ./train.yml
    inputs: {{prepared: "${{{{parent.jobs.prep.outputs.prepared}}}}", rate: "${{{{parent.inputs.rate}}}}"}}
    outputs: {{model: "${{{{parent.outputs.model}}}}"}}
    environment_variables: {{SPECIES: adelie}}
  prep:
    type: command
    component: ./prep.yml
    inputs: {{data: "${{{{parent.inputs.data}}}}", limit: 2}}
""")
        job = client.jobs.create_or_update(
            load_job(tmp_path / "pipeline.yml", params_override=[{"name": name}])
        )
        assert job.name == name

        assert ended(client, name).status == "Completed"

        assert text_at(blobs, "azureml-blobstore", f"models/{name}/model.txt") == "2 rows, rate 0.25, adelie"
        assert name in [each.name for each in client.jobs.list()]
        children = {each.display_name: each for each in client.jobs.list(parent_job_name=name)}
        assert {key: each.status for key, each in children.items()} == {
            "prep": "Completed",
            "train": "Completed",
        }
        client.jobs.download(children["train"].name, download_path=tmp_path / "got")
        log = tmp_path / "got" / "artifacts" / "user_logs" / "std_log.txt"
        assert "trained on ['adelie', 'chinstrap']" in log.read_text()

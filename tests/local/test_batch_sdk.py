"""The unmodified SDK alone makes batch endpoints, calls them, and reads what real models left."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from azure.ai.ml import Input, MLClient, Output
from azure.ai.ml.entities import (
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Environment,
    ManagedOnlineEndpoint,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
    ResourceConfiguration,
)
from azure.ai.ml.exceptions import MlException, ValidationException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from local.azure import LocalAzure
from local.batch.runner import driver
from local.jobs.environment import python_for
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID

CLUSTER = "driftloop-cpu"
SCRIPT = """
import os, pathlib, sys, time
import pandas as pd

def init():
    global factor
    factor = int((pathlib.Path(os.environ["AZUREML_MODEL_DIR"]) / "weights" / "factor.txt").read_text())

def run(mini_batch):
    found = []
    for path in mini_batch:
        rows = pd.read_csv(path)
        if "sleep" in rows:
            time.sleep(float(rows["sleep"].max()))
        if (rows["x"] < 0).any():
            raise ValueError("x is negative")
        found.append(pd.DataFrame({"file": os.path.basename(path), "y": rows["x"] * factor}))
    if os.environ.get("OWN"):
        place = pathlib.Path(os.environ["AZUREML_BI_OUTPUT_PATH"])
        pd.concat(found).to_parquet(place / (os.path.basename(mini_batch[0]) + ".pq"))
        return mini_batch
    return pd.concat(found)
"""


class Batch:
    """An endpoint with what its tests need."""

    def __init__(self, azure: LocalAzure, client: MLClient, folder: Path) -> None:
        self.azure, self.client, self.folder = azure, client, folder
        self.name = f"be-{uuid.uuid4().hex[:8]}"
        client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=self.name)).result()
        (folder / "code").mkdir()
        (folder / "code" / "batch_driver.py").write_text(SCRIPT)
        weights = folder / "weights"
        weights.mkdir()
        (weights / "factor.txt").write_text("2")
        self.weights = client.models.create_or_update(
            Model(path=str(weights), name=self.name, type="custom_model")
        )
        self.blobs = BlobServiceClient(azure.settings.storage("blob"), DefaultAzureCredential())

    def environment(self, *packages: str) -> Environment:
        conda = self.folder / f"conda-{len(packages)}.json"  # JSON is YAML
        conda.write_text(json.dumps({"dependencies": ["python=3.11", {"pip": list(packages)}]}))
        return Environment(image="example/base:1", conda_file=str(conda))

    def deployment(
        self, name: str, variables: dict[str, str] | None = None, **options: Any
    ) -> ModelBatchDeployment:
        settings = {"mini_batch_size": 1, "error_threshold": -1, "environment_variables": variables or {}}
        given = {key: options.pop(key) for key in list(options) if key in SETTINGS}
        own: dict[str, Any] = {
            "model": str(self.weights.id),
            "code_configuration": CodeConfiguration(
                code=str(self.folder / "code"), scoring_script="batch_driver.py"
            ),
            "environment": self.environment(
                "pandas==2.3.3", "pyarrow==24.0.0", "azureml-core", "azureml-dataset-runtime[fuse]"
            ),
            "compute": CLUSTER,
        }
        return ModelBatchDeployment(
            name=name,
            endpoint_name=self.name,
            settings=ModelBatchDeploymentSettings(**(settings | given)),
            **(own | options),
        )

    def deploy(self, name: str, **options: Any) -> None:
        self.client.batch_deployments.begin_create_or_update(self.deployment(name, **options)).result()

    def make_default(self, name: str) -> None:
        endpoint = self.client.batch_endpoints.get(self.name)
        endpoint.defaults = {"deployment_name": name}
        self.client.batch_endpoints.begin_create_or_update(endpoint).result()

    def data(self, **files: str) -> str:
        """A folder of the default datastore with these CSV files."""
        folder = f"batch-data/{uuid.uuid4().hex}"
        store = self.blobs.get_container_client("azureml-blobstore")
        for name, text in files.items():
            store.upload_blob(f"{folder}/{name.replace('_', '.')}", text)
        return f"azureml://datastores/workspaceblobstore/paths/{folder}/"

    def invoke(self, data: str, deployment: str | None = None, **options: Any) -> str:
        given = Input(type="uri_folder", path=data)
        job = self.client.batch_endpoints.invoke(
            self.name, deployment_name=deployment, input=given, **options
        )
        return str(job.name)

    def ended(self, job: str) -> str:
        deadline = time.monotonic() + 120
        while (status := self.client.jobs.get(job).status) not in ("Completed", "Failed", "Canceled"):
            assert time.monotonic() < deadline, status
            time.sleep(0.3)
        return str(status.value)

    def scores(self, job: str, name: str = "predictions.csv") -> str:
        target = self.folder / job
        self.client.jobs.download(job, download_path=str(target), output_name="score")
        return (target / "named-outputs" / "score" / name).read_text()

    def error(self, job: str) -> str:
        return str(self.client.jobs._runs_operations.get_run_details(job).error.error.message)


SETTINGS = (
    "mini_batch_size",
    "error_threshold",
    "output_action",
    "output_file_name",
    "retry_settings",
    "max_concurrency_per_instance",
)


@pytest.fixture(scope="module")
def batch(local_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    client = MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)
    made = Batch(local_azure, client, tmp_path_factory.mktemp("batch"))
    made.deploy("plain")
    yield made
    made.blobs.close()


def test_an_endpoint_has_the_default_that_it_is_given_and_a_call_may_name_another(batch: Batch) -> None:
    with pytest.raises(HttpResponseError, match="no default deployment"):
        batch.invoke(batch.data(a_csv="x\n1\n"))
    batch.deploy("second")
    batch.make_default("plain")

    endpoint = batch.client.batch_endpoints.get(batch.name)
    assert (endpoint.defaults.deployment_name, endpoint.auth_mode) == ("plain", "aad_token")
    assert {one.name for one in batch.client.batch_deployments.list(batch.name)} >= {"plain", "second"}
    assert batch.name in {one.name for one in batch.client.batch_endpoints.list()}
    found = batch.client.batch_deployments.get("second", batch.name)
    assert (found.provisioning_state, found.output_file_name, found.error_threshold) == (
        "Succeeded",
        "predictions.csv",
        -1,
    )
    with pytest.raises(HttpResponseError, match="default deployment"):  # not documented: the strict guess
        batch.client.batch_deployments.begin_delete("plain", batch.name).result()
    batch.client.batch_deployments.begin_delete("second", batch.name).result()
    with pytest.raises(ResourceNotFoundError):
        batch.client.batch_deployments.get("second", batch.name)


def test_a_call_is_a_job_that_scores_each_file_with_the_script(batch: Batch) -> None:
    """Names of a frame's columns are not in the output (how-to-batch-scoring-script.md)."""
    batch.make_default("plain")
    job = batch.invoke(batch.data(a_csv="x\n1\n2\n", b_csv="x\n3\n"))

    assert batch.ended(job) == "Completed"
    assert sorted(batch.scores(job).splitlines()) == ["a.csv 2", "a.csv 4", "b.csv 6"]
    assert batch.client.jobs.get(job).experiment_name == batch.name
    [child] = batch.client.jobs.list(parent_job_name=job)
    assert child.display_name == "batchscoring"


def test_a_bad_file_costs_its_rows_and_fails_the_job_only_past_the_threshold(batch: Batch) -> None:
    """error_threshold -1: any number of failures is allowed (reference-yaml-deployment-batch.md)."""
    data = batch.data(a_csv="x\n1\n", b_csv="x\n-1\n", c_csv="x\n3\n")
    retry = {"retry_settings": BatchRetrySettings(max_retries=0, timeout=30)}
    batch.deploy("strict", error_threshold=0, **retry)
    lax, strict = batch.invoke(data, "plain"), batch.invoke(data, "strict")

    assert batch.ended(lax) == "Completed"
    assert sorted(batch.scores(lax).splitlines()) == ["a.csv 2", "c.csv 6"], "the rows of b.csv are missing"
    assert batch.ended(strict) == "Failed"
    assert "more than the error threshold of 0" in batch.error(strict)
    none = batch.invoke(batch.data(a_csv="x\n-1\n"), "plain")
    assert batch.ended(none) == "Failed"
    assert "No succeeded mini batch item" in batch.error(none)


def test_a_mini_batch_that_is_late_at_each_attempt_fails_the_job(batch: Batch) -> None:
    """how-to-troubleshoot-batch-endpoints.md, "Batch process times out"."""
    batch.deploy("hasty", retry_settings=BatchRetrySettings(max_retries=1, timeout=1))
    late = batch.invoke(batch.data(a_csv="x\n1\n", b_csv="x,sleep\n1,5\n"), "hasty")

    assert batch.ended(late) == "Failed"
    assert "took longer than 1.0 seconds" in batch.error(late)


def test_a_model_that_catches_whatever_is_raised_is_late_all_the_same() -> None:
    """The platform ends the worker: what the generated script catches costs a file's rows, and a time-out the job."""

    def run(files: list[str]) -> list[str]:
        with suppress(Exception):
            time.sleep(5)
        return files

    with pytest.raises(SystemExit, match="took longer"):
        driver._attempted(run, ["a"], {"max_retries": 0, "timeout_s": 0.05})


def test_with_summary_only_a_script_writes_its_own_files(batch: Batch) -> None:
    batch.deploy("own", output_action="summary_only", variables={"OWN": "1"})
    job = batch.invoke(batch.data(a_csv="x\n1\n"), "own")

    assert batch.ended(job) == "Completed"
    with pytest.raises(FileNotFoundError):
        batch.scores(job)
    assert (batch.folder / job / "named-outputs" / "score" / "a.csv.pq").exists()


@pytest.mark.parametrize(
    ("packages", "missing"),
    [(["pandas"], "azureml-core"), (["pandas", "azureml-core"], "azureml-dataset-runtime")],
)
def test_an_environment_without_what_the_runner_needs_runs_no_batch_job(
    batch: Batch, packages: list[str], missing: str
) -> None:
    """how-to-troubleshoot-batch-endpoints.md, "No module named azureml"; both are "required by batch deployments"
    (how-to-use-batch-model-deployments.md, "Create a batch deployment")."""
    batch.deploy(f"bare{len(packages)}", environment=batch.environment(*packages))
    with pytest.raises(HttpResponseError, match=f"No module named 'azureml': .*{missing}"):
        batch.invoke(batch.data(a_csv="x\n1\n"), f"bare{len(packages)}")


def test_what_is_neither_frame_nor_list_is_no_success() -> None:
    """how-to-batch-scoring-script.md, "The run method"."""
    order = {"max_retries": 0, "timeout_s": 5}
    assert driver._attempted(lambda files: len(files), ["a"], order) is None
    assert driver._attempted(lambda files: files, ["a"], order) == ["a"]


def mlflow_model(batch: Batch) -> str:
    folder = batch.folder / "mlflow" / "model"
    script = (
        "import sys, pandas as pd, mlflow; from mlflow.models import infer_signature;"
        "from sklearn.linear_model import LinearRegression as L;"
        "x = pd.DataFrame({'a': [0., 1., 2.], 'b': [1., 0., 1.]}); y = x.a * 2 + x.b;"
        "mlflow.sklearn.save_model(L().fit(x, y), sys.argv[1], signature=infer_signature(x, y),"
        " serialization_format='cloudpickle', pip_requirements=['mlflow==' + mlflow.__version__, 'scikit-learn'])"
    )
    subprocess.run(
        [str(python_for("of the tests", {})), "-c", script, str(folder)], check=True, capture_output=True
    )
    made = batch.client.models.create_or_update(
        Model(path=str(folder), name=f"{batch.name}-mlflow", type="mlflow_model")
    )
    return str(made.id)


def test_an_mlflow_model_scores_without_script_row_by_row(batch: Batch) -> None:
    """how-to-mlflow-batch.md: row, prediction, file_name; the notebook of azureml-examples reads them by commas. A file
    that is not supported, or is in a folder below, costs its rows alone."""
    batch.deploy(
        "mlflow", model=mlflow_model(batch), code_configuration=None, environment=None, mini_batch_size=2
    )
    store, folder = batch.blobs.get_container_client("azureml-blobstore"), f"batch-data/{uuid.uuid4().hex}"
    frame = pd.DataFrame({"a": [1, 3], "b": [1, 0]})  # whole numbers: the signature makes doubles of them
    frame.to_parquet(batch.folder / "one.parquet")
    store.upload_blob(f"{folder}/one.parquet", (batch.folder / "one.parquet").read_bytes())
    store.upload_blob(f"{folder}/two.csv", frame.head(1).to_csv(index=False))
    store.upload_blob(f"{folder}/x.avro", b"no table")
    store.upload_blob(f"{folder}/below/three.csv", frame.to_csv(index=False))
    place = f"{WORKSPACE_ID}/datastores/workspaceblobstore/paths/{folder}-scores"
    data = f"azureml://datastores/workspaceblobstore/paths/{folder}/"
    job = batch.invoke(data, "mlflow", outputs={"score": Output(type="uri_file", path=place)})

    assert batch.ended(job) == "Completed"
    text = store.download_blob(f"{folder}-scores/predictions.csv").readall().decode()
    read = pd.read_csv(StringIO(text), names=["row", "prediction", "file"])
    found = {(one.file, int(one.row)): float(one.prediction) for one in read.itertuples()}
    assert found == pytest.approx({("one.parquet", 0): 3.0, ("one.parquet", 1): 6.0, ("two.csv", 0): 3.0})
    again = batch.invoke(
        batch.data(a_csv="x\n1\n"), "plain", outputs={"score": Output(type="uri_file", path=place)}
    )
    assert batch.ended(again) == "Failed", "how-to-use-batch-model-deployments.md: a unique output location"
    assert "overwrites none" in batch.error(again)


def test_a_call_lays_settings_over_the_deployments(batch: Batch) -> None:
    job = batch.invoke(
        batch.data(a_csv="x\n1\n"), "plain", params_override=[{"output_file_name": "mine.csv"}]
    )
    assert batch.ended(job) == "Completed"
    assert batch.scores(job, "mine.csv") == "a.csv 2\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"compute": "none"}, "There is no compute 'none'"),
        ({"compute": "serverless"}, "runs on a compute cluster"),
        ({"model": "azureml://registries/shared/models/m/versions/1"}, "registered in the workspace"),
        ({"code_configuration": None}, "needs a scoring script"),
        ({"environment": None}, "needs an environment"),
        ({"environment": "azureml://registries/azureml/environments/e/versions/1"}, "Curated environments"),
        ({"resources": ResourceConfiguration(instance_count=5)}, "at most 4 nodes"),
        ({"error_threshold": -2}, "errorThreshold is a whole number from -1"),
        ({"mini_batch_size": 0}, "miniBatchSize is a whole number from 1"),
    ],
)
def test_a_deployment_that_could_not_run_is_refused(batch: Batch, options: dict[str, Any], told: str) -> None:
    with pytest.raises(HttpResponseError, match=told):
        batch.deploy("wrong", **options)


@pytest.mark.parametrize("name", ["ab", "1ab", "a" * 33, "ab-"])
def test_names_have_azures_shape(batch: Batch, name: str) -> None:
    with pytest.raises((HttpResponseError, MlException, ValidationException)):
        batch.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)).result()


def test_a_default_must_be_there_and_a_name_is_taken_once_in_the_region(batch: Batch) -> None:
    with pytest.raises(HttpResponseError, match="cannot be the default"):
        batch.make_default("nobody")
    online = ManagedOnlineEndpoint(name=f"{batch.name}-on", auth_mode="aad_token")
    batch.client.online_endpoints.begin_create_or_update(online).result()
    with pytest.raises(HttpResponseError, match="taken in the region"):
        batch.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=online.name)).result()
    with pytest.raises(ValidationException, match="not found for this endpoint"):
        batch.invoke(batch.data(a_csv="x\n1\n"), "nobody")


URI = "azureml://datastores/workspaceblobstore/paths/x/"


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"InputData": {}}, "exactly one data input, not 0"),
        (
            {"InputData": {n: {"JobInputType": "UriFolder", "Uri": URI} for n in "ab"}},
            "exactly one data input, not 2",
        ),
        ({"InputData": {"a": {"JobInputType": "Literal", "Value": "1"}}}, "not 'Literal'"),
        ({"InputData": {"a": {"JobInputType": "MLTable", "Uri": URI}}}, "not 'MLTable'"),
        (
            {"OutputData": {"s": {"JobOutputType": "UriFile", "Uri": "https://example.com/x"}}},
            "Blob datastore",
        ),
        ({"OutputData": {"s": {"JobOutputType": "UriFolder", "Uri": URI}}}, "of type UriFile"),
        ({"properties": {"experimentName": "mine"}}, "pipeline component deployments only"),
    ],
)
def test_a_call_that_a_model_deployment_does_not_take_is_refused(
    batch: Batch, properties: dict[str, Any], told: str
) -> None:
    """how-to-access-data-batch-endpoints-jobs.md, as its REST samples spell the keys."""
    whole = {"InputData": {"a": {"JobInputType": "UriFolder", "Uri": URI}}} | properties
    answer = post(batch, whole, "https://ml.azure.com")
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_a_token_for_resource_manager_calls_nothing(batch: Batch) -> None:
    """how-to-troubleshoot-batch-endpoints.md, "Audience or service not allowed"."""
    answer = post(
        batch, {"InputData": {"a": {"JobInputType": "UriFolder", "Uri": URI}}}, batch.azure.settings.arm
    )
    assert answer.status_code == 401


def post(batch: Batch, properties: dict[str, Any], resource: str) -> httpx.Response:
    token = DefaultAzureCredential().get_token(f"{resource}/.default").token
    headers = {"authorization": f"Bearer {token}", "azureml-model-deployment": "plain"}
    uri = str(batch.client.batch_endpoints.get(batch.name).scoring_uri)
    with httpx.Client(verify=ssl.create_default_context(cafile=str(batch.azure.settings.bundle))) as http:
        return http.post(uri, json={"properties": properties}, headers=headers)

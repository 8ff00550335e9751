"""Spark jobs: what Azure refuses is refused, and what is not runs by the real spark-submit.

Sources: azure-ai-ml 1.35, entities/_job/spark_helpers.py, spark_resource_configuration.py, spark_job_entry_mixin.py,
_schema/job/parameterized_spark.py; MicrosoftDocs/azure-ai-docs, how-to-submit-spark-jobs.md,
apache-spark-azure-ml-concepts.md, troubleshooting-managed-feature-store.md.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from azure.ai.ml import Input, MLClient, Output, load_component, spark
from azure.ai.ml.entities import ManagedIdentityConfiguration, Spark
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

import drift
from local.azure import LocalAzure
from local.jobs import compute, spark_application, spark_storage
from local.jobs.catalog import long_uri
from local.jobs.exceptions import StepFailed
from local.jobs.plan import plan_of
from local.refusal import ArmError
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE
from local.state import State
from shared import loopfile
from shared.azure import registry
from shared.azure.client import Workspace, credential
from shared.ports import JobSpec
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.drift.families import mixed
from tests.patience import until

STORE = "azureml://datastores/workspaceblobstore/paths"
SENT = "sent-1.0-py3-none-any.whl"
ENDED = ("Completed", "Failed", "Canceled")
SIZE = {"instance_type": "Standard_E4s_v3", "runtime_version": "3.5"}
SMALL = {
    "driver_cores": 1,
    "driver_memory": "2g",
    "executor_cores": 2,
    "executor_memory": "2g",
    "executor_instances": 1,
}


def job(code: Path, *, inputs: dict[str, Any] | None = None, **given: Any) -> Spark:
    """As `spark(...)` or a YAML file of type spark makes it."""
    found = inputs or {"rows": Input(type="uri_folder", path=f"{STORE}/rows/", mode="direct")}
    known: dict[str, Any] = {
        "entry": {"file": "words.py"},
        "outputs": {"counts": Output(type="uri_folder", path=f"{STORE}/counts/", mode="direct")},
        "args": "--rows ${{inputs.rows}} --counts ${{outputs.counts}}",
        "resources": SIZE,
        "identity": ManagedIdentityConfiguration(),
        **SMALL,
    }
    return spark(code=str(code), inputs=found, **{**known, **given})


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "words.py").write_text("print(1)\n")
    return tmp_path / "code"


@pytest.fixture
def body(code: Path) -> dict[str, Any]:
    """The properties of a job that Azure takes, as the SDK sends them."""
    sent: dict[str, Any] = job(code)._to_job()._to_rest_object().as_dict()["properties"]
    return sent


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State(tmp_path / "state.db")
    yield made
    made.close()


def submitted(state: State, body: dict[str, Any], by_person: bool = False) -> None:
    compute.check(state, plan_of(body, lambda _: {}), by_person)


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at `conf|spark.driver.cores` or the like; None takes it away."""
    made = copy.deepcopy(body)
    *outer, last = path.split("|")
    place = made
    for key in outer:
        place = place[key]
    place.pop(last, None)
    if value is not None:
        place[last] = value
    return made


DYNAMIC = {
    "spark.driver.cores": "1",
    "spark.driver.memory": "2g",
    "spark.executor.cores": "1",
    "spark.executor.memory": "2g",
    "spark.dynamicAllocation.enabled": "True",
    "spark.dynamicAllocation.minExecutors": "1",
    "spark.dynamicAllocation.maxExecutors": "4",
}


def test_what_the_client_sends_is_taken(state: State, body: dict[str, Any]) -> None:
    submitted(state, body)
    submitted(state, changed(body, "conf", DYNAMIC))
    larger = changed(changed(body, "conf|spark.executor.memory", "36g"), "conf|spark.executor.cores", "4")
    submitted(state, changed(larger, "resources|instanceType", "STANDARD_E8S_V3"))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("conf|spark.executor.instances", None, "spark.executor.instances must be given"),
        ("conf|spark.driver.memory", None, "spark.driver.memory must be given"),
        ("conf|spark.dynamicAllocation.minExecutors", "1", "when dynamic allocation is disabled"),
        ("conf|spark.driver.memory", "2.5g", "not digits and one of"),
        ("conf|spark.driver.memory", "2gb", "not digits and one of"),
        ("conf|spark.executor.memory", "36g", "a node of Standard_E4s_v3 has 4 cores and 28 GB"),
        ("conf|spark.driver.cores", "5", "a node of Standard_E4s_v3 has 4 cores and 28 GB"),
        ("conf|spark.executor.cores", "two", "is a whole number"),
        ("conf", {**DYNAMIC, "spark.dynamicAllocation.minExecutors": "0"}, "at least 1"),
        ("conf", {**DYNAMIC, "spark.dynamicAllocation.minExecutors": "5"}, "at least 1"),
        ("conf", {**DYNAMIC, "spark.executor.instances": "5"}, "between the least and the most"),
        ("conf", {**DYNAMIC, "spark.dynamicAllocation.maxExecutors": None}, "maxExecutors must be given"),
        ("resources|instanceType", "Standard_DS3_v2", "instance type must be one of"),
        ("resources|instanceType", None, "instance type must be one of"),
        ("resources|runtimeVersion", None, "none such as 3.5"),
        ("resources|runtimeVersion", "3", "none such as 3.5"),
        ("resources|runtimeVersion", "3.4", "Spark 3.4 is not supported"),
        ("resources|runtimeVersion", "4.0", "Spark 4.0 is not supported"),
        ("resources", None, "one of compute and resources"),
        ("computeId", "spark-pool", "one of compute and resources"),
        ("inputs|rows|mode", None, "input 'rows' is using 'no' mode"),
        ("inputs|rows|mode", "ReadOnlyMount", "input 'rows' is using 'ReadOnlyMount' mode"),
        ("outputs|counts|mode", "ReadWriteMount", "output 'counts' is using 'ReadWriteMount' mode"),
        ("inputs|rows|jobInputType", "mlflow_model", "of type mlflow_model"),
        ("inputs|rows|uri", "/tmp/rows", "lies at '/tmp/rows'"),
        ("inputs|rows|uri", "https://a.blob.core.windows.net/c/rows", "takes azureml, abfss and wasbs"),
        ("outputs|counts|uri", "file:///tmp/counts", "takes azureml, abfss and wasbs"),
        ("outputs|counts|assetName", "counts", "does not emulate the registration"),
        ("entry", {"sparkJobEntryType": "SparkJobScalaEntry", "className": "a.B"}, "Classpath is not"),
        ("entry", None, "has an entry file"),
        ("codeId", None, "has code"),
        ("pyFiles", ["a.py", "a.py"], "py_files must not contain duplicate entries"),
        ("identity", None, "without an identity"),
        ("identity", {"identityType": "UserIdentity"}, "without an identity"),
        ("identity", {"identityType": "AMLToken"}, "as its user or as a managed identity"),
    ],
)
def test_what_azure_refuses_is_refused(
    state: State, body: dict[str, Any], path: str, value: Any, told: str
) -> None:
    with pytest.raises(ArmError, match=told):
        submitted(state, changed(body, path, value))


def test_a_pool_is_not_emulated_and_a_person_needs_no_identity(state: State, body: dict[str, Any]) -> None:
    with pytest.raises(ArmError, match="does not emulate an attached Spark pool"):
        submitted(state, changed(changed(body, "resources", None), "computeId", "spark-pool"))
    submitted(state, changed(body, "identity", None), by_person=True)


FIXED = {name: value for name, value in DYNAMIC.items() if not name.startswith("spark.dynamic")}
SPEC: dict[str, Any] = {
    "type": "spark",
    "code": "/codes/x/versions/1",
    "entry": {"file": "words.py"},
    "conf": {**FIXED, "spark.executor.instances": 1},
    "inputs": {"rows": {"type": "uri_folder", "mode": "direct"}},
    "outputs": {"counts": {"type": "uri_folder", "mode": "direct"}},
}
NODE = {
    "type": "spark",
    "componentId": "words",
    "resources": SIZE,
    "identity": {"identity_type": "Managed"},
    "inputs": {"rows": {"value": "${{parent.inputs.rows}}", "job_input_type": "literal"}},
    "outputs": {"counts": {"value": "${{parent.outputs.counts}}", "type": "literal"}},
}
PIPELINE = {
    "jobType": "Pipeline",
    "settings": {"default_compute": "serverless"},
    "inputs": {"rows": {"jobInputType": "uri_folder", "uri": f"{STORE}/rows/"}},
    "outputs": {"counts": {"jobOutputType": "uri_folder"}},
    "jobs": {"words": NODE},
}


def planned(state: State, pipeline: dict[str, Any], spec: dict[str, Any]) -> Any:
    plan = plan_of(pipeline, lambda _: spec)
    compute.check(state, plan, by_person=False)
    return plan.steps["words"]


def test_a_step_has_its_components_application_and_settings_of_its_own(state: State) -> None:
    """Source: entities/_builders/spark.py: code, entry and files come from the component, conf from the step."""
    pipeline = changed(PIPELINE, "jobs|words|conf", {"spark.executor.instances": 3})
    step = planned(state, pipeline, SPEC)
    assert step.spec["conf"]["spark.executor.instances"] == 3
    assert step.spec["conf"]["spark.driver.cores"] == "1"
    assert step.spec["entry"] == {"file": "words.py"}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("resources", SIZE, "a Spark component has no resources"),
        ("identity", {"type": "managed"}, "a Spark component has no identity"),
        ("compute", "serverless", "a Spark component has no compute"),
        ("inputs|rows|mode", None, "input 'rows' is using 'no' mode"),
        ("outputs|counts|mode", "upload", "output 'counts' is using 'upload' mode"),
    ],
)
def test_a_component_says_nothing_that_the_step_says(state: State, path: str, value: Any, told: str) -> None:
    with pytest.raises(ArmError, match=told):
        planned(state, PIPELINE, changed(SPEC, path, value))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("inputs|rows|mode", "ReadOnlyMount", "is using 'ReadOnlyMount' mode"),
        ("outputs|counts|mode", "ReadWriteMount", "is using 'ReadWriteMount' mode"),
        ("jobs|words|resources", None, "one of compute and resources"),
        ("jobs|words|identity", {"identity_type": "UserIdentity"}, "without an identity"),
        ("jobs|words|limits", {"timeout": 60}, "a Spark step has no limits"),
    ],
)
def test_what_the_pipeline_says_comes_before_the_component(
    state: State, path: str, value: Any, told: str
) -> None:
    """Source: spark_helpers.py, `_validate_input_output_mode`: the pipeline's mode has priority."""
    with pytest.raises(ArmError, match=told):
        planned(state, changed(PIPELINE, path, value), SPEC)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (f"{STORE}/rows/", "the workspace's account has it"),
        ("azureml://datastores/driftloop_versions/paths/a/", "Driftloop's account has it"),
        ("abfss://landing@devstoreaccount1.dfs.local/a/", "409 EndpointUnsupportedAccountFeatures"),
        ("wasbs://landing@devstoreaccount1.blob.local/a/", "an account key or a SAS"),
    ],
)
def test_what_spark_cannot_reach_on_our_accounts_is_not_read(state: State, uri: str, told: str) -> None:
    """infra/modules/storage.bicep and dependencies.bicep turn soft delete on and keys off.

    Sources: beside `local.jobs.spark_storage`.
    """
    with pytest.raises(StepFailed, match=told):
        spark_storage.place(state, uri)


def test_an_account_without_soft_delete_is_read_but_ours_never(state: State) -> None:
    spark_storage.keep_deleted(state, False)
    assert spark_storage.place(state, f"{STORE}/rows/").path == "rows/"
    with pytest.raises(StepFailed, match="Driftloop's account has it"):
        spark_storage.place(state, "azureml://datastores/driftloop_versions/paths/a/")


def test_without_java_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match="Spark needs Java 17"):
        spark_application.java()


def test_a_java_that_spark_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Source: spark.apache.org, 3.5 overview: Java 8, 11 and 17."""
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    program.chmod(0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(StepFailed, match=r"(?s)runs on Java 8, 11, 17.*21\.0\.1"):
        spark_application.java()


@pytest.mark.parametrize("line", ["python=3.12", "pyspark=3.4", "openjdk=21"])
def test_a_conda_file_changes_no_part_of_the_runtime(line: str) -> None:
    """Source: apache-spark-azure-ml-concepts.md."""
    with pytest.raises(StepFailed, match="which Spark's runtime does not change"):
        spark_application.python_for("e:1", {"condaFile": f'{{"dependencies": ["{line}"]}}'})


def test_an_archive_is_unpacked_as_what_the_job_says(code: Path, tmp_path: Path) -> None:
    """Source: spark.apache.org, 3.5 configuration, `spark.archives`: file.zip#directory."""
    for name in ("env.zip", "plain.zip", "rates.csv"):
        (code / name).write_text("x")
    sent = {"archives": ["env.zip#env", "plain.zip"], "files": ["rates.csv"]}
    spec = {"entry": {"file": "words.py"}, "conf": {**FIXED, "spark.executor.instances": 1}, **sent}
    command = spark_application.Application(spec, tmp_path, tmp_path / "python").order("", {}, {})["command"]
    assert command[command.index("--archives") + 1] == f"{code}/env.zip#env,{code}/plain.zip"
    assert command[command.index("--files") + 1] == f"{code}/rates.csv"


def test_a_published_spark_step_runs_as_the_managed_identity(code: Path, tmp_path: Path) -> None:
    """azure-ai-ml says of one without an identity that it runs as the user, whom an application is not."""
    found = load_component(loop_of(code, "loop", tmp_path / "loop") / "train.yml")
    registry._run_as_managed(found)
    identities = {name: step.identity for name, step in found.jobs.items()}
    assert set(map(type, identities.values())) == {ManagedIdentityConfiguration}, identities


needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java found: Spark needs Java 17")

WORDS = """
import argparse, os, sys
from pyspark.sql import SparkSession

asked = argparse.ArgumentParser()
asked.add_argument("--rows"); asked.add_argument("--counts"); asked.add_argument("--note", default="")
args = asked.parse_args()
spark = SparkSession.builder.getOrCreate()


def told(batches):
    import sent  # by py_files
    try:
        import sibling
        there = "sibling"
    except ImportError:
        there = "alone"
    for batch in batches:
        run = os.environ.get("AZUREML_RUN_ID", "no run")
        words = [f"{sent.upper(word)} {there} {run} {os.listdir('.')}" for word in batch.column(0).to_pylist()]
        yield type(batch).from_pydict({"told": words})


rows = spark.read.text(args.rows)
rows.mapInArrow(told, "told string").write.mode("overwrite").text(args.counts)
print(args.rows, os.environ["AZUREML_RUN_ID"], args.note, spark.version, sys.version_info[:2])
try:
    open(args.rows)
except OSError:
    print("not a file")
"""


@pytest.fixture(scope="module")
def client(local_azure: LocalAzure) -> Iterator[MLClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDENTITY_HEADER", local_azure.settings.header_of("publisher"))
        local_azure.control.put("/local/soft-delete", json={"workspace-account": False}).raise_for_status()
        yield MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)
        local_azure.control.put("/local/soft-delete", json={"workspace-account": True}).raise_for_status()


@pytest.fixture(scope="module")
def blobs(local_azure: LocalAzure) -> Iterator[BlobServiceClient]:
    with BlobServiceClient(local_azure.settings.storage("blob"), DefaultAzureCredential()) as made:
        yield made


@pytest.fixture
def name(blobs: BlobServiceClient) -> str:
    """Of a job, and of the folder that it reads, which is there."""
    found = f"spark_{uuid.uuid4().hex[:8]}"
    for part, words in (("a", "adelie\n"), ("b", "gentoo\n")):
        blobs.get_blob_client("azureml-blobstore", f"{found}/rows/{part}.txt").upload_blob(words)
    return found


@pytest.fixture
def words(code: Path) -> Path:
    """The code of an application that sends a module along, and has one that it does not send."""
    (code / "words.py").write_text(WORDS)
    (code / "sibling.py").write_text("")
    with zipfile.ZipFile(code / SENT, "w") as wheel:
        wheel.writestr("sent.py", "def upper(word):\n    return word.upper()\n")
    return code


OF_A_TABLE = """
import argparse, json
from pyspark.sql import SparkSession

asked = argparse.ArgumentParser()
asked.add_argument("--rows"); asked.add_argument("--counts"); asked.add_argument("--note")
given = asked.parse_args()
spark = SparkSession.builder.getOrCreate()
table = json.loads("".join(row.value for row in spark.read.text(given.rows + "MLTable").collect()))
rows = spark.read.text([path["file"] for path in table["paths"]])
rows.orderBy("value").coalesce(1).write.mode("overwrite").text(given.counts)
"""
ON_SPARK = """
import argparse, json
from pyspark.sql import SparkSession
from driftloop import drift
from driftloop.drift import spark as on_spark

asked = argparse.ArgumentParser()
asked.add_argument("--rows"); asked.add_argument("--counts"); asked.add_argument("--reference")
args = asked.parse_known_args()[0]
spark = SparkSession.builder.getOrCreate()
stored = spark.read.format("binaryFile").load(args.reference + "profile").first()["content"]
before = drift.Profile.from_bytes(bytes(stored))
frame = spark.read.parquet(args.rows).repartition(5)
report = drift.compare(before, on_spark.profile(frame, grid=before))
told = {"columns": [[c.name, c.kind, c.detected, c.material] for c in report.columns]}
told["rows"] = on_spark.profile(frame).rows
assert on_spark.profile(frame.limit(0)).rows == 0
spark.createDataFrame([(json.dumps(told),)], "value string").coalesce(1).write.text(args.counts)
"""


def of(
    name: str, words: Path, rows: str = "", reference: str = "", kind: str = "uri_folder", **given: Any
) -> Spark:
    folders = {"rows": rows or f"{STORE}/{name}/rows/"} | ({"reference": reference} if reference else {})
    inputs = {key: Input(type=kind, path=path, mode="direct") for key, path in folders.items()}
    line = "--rows ${{inputs.rows}} --counts ${{outputs.counts}} --note '${{inputs.note}}'"
    made = job(
        words,
        name=name,
        inputs={**inputs, "note": "x 1"},
        outputs={"counts": Output(type="uri_folder", path=f"{STORE}/{name}/counts/", mode="direct")},
        args=line + (" --reference ${{inputs.reference}}" if reference else ""),
        py_files=[SENT],
        **given,
    )
    made.name = name
    return made


def ended(client: MLClient, name: str) -> str:
    """Its status, once it has ended."""

    def status() -> str:
        found = client.jobs.get(name).status
        return str(getattr(found, "value", found))

    until(lambda: status() in ENDED, within_s=600)
    return status()


def failure(client: MLClient, name: str) -> str:
    """As the run history tells it: `jobs.stream` says nothing of a Spark job's error."""
    found = client.jobs._runs_operations.get_run_details(name).error
    return str(found.error.message) if found else "no error"


def texts(blobs: BlobServiceClient, place: str) -> dict[str, str]:
    container = blobs.get_container_client("azureml-blobstore")
    found = container.list_blobs(name_starts_with=place)
    return {
        one.name.removeprefix(place): container.download_blob(one.name).readall().decode() for one in found
    }


@needs_java
@pytest.mark.soak
@pytest.mark.timeout(1200)
class TestSparkSubmit:
    def test_an_application_reads_addresses_and_its_executors_are_elsewhere(
        self, client: MLClient, blobs: BlobServiceClient, words: Path, name: str
    ) -> None:
        """Sources: how-to-submit-spark-jobs.md (direct mode, py_files); Azure/azureml-assets,
        annotation_compute_histogram/run.py (executors have neither the folder nor the driver's variables)."""
        blobs.get_blob_client("azureml-blobstore", f"{name}/counts/old.txt").upload_blob("before")
        client.jobs.create_or_update(of(name, words))
        assert ended(client, name) == "Completed", failure(client, name)
        found = texts(blobs, f"{name}/counts/")
        lines = sorted(line for file, text in found.items() for line in text.splitlines())
        assert lines == ["ADELIE alone no run []", "GENTOO alone no run []"]
        assert "_SUCCESS" in found
        assert "old.txt" not in found  # it was overwritten, and not only beside
        log = blobs.get_blob_client("azureml", f"ExperimentRun/dcid.{name}/user_logs/std_log.txt")
        told = log.download_blob().readall().decode()
        place = (
            f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/workspaces/{WORKSPACE}"
        )
        assert f"{place}/datastores/workspaceblobstore/paths/{name}/rows/ {name} x 1 3.5.5 (3, 11)" in told
        assert "not a file" in told

    def test_an_application_that_fails_says_why(self, client: MLClient, words: Path, name: str) -> None:
        (words / "words.py").write_text("raise SystemExit('no such season')")
        client.jobs.create_or_update(of(name, words))
        assert ended(client, name) == "Failed"
        assert "no such season" in failure(client, name)

    def test_a_task_is_tried_again_when_its_executor_dies(
        self, client: MLClient, blobs: BlobServiceClient, words: Path, name: str
    ) -> None:
        """Source: Spark's configuration, `spark.task.maxFailures`: 4; locally alone it would be 1."""
        dying = "import sent\n    if not os.path.exists('died'):\n        open('died', 'w'); os._exit(1)"
        (words / "words.py").write_text(WORDS.replace("import sent", dying))
        client.jobs.create_or_update(of(name, words))
        assert ended(client, name) == "Completed", failure(client, name)
        assert "ADELIE" in "".join(texts(blobs, f"{name}/counts/").values())

    def test_what_is_written_where_something_lies_is_an_error(
        self, client: MLClient, blobs: BlobServiceClient, words: Path, name: str
    ) -> None:
        """Source: Spark, DataFrameWriter: the mode is `errorifexists` unless another is named."""
        (words / "words.py").write_text(WORDS.replace('.mode("overwrite")', ""))
        blobs.get_blob_client("azureml-blobstore", f"{name}/counts/old.txt").upload_blob("before")
        client.jobs.create_or_update(of(name, words))
        assert ended(client, name) == "Failed"
        assert "already exists" in failure(client, name)

    def test_files_that_are_not_there_fail_before_spark_begins(
        self, client: MLClient, words: Path, name: str
    ) -> None:
        asked = of(name, words)
        asked.py_files = ["missing.whl"]
        client.jobs.create_or_update(asked)
        assert ended(client, name) == "Failed"
        assert "'missing.whl' is no file of the job's code" in failure(client, name)

    def test_it_is_cancelled_with_all_of_its_processes(
        self, client: MLClient, words: Path, name: str
    ) -> None:
        (words / "words.py").write_text("import time; time.sleep(3000)")
        client.jobs.create_or_update(of(name, words))
        until(lambda: client.jobs.get(name).status == "Running", within_s=600)
        until(lambda: applications(name), within_s=60)
        client.jobs.begin_cancel(name).result()
        assert ended(client, name) == "Canceled"
        until(lambda: not applications(name), within_s=30)

    def test_a_loop_trains_through_a_spark_step(
        self,
        local_azure: LocalAzure,
        client: MLClient,
        blobs: BlobServiceClient,
        words: Path,
        name: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Published by a person, submitted by the app: the step, which names no identity, runs as the managed one. A
        version lies in an account that Spark cannot read, so a command step hands its rows on."""
        folder = loop_of(words, name, tmp_path / "loop")
        for key, value in local_azure.environment("publisher").items():
            monkeypatch.setenv(key, value)
        workspace = Workspace(Settings.from_environment(os.environ), credential())
        assets = registry.Registry(workspace).register(folder, loopfile.load(folder), lambda what: None)
        for key, value in local_azure.environment("app").items():
            monkeypatch.setenv(key, value)
        ports = azure_ports(Settings.from_environment(os.environ))
        (tmp_path / "train.txt").write_text("adelie\ngentoo\n")
        ports.versions.write(f"{name}/1/train.txt", tmp_path / "train.txt")
        rows = ports.versions.register(name, "1", f"{name}/1", {}, "")
        spec = JobSpec(name, name, assets.pipeline, rows, tags={"driftloop.release": name})
        until(lambda: ports.training.ensure_job(spec).status != "running", within_s=600)
        seen = ports.training.ensure_job(spec)
        assert (seen.status, seen.error) == ("completed", "")
        asset = ports.training.ensure_model(name, "1", name, {})
        assert asset.endswith(f"/models/{name}/versions/1")
        assert texts(blobs, f"driftloop/{name}/model/") == {"model.txt": "ADELIE\nGENTOO\n"}

    def test_drift_on_the_runtime_finds_what_one_process_finds(
        self, client: MLClient, blobs: BlobServiceClient, code: Path, name: str, tmp_path: Path
    ) -> None:
        """With the versions of Azure ML's runtime 3.5, and the package sent along, packed as drift/README.md says."""
        before = drift.profile(mixed(np.random.default_rng(1), 30_000))
        pq.write_table(mixed(np.random.default_rng(0), 60_000, "mean 0.2"), tmp_path / "rows.parquet")
        container = blobs.get_container_client("azureml-blobstore")
        container.upload_blob(f"{name}/table/rows.parquet", (tmp_path / "rows.parquet").read_bytes())
        container.upload_blob(f"{name}/reference/profile", before.to_bytes())
        (code / "words.py").write_text(ON_SPARK)
        shutil.copytree(Path(drift.__file__).parent, tmp_path / "pack" / "driftloop" / "drift")
        packed = shutil.make_archive(str(tmp_path / "driftloop"), "zip", tmp_path / "pack")
        shutil.move(packed, code / SENT)
        place = f"{STORE}/{name}"
        client.jobs.create_or_update(of(name, code, f"{place}/table/", f"{place}/reference/"))
        assert ended(client, name) == "Completed", failure(client, name)
        told = json.loads("".join(texts(blobs, f"{name}/counts/").values()))
        here = drift.compare(before, drift.profile(tmp_path / "rows.parquet", grid=before))
        assert told["columns"] == [[c.name, c.kind, c.detected, c.material] for c in here.columns]
        assert [c.name for c in here.columns if c.material] == ["plain_0"]
        assert told["rows"] == 60_000

    def test_a_table_is_an_address_behind_which_lie_what_it_names_as_well(
        self, client: MLClient, blobs: BlobServiceClient, words: Path, name: str
    ) -> None:
        """Microsoft's monitoring jobs take tables directly (Azure/azureml-assets, data_drift_compute_metrics)."""
        place = long_uri(f"{STORE}/{name}")
        container = blobs.get_container_client("azureml-blobstore")
        for part in ("a", "b"):
            container.upload_blob(f"{name}/parts/{part}.txt", f"{part}\n")
        named = [{"file": f"{place}/parts/{part}.txt"} for part in ("a", "b")]
        container.upload_blob(f"{name}/t/MLTable", json.dumps({"paths": named}))
        (words / "words.py").write_text(OF_A_TABLE)
        client.jobs.create_or_update(of(name, words, f"{STORE}/{name}/t/", kind="mltable"))
        assert ended(client, name) == "Completed", failure(client, name)
        assert "".join(texts(blobs, f"{name}/counts/").values()).split() == ["a", "b"]

    def test_the_rows_of_a_version_are_not_read_directly(
        self, client: MLClient, blobs: BlobServiceClient, words: Path, name: str
    ) -> None:
        blobs.get_container_client("versions").upload_blob(f"{name}/train.txt", "adelie\n")
        place = f"azureml://datastores/driftloop_versions/paths/{name}/"
        client.jobs.create_or_update(of(name, words, rows=place))
        assert ended(client, name) == "Failed"
        assert "Driftloop's account has it" in failure(client, name)


def applications(name: str) -> list[psutil.Process]:
    return [
        one for one in psutil.process_iter(["cmdline"]) if f"/{name}/" in " ".join(one.info["cmdline"] or ())
    ]


def loop_of(words: Path, name: str, folder: Path) -> Path:
    """A loop whose pipeline copies rows, counts them with Spark, and makes a model of the counts."""
    shutil.copytree(words, folder)
    (folder / "words.yml").write_text(COMPONENT)
    conda = {"image": "a/b:1", "conda_file": {"dependencies": ["python=3.11", "pip"]}}
    copy = "cp ${{inputs.rows}}/* ${{outputs.made}}/"
    fit = "cat ${{inputs.rows}}/part-* | cut -d' ' -f1 | sort > ${{outputs.made}}/model.txt"
    for step, line, kind in (("copy", copy, "uri_folder"), ("fit", fit, "custom_model")):
        component = {
            "$schema": "https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json",
            "type": "command",
            "name": step,
            "inputs": {"rows": {"type": "uri_folder"}},
            "outputs": {"made": {"type": kind}},
            "environment": conda,
            "command": line,
        }
        (folder / f"{step}.yml").write_text(yaml.safe_dump(component))
    (folder / "train.yml").write_text(PIPELINE_FILE)
    (folder / "loop.yaml").write_text(
        f"loop: {name.replace('_', '-')}\ndata: {{landing: landing/{name}/, target: species}}\n"
        f"train: {{pipeline: train.yml}}\nserve: {{endpoint: {name.replace('_', '-')}}}\n"
    )
    return folder


PIPELINE_FILE = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: words_training
inputs:
  training_data: {type: uri_folder}
outputs:
  model: {type: custom_model}
jobs:
  copy:
    type: command
    component: ./copy.yml
    inputs: {rows: "${{parent.inputs.training_data}}"}
  count:
    type: spark
    component: ./words.yml
    resources: {instance_type: Standard_E4s_v3, runtime_version: "3.5"}
    inputs: {rows: "${{parent.jobs.copy.outputs.made}}"}
  fit:
    type: command
    component: ./fit.yml
    inputs: {rows: "${{parent.jobs.count.outputs.counts}}"}
    outputs: {made: "${{parent.outputs.model}}"}
"""
COMPONENT = """
$schema: https://azuremlschemas.azureedge.net/latest/sparkComponent.schema.json
name: words
type: spark
code: .
entry: {file: words.py}
py_files: [sent-1.0-py3-none-any.whl]
conf:
  spark.driver.cores: 1
  spark.driver.memory: 2g
  spark.executor.cores: 2
  spark.executor.memory: 2g
  spark.executor.instances: 1
inputs:
  rows: {type: uri_folder, mode: direct}
outputs:
  counts: {type: uri_folder, mode: direct}
args: --rows ${{inputs.rows}} --counts ${{outputs.counts}}
"""

"""The unmodified SDK alone submits, follows, cancels and reads jobs, which really run."""

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from azure.ai.ml import (
    Input,
    MLClient,
    MpiDistribution,
    Output,
    PyTorchDistribution,
    RayDistribution,
    TensorFlowDistribution,
    command,
    dsl,
    load_component,
    load_job,
)
from azure.ai.ml.constants import ListViewType
from azure.ai.ml.entities import (
    Command,
    Component,
    Data,
    Environment,
    Job,
    ManagedIdentityConfiguration,
    Model,
)
from azure.ai.ml.exceptions import JobException, MlException
from azure.ai.ml.sweep import Choice, Uniform
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.azure import LocalAzure
from local.jobs.launcher import started_at
from local.settings import ACCOUNT, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE
from shared import loopfile
from shared.azure import job_steps, registry
from shared.azure.arm import ResourceManager
from shared.azure.client import Workspace, credential
from shared.azure.registered_assets import API
from shared.domain.window import WindowKind
from shared.ports import JobSpec
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.patience import rest, until

ENDED = ("Completed", "Failed", "Canceled")
TIMEOUT_S = 90


@pytest.fixture(scope="module")
def client(local_azure: LocalAzure) -> Iterator[MLClient]:
    """A person's: what an application submits to serverless compute must name an identity."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDENTITY_HEADER", local_azure.settings.header_of("publisher"))
        yield MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


@pytest.fixture(scope="module")
def blobs(local_azure: LocalAzure) -> Iterator[BlobServiceClient]:
    with BlobServiceClient(local_azure.settings.storage("blob"), DefaultAzureCredential()) as made:
        yield made


@pytest.fixture(scope="module")
def environment(client: MLClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment whose packages are all there."""
    conda = conda_file(tmp_path_factory.mktemp("conda"), "pandas>=2", "mlflow-skinny", "azureml-mlflow")
    made = Environment(name="job-env", image="example/base:1", conda_file=conda)
    return f"azureml:job-env:{client.environments.create_or_update(made).version}"


@pytest.fixture
def name() -> str:
    return f"job_{uuid.uuid4().hex[:10]}"


@pytest.fixture
def penguins(client: MLClient, blobs: BlobServiceClient, name: str) -> str:
    """A data asset of two files; returns its id."""
    landing = blobs.get_container_client("versions")
    for season, rows in (("2007", "adelie\ngentoo\n"), ("2008", "chinstrap\n")):
        landing.upload_blob(f"{name}/part/{season}.csv", rows)
    path = f"azureml://datastores/driftloop_versions/paths/{name}/"
    return str(client.data.create_or_update(Data(name=name, version="v1", type="uri_folder", path=path)).id)


def conda_file(folder: Path, *packages: str) -> Path:
    file = folder / "conda.yml"
    dependencies = ["python=3.11", "pip", {"pip": list(packages)}]
    file.write_text(yaml.safe_dump({"name": "e", "channels": ["conda-forge"], "dependencies": dependencies}))
    return file


def ended(client: MLClient, name: str, timeout_s: float = TIMEOUT_S) -> Job:
    return reached(client, name, ENDED, timeout_s)


def reached(client: MLClient, name: str, statuses: tuple[str, ...], timeout_s: float = TIMEOUT_S) -> Job:
    began = time.monotonic()
    while (job := client.jobs.get(name)).status not in statuses:
        assert time.monotonic() - began < timeout_s, f"{name} is still {job.status}"
        rest(began)
    return job


def sleepers(*seconds: int) -> list[psutil.Process]:
    """The processes that sleep exactly so long: each test sleeps its own time."""
    wanted = [["sleep", str(each)] for each in seconds]
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] in wanted]


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


class TestPipelines:
    # azure-ai-ml calls azure-storage-blob in two ways that this deprecates; both are theirs to mend.
    @pytest.mark.filterwarnings("ignore:The use of a 'BlobProperties' instance:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:content_as_bytes is deprecated:DeprecationWarning")
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
        assert client.jobs.get(children["train"].name).status == "Completed"
        client.jobs.download(children["train"].name, download_path=tmp_path / "got")
        log = tmp_path / "got" / "artifacts" / "user_logs" / "std_log.txt"
        assert "trained on ['adelie', 'chinstrap']" in log.read_text()

    def test_from_a_function_with_a_pipeline_inside(
        self,
        client: MLClient,
        blobs: BlobServiceClient,
        parts: tuple[Component, Component],
        penguins: str,
        name: str,
    ) -> None:
        prep, train = parts

        @dsl.pipeline()
        def fit(data: Input, limit: int):  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            prepared = prep(data=data, limit=limit, note="from within")
            return {"model": train(prepared=prepared.outputs.prepared).outputs.model}

        @dsl.pipeline(default_compute="serverless")
        def whole(data: Input):  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            return {"model": fit(data=data, limit=3).outputs.model}

        job = whole(data=Input(type="uri_folder", path=penguins))
        job.name, job.outputs.model.name, job.outputs.model.version = name, name, "7"
        client.jobs.create_or_update(job, experiment_name="penguins")

        assert ended(client, name).status == "Completed"

        (inner,) = client.jobs.list(parent_job_name=name)
        steps = {each.display_name: each for each in client.jobs.list(parent_job_name=inner.name)}
        assert set(steps) == {"prepared", "train"}
        took = {step.name: step for step in job_steps.of(client, name)}
        assert set(took) == set(steps), "the pipeline within is none, its steps are"
        assert all(0 < one.node_s < 60 and (one.nodes, one.size) == (1, "") for one in took.values())
        model = client.models.get(name, "7")
        assert model.type == "custom_model"
        assert model.job_name == name
        container, path = "azureml-blobstore", str(model.path).rpartition("/paths/")[2]
        assert text_at(blobs, container, f"{path}model.txt").startswith("3 rows, rate 0.5")
        log = text_at(blobs, "azureml", f"ExperimentRun/dcid.{steps['prepared'].name}/user_logs/std_log.txt")
        assert log.splitlines() == ["note: none", "note: from within"]

    def test_one_node_that_is_a_registered_pipeline_component(
        self,
        client: MLClient,
        blobs: BlobServiceClient,
        parts: tuple[Component, Component],
        penguins: str,
        name: str,
        tmp_path: Path,
    ) -> None:
        prep, train = parts

        @dsl.pipeline(name=name)
        def fit(data: Input(type="uri_folder"), rate: float = 0.1):  # type: ignore
            prepared = prep(data=data)
            return {"model": train(prepared=prepared.outputs.prepared, rate=rate).outputs.model}

        client.components.create_or_update(fit, version="c0ffee")
        (tmp_path / "submit.yml").write_text(f"""
type: pipeline
name: {name}
experiment_name: penguins
jobs:
  training:
    type: pipeline
    component: azureml:{name}:c0ffee
    inputs:
      data: {{type: uri_folder, path: "{penguins}"}}
      rate: 0.75
    outputs:
      model: {{type: custom_model, name: {name}}}
""")
        client.jobs.create_or_update(load_job(tmp_path / "submit.yml"))

        assert ended(client, name).status == "Completed"

        model = client.models.get(name, "1")
        path = str(model.path).rpartition("/paths/")[2]
        assert text_at(blobs, "azureml-blobstore", f"{path}model.txt") == "3 rows, rate 0.75, "

    def test_no_more_than_two_steps_at_once(
        self, client: MLClient, environment: str, name: str, tmp_path: Path
    ) -> None:
        line = f"echo 1 >> {tmp_path}/log; sleep 0.5; echo -1 >> {tmp_path}/log"
        step = command(command=line, environment=environment)

        @dsl.pipeline(default_compute="serverless")
        def whole():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            for _ in range(4):
                step()

        job = whole()
        job.name = name
        client.jobs.create_or_update(job)
        assert ended(client, name).status == "Completed"

        running = list(itertools.accumulate(map(int, (tmp_path / "log").read_text().split())))
        assert max(running) == 2


class TestFailure:
    def test_the_last_words_of_the_step_are_the_jobs_error(
        self, client: MLClient, environment: str, name: str, tmp_path: Path
    ) -> None:
        fails = command(
            name="fails",
            command="echo to the log; echo the penguins are missing >&2; echo x > ${{outputs.made}}/x; exit 3",
            environment=environment,
            outputs={"made": Output(type="uri_folder")},
        )
        after = command(
            command=f"touch {tmp_path}/ran",
            environment=environment,
            inputs={"made": Input(type="uri_folder")},
        )

        @dsl.pipeline(default_compute="serverless")
        def whole():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            first = fails()
            after(made=first.outputs.made)

        job = whole()
        job.name = name
        client.jobs.create_or_update(job)

        assert ended(client, name).status == "Failed"

        text = failure(client, name)
        assert "Step 'first' failed" in text
        assert "exit code 3" in text
        assert "the penguins are missing" in text
        assert not (tmp_path / "ran").exists()
        assert [each.display_name for each in client.jobs.list(parent_job_name=name)] == ["first"]

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            (("no-such-package-of-ours==2.0",), "no-such-package-of-ours was not found"),
            (("packaging==24.0", "packaging==24.1"), "your requirements are unsatisfiable"),
        ],
    )
    def test_an_image_that_cannot_be_built_says_why(
        self, client: MLClient, name: str, tmp_path: Path, asked: tuple[str, ...], told: str
    ) -> None:
        wanted = Environment(name=name, image="example/base:1", conda_file=conda_file(tmp_path, *asked))
        version = client.environments.create_or_update(wanted).version
        client.jobs.create_or_update(
            command(command="true", environment=f"azureml:{name}:{version}", name=name, compute="serverless")
        )

        assert ended(client, name).status == "Failed"
        text = failure(client, name)
        assert f"environment {name}:{version} could not be built" in text
        assert told in " ".join(text.split())

    def test_a_step_has_what_its_environment_asks_for_and_nothing_else(
        self, client: MLClient, name: str, tmp_path: Path
    ) -> None:
        """An image is built from the conda file (how-to-manage-environments-v2.md); whoever made the local Azure may
        have pandas, and another packaging."""
        asked = Environment(
            name=name, image="example/base:1", conda_file=conda_file(tmp_path, "packaging==24.0")
        )
        version = client.environments.create_or_update(asked).version
        line = (
            "import importlib.metadata as m, importlib.util as u;"
            "assert (m.version('packaging'), u.find_spec('pandas')) == ('24.0', None)"
        )
        client.jobs.create_or_update(
            command(
                command=f'python -c "{line}"',
                environment=f"azureml:{name}:{version}",
                name=name,
                compute="serverless",
            )
        )

        assert ended(client, name).status == "Completed"

    @pytest.mark.parametrize("inside", [True, False])
    def test_a_step_that_runs_too_long(
        self, client: MLClient, environment: str, name: str, inside: bool
    ) -> None:
        slow = command(
            command="sleep 309", environment=environment, name=name, compute="serverless", timeout=1
        )

        @dsl.pipeline(default_compute="serverless")
        def whole():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            slow()

        job = whole() if inside else slow
        job.name = name
        client.jobs.create_or_update(job)

        assert ended(client, name).status == "Failed"
        assert "longer than its limit of 1 s" in failure(client, name)
        assert not sleepers(309)

    def test_data_that_are_not_there(self, client: MLClient, environment: str, name: str) -> None:
        path = f"azureml://datastores/workspaceblobstore/paths/{name}/"
        reads = {"data": Input(type="uri_folder", path=path)}
        line = "ls ${{inputs.data}}"
        client.jobs.create_or_update(
            command(command=line, environment=environment, inputs=reads, name=name, compute="serverless")
        )

        assert ended(client, name).status == "Failed"
        assert f"Nothing is stored at '{name}/'" in failure(client, name)

    def test_what_cannot_be_run_is_refused(self, client: MLClient, name: str, tmp_path: Path) -> None:
        (tmp_path / "missing.yml").write_text(f"""
type: pipeline
name: {name}
jobs: {{a: {{type: pipeline, component: "azureml:{name}:1"}}}}
""")
        with pytest.raises(HttpResponseError):
            client.jobs.create_or_update(load_job(tmp_path / "missing.yml"))
        with pytest.raises(HttpResponseError):
            client.jobs.get(name)

    def test_what_is_not_emulated_says_so(self, client: MLClient, environment: str, name: str) -> None:
        tried = logging_command(environment)(depth=Uniform(0, 1))
        sweep = tried.sweep(
            primary_metric="f1", goal="minimize", sampling_algorithm="bayesian", compute="serverless"
        )
        sweep.set_limits(max_total_trials=2)
        sweep.name = name
        with pytest.raises(HttpResponseError, match="does not emulate sampling by 'bayesian'") as caught:
            client.jobs.create_or_update(sweep)
        assert caught.value.status_code == 501


class TestNames:
    def test_a_jobs_labels_change_and_it_is_archived(
        self, client: MLClient, environment: str, name: str
    ) -> None:
        client.jobs.create_or_update(
            command(command="true", environment=environment, name=name, compute="serverless")
        )
        assert ended(client, name).status == "Completed"

        client.jobs.update(name, tags={"season": "2007"}, display_name="first")
        client.jobs.archive(name)

        job = client.jobs.get(name)
        assert (job.display_name, job.tags) == ("first", {"season": "2007"})
        assert name not in [each.name for each in client.jobs.list()]
        archived = client.jobs.list(list_view_type=ListViewType.ARCHIVED_ONLY)
        assert name in [each.name for each in archived]

    def test_a_name_starts_one_job_however_often_it_is_sent(
        self, client: MLClient, environment: str, name: str, tmp_path: Path
    ) -> None:
        line = f"echo once >> {tmp_path}/log"

        def submit(_: int) -> str:
            made = command(command=line, environment=environment, name=name, compute="serverless")
            try:
                client.jobs.create_or_update(made)
            except HttpResponseError as error:
                return str(error)
            return "submitted"

        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(submit, range(3)))
        assert ended(client, name).status == "Completed"
        answers.append(submit(3))

        assert answers.count("submitted") == 1
        assert sum("already exists" in answer for answer in answers) == 3
        assert (tmp_path / "log").read_text() == "once\n"


class TestCancel:
    def test_nothing_of_the_job_is_left(self, client: MLClient, environment: str, name: str) -> None:
        line = "trap '' TERM; setsid sleep 301 & sleep 302 & sleep 303"
        client.jobs.create_or_update(
            command(command=line, environment=environment, name=name, compute="serverless")
        )
        until(lambda: len(sleepers(301, 302, 303)) == 3)
        processes = sleepers(301, 302, 303)

        client.jobs.begin_cancel(name).result()

        assert client.jobs.get(name).status == "Canceled"
        assert psutil.wait_procs(processes, timeout=10)[1] == []

    def test_steps_that_wait_never_begin(
        self, client: MLClient, environment: str, name: str, tmp_path: Path
    ) -> None:
        first = command(
            command="sleep 304; touch ${{outputs.made}}/x",
            environment=environment,
            outputs={"made": Output(type="uri_folder")},
        )
        second = command(
            command=f"touch {tmp_path}/ran",
            environment=environment,
            inputs={"made": Input(type="uri_folder")},
        )

        @dsl.pipeline(default_compute="serverless")
        def whole():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            second(made=first().outputs.made)

        job = whole()
        job.name = name
        client.jobs.create_or_update(job)
        until(lambda: bool(sleepers(304)))

        client.jobs.begin_cancel(name).result()

        assert client.jobs.get(name).status == "Canceled"
        assert not (tmp_path / "ran").exists()
        client.jobs.begin_cancel(name).result()
        assert client.jobs.get(name).status == "Canceled"


class TestRestart:
    def test_a_step_ends_when_nobody_is_left_who_could_want_it(self, tmp_path: Path) -> None:
        """What the supervisor's sudden death means to a step: its launcher looks whether it lives."""
        keeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(306)"])
        try:
            order = {
                "command": ["bash", "-c", "setsid sleep 307 & sleep 308"],
                "cwd": str(tmp_path),
                "env": dict(os.environ),
                "keeper": {"pid": keeper.pid, "started_at": started_at(keeper.pid)},
            }
            (tmp_path / "order.json").write_text(json.dumps(order))
            arguments = [sys.executable, "-m", "local.jobs.launcher", str(tmp_path)]
            launcher = subprocess.Popen(arguments, start_new_session=True)
            until(lambda: len(sleepers(307, 308)) == 2)
        finally:
            keeper.kill()
            keeper.wait()
        assert launcher.wait(TIMEOUT_S) == -signal.SIGKILL
        until(lambda: not sleepers(307, 308))

    def test_a_job_goes_on_while_the_workspace_is_killed(
        self, client: MLClient, local_azure: LocalAzure, environment: str, name: str, tmp_path: Path
    ) -> None:
        line = f"echo begun >> {tmp_path}/log; until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo ended"
        client.jobs.create_or_update(
            command(command=line, environment=environment, name=name, compute="serverless")
        )
        until(lambda: (tmp_path / "log").exists())

        local_azure.part("workspace").kill()
        local_azure.start_workspace()
        assert client.jobs.get(name).status == "Running"
        (tmp_path / "go").touch()

        assert ended(client, name).status == "Completed"
        assert (tmp_path / "log").read_text() == "begun\n"

    def test_a_job_that_ended_with_the_workspace_says_so(
        self, client: MLClient, local_azure: LocalAzure, environment: str, name: str
    ) -> None:
        client.jobs.create_or_update(
            command(command="sleep 305", environment=environment, name=name, compute="serverless")
        )
        until(lambda: bool(sleepers(305)))

        local_azure.stop_part("workspace")
        assert sleepers(305) == []
        local_azure.start_workspace()

        assert ended(client, name).status == "Failed"
        assert "The local workspace ended while this step ran" in failure(client, name)


class TestReuse:
    def test_only_what_changed_runs_again(
        self,
        client: MLClient,
        blobs: BlobServiceClient,
        parts: tuple[Component, Component],
        penguins: str,
        name: str,
    ) -> None:
        prep, train = parts

        def reused(data: str, rate: float, force: bool = False) -> dict[str, bool]:
            @dsl.pipeline(default_compute="serverless", force_rerun=force)
            def whole(data: Input):  # type: ignore[no-untyped-def]  # the SDK reads the annotations
                prepared = prep(data=data)
                train(prepared=prepared.outputs.prepared, rate=rate)

            job = client.jobs.create_or_update(whole(data=Input(type="uri_folder", path=data)))
            assert ended(client, job.name).status == "Completed"
            children = client.jobs.list(parent_job_name=job.name)
            found = {
                each.display_name: each.properties.get("azureml.isreused") == "true" for each in children
            }
            took = job_steps.of(client, job.name)
            assert {one.name: one.reused for one in took} == found
            assert all((one.node_s == 0) == one.reused for one in took)
            return found

        assert reused(penguins, 0.5) == {"prepared": False, "train": False}
        assert reused(penguins, 0.5) == {"prepared": True, "train": True}
        assert reused(penguins, 0.6) == {"prepared": True, "train": False}
        assert reused(penguins, 0.5, force=True) == {"prepared": False, "train": False}
        blobs.get_blob_client("versions", f"{name}/part/2009.csv").upload_blob("late\n")
        assert reused(penguins, 0.5) == {"prepared": False, "train": False}


class TestOutputs:
    @pytest.mark.filterwarnings("ignore:The use of a 'BlobProperties' instance:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:content_as_bytes is deprecated:DeprecationWarning")
    def test_data_are_registered_and_downloaded(
        self, client: MLClient, environment: str, name: str, tmp_path: Path
    ) -> None:
        client.jobs.create_or_update(
            command(
                command="echo folder > ${{outputs.many}}/a.txt; echo file > ${{outputs.one}}",
                environment=environment,
                outputs={"many": Output(type="uri_folder", name=name), "one": Output(type="uri_file")},
                name=name,
                compute="serverless",
            )
        )
        assert ended(client, name).status == "Completed"

        assert client.data.get(name, "1").type == "uri_folder"
        client.jobs.download(name, download_path=tmp_path, all=True)
        assert (tmp_path / "named-outputs" / "many" / "a.txt").read_text() == "folder\n"
        assert (tmp_path / "named-outputs" / "one" / "one").read_text() == "file\n"

    def test_a_model_is_registered_from_a_jobs_output(
        self, client: MLClient, blobs: BlobServiceClient, environment: str, name: str
    ) -> None:
        makes = {"model": Output(type="custom_model")}
        line = "echo weights > ${{outputs.model}}/m"
        client.jobs.create_or_update(
            command(command=line, environment=environment, outputs=makes, name=name, compute="serverless")
        )
        assert ended(client, name).status == "Completed"
        path = f"azureml://jobs/{name}/outputs/model/paths/"

        made = client.models.create_or_update(Model(name=name, path=path, type="custom_model"))
        reads = {"model": Input(type="custom_model", path=made.id)}
        line = "grep weights ${{inputs.model}}/m"
        reader = f"{name}_reader"
        client.jobs.create_or_update(
            command(command=line, environment=environment, inputs=reads, name=reader, compute="serverless")
        )

        assert ended(client, reader).status == "Completed"

    def test_the_log_is_streamed_while_the_job_runs(
        self,
        client: MLClient,
        environment: str,
        name: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        line = f"echo first words; until [ -e {tmp_path}/go ]; do sleep 0.1; done"
        client.jobs.create_or_update(
            command(command=line, environment=environment, name=name, compute="serverless")
        )
        with ThreadPoolExecutor(1) as pool:
            streaming = pool.submit(client.jobs.stream, name)
            try:
                until(lambda: "first words" in capsys.readouterr().out)
            finally:
                (tmp_path / "go").touch()
            streaming.result(TIMEOUT_S)
        assert client.jobs.get(name).status == "Completed"

    def test_mlflow_logs_to_the_jobs_own_run(self, client: MLClient, environment: str, name: str) -> None:
        code = "import mlflow; mlflow.log_metric('f1', 0.5); print(mlflow.active_run().info.run_id)"
        client.jobs.create_or_update(
            command(
                command=f'test "$(python -c "{code}")" = {name}',
                environment=environment,
                name=name,
                compute="serverless",
            )
        )
        assert ended(client, name).status == "Completed"


class TestFaults:
    def test_the_next_job_fails_as_asked(
        self, client: MLClient, local_azure: LocalAzure, environment: str, name: str
    ) -> None:
        fault = {"kind": "fail", "match": name, "message": "the node was preempted"}
        assert local_azure.control.post("/local/jobs/faults", json=fault).is_success
        for suffix in ("a", "b"):
            client.jobs.create_or_update(
                command(
                    command="true", environment=environment, name=f"{name}-{suffix}", compute="serverless"
                )
            )

        assert ended(client, f"{name}-a").status == "Failed"
        assert "the node was preempted" in failure(client, f"{name}-a")
        assert ended(client, f"{name}-b").status == "Completed"

    def test_a_job_sticks_in_starting_until_it_is_cancelled(
        self, client: MLClient, local_azure: LocalAzure, environment: str, name: str
    ) -> None:
        assert local_azure.control.post(
            "/local/jobs/faults", json={"kind": "stick", "match": name}
        ).is_success
        client.jobs.create_or_update(
            command(command="true", environment=environment, name=name, compute="serverless")
        )
        time.sleep(0.5)
        assert client.jobs.get(name).status == "Starting"
        client.jobs.begin_cancel(name).result()
        assert client.jobs.get(name).status == "Canceled"

    def test_a_job_is_slow(
        self, client: MLClient, local_azure: LocalAzure, environment: str, name: str
    ) -> None:
        fault = {"kind": "slow", "seconds": 1.5, "match": name}
        assert local_azure.control.post("/local/jobs/faults", json=fault).is_success
        began = time.monotonic()
        client.jobs.create_or_update(
            command(command="true", environment=environment, name=name, compute="serverless")
        )
        assert ended(client, name).status == "Completed"
        assert time.monotonic() - began >= 1.5


class TestEvents:
    def test_each_change_of_a_run_is_told(
        self, client: MLClient, local_azure: LocalAzure, environment: str, name: str
    ) -> None:
        before = local_azure.control.get("/local/events/subscriptions").json()
        queue = name.replace("_", "-")
        ours = {"name": queue, "source": "workspace", "queue": queue}
        subscribed = {"subscriptions": [*before["subscriptions"], ours]}
        verify = local_azure.settings.storage("queue")
        with QueueServiceClient(verify, DefaultAzureCredential()) as service:
            client_of_queue = service.create_queue(queue)
            local_azure.control.put("/local/events/subscriptions", json=subscribed).raise_for_status()
            try:
                made = {"model": Output(type="custom_model", name=name)}
                line = "echo x > ${{outputs.model}}/x"
                client.jobs.create_or_update(
                    command(
                        command=line, environment=environment, outputs=made, name=name, compute="serverless"
                    ),
                    experiment_name="told",
                )
                assert ended(client, name).status == "Completed"
                until(lambda: local_azure.control.get("/local/events/waiting").json()["waiting"] == 0)
            finally:
                local_azure.control.put("/local/events/subscriptions", json=before).raise_for_status()
            messages = client_of_queue.receive_messages(max_messages=32)
            told = [json.loads(base64.b64decode(each.content)) for each in messages]

        runs = [each["data"] for each in told if each["subject"].endswith(f"/runs/{name}")]
        statuses = [each["runStatus"] for each in runs if "runStatus" in each]
        assert statuses[0] == "NotStarted"
        assert set(statuses) >= {"Preparing", "Running", "Finalizing", "Completed"}
        assert {each["experimentName"] for each in runs} == {"told"}
        kinds = [each["eventType"].rpartition(".")[2] for each in told]
        assert kinds.count("RunCompleted") == 1
        (registered,) = [each["data"] for each in told if each["eventType"].endswith("ModelRegistered")]
        assert (registered["ModelName"], registered["ModelVersion"]) == (name, "1")


class TestSweep:
    def test_a_sweep_step_gives_its_best_trials_model(
        self, client: MLClient, blobs: BlobServiceClient, environment: str, name: str
    ) -> None:
        trial = logging_command(environment)

        @dsl.pipeline(default_compute="serverless")
        def whole():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            tried = trial(depth=Choice([1, 3, 9])).sweep(
                primary_metric="f1", goal="maximize", sampling_algorithm="grid"
            )
            tried.set_limits(max_total_trials=3, max_concurrent_trials=2)
            return {"model": tried.outputs.model}

        job = whole()
        job.name, job.outputs.model.name = name, name
        client.jobs.create_or_update(job, experiment_name="sweeps")
        assert ended(client, name).status == "Completed"

        (step,) = client.jobs.list(parent_job_name=name)
        trials = {each.name: each for each in client.jobs.list(parent_job_name=step.name)}
        assert len(trials) == 3
        best = step.properties["best_child_run_id"]
        assert best == f"{step.name}_1"
        assert {each.name[-2:]: each.status for each in trials.values()} == {
            "_0": "Completed",
            "_1": "Completed",
            "_2": "Failed",
        }
        path = str(client.models.get(name, "1").path).rpartition("/paths/")[2]
        assert text_at(blobs, "azureml-blobstore", f"{path}m") == "3\n"

    def test_a_sweep_alone_draws_from_a_range(
        self, client: MLClient, blobs: BlobServiceClient, environment: str, name: str
    ) -> None:
        trial = logging_command(environment)(depth=Uniform(0, 1))
        sweep = trial.sweep(
            primary_metric="f1", goal="minimize", sampling_algorithm="random", compute="serverless"
        )
        sweep.set_limits(max_total_trials=2, max_concurrent_trials=2)
        sweep.name = name
        client.jobs.create_or_update(sweep, experiment_name="sweeps")
        assert ended(client, name).status == "Completed"

        trials = [each.name for each in client.jobs.list(parent_job_name=name)]
        drawn = {
            each: float(text_at(blobs, "azureml-blobstore", f"azureml/{each}/model/m")) for each in trials
        }
        assert len(set(drawn.values())) == 2
        best = client.jobs.get(name).properties["best_child_run_id"]
        assert drawn[best] == min(drawn.values())

    def test_what_a_sweep_takes_is_what_its_trials_take(
        self, client: MLClient, environment: str, name: str
    ) -> None:
        trial = logging_command(environment)

        @dsl.pipeline()
        def tries():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            tried = trial(depth=Choice([1, 3])).sweep(
                primary_metric="f1", goal="maximize", sampling_algorithm="grid", compute="driftloop-cpu"
            )
            tried.set_limits(max_total_trials=2, max_concurrent_trials=2)

        @dsl.pipeline(default_compute="driftloop-cpu")
        def whole():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
            tries()

        job = whole()
        job.name = name
        client.jobs.create_or_update(job, experiment_name="sweeps")
        assert ended(client, name).status == "Completed"

        (inner,) = client.jobs.list(parent_job_name=name)
        (sweep,) = client.jobs.list(parent_job_name=inner.name)
        runs = client.jobs._runs_operations
        trials = [runs.get_run(each.name) for each in client.jobs.list(parent_job_name=sweep.name)]
        (took,) = job_steps.of(client, name)
        spent = sum((run.end_time_utc - run.start_time_utc).total_seconds() for run in trials)
        assert (took.name, took.nodes, took.size) == ("tried", 1, "Standard_DS3_v2")
        assert took.node_s == pytest.approx(spent) and len(trials) == 2


def logging_command(environment: str) -> Command:
    code = "import mlflow, sys; mlflow.log_metric('f1', float(sys.argv[1]))"
    depth = "${{inputs.depth}}"
    line = f'test {depth} != 9 && python -c "{code}" {depth} && echo {depth} > ${{{{outputs.model}}}}/m'
    outputs = {"model": Output(type="custom_model")}
    return command(
        name="tries",
        command=line,
        environment=environment,
        inputs={"depth": 0.5},
        outputs=outputs,
        compute="serverless",
    )


def refused(client: MLClient, job: Job) -> str:
    with pytest.raises((HttpResponseError, MlException)) as caught:
        client.jobs.create_or_update(job)
    return str(caught.value)


def test_computes_are_listed_and_an_unknown_one_is_refused(client: MLClient, environment: str) -> None:
    """Source: azure-ai-ml's `JobOperations._try_get_compute_arm_id` reads the compute before it submits."""
    [found] = [each for each in client.compute.list() if each.name == "driftloop-cpu"]
    assert (found.size, found.min_instances, found.max_instances) == ("Standard_DS3_v2", 0, 4)
    assert client.compute.get("Driftloop-CPU").name == "driftloop-cpu"
    job = command(command="echo", environment=environment, compute="not-there")
    assert "not-there" in refused(client, job)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ({"instance_type": "Standard_Imaginary_v9"}, "does not offer"),
        ({"compute": "driftloop-cpu", "instance_count": 5}, "at most 4 nodes"),
    ],
)
def test_a_size_or_a_count_that_nobody_has_is_refused(
    client: MLClient, environment: str, place: dict[str, Any], text: str
) -> None:
    """Sources: how-to-use-serverless-compute.md, "Quota"; how-to-create-attach-compute-cluster.md, maximum nodes."""
    assert text in refused(client, command(command="echo", environment=environment, **place))


def test_an_application_names_an_identity_on_serverless_compute(
    local_azure: LocalAzure, environment: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source: how-to-use-serverless-compute.md, "Identity support and credential passthrough"."""
    monkeypatch.setenv("IDENTITY_HEADER", local_azure.settings.header_of("app"))
    app = MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)
    assert "identity: {type: managed}" in refused(app, command(command="echo", environment=environment))
    job = command(name=name, command="echo", environment=environment, identity=ManagedIdentityConfiguration())
    app.jobs.create_or_update(job)
    assert ended(app, name).status == "Completed"
    clustered = command(name=f"{name}c", command="echo", environment=environment, compute="driftloop-cpu")
    app.jobs.create_or_update(clustered)
    assert ended(app, f"{name}c").status == "Completed"


@pytest.mark.parametrize(
    "address",
    [
        "https://someone-else.blob.core.windows.net/versions/{name}/",
        "wasbs://versions@someone-else.blob.core.windows.net/{name}/",
        "https://someone-else.blob.local@127.0.0.1:{port}/devstoreaccount1/versions/{name}/",
        "azureml://subscriptions/1/resourcegroups/g/workspaces/other/datastores/driftloop_versions/paths/{name}/",
    ],
)
def test_an_address_elsewhere_is_never_read_as_ours(
    client: MLClient, environment: str, penguins: str, name: str, address: str, local_azure: LocalAzure
) -> None:
    """Source: the account is the host's first label (learn.microsoft.com/azure/storage/common/storage-account-overview,
    "Storage account endpoints"), and a long datastore address names its workspace (how-to-datastore.md)."""
    path = address.format(name=name, port=local_azure.settings.blob_port)
    data = Input(type="uri_folder", path=path)
    job = command(name=name, command="ls ${{inputs.d}}", environment=environment, inputs={"d": data})
    client.jobs.create_or_update(job)
    assert ended(client, name).status == "Failed"
    text = failure(client, name)
    assert "storage account" in text or "another workspace" in text


def test_an_environment_of_a_registry_is_not_taken_for_known(client: MLClient, name: str) -> None:
    """What azureml's own environments hold cannot be said here, so a step in one is not run."""
    curated = "azureml://registries/azureml/environments/sklearn-1.5/versions/1"
    client.jobs.create_or_update(command(name=name, command="echo", environment=curated))
    assert ended(client, name).status == "Failed"
    assert "no environment of a registry" in failure(client, name)


def log_of(blobs: BlobServiceClient, name: str) -> str:
    return text_at(blobs, "azureml", f"ExperimentRun/dcid.{name}/user_logs/std_log.txt")


@pytest.mark.parametrize(
    ("distribution", "line", "expected"),
    [
        (
            PyTorchDistribution(process_count_per_instance=2),
            "echo rank $RANK of $WORLD_SIZE, $LOCAL_RANK on $NODE_RANK",
            {f"rank {rank} of 4, {rank % 2} on {rank // 2}" for rank in range(4)},
        ),
        (
            MpiDistribution(process_count_per_instance=1),
            "echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE",
            {"0 of 2", "1 of 2"},
        ),
        (
            TensorFlowDistribution(worker_count=2, parameter_server_count=1),
            "echo $TF_CONFIG | sed 's/.*\"task\"/task/'",
            {
                f'task: {{"type": "{kind}", "index": {n}}}}}'
                for kind, n in (("worker", 0), ("worker", 1), ("ps", 0))
            },
        ),
    ],
    ids=["PyTorch", "MPI", "TensorFlow"],
)
def test_a_distributed_step_is_as_many_processes_as_it_asks_for(
    client: MLClient,
    blobs: BlobServiceClient,
    environment: str,
    name: str,
    distribution: Any,
    line: str,
    expected: set[str],
) -> None:
    """Source: how-to-train-distributed-gpu.md, the variables of each framework."""
    place = {"compute": "driftloop-cpu", "instance_count": 2, "distribution": distribution}
    client.jobs.create_or_update(command(name=name, command=line, environment=environment, **place))
    assert ended(client, name).status == "Completed"
    assert set(log_of(blobs, name).splitlines()) == expected


def test_a_process_that_fails_ends_the_others_and_the_step(
    client: MLClient, environment: str, name: str
) -> None:
    line = "if [ $RANK = 1 ]; then exit 3; fi; sleep 4711"
    distribution = PyTorchDistribution(process_count_per_instance=2)
    client.jobs.create_or_update(
        command(name=name, command=line, environment=environment, distribution=distribution)
    )
    assert ended(client, name).status == "Failed"
    assert "exit code 3" in failure(client, name)
    until(lambda: not sleepers(4711))


@pytest.mark.parametrize("place", [{"distribution": RayDistribution()}, {}])
def test_several_nodes_that_cannot_be_had_are_not_run_as_one(
    client: MLClient, environment: str, place: dict[str, Any]
) -> None:
    job = command(command="echo", environment=environment, compute="driftloop-cpu", instance_count=2, **place)
    assert "does not emulate" in refused(client, job)


def test_a_step_finds_its_outputs_folder_and_its_workspace(
    client: MLClient, blobs: BlobServiceClient, environment: str, name: str
) -> None:
    """Sources: `outputs` is made and kept (how-to-train-model.md); AZUREML_ARM_* are read by azureml-core's
    `Run.get_context` (azureml/_base_sdk_common, "AZUREML_ARM_SUBSCRIPTION")."""
    line = "echo kept > outputs/left.txt; echo $AZUREML_ARM_WORKSPACE_NAME $AZUREML_ARM_SUBSCRIPTION"
    client.jobs.create_or_update(command(name=name, command=line, environment=environment))
    assert ended(client, name).status == "Completed"
    assert log_of(blobs, name).split() == [WORKSPACE, SUBSCRIPTION]
    assert text_at(blobs, "azureml", f"ExperimentRun/dcid.{name}/outputs/left.txt") == "kept\n"


def test_a_sweep_whose_trials_all_failed_says_why(client: MLClient, environment: str, name: str) -> None:
    base = command(
        command="echo the disk is full >&2; exit 3; ${{inputs.x}}", environment=environment, inputs={"x": 1}
    )
    job = base(x=Choice([1, 2])).sweep(sampling_algorithm="grid", primary_metric="f1", goal="maximize")
    job.name = name
    job.set_limits(max_total_trials=2)
    client.jobs.create_or_update(job)
    assert ended(client, name).status == "Failed"
    text = failure(client, name)
    assert "None of 2 trials" in text
    assert "the disk is full" in text


def test_code_is_read_with_the_role_that_reaches_a_new_container(
    local_azure: LocalAzure, client: MLClient, environment: str, name: str, tmp_path: Path
) -> None:
    """Each upload makes a container, so a role on one container is not enough.

    Sources: Azure/azure-sdk-for-python#32680; how-to-troubleshoot-online-endpoints.md, "Authorization error".
    """
    (tmp_path / "run.py").write_text(f"print('{name}')")

    def run(number: int, **change: list[list[str]]) -> str | None:
        local_azure.control.put("/local/roles", json=change).raise_for_status()
        job = command(
            name=f"{name}{number}",
            command="python run.py",
            code=str(tmp_path),
            environment=environment,
            compute="driftloop-cpu",
        )
        client.jobs.create_or_update(job)
        return ended(client, f"{name}{number}").status

    account = ["compute", "Storage Blob Data Contributor", "workspace-account"]
    try:
        outputs = ["compute", "Storage Blob Data Contributor", "outputs"]
        assert run(1, without=[account], also=[outputs]) == "Failed"
        assert "not authorized to read the container" in failure(client, f"{name}1")
        reader = ["compute", "Storage Blob Data Reader", "workspace-account"]
        assert run(2, without=[account], also=[reader]) == "Completed"
        assert run(3) == "Completed"
    finally:
        local_azure.control.put("/local/roles", json={}).raise_for_status()


TABLE_STEP = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: {name}_fit
inputs: {{rows: {{type: mltable}}}}
outputs: {{model: {{type: custom_model}}}}
environment: {environment}
command: >-
  cd ${{{{inputs.rows}}}} && find . -type f | sort > ${{{{outputs.model}}}}/files.txt &&
  cat $(find . -name '*.parquet' | sort) > ${{{{outputs.model}}}}/rows.txt
"""
TABLE_PIPELINE = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: {name}_training
inputs: {{training_data: {{type: mltable}}}}
outputs: {{model: {{type: custom_model}}}}
jobs:
  fit:
    type: command
    component: ./fit.yml
    inputs: {{rows: {{path: "${{{{parent.inputs.training_data}}}}", mode: eval_mount}}}}
    outputs: {{model: "${{{{parent.outputs.model}}}}"}}
"""


class TestTables:
    """Modes by type, and how evaluated files lie: MicrosoftDocs/azure-ai-docs, how-to-read-write-data-v2.md."""

    def test_a_loop_trains_from_the_parts_that_its_table_names(
        self,
        local_azure: LocalAzure,
        blobs: BlobServiceClient,
        environment: str,
        name: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        loop = name.replace("_", "-")
        folder = tmp_path / "loop"
        folder.mkdir()
        (folder / "fit.yml").write_text(TABLE_STEP.format(name=name, environment=environment))
        (folder / "train.yml").write_text(TABLE_PIPELINE.format(name=name))
        (folder / "loop.yaml").write_text(
            f"loop: {loop}\ndata: {{landing: landing/{loop}/, target: species}}\n"
            f"train: {{pipeline: train.yml}}\nserve: {{endpoint: {loop}}}\n"
        )
        for key, value in local_azure.environment("publisher").items():
            monkeypatch.setenv(key, value)
        workspace = Workspace(Settings.from_environment(os.environ), credential())
        published = registry.Registry(workspace).register(folder, loopfile.load(folder), lambda what: None)
        assert published.window is WindowKind.FILES
        for key, value in local_azure.environment("app").items():
            monkeypatch.setenv(key, value)
        ports = azure_ports(Settings.from_environment(os.environ))
        parts = [f"{name}/{number}/train/part-00000.parquet" for number in (1, 2)]
        for part in parts:
            (tmp_path / "part").write_text(f"rows of {part}\n")
            ports.versions.write(part, tmp_path / "part")
        ports.versions.tabulate(f"{name}/t", parts, published.window)
        asset = ports.versions.register(f"{name}-t", "1", f"{name}/t", {}, "", published.window)
        tags = {"driftloop.release": name}

        spec = JobSpec(name, name, published.pipeline, asset, tags=tags, window=published.window)
        until(lambda: ports.training.ensure_job(spec).status != "running", within_s=TIMEOUT_S)

        seen = ports.training.ensure_job(spec)
        assert (seen.status, seen.error) == ("completed", "")
        files = text_at(blobs, "azureml-blobstore", f"driftloop/{name}/model/files.txt").split()
        assert files == [f"./{ACCOUNT}/versions/{part}" for part in parts], "no file MLTable, and no copy"
        rows = text_at(blobs, "azureml-blobstore", f"driftloop/{name}/model/rows.txt")
        assert rows == "".join(f"rows of {part}\n" for part in parts)

    @pytest.mark.parametrize(
        ("kind", "mode", "word"),
        [
            ("mltable", "eval_mount", "only files are mounted"),
            ("mltable", "ro_mount", "MLTable"),
            ("mltable", "direct", "azureml://"),
            ("uri_folder", "ro_mount", "is of type mltable"),
            ("mltable", "eval_download", "uri path is not a valid datastore uri path"),
        ],
    )
    def test_what_a_step_gets_of_a_table(
        self,
        client: MLClient,
        blobs: BlobServiceClient,
        environment: str,
        name: str,
        kind: str,
        mode: str,
        word: str,
    ) -> None:
        """azure-docs#92643: rows cannot be mounted; azureml-examples#2048: a short address."""
        said = f"azureml://datastores/driftloop_versions/paths/{name}/a.parquet"
        rows = "" if mode == "eval_download" else "\ntransformations: [read_parquet]"
        table = f"paths: [{{file: '{said}'}}]{rows}"
        blobs.get_blob_client("versions", f"{name}/t/MLTable").upload_blob(table)
        asset = registered_table(client, name)
        given = {"t": Input(type=kind, path=asset, mode=mode)}
        line = "ls ${{inputs.t}} || echo ${{inputs.t}}"
        job = command(name=name, command=line, environment=environment, inputs=given, compute="serverless")
        if kind == "uri_folder":
            with pytest.raises(HttpResponseError, match=word):
                client.jobs.create_or_update(job)
            return
        client.jobs.create_or_update(job)
        evaluated = mode.startswith("eval_")
        assert ended(client, name).status == ("Failed" if evaluated else "Completed")
        assert word in (failure(client, name) if evaluated else log_of(blobs, name))

    def test_a_folder_without_its_file_is_no_table(
        self, client: MLClient, blobs: BlobServiceClient, environment: str, name: str
    ) -> None:
        """azureml-examples#1889."""
        blobs.get_blob_client("versions", f"{name}/t/a.parquet").upload_blob("rows")
        asset = registered_table(client, name)
        given = {"t": Input(type="mltable", path=asset)}
        client.jobs.create_or_update(
            command(name=name, command="true", environment=environment, inputs=given)
        )
        assert ended(client, name).status == "Failed"
        assert "Not able to find MLTable file" in failure(client, name)

    def test_a_mode_that_a_type_does_not_know_is_refused(
        self, client: MLClient, environment: str, penguins: str, name: str
    ) -> None:
        given = {"t": Input(type="uri_folder", path=penguins, mode="eval_mount")}
        job = command(name=name, command="true", environment=environment, inputs=given)
        with pytest.raises(HttpResponseError, match="has no mode 'evalmount'"):
            client.jobs.create_or_update(job)

    def test_all_versions_of_a_data_asset_are_of_one_type(
        self, client: MLClient, penguins: str, name: str
    ) -> None:
        with pytest.raises(HttpResponseError, match="Use another name"):
            registered_table(client, name, asset=name)


def registered_table(client: MLClient, name: str, asset: str = "") -> str:
    """As REST takes it: the client would ask another host for a schema first."""
    where = f"azureml://datastores/driftloop_versions/paths/{name}/t/"
    body = {"properties": {"dataType": "mltable", "dataUri": where}}
    arm = ResourceManager(DefaultAzureCredential())
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers"
    path += (
        f"/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}/data/{asset or f'{name}-t'}/versions/1"
    )
    answer = arm._sent(HttpRequest("PUT", arm._address + path, params={"api-version": API}, json=body))
    return str(answer.json()["id"])

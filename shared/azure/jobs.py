"""A job is submitted once under its name, whatever is repeated; nothing is uploaded, streamed or awaited here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from shared import assets
from shared.azure import job_logs, job_steps
from shared.azure.client import ML_ROLE, Workspace
from shared.azure.datastore import Datastore
from shared.azure.failures import asking, must_be_absent, status_of
from shared.azure.registered_assets import API, RegisteredAssets, files_in
from shared.azure.submitted_jobs import TAKEN, SubmittedJobs
from shared.domain.reason import Code
from shared.domain.release import JobLog
from shared.errors import ConfigurationError
from shared.port_rules import JOB_TAG, RELEASE_TAG
from shared.ports import GOLDEN, JobSeen, JobSpec
from shared.release import unaided

if TYPE_CHECKING:
    from azure.ai.ml.entities import Component, Job, Model, PipelineJob
    from azure.storage.blob import BlobClient

DATA, OUTPUT = "training_data", "model"
"""What a loop's pipeline component must call the folder that it gets and the model that it gives."""

MOST_RECORDED_BYTES = 1_000_000

_BUILDING = threading.Lock()
"""The SDK keeps the pipeline that is being built in a global: two threads would put steps into each other's job."""
_NUMBERS: Mapping[str, Callable[[str], object]] = {
    "integer": int,
    "number": float,
    "boolean": lambda text: text.strip().lower() in {"true", "1", "yes"},
}


class AzureTraining(RegisteredAssets):
    """`Training` over the workspace's pipeline jobs and registry; `named` gives a datastore by its name, `signed` a
    blob by an address that carries its own right."""

    def __init__(
        self,
        workspace: Workspace,
        datastore: Datastore,
        named: Callable[[str], Datastore],
        signed: Callable[[str], BlobClient],
        registry: str = "",
    ) -> None:
        super().__init__(workspace, named, registry)
        self._ml = workspace
        self._datastore = datastore
        self._signed = signed
        self._jobs = SubmittedJobs(workspace, RELEASE_TAG)

    def ensure_job(self, spec: JobSpec) -> JobSeen:
        with asking("Submitting a job", f"Azure ML job {spec.name}", ML_ROLE):
            mark = spec.tags.get(RELEASE_TAG)
            return self._seen(
                self._jobs.ensure(spec.name, lambda: self._pipeline(spec), spec.experiment, mark)
            )

    def _pipeline(self, spec: JobSpec) -> PipelineJob:
        """One node, made from the published component; its model goes where it can be found by the job's name."""
        ml = self._ml()
        from azure.ai.ml import Input, Output, dsl
        from azure.ai.ml.entities import ManagedIdentityConfiguration

        named = assets.asset(spec.component)
        component = ml.components.get(named.name, named.version)
        parameters = _typed(spec, component.inputs)
        trains = _trains(spec, component)
        if DATA in component.inputs:
            parameters[DATA] = Input(type=spec.window.data_type, path=assets.asset(spec.training_data).short)
        if spec.model and OUTPUT in component.inputs:
            kind = component.inputs[OUTPUT].type
            parameters[OUTPUT] = Input(type=kind, path=assets.asset(spec.model).short)

        @dsl.pipeline(default_compute=spec.compute or "serverless")  # type: ignore[untyped-decorator]  # no types
        def run() -> dict[str, object]:
            node = component(**parameters)
            if getattr(node, "identity", ...) is None:  # a check is one step; a pipeline's steps have theirs
                node.identity = ManagedIdentityConfiguration()
            return {OUTPUT: node.outputs[OUTPUT]} if trains else {}

        with _BUILDING:
            job: PipelineJob = run()
        if trains:
            kind, place = component.outputs[OUTPUT].type, self._datastore.uri(_folder(spec.name))
            job.outputs[OUTPUT] = Output(type=kind, mode="rw_mount", path=place)
        job.name = spec.name
        job.display_name = spec.name
        job.tags = dict(spec.tags)
        return job

    def _seen(self, job: Job) -> JobSeen:
        status = job_steps.ENDED.get(job.status or "", "running")
        error = self._jobs.error(str(job.name)) if status == "failed" else ""
        steps = job_steps.of(self._ml(), str(job.name)) if status == "completed" else ()
        return JobSeen(status, error, job.studio_url or "", steps)

    def cancel(self, name: str) -> None:
        self._jobs.cancel(name)

    def logs(self, job: str) -> Sequence[JobLog]:
        with asking("Reading the logs of a job", f"Azure ML job {job}", ML_ROLE):
            return job_logs.of(self._ml(), job, self._signed) if self._jobs.find(job) else ()

    def ensure_model(self, name: str, version: str, job: str, tags: Mapping[str, str]) -> str:
        path = f"azureml://jobs/{job}/outputs/{OUTPUT}/paths/"
        with asking("Registering a model", f"Azure ML model {name}:{version}", ML_ROLE):
            for each in self._versions(name, version):
                model = self._find_model(name, each) or self._register(name, each, job, path, tags)
                if (model.tags or {}).get(JOB_TAG, model.job_name) == job:
                    return str(model.id)
        raise ConfigurationError(
            f"Model {name}:{version} exists and did not come from job {job}, nor did the next version, {each}. "
            "Somebody else registers models of this name: let them use another.",
            code=Code.ASSET_NOT_OURS,
        )

    def _versions(self, name: str, version: str) -> Iterator[str]:
        """Its own; where somebody else has a model there, who may archive it, but cannot free its name, the newest,
        which is ours where the answer was lost, and the next free one."""
        yield version
        family = self._arm.get(f"{self._workspace.resource}/models/{name}", API)
        if family is not None:
            yield str(family["properties"]["latestVersion"])
            yield str(family["properties"]["nextVersion"])

    def check_unaided(self, job: str) -> None:
        if against := unaided.lacks(files_in(self._datastore, _folder(job))):
            raise ConfigurationError(
                f"The model of job {job} cannot be served without scoring code: {against}. Change what the pipeline "
                "saves (for example `pip_requirements` of `save_model`), or give the loop `serve.scoring`.",
                code=Code.MODEL_UNSERVABLE,
            )

    def recorded(self, job: str, name: str = GOLDEN) -> bytes:
        path = f"{_folder(job)}/{name}"
        found = self._datastore.find(path)
        if found is None:
            return b""
        if found.size > MOST_RECORDED_BYTES:
            raise ConfigurationError(
                f"{name} of job {job} has {found.size:,} bytes; the pipeline may record {MOST_RECORDED_BYTES:,}.",
                code=Code.GOLDEN_UNUSABLE if name == GOLDEN else Code.IMPORTANCE_UNUSABLE,
            )
        return self._datastore.read(path)

    def _find_model(self, name: str, version: str) -> Model | None:
        try:
            return self._ml().models.get(name, version)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            return None

    def _register(self, name: str, version: str, job: str, path: str, tags: Mapping[str, str]) -> Model:
        ml = self._ml()
        from azure.ai.ml.entities import Model

        kind = self._model_type(job)
        model = Model(name=name, version=version, path=path, type=kind, tags={**tags, JOB_TAG: job})
        try:
            return ml.models.create_or_update(model)
        except HttpResponseError as error:
            found = self._find_model(name, version) if status_of(error) in TAKEN else None
            if found is None:
                raise
            return found

    def _model_type(self, job: str) -> str:
        """As the component declares it; a folder that holds an MLmodel file is an MLflow model all the same."""
        found = self._jobs.find(job)
        if found is None or found.status != "Completed" or OUTPUT not in found.outputs:
            raise ConfigurationError(
                f"Job {job} has no output `{OUTPUT}`. The pipeline must declare and write it.",
                code=Code.COMPONENT_UNFIT,
            )
        if found.outputs[OUTPUT].type == "mlflow_model":
            return "mlflow_model"
        return "mlflow_model" if self._datastore.find(f"{_folder(job)}/MLmodel") else "custom_model"


def _folder(job: str) -> str:
    return f"driftloop/{job}/{OUTPUT}"


def _typed(spec: JobSpec, declared: Mapping[str, Any]) -> dict[str, object]:
    """Parameters in the types that the component declares; an unknown one is a mistake in the loop file."""
    unknown = sorted(set(spec.parameters) - set(declared))
    if unknown:
        raise ConfigurationError(
            f"Component {spec.component} has no input {', '.join(unknown)}; it has {', '.join(sorted(declared))}.",
            code=Code.COMPONENT_UNFIT,
        )
    return {key: _NUMBERS.get(declared[key].type, str)(text) for key, text in spec.parameters.items()}


def _trains(spec: JobSpec, component: Component) -> bool:
    """Whether it gives a model. A check need not; but what gives one must be told the data."""
    if OUTPUT in component.outputs and DATA not in component.inputs:
        raise ConfigurationError(
            f"Component {spec.component} has no input `{DATA}`; declare it and publish again.",
            code=Code.COMPONENT_UNFIT,
        )
    return OUTPUT in component.outputs

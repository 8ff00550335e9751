"""A step reads registered assets, leaves registered assets, and is done once for the same content."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict

from azure.storage.blob import BlobServiceClient

from local.assets.models import Assets
from local.jobs import storage
from local.jobs.exceptions import StepFailed
from local.jobs.plan import Step, Target
from local.jobs.runs import Run, Runs, Status
from local.refusal import ArmError
from local.settings import DEFAULT_DATASTORE, LOCATION, WORKSPACE_GUID, WORKSPACE_ID
from local.state import Document, State

_JOB_OUTPUT = re.compile(r"azureml://(?:.*/)?jobs/([^/]+)/outputs/([^/]+)(?:/paths)?/?(.*)", re.IGNORECASE)
_ASSET_ID = re.compile(r".*/(data|models)/[^/]+/versions/[^/]+", re.IGNORECASE)
_ADDRESSES = ("azureml://", "https://", "wasb")
_MODEL_TYPES = {"mlflow_model": "MLFlowModel", "custom_model": "CustomModel", "triton_model": "TritonModel"}
_NOT_CONTENT = {"name", "version", "id", "display_name", "description", "tags", "_source", "$schema"}


class Catalog:
    def __init__(self, assets: Assets, runs: Runs, state: State, blobs: BlobServiceClient) -> None:
        self._assets = assets
        self._runs = runs
        self._state = state
        self.blobs = blobs

    def component(self, reference: str) -> Document:
        spec: Document = self._assets.find(reference, "components")["properties"]["componentSpec"]
        return spec

    def code(self, reference: str) -> storage.Place:
        found = self._found(reference.removeprefix("azureml:"), "codes")
        return storage.place_of(found["properties"]["codeUri"])

    def environment_of(self, step: Step) -> tuple[str, Document]:
        """A step's environment; a batch job brings what its own is made of."""
        if step.spec.get("conda_file"):
            return f"of {step.path}", {"condaFile": step.spec["conda_file"]}
        return self.environment(step.spec.get("environment"))

    def environment(self, reference: str | None) -> tuple[str, Document]:
        """The environment's name and properties; StepFailed for one that is not in the workspace."""
        plain = (reference or "").removeprefix("azureml:")
        if not plain:
            return plain, {}
        if plain.startswith("//registries/"):
            raise StepFailed(
                f"Local steps take no environment of a registry, so not '{reference}'. Register an environment in the "
                "workspace and name that."
            )
        found = self._found(plain, "environments")
        name = found["id"].split("/")[-3]
        return f"{name}:{found['name']}", found["properties"]

    def uri(self, reference: str) -> str:
        """The storage address behind a data asset, a model, a job's output, or an address itself."""
        plain = reference.removeprefix("azureml:") if not reference.startswith("azureml://") else reference
        output = _JOB_OUTPUT.fullmatch(plain)
        if output:
            return self.job_output(*output.groups())
        if plain.startswith(_ADDRESSES):
            return plain
        match = _ASSET_ID.fullmatch(plain)
        plural = match[1].lower() if match else "data"
        found = self._found(plain, plural)["properties"]
        return self.uri(found["dataUri" if plural == "data" else "modelUri"])

    def data_type(self, reference: str) -> str:
        """The type of a registered data asset; empty for an address, and for what is not there."""
        plain = reference.removeprefix("azureml:")
        match = _ASSET_ID.fullmatch(plain)
        if reference.startswith(_ADDRESSES) or plain.startswith(_ADDRESSES):
            return ""
        if match and match[1].lower() != "data":
            return ""
        try:
            return str(self._assets.find(plain, "data")["properties"]["dataType"])
        except ArmError:
            return ""

    def job_output(self, job: str, output: str, below: str = "") -> str:
        """The storage address of a job's output, or of something below it."""
        run = self._runs.get(job)
        if run is not None and output in run.outputs:
            base = run.outputs[output]["uri"]
        elif run is not None and output in ("artifacts", "default"):
            base = f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{job}/"
        else:
            raise StepFailed(f"There is no output '{output}' of a job '{job}' in the local workspace.")
        return f"{base.rstrip('/')}/{below}" if below else base

    def output_uri(self, run: Run, name: str, target: Target) -> str:
        """Where an output goes: where the job says, or Azure ML's usual place."""
        if not target.uri:
            folder = "" if target.type == "uri_file" else "/"
            return f"azureml://datastores/{DEFAULT_DATASTORE}/paths/azureml/{run.id}/{name}{folder}"
        replaced = {"default_datastore": DEFAULT_DATASTORE, "name": run.id, "output_name": name}
        return re.sub(r"\$\{\{(\w+)\}\}", lambda m: replaced.get(m[1], m[0]), target.uri)

    def registered(self, run: Run, output: str, target: Target, uri: str) -> dict[str, str]:
        """The output as the run tells it, registered under its asset name where it has one."""
        plural = "models" if target.type in _MODEL_TYPES else "data"
        name = target.asset_name or f"azureml_{run.id}_output_{plural}_{output}"
        with self._state.transaction():  # between the look for a free number and its use nobody comes in
            version = target.asset_version or self._next_version(plural, name)
            if target.asset_name:
                self._assets.put(plural, name, version, {"properties": _properties(run, target.type, uri)})
        asset_id = (
            f"azureml://locations/{LOCATION}/workspaces/{WORKSPACE_GUID}/{plural}/{name}/versions/{version}"
        )
        self._state.put("job.output", asset_id, {"uri": long_uri(uri), "type": target.type})
        return {"uri": uri, "type": _MODEL_TYPES.get(target.type, target.type), "asset_id": asset_id}

    def resolved(self, asset_id: str) -> Document | None:
        """What an output's asset id stands for: `uri` and `type`."""
        return self._state.get("job.output", asset_id)

    # --- reuse

    def reuse_key(self, step: Step, inputs: dict[str, str]) -> str:
        """Equal for steps that must give the same outputs; empty for a step that is not deterministic."""
        if step.sweep is not None or str(step.spec.get("is_deterministic", True)).lower() == "false":
            return ""
        read: dict[str, str] = {}
        for name, source in step.inputs.items():
            place = None if source.kind == "literal" else storage.place_of(inputs[name])
            read[name] = inputs[name] if place is None else storage.fingerprint(self.blobs, place)
        content = {
            "spec": {key: value for key, value in step.spec.items() if key not in _NOT_CONTENT},
            "inputs": read,
            "outputs": {name: asdict(target) for name, target in step.outputs.items()},
            "variables": step.environment_variables,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def remember(self, run: Run) -> None:
        self._state.put("job.reuse", run.reuse_key, {"run": run.id})

    def reusable(self, key: str) -> Run | None:
        found = self._state.get("job.reuse", key)
        run = self._runs.get(found["run"]) if found else None
        return run if run is not None and run.status is Status.COMPLETED else None

    def still_there(self, run: Run) -> bool:
        places = [storage.place_of(output["uri"]) for output in run.outputs.values()]
        return all(storage.blobs_at(self.blobs, place) for place in places)

    def _found(self, reference: str, plural: str) -> Document:
        try:
            return self._assets.find(reference, plural)
        except ArmError as error:
            raise StepFailed(error.message) from error

    def _next_version(self, plural: str, name: str) -> str:
        names = [each["name"] for each in self._assets.versions(plural, name)]
        numbers = [int(each) for each in names if each.isdecimal()]
        return str(max(numbers, default=0) + 1)


def long_uri(uri: str) -> str:
    """A short datastore address with its workspace, as Azure's data plane answers."""
    parts = WORKSPACE_ID.strip("/").split("/")
    scope = f"subscriptions/{parts[1]}/resourcegroups/{parts[3]}/workspaces/{parts[-1]}"
    return uri.replace("azureml://datastores/", f"azureml://{scope}/datastores/", 1)


def _properties(run: Run, kind: str, uri: str) -> Document:
    if kind in _MODEL_TYPES:
        return {"modelUri": uri, "modelType": kind, "jobName": run.root}
    return {"dataUri": uri, "dataType": kind}

"""A deployment's model and code arrive as in Azure's container, and its environment is checked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from local.assets.models import Assets
from local.endpoints.exceptions import DeploymentFailed
from local.endpoints.scorer import IMAGE
from local.jobs import environment, storage
from local.jobs.exceptions import StepFailed
from local.jobs.models import Jobs
from local.refusal import ArmError
from local.service import Service
from local.state import Document


class Sources(NamedTuple):
    code: Path
    script: str
    model: Path | None
    not_installed: tuple[str, ...] = ()
    """Modules that the deployment's environment lacks, though the local one has them."""


def fetch(service: Service, properties: Document, folder: Path) -> Sources:
    """Everything that the deployment names, below `folder`; DeploymentFailed when something is not there."""
    try:
        return _fetched(service, properties, folder)
    except StepFailed as error:
        raise DeploymentFailed("BadArgument", str(error)) from error
    except ArmError as error:
        raise DeploymentFailed("ResourceNotFound", error.message) from error


def _fetched(service: Service, properties: Document, folder: Path) -> Sources:
    assets = service.get(Assets)
    named = properties.get("environmentId")
    asked: list[str] | None = None
    if named:
        found = assets.find(named, "environments")
        if found["properties"].get("condaFile"):  # what an image holds is not known here
            asked = environment.requirements(found["properties"])
        environment.check(found["id"].partition("/environments/")[2], found["properties"])
    model = None
    if properties.get("model"):
        found = assets.find(properties["model"], "models")
        model = _model(service, found, folder / "azureml-models")
        if not named:
            asked = _asked_by_model(model)
    configuration = properties.get("codeConfiguration")
    code = folder / "code"
    if not configuration:
        shutil.copytree(IMAGE, code, ignore=shutil.ignore_patterns("__*", "launch.py"))
        return Sources(code, "score.py", model, _lacking(asked or []))
    uri = assets.find(configuration["codeId"], "codes")["properties"]["codeUri"]
    _download(service, storage.place_of(uri), code)
    return Sources(code, configuration["scoringScript"], model, _lacking(asked))


def _model(service: Service, found: Document, folder: Path) -> Path:
    """As in Azure, AZUREML_MODEL_DIR *contains* the model's file or folder, under its own name."""
    # A model registered from a job's output names the job, not the place.
    place = storage.place_of(service.get(Jobs).catalog.uri(found["properties"]["modelUri"]))
    name, _, version = str(found["id"]).split("/")[-3:]
    root = folder / name / version
    is_file = [name for name, _ in storage.blobs_at(service.blobs, place)] == [""]
    _download(service, place, root if is_file else root / Path(place.path.rstrip("/")).name)
    return root


def _download(service: Service, place: storage.Place, target: Path) -> None:
    """As the endpoint's identity (how-to-troubleshoot-online-endpoints.md, "Authorization error")."""
    if not service.roles.reads("endpoint", place.container):
        raise StepFailed(
            f"Authorization error: the endpoint's identity may not read the container '{place.container}'. "
            "Give it the role 'Storage Blob Data Reader' on the workspace's storage account."
        )
    storage.download(service.blobs, place, target)


def _asked_by_model(model: Path) -> list[str]:
    """Without an environment Azure makes one from the model's own conda.yaml. The skinny MLflow serves as well."""
    asked: list[str] = []
    for file in model.rglob("conda.yaml"):
        text = file.read_text()
        conda = {"condaFile": text.replace("mlflow==", "mlflow-skinny==")}
        environment.check("of the MLflow model", conda)
        asked += environment.requirements(conda)
        asked += environment.FULL_MLFLOW if "mlflow==" in text else ()
    return asked


def _lacking(asked: list[str] | None) -> tuple[str, ...]:
    """As on Azure, a container has what its environment asks for and nothing else: a package that was forgotten is
    missing, also `azureml.ai.monitoring`, which the script imports that Azure generates for an MLflow model (the worker
    does not boot, the probes get 502). Source: Azure/azureml-examples, pull requests 3904, 3923 and 4008."""
    return () if asked is None else tuple(environment.absent(asked))


def is_mlflow(service: Service, reference: str) -> bool:
    found = service.get(Assets).find(reference, "models")
    return str(found["properties"].get("modelType", "")).lower() == "mlflow_model"

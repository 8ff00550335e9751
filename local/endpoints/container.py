"""A deployment's model and code arrive as in Azure's container, and its environment is made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from local.assets.models import Assets
from local.endpoints.exceptions import DeploymentFailed
from local.endpoints.scorer import IMAGE
from local.jobs import environment, storage
from local.jobs.exceptions import EnvironmentNotBuilt, StepFailed
from local.jobs.models import Jobs
from local.refusal import ArmError
from local.registries import models as registries
from local.service import Service
from local.state import Document

SERVER = ("azureml-inference-server-http==1.5.1", "setuptools")
"""What an image has that serves."""
SCOPE = "shared-registry"
READ_ASSETS = "Microsoft.MachineLearningServices/registries/assets/read"


class Sources(NamedTuple):
    code: Path
    script: str
    model: Path | None
    python: Path
    """The interpreter of the deployment's own environment."""


def fetch(service: Service, properties: Document, folder: Path) -> Sources:
    """Everything that the deployment names, below `folder`; DeploymentFailed when something is not there."""
    try:
        return _fetched(service, properties, folder)
    except EnvironmentNotBuilt as error:
        raise DeploymentFailed(error.code, str(error)) from error
    except StepFailed as error:
        raise DeploymentFailed("BadArgument", str(error)) from error
    except ArmError as error:
        raise DeploymentFailed("ResourceNotFound", error.message) from error


def named(service: Service, reference: str, plural: str) -> Document:
    """An asset of the workspace or of the registry, read as the endpoint's identity.

    What right that identity needs on a registry is not documented; the strict guess is to read its assets.
    """
    if not registries.is_reference(reference):
        return service.get(Assets).find(reference, plural)
    if not service.roles.allows("endpoint", READ_ASSETS, SCOPE):
        raise StepFailed(
            "Endpoint identity does not have pull permission on the registry: give it the role 'Reader' there."
        )
    return service.get(registries.Registry).find(reference, plural)


def _fetched(service: Service, properties: Document, folder: Path) -> Sources:
    model = None
    if properties.get("model"):
        model = _model(service, named(service, properties["model"], "models"), folder / "azureml-models")
    python = _python(service, properties, model)
    configuration = properties.get("codeConfiguration")
    code = folder / "code"
    if not configuration:
        shutil.copytree(IMAGE, code, ignore=shutil.ignore_patterns("__*", "launch.py"))
        return Sources(code, "score.py", model, python)
    uri = service.get(Assets).find(configuration["codeId"], "codes")["properties"]["codeUri"]
    _download(service, storage.place_of(uri), code)
    return Sources(code, configuration["scoringScript"], model, python)


def _python(service: Service, properties: Document, model: Path | None) -> Path:
    """Of the environment that is named; without one Azure makes it from the model's own conda.yaml and nothing else,
    so that `azureml.ai.monitoring`, which the generated script imports, may be missing (the worker does not boot, the
    probes get 502). Source: Azure/azureml-examples, pull requests 3904, 3923 and 4008."""
    if properties.get("environmentId"):
        found = named(service, properties["environmentId"], "environments")
        name = found["id"].partition("/environments/")[2]
        return environment.python_for(name, found["properties"], *SERVER)
    condas = sorted(model.rglob("conda.yaml")) if model else []
    made_of = {"condaFile": condas[0].read_text() if condas else "dependencies: []"}
    return environment.python_for("of the MLflow model", made_of, *SERVER)


def _model(service: Service, found: Document, folder: Path) -> Path:
    """As in Azure, AZUREML_MODEL_DIR *contains* the model's file or folder, under its own name."""
    name, _, version = str(found["id"]).split("/")[-3:]
    root = folder / name / version
    if registries.is_reference(found["id"]):
        return service.get(registries.Registry).download(found, root)
    # A model registered from a job's output names the job, not the place.
    place = storage.place_of(service.get(Jobs).catalog.uri(found["properties"]["modelUri"]))
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


def is_mlflow(service: Service, reference: str) -> bool:
    in_registry = registries.is_reference(reference)
    found = (service.get(registries.Registry) if in_registry else service.get(Assets)).find(
        reference, "models"
    )
    return str(found["properties"].get("modelType", "")).lower() == "mlflow_model"

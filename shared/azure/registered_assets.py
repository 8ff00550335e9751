"""Models, environments and code as the workspace has them: by Resource Manager, since Azure ML's client leaves out
whether a version is archived and has no public way to code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError

from shared import assets
from shared.assets import Asset
from shared.azure.client import ML_ROLE, Workspace
from shared.azure.failures import asking, must_be_absent
from shared.domain.reason import Code
from shared.errors import ConfigurationError
from shared.ports import ModelFiles, RegisteredModel

if TYPE_CHECKING:
    from shared.azure.arm import ResourceManager
    from shared.azure.datastore import Datastore

API = "2024-10-01"
"""Azure/azure-rest-api-specs, machinelearningservices/stable: model, environment and code versions."""

_DATASTORE = re.compile(r"azureml://(?:.*/)?datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.IGNORECASE)
_OUTPUT = re.compile(
    r"azureml://(?:.*/)?jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths)?/?(?P<path>.*)", re.IGNORECASE
)
_ARTIFACTS = frozenset({"artifacts", "default"})
"""Outputs that every run has, in the datastore `workspaceartifactstore`."""


class RegisteredAssets:
    """`named` gives one of the workspace's datastores by its name; `registry` is the resource id of the one that
    environments share, empty for none."""

    def __init__(self, workspace: Workspace, named: Callable[[str], Datastore], registry: str = "") -> None:
        self._workspace = workspace
        self._registry = registry
        self._arm = workspace.arm
        self._named = named

    def model(self, asset: str) -> RegisteredModel | None:
        named = assets.asset(asset)
        name = f"{self._within(named)}/models/{named.name}"
        found = self._arm.get(f"{name}/versions/{named.version}", API)
        if found is None:
            return None
        properties, system = found["properties"], found.get("systemData") or {}
        family = self._arm.get(name, API) or {"properties": {}}
        made_at = system.get("createdAt")
        return RegisteredModel(
            asset=named.short if named.registry else str(found["id"]),
            kind=str(properties.get("modelType") or "custom_model"),
            archived=bool(properties.get("isArchived") or family["properties"].get("isArchived")),
            tags=properties.get("tags") or {},
            job=str(properties.get("jobName") or ""),
            made_by=str(system.get("createdBy") or ""),
            made_at=datetime.fromisoformat(made_at) if made_at else None,
        )

    def _within(self, named: Asset) -> str:
        """The workspace, or the registry that a model lies in."""
        if not named.registry:
            return self._workspace.resource
        if not is_of(self._registry, named.registry):
            raise ConfigurationError(
                f"{named.short} lies in a registry that is not this deployment's "
                f"({self._registry.rpartition('/')[2] or 'none'}): set DRIFTLOOP_REGISTRY to its resource id.",
                code=Code.REGISTRY_UNKNOWN,
            )
        return self._registry

    def newest_model(self, name: str) -> RegisteredModel | None:
        family = self._arm.get(f"{self._workspace.resource}/models/{name}", API)
        newest = family["properties"].get("latestVersion") if family else None
        return self.model(f"azureml:{name}:{newest}") if newest else None

    def model_files(self, asset: str) -> ModelFiles:
        named = assets.asset(asset)
        place = f"{self._workspace.resource}/models/{named.name}/versions/{named.version}"
        found = self._arm.get(place, API)
        if found is None:
            return ModelFiles(None, None)
        return files_in(*self._place(named.short, str(found["properties"].get("modelUri"))))

    def _place(self, model: str, uri: str) -> tuple[Datastore, str]:
        """The datastore and the folder that a model's address names; one from a job names the job's output."""
        if output := _OUTPUT.fullmatch(uri):
            uri = self._output(output["job"], output["output"], output["path"])
        found = _DATASTORE.fullmatch(uri)
        if found is None:
            raise ConfigurationError(
                f"The files of model {model} lie at {uri}, which is no datastore of the workspace. Register it "
                "from a datastore, a job's output or a local folder.",
                code=Code.MODEL_UNSERVABLE,
            )
        return self._named(found["store"]), found["path"].strip("/")

    def _output(self, job: str, output: str, path: str) -> str:
        if output in _ARTIFACTS:
            return f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{job}/{path}"
        with asking("Reading a job", f"Azure ML job {job}", ML_ROLE):
            try:
                outputs: Mapping[str, Any] = self._workspace().jobs.get(job).outputs or {}
            except ResourceNotFoundError as error:
                must_be_absent(error)
                outputs = {}
        base = str(getattr(outputs.get(output), "path", None) or "").rstrip("/")
        return f"{base}/{path}" if base else f"the output {output} of job {job}"

    def digest(self, asset: str) -> str | None:
        if asset.startswith("azureml://registries/"):
            named = assets.asset(asset)
            if not is_of(self._registry, named.registry):
                return ""
            asset = f"{self._registry}/{named.kind}/{named.name}/versions/{named.version}"
        return digest(self._arm, asset)


def is_of(registry: str, name: str) -> bool:
    """Whether a registry, by its resource id, is the one of this name, whose case does not count."""
    return bool(registry) and registry.rpartition("/")[2].lower() == name.lower()


def digest(arm: ResourceManager, asset: str) -> str | None:
    """Of an environment what it is made of, of code what its uploader noted; None when it is not there."""
    place = asset.removeprefix("azureml:")
    if not place.startswith("/subscriptions/"):
        return ""  # of a registry that is not ours
    found = arm.get(place, API)
    if found is None:
        return None
    properties = found["properties"]
    if "/environments/" in place:
        made_of = {name: properties.get(name) for name in ("image", "condaFile", "build")}
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return str((properties.get("properties") or {}).get("hash_sha256") or "")


LARGEST_FILE = 8 << 20
"""Bytes. They describe a model, and are anybody's: what is larger describes none."""


def files_in(store: Datastore, folder: str) -> ModelFiles:
    """A model's files, of a folder of a datastore."""

    def content(name: str) -> bytes | None:
        blob = store.find(name)
        return store.read(name) if blob is not None and blob.size <= LARGEST_FILE else None

    return ModelFiles(content(f"{folder}/MLmodel"), content(f"{folder}/conda.yaml"))

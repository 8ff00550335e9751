"""Models and environments go into the registry that environments share, by the rights of whoever shares."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from shared import assets
from shared.azure.client import Workspace
from shared.azure.failures import UNBOUNDED, asking
from shared.azure.registered_assets import API, digest
from shared.domain.reason import Code
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.port_rules import JOB_TAG, RELEASE_TAG

ROLE = "AzureML Registry User"


class SharedAssets:
    """`Sharing` over one registry, by its resource id. One share at a time: the SDK's client is turned to the registry
    and back while it shares (Azure/azure-sdk-for-python#39502)."""

    def __init__(self, workspace: Workspace, registry: str) -> None:
        self._workspace = workspace
        self._registry = registry
        self._name = registry.rpartition("/")[2]

    def ensure_model(self, model: str, name: str, version: str) -> str:
        made = self._ensured("models", model, name, version)
        found, source = (
            self._tags(self._place("models", name, version)),
            self._tags(self._source("models", model)),
        )
        if any(found.get(tag) != source.get(tag) for tag in (JOB_TAG, RELEASE_TAG)):
            raise ConfigurationError(
                f"{made} exists and is another model than {model}.", code=Code.ASSET_NOT_OURS
            )
        return made

    def ensure_environment(self, environment: str, name: str, version: str) -> str:
        made, arm = self._ensured("environments", environment, name, version), self._workspace.arm
        place = self._place("environments", name, version)
        if digest(arm, place) != digest(arm, self._source("environments", environment)):
            text = f"{made} exists and is another environment than {environment}."
            raise ConfigurationError(text, code=Code.ASSET_NOT_OURS)
        return made

    def _ensured(self, kind: str, source: str, name: str, version: str) -> str:
        place = self._place(kind, name, version)
        if self._workspace.arm.get(place, API) is None:
            self._share(kind, source, name, version)
            if self._workspace.arm.get(place, API) is None:
                raise DependencyUnavailable(f"{place} is not in the registry yet; share again.")
        return assets.shared_id(self._name, kind, name, version)

    def _share(self, kind: str, source: str, name: str, version: str) -> None:
        from azure.ai.ml.exceptions import ValidationException

        named, client = assets.asset(source), self._workspace()
        to = {"share_with_name": name, "share_with_version": version, "registry_name": self._name}
        operations: Any = getattr(client, kind)
        sharing = asking("Sharing", f"registry {self._name}", ROLE, most_s=UNBOUNDED)
        with redirect_stderr(StringIO()), sharing:
            try:
                operations.share(named.name, named.version, **to)
            except ValidationException as error:
                if "already exists" not in str(error):  # somebody else has just shared the same
                    raise

    def _place(self, kind: str, name: str, version: str) -> str:
        return f"{self._registry}/{kind}/{name}/versions/{version}"

    def _source(self, kind: str, source: str) -> str:
        named = assets.asset(source)
        return f"{self._workspace.resource}/{kind}/{named.name}/versions/{named.version}"

    def _tags(self, place: str) -> dict[str, str]:
        found = self._workspace.arm.get(place, API) or {"properties": {}}
        tags: dict[str, str] = found["properties"].get("tags") or {}
        return tags

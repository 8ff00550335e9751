"""Reads of Azure Resource Manager for which no client has a name: nothing can be changed by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest

from shared.azure.failures import BoundedTransport, asking

ROLE = "Reader"
_REGISTRY = "/providers/Microsoft.MachineLearningServices/registries/"


class ResourceManager:
    """What resources look like, by their ids, in the cloud that Azure ML's client speaks to."""

    def __init__(
        self,
        identity: TokenCredential,
        transport: Callable[[], BoundedTransport] = BoundedTransport,
        role: str = ROLE,
    ) -> None:
        self._identity = identity
        self._transport = transport
        self._role = role

    def get(self, path: str, version: str) -> dict[str, Any] | None:
        """A resource, or None when it is not there."""
        role = ROLE if _REGISTRY in path else self._role
        with asking("Looking at a resource", path, role):
            try:
                return self._got(path, {"api-version": version})
            except ResourceNotFoundError:
                return None

    def list(self, path: str, version: str, **query: str) -> list[dict[str, Any]]:
        """All resources of a collection, however many pages they are on."""
        with asking("Listing resources", path, self._role):
            page = self._got(path, {"api-version": version, **query})
            found = list(page["value"])
            while page.get("nextLink"):
                page = self._got(str(page["nextLink"]).removeprefix(self._address), {})
                found += page["value"]
        return found

    def _got(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._client.send_request(HttpRequest("GET", self._address + path, params=query))
        if answer.status_code == 404:
            raise ResourceNotFoundError(response=answer)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    @cached_property
    def _address(self) -> str:
        from azure.ai.ml._azure_environments import _get_base_url_from_metadata  # it has no public name

        return str(_get_base_url_from_metadata()).rstrip("/")

    @cached_property
    def _client(self) -> Any:
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        token = ARMChallengeAuthenticationPolicy(self._identity, f"{self._address}/.default")
        policies = [RetryPolicy(), token]
        return ARMPipelineClient(self._address, policies=policies, transport=self._transport())

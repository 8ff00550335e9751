"""Calls of Azure Resource Manager for which no client has a name, or only one that asks others as well; `autoscale`
and `versions` change something by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest

from shared.azure.failures import BoundedTransport, asking, must_be_absent

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
            except ResourceNotFoundError as error:
                must_be_absent(error)
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

    def put(self, path: str, version: str, body: dict[str, Any]) -> None:
        """Create the resource, or replace it as a whole."""
        with asking("Writing a resource", path, self._role):
            self._sent(HttpRequest("PUT", self._address + path, params={"api-version": version}, json=body))

    def delete(self, path: str, version: str) -> None:
        """Nothing happens when it is not there."""
        with asking("Deleting a resource", path, self._role):
            try:
                self._sent(HttpRequest("DELETE", self._address + path, params={"api-version": version}))
            except ResourceNotFoundError as error:
                must_be_absent(error)

    def _got(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        body: dict[str, Any] = self._sent(HttpRequest("GET", self._address + path, params=query)).json()
        return body

    def _sent(self, request: HttpRequest) -> Any:
        answer = self._client.send_request(request)
        if answer.status_code == 404:
            raise ResourceNotFoundError(response=answer)
        answer.raise_for_status()
        return answer

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

"""What online and batch endpoints have alike: what Azure ML has on record of them, and a deployment that is begun."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError

from shared.assets import same_asset
from shared.azure.client import ML_ROLE
from shared.azure.failures import Busy, asking, must_be_absent
from shared.azure.operations import ADDRESS, Failure, why
from shared.domain.reason import Code
from shared.errors import ConfigurationError, Conflict, DependencyUnavailable, DriftloopError
from shared.port_rules import TRAFFIC_TAG, traffic_note
from shared.ports import DeploymentSeen, DeploymentSpec, ServeType

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import BatchDeployment, BatchEndpoint, OnlineDeployment, OnlineEndpoint

E = TypeVar("E", bound="OnlineEndpoint | BatchEndpoint")
D = TypeVar("D", bound="OnlineDeployment | BatchDeployment")

_BUSY_S = 5.0
_STATES = {"Succeeded": "ready", "Failed": "failed", "Canceled": "failed"}


def state_of(found: OnlineEndpoint | BatchEndpoint | OnlineDeployment | BatchDeployment) -> str:
    return _STATES.get(found.provisioning_state or "", "creating")


class EndpointRecords(ABC, Generic[E, D]):
    """The endpoints of one kind, and their deployments."""

    kind: ClassVar[ServeType]

    def __init__(self, ml: Callable[[], MLClient], identity: TokenCredential) -> None:
        self._ml = ml
        self._identity = identity

    @staticmethod
    @abstractmethod
    def _weights(endpoint: E) -> Mapping[str, int]:
        """Its traffic."""

    @staticmethod
    @abstractmethod
    def _sent(spec: DeploymentSpec) -> D:
        """A deployment as it is asked for."""

    def endpoint_state(self, endpoint: str) -> str:
        with self._asking("Looking at the endpoint", endpoint):
            found = self._find_endpoint(endpoint)
        return state_of(found) if found else "missing"

    def deployment_state(self, endpoint: str, name: str) -> str:
        with self._asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        return state_of(found) if found else "missing"

    def deployments(self, endpoint: str) -> Mapping[str, str]:
        with self._asking("Listing deployments", endpoint):
            return {str(one.name): str(one.model or "") for one in self._deployments.list(endpoint)}

    def deployed_model(self, endpoint: str, name: str) -> str:
        with self._asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        return str(found.model) if found else ""

    def traffic(self, endpoint: str) -> Mapping[str, int]:
        with self._asking("Reading the traffic", endpoint):
            return self._weights(self._endpoint(endpoint))

    def set_by_us(self, endpoint: str) -> bool:
        with self._asking("Reading the traffic", endpoint):
            found = self._endpoint(endpoint)
        return bool((found.tags or {}).get(TRAFFIC_TAG) == traffic_note(self._weights(found)))

    @property
    def _endpoints(self) -> Any:  # the SDK's operations, which have no types
        return getattr(self._ml(), f"{self.kind}_endpoints")

    @property
    def _deployments(self) -> Any:
        return getattr(self._ml(), f"{self.kind}_deployments")

    def _endpoint(self, name: str) -> E:
        found = self._find_endpoint(name)
        if found is None:
            raise ConfigurationError(f"Endpoint {name} does not exist.", code=Code.ENDPOINT_UNUSABLE)
        return found

    def _find_endpoint(self, name: str) -> E | None:
        try:
            found: E = self._endpoints.get(name)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            return None
        return found

    def _find_deployment(self, endpoint: str, name: str) -> D | None:
        try:
            found: D = self._deployments.get(name, endpoint)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            return None
        return found

    def _begun(self, spec: DeploymentSpec) -> DeploymentSeen:
        """A quota that is used up is told at once by some of Azure's answers, and by the operation's end by others."""
        try:
            with self._asking("Making a deployment", spec.endpoint):
                self._deployments.begin_create_or_update(self._sent(spec))
        except DriftloopError as refused:
            if refused.code is not Code.REQUEST_REFUSED:
                raise
            return DeploymentSeen("failed", str(refused))
        return DeploymentSeen("creating")

    def _made(self, found: E) -> DeploymentSeen:
        """How an endpoint that is there stands itself: one that failed takes no deployment."""
        state = state_of(found)
        if state != "failed":
            return DeploymentSeen(state)
        why = self._why(found).text or "Azure tells no reason"
        return DeploymentSeen(
            state,
            f"endpoint {found.name} itself failed: {why}. Where nothing serves on it, delete it, and the next release "
            "makes it again; else look at it in Azure ML studio.",
        )

    def _why(self, found: E | D) -> Failure:
        """Of one that has failed."""
        return why(str((found.properties or {}).get(ADDRESS, "")), self._identity)

    @contextmanager
    def _asking(self, call: str, endpoint: str) -> Iterator[None]:
        """An endpoint that is being changed refuses other changes: that passes, it is nobody's conflict."""
        try:
            with asking(call, f"Azure ML {self.kind} endpoint {endpoint}", ML_ROLE):
                yield
        except (Conflict, Busy) as conflict:
            raise DependencyUnavailable(
                f"Endpoint {endpoint} is busy: {conflict}", _BUSY_S, code=Code.ENDPOINT_BUSY
            ) from None


def check_model(found: OnlineDeployment | BatchDeployment, spec: DeploymentSpec) -> None:
    if not same_asset(str(found.model), spec.model):
        raise ConfigurationError(
            f"Deployment {spec.endpoint}/{spec.name} exists and serves {found.model}, not {spec.model}. "
            "Somebody else made it: delete it, then retry the release.",
            code=Code.DEPLOYMENT_NOT_OURS,
        )

"""Batch endpoints: a deployment is made and looked at, the default one is what serves, and a call is a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError

from shared.assets import same_asset
from shared.azure.client import ML_ROLE
from shared.azure.failures import Busy, asking
from shared.azure.operations import ADDRESS, why
from shared.domain.reason import Code
from shared.errors import ConfigurationError, Conflict, DependencyUnavailable, InvariantBroken
from shared.port_rules import TRAFFIC_TAG, check_default, scoring_key, traffic_note
from shared.ports import Answer, DeploymentSeen, DeploymentSpec
from shared.serving.batch_calls import BatchCalls
from shared.serving.endpoints import BUSY_S, STATES

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import BatchDeployment, BatchEndpoint, ModelBatchDeployment

FILES_AT_ONCE = 10
"""Files of a mini-batch: each has as many rows as a request."""
_TIMEOUT_S = 300
"""Of a mini-batch."""


class AzureBatch:
    """`Serving` over batch endpoints with model deployments; nothing scales them, and no key opens them."""

    def __init__(self, ml: Callable[[], MLClient], identity: TokenCredential, calls: BatchCalls) -> None:
        self._ml = ml
        self._identity = identity
        self._calls = calls

    def ensure_endpoint(self, endpoint: str) -> DeploymentSeen:
        with _asking("Making an endpoint", endpoint):
            found = self._find_endpoint(endpoint)
            if found is None:
                from azure.ai.ml.entities import BatchEndpoint

                self._ml().batch_endpoints.begin_create_or_update(BatchEndpoint(name=endpoint))
                return DeploymentSeen("creating")
        return DeploymentSeen(STATES.get(found.provisioning_state, "creating"))

    def ensure_deployment(self, spec: DeploymentSpec) -> DeploymentSeen:
        with _asking("Making a deployment", spec.endpoint):
            found = self._find_deployment(spec.endpoint, spec.name)
            if found is None:
                self._ml().batch_deployments.begin_create_or_update(_deployment(spec))
                return DeploymentSeen("creating")
        if not same_asset(str(found.model), spec.model):
            raise ConfigurationError(
                f"Deployment {spec.endpoint}/{spec.name} exists and serves {found.model}, not {spec.model}. "
                "Somebody else made it: delete it, then retry the release.",
                code=Code.DEPLOYMENT_NOT_OURS,
            )
        state = STATES.get(found.provisioning_state or "", "creating")
        if state != "failed":
            return DeploymentSeen(state)
        return DeploymentSeen(state, why(str((found.properties or {}).get(ADDRESS, "")), self._identity).text)

    def ensure_machines(self, spec: DeploymentSpec) -> DeploymentSeen:
        """Its number of nodes is that of a job, and no traffic could be too much for it."""
        state = self.deployment_state(spec.endpoint, spec.name)
        return DeploymentSeen("failed" if state == "missing" else state)

    def ensure_no_deployment(self, endpoint: str, name: str) -> bool:
        with _asking("Deleting a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
            if found is None:
                return True
            if name in self.traffic(endpoint):
                raise InvariantBroken(
                    f"Deployment {endpoint}/{name} is still the default; it is not deleted.",
                    code=Code.DEPLOYMENT_SERVES,
                )
            if found.provisioning_state != "Deleting":
                self._ml().batch_deployments.begin_delete(name, endpoint)
        return False

    def hold_scale(self, endpoint: str, name: str) -> int:
        with _asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        return int(found.instance_count or 1) if found else 0

    def free_scale(self, endpoint: str, name: str) -> None:
        """Nothing scales a batch deployment: its cluster does that by itself."""

    def endpoint_state(self, endpoint: str) -> str:
        with _asking("Looking at the endpoint", endpoint):
            found = self._find_endpoint(endpoint)
        return STATES.get(found.provisioning_state, "creating") if found else "missing"

    def deployment_state(self, endpoint: str, name: str) -> str:
        with _asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        return STATES.get(found.provisioning_state or "", "creating") if found else "missing"

    def deployments(self, endpoint: str) -> Mapping[str, str]:
        with _asking("Listing deployments", endpoint):
            return {
                str(one.name): str(one.model or "") for one in self._ml().batch_deployments.list(endpoint)
            }

    def deployed_model(self, endpoint: str, name: str) -> str:
        with _asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        return str(found.model) if found else ""

    def traffic(self, endpoint: str) -> Mapping[str, int]:
        with _asking("Reading the default deployment", endpoint):
            default = _default(self._endpoint(endpoint))
        return {default: 100} if default else {}

    def set_traffic(self, endpoint: str, weights: Mapping[str, int]) -> None:
        default = check_default(endpoint, weights)
        with _asking("Setting the default deployment", endpoint):
            found = self._endpoint(endpoint)
            found.defaults = {"deployment_name": default} if default else None
            found.tags = {**(found.tags or {}), TRAFFIC_TAG: traffic_note(weights)}
            self._ml().batch_endpoints.begin_create_or_update(found)

    def set_by_us(self, endpoint: str) -> bool:
        with _asking("Reading the default deployment", endpoint):
            found = self._endpoint(endpoint)
        default = _default(found)
        return (found.tags or {}).get(TRAFFIC_TAG) == traffic_note({default: 100} if default else {})

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        if not payloads:
            return []
        with _asking("Reading the scoring address", endpoint):
            uri = str(self._endpoint(endpoint).scoring_uri)
        key = scoring_key(endpoint, deployment, payloads, stamp)
        return self._calls.answers(uri, deployment, key, payloads)

    def _endpoint(self, name: str) -> BatchEndpoint:
        found = self._find_endpoint(name)
        if found is None:
            raise ConfigurationError(f"Endpoint {name} does not exist.", code=Code.ENDPOINT_UNUSABLE)
        return found

    def _find_endpoint(self, name: str) -> BatchEndpoint | None:
        try:
            return self._ml().batch_endpoints.get(name)
        except ResourceNotFoundError:
            return None

    def _find_deployment(self, endpoint: str, name: str) -> BatchDeployment | None:
        try:
            return self._ml().batch_deployments.get(name, endpoint)
        except ResourceNotFoundError:
            return None


def _default(endpoint: BatchEndpoint) -> str:
    return str(getattr(endpoint.defaults, "deployment_name", None) or "")


@contextmanager
def _asking(call: str, endpoint: str) -> Iterator[None]:
    """An endpoint that is being changed refuses other changes: that passes, it is nobody's conflict."""
    try:
        with asking(call, f"Azure ML batch endpoint {endpoint}", ML_ROLE):
            yield
    except (Conflict, Busy) as conflict:
        raise DependencyUnavailable(
            f"Endpoint {endpoint} is busy: {conflict}", BUSY_S, code=Code.ENDPOINT_BUSY
        ) from None


def _deployment(spec: DeploymentSpec) -> ModelBatchDeployment:
    """Of an MLflow model, which brings code and environment. Any number of bad files lets the job succeed: rows without
    an answer are counted where the answers are read."""
    from azure.ai.ml.entities import (
        BatchRetrySettings,
        ModelBatchDeployment,
        ModelBatchDeploymentSettings,
        ResourceConfiguration,
    )

    return ModelBatchDeployment(
        name=spec.name,
        endpoint_name=spec.endpoint,
        model=spec.model,
        compute=spec.compute,
        resources=ResourceConfiguration(instance_count=spec.instance_count),
        tags=dict(spec.tags),
        settings=ModelBatchDeploymentSettings(
            mini_batch_size=FILES_AT_ONCE,
            error_threshold=-1,
            output_action="append_row",
            retry_settings=BatchRetrySettings(max_retries=3, timeout=_TIMEOUT_S),
        ),
    )

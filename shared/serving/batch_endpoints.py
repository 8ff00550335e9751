"""Batch endpoints: a deployment is made and looked at, the default one is what serves, and a call is a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from azure.core.credentials import TokenCredential

from shared.domain.reason import Code
from shared.errors import InvariantBroken
from shared.port_rules import TRAFFIC_TAG, check_default, scoring_key, traffic_note
from shared.ports import Answer, DeploymentSeen, DeploymentSpec
from shared.serving.batch_calls import BatchCalls
from shared.serving.endpoint_records import EndpointRecords, check_model, state_of

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import BatchDeployment, BatchEndpoint, ModelBatchDeployment  # noqa: F401  # in quotes

FILES_AT_ONCE = 10
"""Files of a mini-batch: each has as many rows as a request."""
_TIMEOUT_S = 300
"""Of a mini-batch."""


class AzureBatch(EndpointRecords["BatchEndpoint", "BatchDeployment"]):
    """`Serving` over batch endpoints with model deployments; nothing scales them, and no key opens them."""

    kind = "batch"

    def __init__(self, ml: Callable[[], MLClient], identity: TokenCredential, calls: BatchCalls) -> None:
        super().__init__(ml, identity)
        self._calls = calls

    def ensure_endpoint(self, endpoint: str) -> DeploymentSeen:
        with self._asking("Making an endpoint", endpoint):
            found = self._find_endpoint(endpoint)
            if found is None:
                from azure.ai.ml.entities import BatchEndpoint

                self._ml().batch_endpoints.begin_create_or_update(BatchEndpoint(name=endpoint))
                return DeploymentSeen("creating")
        return self._made(found)

    def ensure_deployment(self, spec: DeploymentSpec) -> DeploymentSeen:
        with self._asking("Making a deployment", spec.endpoint):
            found = self._find_deployment(spec.endpoint, spec.name)
        if found is None:
            return self._begun(spec)
        check_model(found, spec)
        state = state_of(found)
        return DeploymentSeen(state, self._why(found).text if state == "failed" else "")

    def ensure_machines(self, spec: DeploymentSpec) -> DeploymentSeen:
        """Its number of nodes is that of a job, and no traffic could be too much for it."""
        state = self.deployment_state(spec.endpoint, spec.name)
        return DeploymentSeen("failed" if state == "missing" else state)

    def ensure_no_deployment(self, endpoint: str, name: str) -> bool:
        with self._asking("Deleting a deployment", endpoint):
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
        with self._asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        return int(found.instance_count or 1) if found else 0

    def free_scale(self, endpoint: str, name: str) -> None:
        """Nothing scales a batch deployment: its cluster does that by itself."""

    @staticmethod
    def _weights(endpoint: BatchEndpoint) -> Mapping[str, int]:
        default = str(getattr(endpoint.defaults, "deployment_name", None) or "")
        return {default: 100} if default else {}

    @staticmethod
    def _sent(spec: DeploymentSpec) -> ModelBatchDeployment:
        """An MLflow model brings code and environment. Any number of bad files lets the job succeed: rows without an
        answer are counted where the answers are read."""
        from azure.ai.ml.entities import (
            BatchRetrySettings,
            CodeConfiguration,
            ModelBatchDeployment,
            ModelBatchDeploymentSettings,
            ResourceConfiguration,
        )

        code = CodeConfiguration(code=spec.code, scoring_script=spec.entry_script) if spec.code else None
        return ModelBatchDeployment(
            name=spec.name,
            endpoint_name=spec.endpoint,
            model=spec.model,
            environment=spec.environment or None,
            code_configuration=code,
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

    def log(self, endpoint: str, name: str) -> str:
        return ""

    def set_traffic(self, endpoint: str, weights: Mapping[str, int]) -> None:
        default = check_default(endpoint, weights)
        with self._asking("Setting the default deployment", endpoint):
            found = self._endpoint(endpoint)
            found.defaults = {"deployment_name": default} if default else None
            found.tags = {**(found.tags or {}), TRAFFIC_TAG: traffic_note(weights)}
            self._ml().batch_endpoints.begin_create_or_update(found)

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        if not payloads:
            return []
        with self._asking("Reading the scoring address", endpoint):
            uri = str(self._endpoint(endpoint).scoring_uri)
        key = scoring_key(endpoint, deployment, payloads, stamp)
        return self._calls.answers(uri, deployment, key, payloads)

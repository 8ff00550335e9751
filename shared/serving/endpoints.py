"""Endpoints and deployments are begun and looked at, never awaited; traffic is changed only from what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from shared.azure.operations import CANCELED, telling
from shared.domain.reason import Code
from shared.errors import ConfigurationError, InvariantBroken
from shared.port_rules import TRAFFIC_TAG, check_weights, traffic_note
from shared.ports import Answer, DeploymentSeen, DeploymentSpec
from shared.serving.autoscale import Autoscaling
from shared.serving.endpoint_calls import Scoring
from shared.serving.endpoint_records import EndpointRecords, check_model, state_of

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import ManagedOnlineDeployment, OnlineDeployment, OnlineEndpoint

COLLECTIONS = ("model_inputs", "model_outputs", "request", "response")
"""What a scoring script may collect, and the payloads that the platform collects without its help."""

_REQUEST_TIMEOUT_MS = 30_000
_REQUESTS_PER_INSTANCE = 8
_TOLD_LINES, _LOG_LINES = 30, 500
_SETTING_TAG = "driftloop.autoscale"
"""The tag of a deployment that names the autoscale setting which was made for it."""


class AzureServing(EndpointRecords["OnlineEndpoint", "OnlineDeployment"]):
    """`Serving` over managed online endpoints."""

    kind = "online"

    def __init__(
        self,
        ml: Callable[[], MLClient],
        identity: TokenCredential,
        endpoint_identity: str = "",
        endpoint_access: str = "enabled",
        scaling: Autoscaling | None = None,
    ) -> None:
        """`scaling`: None where this deployment may not scale anything."""
        super().__init__(ml, identity)
        self._endpoint_identity = endpoint_identity
        self._endpoint_access = endpoint_access
        self._scaling = scaling
        self._scoring = Scoring(self._scoring_uri, identity)

    def ensure_endpoint(self, endpoint: str) -> DeploymentSeen:
        with self._asking("Making an endpoint", endpoint):
            found = self._find_endpoint(endpoint)
            if found is None:
                self._begin_endpoint(endpoint)
                return DeploymentSeen("creating")
        if found.auth_mode != "aad_token":
            raise ConfigurationError(
                f"Endpoint {endpoint} authenticates by {found.auth_mode}; Driftloop keeps no keys. "
                "Create the endpoint again with auth_mode aad_token, or name another one in the loop file.",
                code=Code.ENDPOINT_UNUSABLE,
            )
        return self._made(found)

    def _begin_endpoint(self, name: str) -> None:
        """Under an identity that has its roles already: a new one would have none when its first image is pulled."""
        ml = self._ml()
        from azure.ai.ml.entities import (
            IdentityConfiguration,
            ManagedIdentityConfiguration,
            ManagedOnlineEndpoint,
        )

        identity = None
        if self._endpoint_identity:
            assigned = ManagedIdentityConfiguration(resource_id=self._endpoint_identity)
            identity = IdentityConfiguration(type="user_assigned", user_assigned_identities=[assigned])
        endpoint = ManagedOnlineEndpoint(
            name=name,
            auth_mode="aad_token",
            identity=identity,
            public_network_access=self._endpoint_access,
        )
        ml.online_endpoints.begin_create_or_update(endpoint)

    def ensure_deployment(self, spec: DeploymentSpec) -> DeploymentSeen:
        scaling = self._scaled(spec.endpoint) if spec.scale else None
        with self._asking("Making a deployment", spec.endpoint):
            found = self._find_deployment(spec.endpoint, spec.name)
        if found is None:
            return self._begun(spec)
        check_model(found, spec)
        state = state_of(found)
        if state == "ready" and scaling and spec.scale:
            where = self._endpoint(spec.endpoint).location
            scaling.ensure(_setting(spec), str(found.id), str(where), spec.scale, spec.instance_count)
        if state != "failed":
            return DeploymentSeen(state)
        failure = self._why(found)
        if failure.code == CANCELED:
            return self._begun(spec)
        return DeploymentSeen(state, failure.text or self._log(found))

    def ensure_machines(self, spec: DeploymentSpec) -> DeploymentSeen:
        """An update with what it was made with and another number of machines; the ones that it has go on serving."""
        with self._asking("Looking at a deployment", spec.endpoint):
            found = self._find_deployment(spec.endpoint, spec.name)
        if found is None:
            return DeploymentSeen("failed", f"Deployment {spec.endpoint}/{spec.name} does not exist.")
        state = state_of(found)
        if state == "ready" and found.instance_count < spec.instance_count:
            return self._begun(spec)
        if state != "failed":
            return DeploymentSeen(state)
        failure = self._why(found)
        return self._begun(spec) if failure.code == CANCELED else DeploymentSeen(state, failure.text)

    def _log(self, found: OnlineDeployment) -> str:
        """The end of the container's log: where a scoring script's error stands."""
        try:
            return telling(self._printed(found.endpoint_name, found.name, _TOLD_LINES))
        except AzureError:
            return "it has no log; look at the deployment in Azure ML studio"

    def log(self, endpoint: str, name: str) -> str:
        with self._asking("Reading a deployment's log", endpoint):
            return self._printed(endpoint, name, _LOG_LINES) if self._find_deployment(endpoint, name) else ""

    def _printed(self, endpoint: str, name: str, lines: int) -> str:
        return str(self._ml().online_deployments.get_logs(name, endpoint, lines=lines))

    def ensure_no_deployment(self, endpoint: str, name: str) -> bool:
        with self._asking("Deleting a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
            if found is None:
                return True
            serving = self._endpoint(endpoint)
            weight = (serving.traffic or {}).get(name, 0)
            if weight:
                raise InvariantBroken(
                    f"Deployment {endpoint}/{name} still has {weight} % of the traffic; it is not deleted.",
                    code=Code.DEPLOYMENT_SERVES,
                )
            if (serving.mirror_traffic or {}).get(name):
                serving.mirror_traffic = _mirrored_without(serving, {name})
                self._ml().online_endpoints.begin_create_or_update(serving)
            elif found.provisioning_state != "Deleting":
                if setting := _setting_of(found):
                    self._scaled(endpoint).remove(setting)
                self._ml().online_deployments.begin_delete(name, endpoint)
        return False

    def hold_scale(self, endpoint: str, name: str) -> int:
        with self._asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        if found is None:
            return 0
        if setting := _setting_of(found):
            self._scaled(endpoint).keep(setting, found.instance_count)
        return int(found.instance_count)

    def free_scale(self, endpoint: str, name: str) -> None:
        with self._asking("Looking at a deployment", endpoint):
            found = self._find_deployment(endpoint, name)
        if found is not None and (setting := _setting_of(found)):
            self._scaled(endpoint).keep(setting, None)

    def _scaled(self, endpoint: str) -> Autoscaling:
        if self._scaling is None:
            raise ConfigurationError(
                f"Endpoint {endpoint} is scaled by serve.autoscale, and this deployment of Driftloop may scale "
                "nothing: azd env set DRIFTLOOP_AUTOSCALE on, then azd provision."
            )
        return self._scaling

    @staticmethod
    def _weights(endpoint: OnlineEndpoint) -> Mapping[str, int]:
        return {name: int(weight) for name, weight in (endpoint.traffic or {}).items() if weight}

    @staticmethod
    def _sent(spec: DeploymentSpec) -> ManagedOnlineDeployment:
        from azure.ai.ml.entities import (
            CodeConfiguration,
            DataCollector,
            DeploymentCollection,
            ManagedOnlineDeployment,
            OnlineRequestSettings,
        )

        code = CodeConfiguration(code=spec.code, scoring_script=spec.entry_script) if spec.code else None
        return ManagedOnlineDeployment(
            name=spec.name,
            endpoint_name=spec.endpoint,
            model=spec.model,
            environment=spec.environment or None,
            code_configuration=code,
            instance_type=spec.instance_type,
            instance_count=spec.instance_count,
            tags={**spec.tags, **({_SETTING_TAG: _setting(spec)} if spec.scale else {})},
            request_settings=OnlineRequestSettings(
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
                max_concurrent_requests_per_instance=_REQUESTS_PER_INSTANCE,
            ),
            data_collector=DataCollector(
                collections={name: DeploymentCollection(enabled="true") for name in COLLECTIONS},
                sampling_rate=1.0,
            ),
        )

    def set_traffic(self, endpoint: str, weights: Mapping[str, int]) -> None:
        wanted = check_weights(endpoint, weights)
        with self._asking("Setting the traffic", endpoint):
            found = self._endpoint(endpoint)
            # A new entity would wipe what it does not name: mirror traffic, tags, identity.
            found.traffic = wanted
            found.mirror_traffic = _mirrored_without(
                found, {name for name, weight in wanted.items() if weight}
            )
            found.tags = {**(found.tags or {}), TRAFFIC_TAG: traffic_note(wanted)}
            self._ml().online_endpoints.begin_create_or_update(found)

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        return self._scoring.predict(endpoint, deployment, payloads, stamp)

    def _scoring_uri(self, endpoint: str) -> str:
        with self._asking("Reading the scoring address", endpoint):
            return str(self._endpoint(endpoint).scoring_uri)


def _mirrored_without(endpoint: OnlineEndpoint, names: set[str]) -> dict[str, int]:
    """What somebody mirrors, but to these deployments: Azure gives none both live traffic and a copy of it."""
    mirrored = endpoint.mirror_traffic or {}
    return {name: share for name, share in mirrored.items() if share and name not in names}


def _setting(spec: DeploymentSpec) -> str:
    """The name of a deployment's autoscale setting; the endpoint's is its own in the region."""
    return f"driftloop-{spec.endpoint}-{spec.name}"


def _setting_of(found: OnlineDeployment) -> str:
    """Empty: nothing of ours scales it. The setting goes before the deployment does, so the tag is there as long."""
    return str((found.tags or {}).get(_SETTING_TAG, ""))

"""The settings of a deployment, read once from the environment; none of them is secret but keys for HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from shared.errors import ConfigurationError

_PUBLIC_LOGS_ENDPOINT = "https://api.loganalytics.io/v1"


@dataclass(frozen=True)
class Settings:
    """Names and addresses of the Azure resources that this app uses. Access is by identity only."""

    blob_service_uri: str
    queue_service_uri: str
    table_service_uri: str
    subscription_id: str
    resource_group: str
    workspace: str
    topic_endpoint: str
    logs_workspace_id: str
    logs_endpoint: str
    datastore: str
    queue: str
    """Of events."""
    runs: str
    """Queue of the loops that are to be run."""
    table: str
    endpoint_identity: str = ""
    """Resource id of the identity that new endpoints run as; empty gives each one a system-assigned identity."""
    endpoint_access: str = "enabled"
    """Public address of new endpoints: `enabled`, or `disabled` where callers come through the workspace's network."""
    app_resource_group: str = ""
    """Resource group of the app and what surrounds it, where that is not the workspace's; only the doctor asks."""
    registry: str = ""
    """Resource id of the Azure ML registry through which models are promoted; empty: there is none."""
    autoscale_group: str = ""
    """Resource group in which the app may make autoscale settings; empty: nothing is scaled."""
    environment: str = ""
    """Which of a loop's environments this deployment is; empty: none."""
    lineage_url: str = ""
    """Where OpenLineage events are posted to; empty: none are."""
    lineage_key: str = field(default="", repr=False)
    http_keys: str = field(default="", repr=False)
    """Bearer tokens by host, `host=token` with blanks between, for `data.source` and signals that ask for one."""

    def keys_by_host(self) -> Mapping[str, str]:
        """ConfigurationError where they cannot be sent as they are; its text has none of them."""
        pairs = [pair.partition("=")[::2] for pair in self.http_keys.split()]
        if not all(_HOST.fullmatch(host) and _TOKEN.fullmatch(key) for host, key in pairs):
            raise ConfigurationError(
                "DRIFTLOOP_HTTP_KEYS is not hosts with their keys, metrics.example.com=KEY, with blanks between; hosts "
                "are written in small letters. A reference to a key vault stays as it is where the app may not read it."
            )
        return dict(pairs)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The settings as an app's settings spell them."""
        return tuple(_NAMES.values())

    @classmethod
    def defaults(cls) -> Mapping[str, str]:
        """By field: a setting's value when it is not given."""
        return _DEFAULTS

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """All settings at once; one `ConfigurationError` names every one that is missing."""
        values = {
            each.name: environ.get(_NAMES[each.name], "").strip() or _DEFAULTS.get(each.name, "")
            for each in fields(cls)
        }
        missing = [_NAMES[name] for name, value in values.items() if not value and name not in _OPTIONAL]
        if missing:
            raise ConfigurationError(
                f"Settings are missing: {', '.join(missing)}. Set them as app settings of the Function App; "
                "on a laptop, while `make up` runs, `. .local/state/env` sets them."
            )
        if values["endpoint_access"] not in _ACCESS:
            raise ConfigurationError(
                f"DRIFTLOOP_ENDPOINT_ACCESS is {values['endpoint_access']!r}; it must be {' or '.join(_ACCESS)}."
            )
        if values["registry"] and not _REGISTRY.fullmatch(values["registry"]):
            raise ConfigurationError(
                f"DRIFTLOOP_REGISTRY is {values['registry']!r}; it must be the resource id of an Azure ML registry: "
                "/subscriptions/…/resourceGroups/…/providers/Microsoft.MachineLearningServices/registries/NAME."
            )
        return cls(**values)


_NAMES: Mapping[str, str] = {
    "blob_service_uri": "DRIFTLOOP_STORAGE__blobServiceUri",
    "queue_service_uri": "DRIFTLOOP_STORAGE__queueServiceUri",
    "table_service_uri": "DRIFTLOOP_STORAGE__tableServiceUri",
    "subscription_id": "DRIFTLOOP_SUBSCRIPTION_ID",
    "resource_group": "DRIFTLOOP_RESOURCE_GROUP",
    "workspace": "DRIFTLOOP_WORKSPACE",
    "topic_endpoint": "DRIFTLOOP_TOPIC_ENDPOINT",
    "logs_workspace_id": "DRIFTLOOP_LOGS_WORKSPACE_ID",
    "logs_endpoint": "DRIFTLOOP_LOGS_ENDPOINT",
    "datastore": "DRIFTLOOP_DATASTORE",
    "queue": "DRIFTLOOP_QUEUE",
    "runs": "DRIFTLOOP_RUNS",
    "table": "DRIFTLOOP_TABLE",
    "endpoint_identity": "DRIFTLOOP_ENDPOINT_IDENTITY",
    "endpoint_access": "DRIFTLOOP_ENDPOINT_ACCESS",
    "app_resource_group": "DRIFTLOOP_APP_RESOURCE_GROUP",
    "registry": "DRIFTLOOP_REGISTRY",
    "autoscale_group": "DRIFTLOOP_AUTOSCALE_GROUP",
    "environment": "DRIFTLOOP_ENVIRONMENT",
    "lineage_url": "DRIFTLOOP_LINEAGE_URL",
    "lineage_key": "DRIFTLOOP_LINEAGE_KEY",
    "http_keys": "DRIFTLOOP_HTTP_KEYS",
}

_DEFAULTS: Mapping[str, str] = {
    "logs_endpoint": _PUBLIC_LOGS_ENDPOINT,
    "datastore": "driftloop_versions",
    "queue": "driftloop-events",
    "runs": "driftloop-runs",
    "table": "driftloop",
    "endpoint_access": "enabled",
}
_ACCESS = ("enabled", "disabled")
_HOST = re.compile(r"[a-z0-9.-]+(:\d{1,5})?")
_TOKEN = re.compile(r"[!-~]+")
_REGISTRY = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/registries/[^/]+",
    re.IGNORECASE,
)
_OPTIONAL = frozenset(
    {
        *("endpoint_identity", "app_resource_group", "registry", "autoscale_group", "environment"),
        *("lineage_url", "lineage_key", "http_keys"),
    }
)

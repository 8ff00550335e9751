"""The network around a deployment, for `driftloop doctor`: links, closed addresses, deliveries; all only looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from shared.azure.arm import ResourceManager
from shared.azure.client import Clients, credential
from shared.settings import Settings

ALERTS = "ActionGroup"
"""The service tag that Azure Monitor's action groups call from."""
RULE = "driftloop-versions"
APP = "app"
"""Who comes in by its public address is told apart (`Way`)."""

_NETWORK, _STORAGE, _VAULT, _REGISTRY = "2024-05-01", "2024-01-01", "2023-07-01", "2023-07-01"
_EVENT_GRID, _ML, _WEB, _METRICS = "2025-02-15", "2024-10-01", "2023-12-01", "2023-10-01"
_FAILED, _DELIVERED = "DeliveryAttemptFailCount", "DeliverySuccessCount"


@dataclass(frozen=True)
class Target:
    """Something with an address that a private deployment closes."""

    kind: str
    name: str
    id: str
    parts: tuple[str, ...]
    """What a private endpoint must lead to."""
    hosts: tuple[str, ...]
    access: str
    """`Enabled` or `Disabled`."""
    default_action: str = ""
    """What its firewall does with callers that no rule names; empty where it has none."""
    trusts_services: bool = True

    @property
    def what(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def is_open(self) -> bool:
        return self.access != "Disabled" and self.default_action != "Deny"


@dataclass(frozen=True)
class Link:
    """A private endpoint, which leads somewhere once it is `Approved`."""

    name: str
    target: str
    part: str
    state: str
    why: str


@dataclass(frozen=True)
class Way:
    """How an app goes out, and who comes in by its public address."""

    subnet: str
    delegation: str
    access: str
    admits: frozenset[str]
    """Service tags and addresses; `*` where nobody is kept out."""


@dataclass(frozen=True)
class ManagedNetwork:
    """Azure ML's, of the workspace."""

    isolation: str
    state: str
    rules: Mapping[str, str]
    """State of each outbound rule."""


class Network:
    """One look a method. A deployment is private once its account is closed, or anything leads to it privately."""

    def __init__(self, settings: Settings) -> None:
        identity = credential()
        self._arm = ResourceManager(identity)
        self._account = str(Clients(settings, identity).blobs().account_name)
        subscription = f"/subscriptions/{settings.subscription_id}/resourceGroups"
        self._ours = f"{subscription}/{settings.app_resource_group or settings.resource_group}/providers"
        self._workspace = (
            f"{subscription}/{settings.resource_group}/providers"
            f"/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
        )
        self.has_own_workspace = settings.app_resource_group in ("", settings.resource_group)
        """Whether the workspace was made with the app; another one's network is its owner's."""

    def is_private(self) -> bool:
        account = self._storage(f"{self._ours}/Microsoft.Storage/storageAccounts/{self._account}", ())
        return (account is not None and not account.is_open) or bool(self.links())

    def targets(self) -> list[Target]:
        """Everything that is ours, each once, with every part that must be reached."""
        found: dict[str, Target] = {}
        for one in self._each_target():
            known = found.get(one.id.casefold())
            parts = (*known.parts, *(part for part in one.parts if part not in known.parts)) if known else ()
            found[one.id.casefold()] = replace(one, parts=parts) if known else one
        return list(found.values())

    def _each_target(self) -> Iterator[Target]:
        own = f"{self._ours}/Microsoft.Storage/storageAccounts/{self._account}"
        yield from filter(None, [self._storage(own, ("blob", "queue", "table"))])
        for topic in self._arm.list(f"{self._ours}/Microsoft.EventGrid/topics", _EVENT_GRID):
            yield _target("topic", topic, ("topic",), [topic["properties"].get("endpoint")])
        for site in self._sites():
            yield _target(APP, site, ("sites",), [site["properties"].get("defaultHostName")])
        if self.has_own_workspace:
            yield from self._workspaces()

    def _workspaces(self) -> Iterator[Target]:
        workspace = self._arm.get(self._workspace, _ML)
        if workspace is None:
            return
        yield _target("workspace", workspace, ("amlworkspace",), [])
        stands_on = workspace["properties"]
        yield from filter(None, [self._storage(str(stands_on["storageAccount"]), ("blob", "file"))])
        if vault := self._arm.get(str(stands_on["keyVault"]), _VAULT):
            yield _target("vault", vault, ("vault",), [vault["properties"].get("vaultUri")])
        if stands_on.get("containerRegistry") and (
            registry := self._arm.get(str(stands_on["containerRegistry"]), _REGISTRY)
        ):
            yield _target("registry", registry, ("registry",), [registry["properties"].get("loginServer")])

    def _storage(self, identifier: str, parts: tuple[str, ...]) -> Target | None:
        found = self._arm.get(identifier, _STORAGE)
        if found is None:
            return None
        addresses = found["properties"].get("primaryEndpoints") or {}
        return _target("account", found, parts, [addresses.get(part) for part in parts])

    def _sites(self) -> list[dict[str, Any]]:
        sites = self._arm.list(f"{self._ours}/Microsoft.Web/sites", _WEB)
        return [one for one in sites if (one.get("tags") or {}).get("azd-service-name") == "app"]

    def links(self) -> list[Link]:
        """Every private endpoint of the group, one for each part that it leads to."""
        endpoints = self._arm.list(f"{self._ours}/Microsoft.Network/privateEndpoints", _NETWORK)
        return [link for endpoint in endpoints for link in _links(endpoint)]

    def way(self) -> Way | None:
        """None when there is no app."""
        sites = self._sites()
        if not sites:
            return None
        site, properties = sites[0], sites[0]["properties"]
        web = (self._arm.get(f"{site['id']}/config/web", _WEB) or {"properties": {}})["properties"]
        rules = [one for one in web.get("ipSecurityRestrictions") or [] if one.get("action") == "Allow"]
        shut = web.get("ipSecurityRestrictionsDefaultAction") == "Deny"
        admitted = {str(one.get("ipAddress") or one.get("vnetSubnetResourceId")) for one in rules}
        subnet = str(properties.get("virtualNetworkSubnetId") or "")
        return Way(
            subnet,
            self._delegation(subnet) if subnet else "",
            str(properties.get("publicNetworkAccess") or "Enabled"),
            frozenset(admitted if shut else admitted | {"*"}),
        )

    def _delegation(self, subnet: str) -> str:
        found = self._arm.get(subnet, _NETWORK) or {"properties": {}}
        names = [
            str(one["properties"]["serviceName"]) for one in found["properties"].get("delegations") or []
        ]
        return ", ".join(names)

    def managed_network(self) -> ManagedNetwork:
        found = self._arm.get(self._workspace, _ML) or {"properties": {}}
        managed = found["properties"].get("managedNetwork") or {}
        rules = self._arm.list(f"{self._workspace}/outboundRules", _ML)
        return ManagedNetwork(
            str(managed.get("isolationMode") or "Disabled"),
            str((managed.get("status") or {}).get("status") or "Inactive"),
            {str(one["name"]): str(one["properties"].get("status") or "Inactive") for one in rules},
        )

    def endpoint(self, name: str) -> Target | None:
        """An online endpoint, by its scoring address."""
        found = self._arm.get(f"{self._workspace}/onlineEndpoints/{name}", _ML)
        if found is None:
            return None
        return _target("endpoint", found, (), [found["properties"].get("scoringUri")])

    def deliveries(self, topic: str, since: datetime, until: datetime) -> tuple[int, int]:
        """(attempts that failed, events that were delivered) of a system topic."""
        asked = {
            "metricnames": f"{_FAILED},{_DELIVERED}",
            "timespan": f"{since:%Y-%m-%dT%H:%M:%SZ}/{until:%Y-%m-%dT%H:%M:%SZ}",
            "aggregation": "Total",
        }
        found = self._arm.list(f"{topic}/providers/Microsoft.Insights/metrics", _METRICS, **asked)
        totals = {str(one["name"]["value"]): _total(one) for one in found}
        return totals.get(_FAILED, 0), totals.get(_DELIVERED, 0)


def _target(kind: str, found: Mapping[str, Any], parts: tuple[str, ...], addresses: list[Any]) -> Target:
    properties = found["properties"]
    firewall = properties.get("networkAcls") or {}
    bypass = [one.strip() for one in str(firewall.get("bypass") or "AzureServices").split(",")]
    hosts = [
        urlsplit(one if "//" in one else f"//{one}").hostname for one in map(str, filter(None, addresses))
    ]
    return Target(
        kind,
        str(found["name"]),
        str(found["id"]),
        parts,
        tuple(dict.fromkeys(host for host in hosts if host)),
        str(properties.get("publicNetworkAccess") or "Enabled").capitalize(),
        str(firewall.get("defaultAction") or ""),
        "AzureServices" in bypass,
    )


def _links(endpoint: Mapping[str, Any]) -> Iterator[Link]:
    properties = endpoint["properties"]
    for kind in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
        for one in properties.get(kind) or []:
            connection = one["properties"]
            state = connection.get("privateLinkServiceConnectionState") or {}
            for part in connection.get("groupIds") or [""]:
                yield Link(
                    str(endpoint["name"]),
                    str(connection["privateLinkServiceId"]),
                    str(part),
                    str(state.get("status") or "Pending"),
                    str(state.get("description") or ""),
                )


def _total(metric: Mapping[str, Any]) -> int:
    points = [point for series in metric.get("timeseries") or [] for point in series.get("data") or []]
    return int(sum(point.get("total") or 0 for point in points))

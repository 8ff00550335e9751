"""What stands around the app on Azure, for `driftloop doctor`: events, logs, quota, identities; all only looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from shared.azure.arm import ResourceManager
from shared.azure.client import Clients, credential
from shared.settings import Settings

TRAFFIC_LOG = "AmlOnlineEndpointTrafficLog"
ALL_CORES = "totaldedicatedcores"
DEDICATED = "dedicatedcores/usages"
RESERVE = 1.2
"""What Azure ML charges for a deployment against the quota: a fifth is kept for its upgrades, for most sizes."""

_EVENT_GRID, _ML, _WEB, _STORAGE = "2025-02-15", "2024-10-01", "2023-12-01", "2023-05-01"
_ML_NAMESPACE = "Microsoft.MachineLearningServices"


@dataclass(frozen=True)
class Subscription:
    """An Event Grid subscription of one of our sources."""

    name: str
    state: str
    queue: str
    """account/queue; empty for any other destination."""
    dead_letter: str
    """account/container; empty when there is none."""
    filter: Mapping[str, Any] = field(hash=False)

    def passes(self, kind: str, subject: str) -> bool:
        """Whether an event gets through; no, when the filter has a condition on anything but type and subject."""
        kinds = [one.casefold() for one in self.filter.get("includedEventTypes") or [kind]]
        low = subject.casefold()
        begins = str(self.filter.get("subjectBeginsWith") or "").casefold()
        ends = str(self.filter.get("subjectEndsWith") or "").casefold()
        advanced = self.filter.get("advancedFilters") or []
        return (
            kind.casefold() in kinds
            and low.startswith(begins)
            and low.endswith(ends)
            and all(_holds(one, low) for one in advanced)
        )


def _holds(condition: Mapping[str, Any], subject: str) -> bool:
    named = (str(condition.get("operatorType")).casefold(), str(condition.get("key")).casefold())
    values = [str(value).casefold() for value in condition.get("values") or []]
    return named == ("stringbeginswith", "subject") and any(subject.startswith(value) for value in values)


@dataclass(frozen=True)
class Quota:
    """Cores of one size in the workspace's region."""

    cores: int
    left: Mapping[str, int]
    """By limit (the size's family, all dedicated cores); what is not limited is left out."""

    def needed(self, instances: int) -> int:
        """What one more deployment is charged."""
        return ceil(self.cores * instances * RESERVE)


class Surroundings:
    """One look a method, at what is in the resource group and the subscription that the settings name."""

    def __init__(self, settings: Settings) -> None:
        identity = credential()
        self._arm = ResourceManager(identity)
        self.account = str(Clients(settings, identity).blobs().account_name)
        self._subscription = f"/subscriptions/{settings.subscription_id}"
        self._group = f"{self._subscription}/resourceGroups/{settings.resource_group}"
        self._workspace = f"{self._group}/providers/{_ML_NAMESPACE}/workspaces/{settings.workspace}"
        ours = settings.app_resource_group or settings.resource_group
        self._ours = f"{self._subscription}/resourceGroups/{ours}"

    def registration(self, namespace: str) -> str:
        """`Registered`, or how far it is."""
        found = self._arm.get(f"{self._subscription}/providers/{namespace}", "2021-04-01")
        return str(found["registrationState"]) if found else "NotRegistered"

    def subscriptions(self, source: str) -> list[Subscription]:
        """The subscriptions to the events of our storage account (`storage`) or of the workspace (`workspace`)."""
        return self._subscribed(self.system_topics(source))

    def subscriptions_of(self, account: str) -> list[Subscription]:
        """Those to the events of another storage account of our subscription."""
        return self._subscribed(self._topics_of(f"/storageaccounts/{account}"))

    def _subscribed(self, topics: Sequence[Mapping[str, Any]]) -> list[Subscription]:
        return [
            _subscription(one)
            for topic in topics
            for one in self._arm.list(f"{topic['id']}/eventSubscriptions", _EVENT_GRID)
        ]

    def account_named(self, name: str) -> dict[str, Any] | None:
        """A storage account of our subscription; names are unique among all of Azure's."""
        found = self._arm.list(f"{self._subscription}/providers/Microsoft.Storage/storageAccounts", _STORAGE)
        return next((one for one in found if str(one["name"]) == name), None)

    def container_id(self, account: str, container: str) -> str:
        """Of a container of such an account; empty where the account is not of our subscription."""
        found = self.account_named(account)
        return f"{found['id']}/blobServices/default/containers/{container}" if found else ""

    def system_topics(self, source: str) -> list[dict[str, Any]]:
        """Those on our storage account (`storage`) or on the workspace (`workspace`)."""
        wanted = {
            "storage": f"/storageaccounts/{self.account}".casefold(),
            "workspace": self._workspace.casefold(),
        }[source]
        return self._topics_of(wanted)

    def _topics_of(self, wanted: str) -> list[dict[str, Any]]:
        """By how the id of their source ends, in small letters."""
        found = self._arm.list(
            f"{self._subscription}/providers/Microsoft.EventGrid/systemTopics", _EVENT_GRID
        )
        return [topic for topic in found if str(topic["properties"]["source"]).casefold().endswith(wanted)]

    def scaled(self, group: str, endpoint: str) -> dict[str, str]:
        """By autoscale setting of a resource group of ours: the deployment of this endpoint that it is for."""
        place = f"{self._subscription}/resourceGroups/{group}/providers/Microsoft.Insights/autoscalesettings"
        targets = {
            str(one["name"]): str(one["properties"]["targetResourceUri"])
            for one in self._arm.list(place, "2022-10-01")
        }
        ours = f"{self._workspace}/onlineEndpoints/{endpoint}/deployments/".casefold()
        return {
            name: target.rpartition("/")[2]
            for name, target in targets.items()
            if target.casefold().startswith(ours)
        }

    def traffic_logs(self, endpoint: str) -> list[str]:
        """The ids (as queries name them) of the Log Analytics workspaces that an endpoint's traffic log goes to."""
        path = f"{self._workspace}/onlineEndpoints/{endpoint}/providers/Microsoft.Insights/diagnosticSettings"
        settings = [one["properties"] for one in self._arm.list(path, "2021-05-01-preview")]
        places = [str(one.get("workspaceId") or "") for one in settings if _is_logged(one)]
        logs = [self._arm.get(place, "2023-09-01") for place in places if place]
        return [str(found["properties"]["customerId"]).casefold() for found in logs if found]

    def quota(self, size: str) -> Quota | None:
        """None when the region does not have this size."""
        location = (self._arm.get(self._workspace, _ML) or {}).get("location", "")
        region = f"{self._subscription}/providers/{_ML_NAMESPACE}/locations/{location}"
        sizes = {str(one["name"]).casefold(): one for one in self._arm.list(f"{region}/vmSizes", _ML)}
        found = sizes.get(size.casefold())
        if found is None:
            return None
        limits = [one for one in self._arm.list(f"{region}/usages", _ML) if _limits(one, found["family"])]
        # Azure ML's client has these lists, too, but loses what is in use on the way (1.35).
        left = {str(one["name"]["value"]): one["limit"] - (one.get("currentValue") or 0) for one in limits}
        return Quota(int(found["vCPUs"]), left)

    def principals(self) -> dict[str, str]:
        """By identity of infra/identities.yaml: its principal, as far as there is such a thing."""
        found = {"app": self._app()}
        for who, source in (("blob-events", "storage"), ("workspace-events", "workspace")):
            found[who] = _principal(self.system_topics(source))
        assigned = self._arm.list(
            f"{self._ours}/providers/Microsoft.ManagedIdentity/userAssignedIdentities", "2023-01-31"
        )
        for who in ("compute", "endpoint", "workspace"):
            named = [one for one in assigned if str(one["name"]).startswith(f"id-{who}-")]
            found[who] = str(named[0]["properties"]["principalId"]) if named else ""
        return {who: principal for who, principal in found.items() if principal}

    def functions(self) -> set[str] | None:
        """The app's functions that its host has indexed and that are not switched off; None when there is no app."""
        apps = self._apps()
        if not apps:
            return None
        found = self._arm.list(f"{apps[0]['id']}/functions", _WEB)
        indexed = [one for one in found if not (one.get("properties") or {}).get("isDisabled")]
        return {str(one["name"]).rpartition("/")[2] for one in indexed}

    def _apps(self) -> list[dict[str, Any]]:
        sites = self._arm.list(f"{self._ours}/providers/Microsoft.Web/sites", _WEB)
        return [one for one in sites if (one.get("tags") or {}).get("azd-service-name") == "app"]

    def _app(self) -> str:
        """The identity that the app runs as: a user-assigned one, which has its roles before there is an app."""
        assigned = [(one.get("identity") or {}).get("userAssignedIdentities") or {} for one in self._apps()]
        return next((str(found["principalId"]) for each in assigned for found in each.values()), "")

    def roles(self, principal: str) -> set[tuple[str, str]]:
        """(id of the role's definition, id of the scope) of everything that a principal was given around here."""
        path = f"{self._subscription}/providers/Microsoft.Authorization/roleAssignments"
        given = self._arm.list(path, "2022-04-01", **{"$filter": f"principalId eq '{principal}'"})
        return {
            (
                str(one["properties"]["roleDefinitionId"]).rpartition("/")[2],
                str(one["properties"]["scope"]),
            )
            for one in given
        }


def _subscription(found: Mapping[str, Any]) -> Subscription:
    properties = found["properties"]
    delivery = properties.get("deliveryWithResourceIdentity") or properties
    dead = properties.get("deadLetterWithResourceIdentity") or properties
    return Subscription(
        str(found["name"]),
        str(properties.get("provisioningState")),
        _place(delivery.get("destination"), "StorageQueue", "queueName"),
        _place(dead.get("deadLetterDestination"), "StorageBlob", "blobContainerName"),
        properties.get("filter") or {},
    )


def _place(destination: Mapping[str, Any] | None, kind: str, name: str) -> str:
    if destination is None or destination.get("endpointType") != kind:
        return ""
    return (
        f"{str(destination['properties']['resourceId']).rpartition('/')[2]}/{destination['properties'][name]}"
    )


def _is_logged(setting: Mapping[str, Any]) -> bool:
    return any(
        log.get("enabled") and (log.get("category") == TRAFFIC_LOG or log.get("categoryGroup") == "allLogs")
        for log in setting.get("logs") or []
    )


def _limits(usage: Mapping[str, Any], family: str) -> bool:
    """Low-priority cores bear the same name as dedicated ones: the type tells them apart. -1 is no limit."""
    name, kind = str(usage["name"]["value"]).casefold(), str(usage["type"]).casefold()
    dedicated = name == family.casefold() and kind.endswith(DEDICATED)
    return (name == ALL_CORES or dedicated) and usage["limit"] >= 0


def _principal(resources: Sequence[Mapping[str, Any]]) -> str:
    """Of the first one that has an identity."""
    found = [(one.get("identity") or {}).get("principalId") for one in resources]
    return next((str(principal) for principal in found if principal), "")

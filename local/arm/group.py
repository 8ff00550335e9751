"""What Resource Manager lists around the workspace: what this local Azure has, does, and was told by tests."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from local.arm import network
from local.events.models import DEAD_LETTER_CONTAINER, Events
from local.events.subscriptions import PARTNER_STORAGE, STORAGE, WORKSPACE, Subscription, subscriptions
from local.identity.roles import Grant, object_id
from local.logs.models import TRAFFIC_LOG, TrafficLog
from local.refusal import ArmError
from local.service import Service
from local.settings import (
    ACCOUNT,
    LOGS_WORKSPACE_ID,
    PARTNER,
    PARTNER_CONTAINER,
    QUEUE,
    REGISTRY_ID,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    TOPIC,
    WORKSPACE_ID,
)
from local.state import Document

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
ACCOUNT_ID = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
PARTNER_ID = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{PARTNER}"
LOGS_ID = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/local"
_ML = "Microsoft.MachineLearningServices"
_IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
_CONTAINERS = f"{ACCOUNT_ID}/blobServices/default/containers"
_SCOPES = {
    "account": ACCOUNT_ID,
    "versions": f"{_CONTAINERS}/versions",
    "readings": f"{_CONTAINERS}/readings",
    "own-landing": f"{_CONTAINERS}/landing",
    "dead-letter": f"{_CONTAINERS}/{DEAD_LETTER_CONTAINER}",
    "landing": f"{PARTNER_ID}/blobServices/default/containers/{PARTNER_CONTAINER}",
    # On Azure an account of the workspace's own; here both are the one that Azurite has.
    "workspace-account": f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}ml",
    "vault": f"{GROUP}/providers/Microsoft.KeyVault/vaults/local",
    "queue": f"{ACCOUNT_ID}/queueServices/default/queues/{QUEUE}",
    "workspace": WORKSPACE_ID,
    "registry": f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/local",
    "shared-registry": REGISTRY_ID,
    "topic": f"{GROUP}/providers/Microsoft.EventGrid/topics/{TOPIC}",
    "logs": LOGS_ID,
    "telemetry": f"{GROUP}/providers/Microsoft.Insights/components/local",
    "endpoint-identity": f"{GROUP}/providers/{_IDENTITIES}/id-endpoint-local",
    "app-group": GROUP,
    "subscription": f"/subscriptions/{SUBSCRIPTION}",
}
_TOPICS = {
    "evgst-blobs-local": (STORAGE, ACCOUNT_ID, "Microsoft.Storage.StorageAccounts", "blob-events"),
    f"evgst-{PARTNER}-local": (
        PARTNER_STORAGE,
        PARTNER_ID,
        "Microsoft.Storage.StorageAccounts",
        "landing-events",
    ),
    "evgst-workspace-local": (WORKSPACE, WORKSPACE_ID, f"{_ML}.Workspaces", "workspace-events"),
}
_KIND = "surroundings"


def provider(service: Service, namespace: str) -> Document:
    unregistered = (service.state.get(_KIND, "providers") or {}).get("unregistered", [])
    state = "NotRegistered" if namespace in unregistered else "Registered"
    return {
        "id": f"/subscriptions/{SUBSCRIPTION}/providers/{namespace}",
        "namespace": namespace,
        "registrationState": state,
    }


def unregister(service: Service, namespaces: list[str]) -> None:
    service.state.put(_KIND, "providers", {"unregistered": namespaces})


def system_topics() -> list[Document]:
    return [
        {
            "id": f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/{name}",
            "name": name,
            "type": "Microsoft.EventGrid/systemTopics",
            "location": "local",
            "identity": {"type": "SystemAssigned", "principalId": object_id(who)},
            "properties": {"source": source, "topicType": kind, "provisioningState": "Succeeded"},
        }
        for name, (_, source, kind, who) in _TOPICS.items()
    ]


def event_subscriptions(service: Service, topic: str) -> list[Document]:
    """The ones by which events are delivered; what cannot be delivered goes to the one container for it."""
    known = {name.lower(): found for name, found in _TOPICS.items()}
    wanted = known[topic.lower()][0] if topic.lower() in known else ""
    return [_subscription(topic, one) for one in subscriptions(service.state) if one.source == wanted]


_METRICS = {"DeliveryAttemptFailCount": False, "DeliverySuccessCount": True}


def deliveries(service: Service, topic: str, names: list[str], since: datetime, until: datetime) -> Document:
    """Azure Monitor's metrics of a system topic (azure-monitor-docs, Microsoft.EventGrid/systemTopics)."""
    if unknown := [name for name in names if name not in _METRICS]:
        message = (
            "Failed to find metric configuration for provider: Microsoft.EventGrid, resource Type: systemTopics, "
            f"metric: {unknown[0]}, Valid metrics: {','.join(_METRICS)}"
        )
        raise ArmError(400, "BadRequest", message)
    subscribed = [one["name"] for one in event_subscriptions(service, topic)]
    events = service.get(Events)
    return {
        "cost": 0,
        "namespace": "Microsoft.EventGrid/systemTopics",
        "value": [
            {
                "name": {"value": name, "localizedValue": name},
                "type": "Microsoft.Insights/metrics",
                "unit": "Count",
                "timeseries": [
                    {
                        "metadatavalues": [],
                        "data": [
                            {
                                "timeStamp": since.isoformat(),
                                "total": float(
                                    events.attempts(subscribed, since, until, delivered=_METRICS[name])
                                ),
                            }
                        ],
                    }
                ],
            }
            for name in names
        ],
    }


def _subscription(topic: str, found: Subscription) -> Document:
    queue = {"resourceId": ACCOUNT_ID, "queueName": found.queue}
    blob = {"resourceId": ACCOUNT_ID, "blobContainerName": DEAD_LETTER_CONTAINER}
    own: dict[str, Any] = {"identity": {"type": "SystemAssigned"}}
    return {
        "id": f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/{topic}/eventSubscriptions/{found.name}",
        "name": found.name,
        "type": "Microsoft.EventGrid/systemTopics/eventSubscriptions",
        "properties": {
            "provisioningState": "Succeeded",
            "eventDeliverySchema": "EventGridSchema",
            "deliveryWithResourceIdentity": own
            | {"destination": {"endpointType": "StorageQueue", "properties": queue}},
            "deadLetterWithResourceIdentity": own
            | {"deadLetterDestination": {"endpointType": "StorageBlob", "properties": blob}},
            "filter": {
                "includedEventTypes": list(found.event_types) or None,
                "subjectBeginsWith": found.subject_begins_with,
                "subjectEndsWith": "",
            },
        },
    }


def diagnostics(service: Service, endpoint: str) -> list[Document]:
    """An endpoint's traffic log is on from its beginning, until a test switches it off."""
    if not service.get(TrafficLog).is_on(endpoint):
        return []
    where = f"{WORKSPACE_ID}/onlineEndpoints/{endpoint}/providers/Microsoft.Insights/diagnosticSettings"
    log = {"category": TRAFFIC_LOG, "enabled": True}
    return [
        {
            "id": f"{where}/driftloop",
            "name": "driftloop",
            "type": "Microsoft.Insights/diagnosticSettings",
            "properties": {"workspaceId": LOGS_ID, "logs": [log]},
        }
    ]


def logs_workspace() -> Document:
    properties = {"customerId": LOGS_WORKSPACE_ID, "provisioningState": "Succeeded"}
    return {"id": LOGS_ID, "name": "local", "location": "local", "properties": properties}


def sites(service: Service) -> list[Document]:
    """The Function App: the functions host runs as its identity."""
    return [
        {
            "id": f"{GROUP}/providers/Microsoft.Web/sites/func-local",
            "name": "func-local",
            "type": "Microsoft.Web/sites",
            "location": "local",
            "tags": {"azd-service-name": "app"},
            "identity": {
                "type": "UserAssigned",
                "userAssignedIdentities": {
                    f"{GROUP}/providers/{_IDENTITIES}/id-app-local": {"principalId": object_id("app")}
                },
            },
            "properties": {"enabled": True} | network.site(service),
        }
    ]


def functions(service: Service, site: str) -> list[Document]:
    """What the host has indexed and told the platform; none while it never ran. A host that could not read its app
    tells of none, and looks healthy otherwise (azure-functions-host, GrpcWorkerChannel.cs)."""
    told = service.settings.folder / "host-functions.json"
    names: list[str] = json.loads(told.read_text()) if told.exists() else []
    return [
        {
            "id": f"{GROUP}/providers/Microsoft.Web/sites/{site}/functions/{name}",
            "name": f"{site}/{name}",
            "type": "Microsoft.Web/sites/functions",
            "properties": {"name": name, "isDisabled": False, "language": "python"},
        }
        for name in names
    ]


def assigned_identities() -> list[Document]:
    return [
        {
            "id": f"{GROUP}/providers/{_IDENTITIES}/id-{who}-local",
            "name": f"id-{who}-local",
            "type": _IDENTITIES,
            "location": "local",
            "properties": {"principalId": object_id(who)},
        }
        for who in ("app", "compute", "endpoint", "workspace")
    ]


def role_assignments(service: Service, principal: str) -> list[Document]:
    return [_assignment(principal, *given) for given in service.roles.assignments(principal)]


def _assignment(principal: str, definition: str, grant: Grant) -> Document:
    scope = _SCOPES[grant.scope]
    provided = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{definition}"
    return {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{definition}",
        "name": definition,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {"roleDefinitionId": provided, "principalId": principal, "scope": scope},
    }

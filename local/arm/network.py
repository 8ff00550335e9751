"""The network of a private deployment, as `driftloop doctor` reads it; a test changes what Resource Manager shows.

Shapes: azure-rest-api-specs, Microsoft.Network privateEndpoint 2024-05-01 and virtualNetwork, Microsoft.Storage,
Microsoft.KeyVault, Microsoft.ContainerRegistry, Microsoft.EventGrid, Microsoft.Web and, for the managed network,
Microsoft.MachineLearningServices. A connection is Pending, Approved, Rejected or Disconnected, and leads nowhere
until it is Approved (azure-docs, private-link/manage-private-endpoint.md).
"""

from __future__ import annotations

from typing import Any

from local.refusal import ArmError
from local.service import Service
from local.settings import ACCOUNT, PARTNER, RESOURCE_GROUP, SUBSCRIPTION, TOPIC, WORKSPACE_ID, Settings
from local.state import Document

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers"
SUBNET = f"{GROUP}/Microsoft.Network/virtualNetworks/vnet-local/subnets/app"
STATES = ("Approved", "Pending", "Rejected", "Disconnected")
_KIND, _KEY = "surroundings", "network"
_LINKS = {
    "pe-blob-local": (f"{GROUP}/Microsoft.Storage/storageAccounts/{ACCOUNT}", "blob"),
    "pe-queue-local": (f"{GROUP}/Microsoft.Storage/storageAccounts/{ACCOUNT}", "queue"),
    "pe-table-local": (f"{GROUP}/Microsoft.Storage/storageAccounts/{ACCOUNT}", "table"),
    # The workspace's own account is the same one here.
    "pe-workspace-file-local": (f"{GROUP}/Microsoft.Storage/storageAccounts/{ACCOUNT}", "file"),
    "pe-vault-local": (f"{GROUP}/Microsoft.KeyVault/vaults/local", "vault"),
    "pe-registry-local": (f"{GROUP}/Microsoft.ContainerRegistry/registries/local", "registry"),
    "pe-workspace-local": (WORKSPACE_ID, "amlworkspace"),
    "pe-topic-local": (f"{GROUP}/Microsoft.EventGrid/topics/{TOPIC}", "topic"),
    "pe-app-local": (f"{GROUP}/Microsoft.Web/sites/func-local", "sites"),
}
_CLOSED: Document = {
    "publicNetworkAccess": "Disabled",
    "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"},
}
_OPEN: Document = {
    "publicNetworkAccess": "Enabled",
    "networkAcls": {"defaultAction": "Allow", "bypass": "AzureServices"},
}
_RULE: Document = {
    "type": "PrivateEndpoint",
    "category": "UserDefined",
    "status": "Active",
    "destination": {
        "serviceResourceId": f"{GROUP}/Microsoft.Storage/storageAccounts/{ACCOUNT}",
        "subresourceTarget": "blob",
        "sparkEnabled": False,
    },
}


def _both() -> dict[str, tuple[Document, Document]]:
    """By name of the resource: what differs in a public deployment, and in a private one."""
    web: Document = {"ipSecurityRestrictionsDefaultAction": "Allow", "ipSecurityRestrictions": []}
    alerts = {"name": "azure-monitor", "action": "Allow", "tag": "ServiceTag", "ipAddress": "ActionGroup"}
    managed: Document = {
        "isolationMode": "AllowInternetOutbound",
        "status": {"status": "Active", "sparkReady": False},
    }
    plain = {"publicNetworkAccess": "Enabled"}, {"publicNetworkAccess": "Disabled"}
    return {
        "account": (_OPEN, _CLOSED),
        "vault": (_OPEN, _CLOSED),
        "registry": plain,
        "topic": plain,
        "site": (plain[0], plain[0] | {"virtualNetworkSubnetId": SUBNET}),
        "web": (
            web,
            {"ipSecurityRestrictionsDefaultAction": "Deny", "ipSecurityRestrictions": [alerts]},
        ),
        "workspace": (plain[0], plain[1] | {"managedNetwork": managed}),
        "subnet": ({}, {"delegations": [{"properties": {"serviceName": "Microsoft.App/environments"}}]}),
        "driftloop-versions": ({}, _RULE),
        **{name: ({}, {"status": "Approved", "description": ""}) for name in _LINKS},
    }


def change(service: Service, body: Document) -> None:
    """{"private": true, "changed": {name: {property: value}}, "without": [names]}; an empty body: all is public."""
    known = _both()
    changed, without = dict(body.get("changed", {})), list(body.get("without", []))
    unknown = sorted(({*changed, *without} - set(known)) | (set(body) - {"private", "changed", "without"}))
    if unknown:
        raise ArmError(
            400, "BadRequest", f"There is no {', '.join(unknown)} here; there are {', '.join(known)}."
        )
    for name in set(changed) & set(_LINKS):
        if (state := changed[name].get("status", STATES[0])) not in STATES:
            raise ArmError(
                400, "BadRequest", f"A connection is not '{state}'; it is one of {', '.join(STATES)}."
            )
    service.state.put(_KIND, _KEY, {"private": False, "changed": changed, "without": without} | body)


def differing(service: Service, name: str) -> Document:
    """The properties of a resource that private networking decides, as a test changed them."""
    told = service.state.get(_KIND, _KEY) or {}
    public, private = _both()[name]
    found: Document = (private if told.get("private") else public) | told.get("changed", {}).get(name, {})
    return found


def _is_there(service: Service, name: str) -> bool:
    told = service.state.get(_KIND, _KEY) or {}
    return bool(told.get("private")) and name not in told["without"]


def _resource(kind: str, name: str, properties: Document) -> Document:
    return {"id": f"{GROUP}/{kind}/{name}", "name": name, "type": kind, "location": "local"} | {
        "properties": {"provisioningState": "Succeeded"} | properties
    }


def account(service: Service) -> Document:
    settings: Settings = service.settings
    addresses = {name: f"{settings.storage(name)}/" for name in ("blob", "queue", "table")}
    more = differing(service, "account")
    return _resource("Microsoft.Storage/storageAccounts", ACCOUNT, {"primaryEndpoints": addresses} | more)


def accounts(service: Service) -> list[Document]:
    """Of the subscription: ours, and a partner's, which has folders."""
    address = {"blob": f"{service.settings.storage('blob', PARTNER)}/"}
    folders = {"primaryEndpoints": address, "isHnsEnabled": True}
    return [account(service), _resource("Microsoft.Storage/storageAccounts", PARTNER, folders)]


def vault(service: Service) -> Document:
    address = {"vaultUri": f"{service.settings.arm}/"}
    return _resource("Microsoft.KeyVault/vaults", "local", address | differing(service, "vault"))


def registry(service: Service) -> Document:
    address = {"loginServer": service.settings.arm.removeprefix("https://")}
    return _resource(
        "Microsoft.ContainerRegistry/registries", "local", address | differing(service, "registry")
    )


def topics(service: Service) -> list[Document]:
    address = {"endpoint": f"{service.settings.arm}/topics/{TOPIC}/api/events"}
    return [_resource("Microsoft.EventGrid/topics", TOPIC, address | differing(service, "topic"))]


def site(service: Service) -> Document:
    """What the site has beside what `group.sites` says of it."""
    return {"defaultHostName": service.settings.functions.removeprefix("http://")} | differing(
        service, "site"
    )


def web(service: Service) -> Document:
    found = _resource("Microsoft.Web/sites", "func-local/web", differing(service, "web"))
    return found | {"id": f"{GROUP}/Microsoft.Web/sites/func-local/config/web"}


def subnet(service: Service) -> Document:
    return {"id": SUBNET, "name": "app", "properties": differing(service, "subnet")}


def outbound_rules(service: Service) -> list[Document]:
    name = "driftloop-versions"
    if not _is_there(service, name):
        return []
    where = f"{WORKSPACE_ID}/outboundRules/{name}"
    return [{"id": where, "name": name, "properties": differing(service, name)}]


def private_endpoints(service: Service) -> list[Document]:
    return [
        _private_endpoint(name, *link, differing(service, name))
        for name, link in _LINKS.items()
        if _is_there(service, name)
    ]


def _private_endpoint(name: str, target: str, part: str, state: dict[str, Any]) -> Document:
    connection = {
        "name": name,
        "properties": {
            "privateLinkServiceId": target,
            "groupIds": [part],
            "privateLinkServiceConnectionState": state,
        },
    }
    return _resource(
        "Microsoft.Network/privateEndpoints",
        name,
        {"privateLinkServiceConnections": [connection], "manualPrivateLinkServiceConnections": []},
    )

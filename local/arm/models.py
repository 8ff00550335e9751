"""The cloud, its one workspace and that workspace's datastores, none of which holds a key."""

from __future__ import annotations

from local.arm.exceptions import NoSuchDatastore
from local.settings import (
    ACCOUNT,
    DATASTORES,
    DEFAULT_DATASTORE,
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
    WORKSPACE_GUID,
    WORKSPACE_ID,
    Settings,
)
from local.state import Document

_GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
_ACCOUNT_ID = f"{_GROUP_ID}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
_ML = "Microsoft.MachineLearningServices"


def storage_suffix(settings: Settings) -> str:
    """What follows `https://<account>.blob.` in the SDK. Userinfo makes it an address that needs no DNS."""
    return f"local@127.0.0.1:{settings.blob_port}/{ACCOUNT}"


def cloud(settings: Settings) -> Document:
    """The cloud's metadata. Azure ML's audience, `https://ml.azure.local`, is made from the portal's."""
    return {
        # The SDK remembers clouds by name for the whole process: two local Azures must not share one.
        "name": f"Local{settings.workspace_port}",
        "portal": "https://portal.azure.local",
        "resourceManager": settings.arm,
        "authentication": {
            "loginEndpoint": settings.arm,
            "audiences": [settings.arm],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {"storage": storage_suffix(settings)},
    }


def workspace(settings: Settings) -> Document:
    address = settings.arm.removeprefix("https://")
    return {
        "id": WORKSPACE_ID,
        "name": WORKSPACE,
        "type": f"{_ML}/workspaces",
        "location": LOCATION,
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "tags": {},
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "friendlyName": WORKSPACE,
            "description": "The workspace of the local Azure.",
            "provisioningState": "Succeeded",
            "workspaceId": WORKSPACE_GUID,
            "discoveryUrl": f"{settings.arm}/discovery",
            "mlFlowTrackingUri": f"azureml://{address}/mlflow/v1.0{WORKSPACE_ID}",
            "storageAccount": _ACCOUNT_ID,
            "keyVault": f"{_GROUP_ID}/providers/Microsoft.KeyVault/vaults/local",
            "containerRegistry": f"{_GROUP_ID}/providers/Microsoft.ContainerRegistry/registries/local",
            "applicationInsights": f"{_GROUP_ID}/providers/Microsoft.Insights/components/{WORKSPACE}",
            "hbiWorkspace": False,
            "systemDatastoresAuthMode": "identity",
        },
    }


def discovery(settings: Settings) -> Document:
    names = ("api", "experimentation", "history", "modelmanagement", "pipelines", "hyperdrive", "studio")
    return dict.fromkeys(names, settings.arm)


def datastore(settings: Settings, name: str) -> Document:
    known = {each.lower(): each for each in DATASTORES}
    if name.lower() not in known:
        raise NoSuchDatastore(name)
    name = known[name.lower()]
    return {
        "id": f"{WORKSPACE_ID}/datastores/{name}",
        "name": name,
        "type": f"{_ML}/workspaces/datastores",
        "properties": {
            "datastoreType": "AzureBlob",
            "isDefault": name == DEFAULT_DATASTORE,
            "accountName": ACCOUNT,
            "containerName": DATASTORES[name],
            "endpoint": storage_suffix(settings),
            "protocol": "https",
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": RESOURCE_GROUP,
            "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
            "credentials": {"credentialsType": "None"},
            "properties": {},
            "tags": {},
        },
    }

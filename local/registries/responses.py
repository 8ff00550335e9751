"""The registry over HTTP: discovery, the regional service that Azure ML's client speaks to, and Resource Manager."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from local.assets.models import upload_container
from local.assets.responses import ordered
from local.endpoints.container import SCOPE
from local.registries.exceptions import NotAllowed
from local.registries.models import Registry, describe
from local.settings import LOCATION, REGISTRY, RESOURCE_GROUP, SUBSCRIPTION
from local.web import Call, Handler, listing, reply

READ = "Microsoft.MachineLearningServices/registries/read"
WORKSPACES = "Microsoft.MachineLearningServices/workspaces"
SERVICE = "/mferp/managementfrontend"


def discovery(call: Call) -> Response:
    """Where the registry's service is. Without a role it cannot even be found."""
    name = call.path("registry")
    _registry(call).check(name)
    call.service.roles.note(call.who, READ, SCOPE)
    if not call.service.roles.allows(call.who, READ, SCOPE):
        raise NotAllowed(name)
    address = f"{call.service.settings.arm}/"
    return reply(
        {
            "registryName": REGISTRY,
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": RESOURCE_GROUP,
            "primaryRegionResourceProviderUri": address,
            "registryFqdns": {region: {"uri": address} for region in _registry(call).regions},
        }
    )


def registry(call: Call) -> Response:
    _checked(call)
    regions = [{"location": region} for region in _registry(call).regions]
    discovered = f"{call.service.settings.arm}/registrymanagement/v1.0/registries/{REGISTRY}/discovery"
    return reply(describe() | {"properties": {"regionDetails": regions, "discoveryUrl": discovered}})


def get_version(plural: str) -> Handler:
    return lambda call: reply(_checked(call).get(plural, call.path("name"), call.path("version")))


def get_container(plural: str) -> Handler:
    return lambda call: reply(_checked(call).container(plural, call.path("name")))


def list_versions(plural: str) -> Handler:
    """What the view asks for is ignored (azure-ai-ml, _model_operations.py): archived ones may appear."""

    def handler(call: Call) -> Response:
        found = _checked(call).versions(plural, call.path("name"))
        return listing(call, ordered(call, found), ("listViewType", "$orderBy", "$top"))

    return handler


def put_version(plural: str) -> Handler:
    def handler(call: Call) -> Response:
        found, new = _checked(call).put(plural, call.path("name"), call.path("version"), call.body, call.who)
        return reply(found, 201 if new else 200)

    return handler


def delete_version(plural: str) -> Handler:
    def handler(call: Call) -> Response:
        _checked(call).delete(plural, call.path("name"), call.path("version"))
        return reply(status=204)

    return handler


def begin_import(call: Call) -> Response:
    """202 first, always; the address that it names answers 200 without a body at the end."""
    kind = (
        "environments" if "/environments/" in str(call.body) else "models"
    )  # the source is read as the caller
    call.service.roles.demand(call.who, f"{WORKSPACES}/{kind}/versions/read", "workspace")
    operation = _checked(call).begin_import(call.body, call.who)
    place = f"{call.service.settings.arm}{SERVICE}/registries/operations/{operation}"
    return reply(status=202, headers={"Location": place, "Retry-After": "1"})


def import_result(call: Call) -> Response:
    document = call.service.operations.document(call.path("operation"))
    if document["status"] == "InProgress":
        return reply(status=202, headers={"Location": str(call.request.url), "Retry-After": "1"})
    if "error" in document:
        return reply({"error": document["error"]}, 400)
    return reply(status=200)


def upload_reference(call: Call) -> Response:
    """Where the files of a version would be uploaded; the client asks even for what has none."""
    _checked(call)
    container = upload_container()
    call.service.blobs.create_container(container)
    address = f"{call.service.settings.storage('blob')}/{container}"
    sas = {"credentialType": "SAS", "sasUri": f"{address}?{call.service.sas(container, write=True)}"}
    return reply(
        {
            "temporaryDataReferenceId": str(uuid.uuid4()),
            "temporaryDataReferenceType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {"blobUri": address, "credential": sas},
        }
    )


def set_regions(call: Call) -> Response:
    """PUT /local/registry {"regions": [...]}: those that the registry serves, until the next."""
    _registry(call).regions = [str(region) for region in call.body.get("regions", [LOCATION])]
    return reply(status=204)


def _checked(call: Call) -> Registry:
    found = _registry(call)
    found.check(call.path("registry"))
    return found


def _registry(call: Call) -> Registry:
    return call.service.get(Registry)

"""Assets over HTTP. One set of handlers serves all kinds, as in Azure ML."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from local.assets.models import Assets, upload_container
from local.refusal import ArmError
from local.state import Document
from local.web import Call, Handler, listing, reply

_SELECTED = ("listViewType", "$orderBy", "$top", "hash", "hashVersion")


def put_version(plural: str) -> Handler:
    def handler(call: Call) -> Response:
        resource, new = _assets(call).put(plural, call.path("name"), call.path("version"), call.body)
        return reply(resource, 201 if new else 200)

    return handler


def get_version(plural: str) -> Handler:
    return lambda call: reply(_assets(call).get(plural, call.path("name"), call.path("version")))


def list_versions(plural: str) -> Handler:
    def handler(call: Call) -> Response:
        if plural == "codes" and call.query("hash"):
            found = _assets(call).codes_with_hash(call.query("hash"), call.query("hashVersion"))
        else:
            found = _assets(call).versions(plural, call.path("name"))
        return listing(call, _selected(call, found), _SELECTED)

    return handler


def get_container(plural: str) -> Handler:
    return lambda call: reply(_assets(call).container(plural, call.path("name")))


def put_container(plural: str) -> Handler:
    return lambda call: reply(_assets(call).put_container(plural, call.path("name"), call.body))


def list_containers(plural: str) -> Handler:
    def handler(call: Call) -> Response:
        assets = _assets(call)
        found = [assets.container(plural, name) for name in assets.names(plural)]
        return listing(call, _selected(call, found), _SELECTED)

    return handler


def start_pending_upload(call: Call) -> Response:
    """An empty container of its own and a SAS to fill it: the only way in which the SDK uploads code."""
    service = call.service
    container = upload_container()
    service.blobs.create_container(container)
    address = f"{service.settings.storage('blob')}/{container}"
    return reply(
        {
            "pendingUploadId": str(uuid.uuid4()),
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {
                "blobUri": address,
                "storageAccountArmId": "",
                "credential": {
                    "credentialType": "SAS",
                    "sasUri": f"{address}?{service.sas(container, write=True)}",
                },
            },
        }
    )


def _selected(call: Call, found: list[Document]) -> list[Document]:
    """Filtered, ordered and cut as the query says."""
    view = call.query("listViewType", "ActiveOnly")
    if view != "All":
        archived = view == "ArchivedOnly"
        found = [each for each in found if bool(each["properties"].get("isArchived")) is archived]
    return ordered(call, found)


def ordered(call: Call, found: list[Document]) -> list[Document]:
    """What is oldest first, as `$orderBy` and `$top` want it."""
    order = call.query("$orderBy").lower()
    if order not in ("", "createdtime asc", "createdtime desc"):
        raise ArmError(501, "NotEmulated", f"$orderBy={order!r} is not emulated by the local Azure.")
    if order == "createdtime desc":
        found = found[::-1]
    top = call.query("$top")
    return found[: int(top)] if top else found


def _assets(call: Call) -> Assets:
    return call.service.get(Assets)

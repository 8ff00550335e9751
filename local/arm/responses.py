"""The management calls of the SDK that concern no single service, and the control surface of the paces."""

from __future__ import annotations

from starlette.responses import Response

from local.arm import models, network
from local.arm.exceptions import NoSuchOperation
from local.progress import Pace
from local.refusal import ArmError
from local.settings import DATASTORES
from local.web import Call, listing, reply


def metadata(call: Call) -> Response:
    return reply([models.cloud(call.service.settings)])


def workspace(call: Call) -> Response:
    found = models.workspace(call.service.settings)
    return reply(found | {"properties": found["properties"] | network.differing(call.service, "workspace")})


def discovery(call: Call) -> Response:
    return reply(models.discovery(call.service.settings))


def datastores(call: Call) -> Response:
    found = [models.datastore(call.service.settings, name) for name in DATASTORES]
    if call.query("isDefault").lower() == "true":
        found = [one for one in found if one["properties"]["isDefault"]]
    wanted = [name for name in call.query("names").split(",") if name]
    shown = [one for one in found if not wanted or one["name"] in wanted]
    return listing(call, shown, ("isDefault", "names", "count", "skip", "orderBy", "orderByAsc"))


def datastore(call: Call) -> Response:
    return reply(models.datastore(call.service.settings, call.path("name")))


def datastore_secrets(call: Call) -> Response:
    """A SAS for an hour; the account key is never an answer."""
    found = models.datastore(call.service.settings, call.path("name"))
    token = call.service.sas(found["properties"]["containerName"], write=True)
    return reply({"secretsType": "Sas", "sasToken": token})


def operation(call: Call) -> Response:
    name = call.path("operation")
    try:
        return reply(call.service.operations.document(name), headers={"Retry-After": "1"})
    except LookupError as error:
        raise NoSuchOperation(name) from error


def operation_result(call: Call) -> Response:
    """202 while the operation runs, then 200: how Azure ML's cancel is followed."""
    name = call.path("operation")
    try:
        document = call.service.operations.document(name)
    except LookupError as error:
        raise NoSuchOperation(name) from error
    if document["status"] == "InProgress":
        location = {"Location": str(call.request.url), "Retry-After": "1"}
        return reply({}, 202, location)
    return reply({}, 200)


def set_pace(call: Call) -> Response:
    """PUT /local/pace/{kind} {"pace": "immediate" | "3 looks" | "2.5 seconds"}."""
    try:
        pace = Pace.parse(str(call.body.get("pace", "")))
    except ValueError as error:
        raise ArmError(400, "InvalidPace", str(error)) from error
    call.service.operations.set_pace(call.path("kind"), pace)
    return reply(status=204)


def set_throttle(call: Call) -> Response:
    """PUT /local/throttle {"requests": 3, "retry_after_s": 60, "path": "onlineEndpoints"}; 0 requests end it.

    Answers {"refused": 2}: how many requests the throttle before this one refused.
    """
    try:
        requests, wait_s = int(call.body["requests"]), int(call.body.get("retry_after_s", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise ArmError(400, "InvalidThrottle", "requests and retry_after_s are whole numbers.") from error
    refused = call.service.throttle.set(requests, wait_s, str(call.body.get("path", "")))
    return reply({"refused": refused})

"""HTTP in and out of online endpoints and deployments: Resource Manager's side, and the control surface."""

from __future__ import annotations

from starlette.responses import Response

from local.endpoints.exceptions import Refused
from local.endpoints.models import Endpoints
from local.progress import Pace
from local.state import Document
from local.web import Call, listing, reply

PACED = ("endpoint", "endpoint.delete", "deployment", "deployment.delete")


def list_endpoints(call: Call) -> Response:
    return listing(call, _endpoints(call).all())


def get_endpoint(call: Call) -> Response:
    return reply(_endpoints(call).get(call.path("endpoint")))


def put_endpoint(call: Call) -> Response:
    return _begun(call, *_endpoints(call).put(call.path("endpoint"), call.body))


def delete_endpoint(call: Call) -> Response:
    return _deleting(call, _endpoints(call).delete(call.path("endpoint")))


def list_keys(call: Call) -> Response:
    return reply(_endpoints(call).keys(call.path("endpoint")))


def list_deployments(call: Call) -> Response:
    endpoints = _endpoints(call)
    endpoints.get(call.path("endpoint"))
    return listing(call, endpoints.deployments.of(call.path("endpoint")))


def get_deployment(call: Call) -> Response:
    endpoints = _endpoints(call)
    endpoints.get(call.path("endpoint"))
    return reply(endpoints.deployments.get(call.path("endpoint"), call.path("deployment")))


def put_deployment(call: Call) -> Response:
    endpoints = _endpoints(call)
    endpoints.refuse_when_busy(call.path("endpoint"))
    return _begun(call, *endpoints.deployments.put(call.path("endpoint"), call.path("deployment"), call.body))


def delete_deployment(call: Call) -> Response:
    endpoints = _endpoints(call)
    endpoints.refuse_when_busy(call.path("endpoint"))
    return _deleting(call, endpoints.deployments.delete(call.path("endpoint"), call.path("deployment")))


def get_logs(call: Call) -> Response:
    endpoints = _endpoints(call)
    lines = int(call.body.get("tail") or 50)
    if str(call.body.get("containerType") or "InferenceServer") != "InferenceServer":
        return reply({"content": ""})  # the storage initializer is done by us, and leaves no log
    return reply(
        {"content": endpoints.deployments.log(call.path("endpoint"), call.path("deployment"), lines)}
    )


def set_endpoint_faults(call: Call) -> Response:
    return reply(_endpoints(call).faults.set_endpoint(call.path("endpoint"), call.body))


def set_deployment_faults(call: Call) -> Response:
    faults = _endpoints(call).faults
    return reply(faults.set_serving(call.path("endpoint"), call.path("deployment"), call.body))


def set_collector(call: Call) -> Response:
    return reply(_endpoints(call).faults.set_collector(call.body))


def set_pace(call: Call) -> Response:
    """How long operations of a kind seem to take: `immediate`, `<n> looks` or `<t> seconds`."""
    kind = str(call.body.get("kind"))
    if kind not in PACED:
        raise Refused(f"The kind is one of {', '.join(PACED)}, not {kind!r}.")
    try:
        call.service.operations.set_pace(kind, Pace.parse(str(call.body.get("pace"))))
    except ValueError as error:
        raise Refused(str(error)) from error
    return reply(call.body)


def set_seed(call: Call) -> Response:
    """From now on the choices by weight, and what the collector batches, are the same for the same requests."""
    if not isinstance(call.body.get("seed"), int):
        raise Refused("The body must be {'seed': <whole number>}.")
    _endpoints(call).board.chance.seed(call.body["seed"])
    _endpoints(call).deployments.collector.chance.seed(call.body["seed"])
    return reply(call.body)


def _endpoints(call: Call) -> Endpoints:
    return call.service.get(Endpoints)


def _begun(call: Call, shown: Document, operation: str, new: bool) -> Response:
    return reply(shown, 201 if new else 200, call.service.operations.headers(operation))


def _deleting(call: Call, operation: str) -> Response:
    headers = call.service.operations.headers(operation)
    return reply(None, 202, headers | {"Location": headers["Azure-AsyncOperation"]})

"""HTTP in and out of batch endpoints: Resource Manager's side, and the address that callers have."""

from __future__ import annotations

from starlette.responses import Response

from local.batch.invocation import invoke
from local.batch.models import PACED, BatchEndpoints
from local.endpoints.exceptions import Refused
from local.progress import Pace
from local.state import Document
from local.web import Call, listing, reply

_WRITE = "Microsoft.MachineLearningServices/workspaces/batchEndpoints/{}jobs/write"


def list_endpoints(call: Call) -> Response:
    return listing(call, _batch(call).all(), ("count",))


def get_endpoint(call: Call) -> Response:
    return reply(_batch(call).get(call.path("endpoint")))


def put_endpoint(call: Call) -> Response:
    return _begun(call, *_batch(call).put(call.path("endpoint"), call.body))


def delete_endpoint(call: Call) -> Response:
    return _deleting(call, _batch(call).delete(call.path("endpoint")))


def list_deployments(call: Call) -> Response:
    return listing(call, _batch(call).deployments(call.path("endpoint")))


def get_deployment(call: Call) -> Response:
    return reply(_batch(call).deployment(call.path("endpoint"), call.path("deployment")))


def put_deployment(call: Call) -> Response:
    named = call.path("endpoint"), call.path("deployment")
    return _begun(call, *_batch(call).put_deployment(*named, call.body))


def delete_deployment(call: Call) -> Response:
    return _deleting(call, _batch(call).delete_deployment(call.path("endpoint"), call.path("deployment")))


def invoke_endpoint(call: Call) -> Response:
    named = call.header("azureml-model-deployment")
    call.service.roles.demand(call.who, _WRITE.format("deployments/" if named else ""), "workspace")
    return reply(invoke(call.service, call.path("endpoint"), named, call.body, call.who), 201)


def set_pace(call: Call) -> Response:
    """PUT /local/batch/pace {"kind": "batch.deployment", "pace": "2 looks"}."""
    kind = str(call.body.get("kind"))
    if kind not in PACED:
        raise Refused(f"The kind is one of {', '.join(PACED)}, not {kind!r}.")
    call.service.operations.set_pace(kind, Pace.parse(str(call.body.get("pace"))))
    return reply(call.body)


def _batch(call: Call) -> BatchEndpoints:
    return call.service.get(BatchEndpoints)


def _begun(call: Call, shown: Document, operation: str, new: bool) -> Response:
    return reply(shown, 201 if new else 200, call.service.operations.headers(operation))


def _deleting(call: Call, operation: str) -> Response:
    headers = call.service.operations.headers(operation)
    return reply(None, 202, headers | {"Location": headers["Azure-AsyncOperation"]})

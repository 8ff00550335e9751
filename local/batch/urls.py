"""The addresses of batch endpoints: Resource Manager's, the one that is called, and the control surface's."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.batch import responses
from local.batch.models import BatchEndpoints
from local.endpoints.router import AUDIENCE
from local.service import Service
from local.web import arm, control, secured

_ENDPOINT = "/batchEndpoints/{endpoint}"
_DEPLOYMENT = f"{_ENDPOINT}/deployments/{{deployment}}"

routes: list[BaseRoute] = [
    arm("/batchEndpoints", responses.list_endpoints),
    arm(_ENDPOINT, responses.get_endpoint),
    arm(_ENDPOINT, responses.put_endpoint, ["PUT"]),
    arm(_ENDPOINT, responses.delete_endpoint, ["DELETE"]),
    arm(f"{_ENDPOINT}/deployments", responses.list_deployments),
    arm(_DEPLOYMENT, responses.get_deployment),
    arm(_DEPLOYMENT, responses.put_deployment, ["PUT"]),
    arm(_DEPLOYMENT, responses.delete_deployment, ["DELETE"]),
    secured("/batch/{endpoint}/jobs", responses.invoke_endpoint, ["POST"], audiences=("ml", AUDIENCE)),
    control("/batch/pace", responses.set_pace, ["PUT"]),
]


def start(service: Service) -> None:
    service.add(BatchEndpoints(service))

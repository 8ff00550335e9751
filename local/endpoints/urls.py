"""The addresses of online endpoints: Resource Manager's, the scoring address, and the control surface's."""

from __future__ import annotations

import logging

from starlette.routing import BaseRoute

from local.endpoints import responses, router
from local.endpoints.models import Endpoints
from local.service import Service
from local.web import CaselessRoute, action_of, arm, control

_ENDPOINT = "/onlineEndpoints/{endpoint}"
_DEPLOYMENT = f"{_ENDPOINT}/deployments/{{deployment}}"

_score = CaselessRoute("/endpoints/{endpoint}/score", router.score, ["POST"])
_score.action = action_of("/onlineEndpoints/score", "POST")  # the router asks for it: a key needs no role

routes: list[BaseRoute] = [
    _score,
    arm("/onlineEndpoints", responses.list_endpoints),
    arm(_ENDPOINT, responses.get_endpoint),
    arm(_ENDPOINT, responses.put_endpoint, ["PUT"]),
    arm(_ENDPOINT, responses.delete_endpoint, ["DELETE"]),
    arm(f"{_ENDPOINT}/listKeys", responses.list_keys, ["POST"]),
    arm(f"{_ENDPOINT}/deployments", responses.list_deployments),
    arm(_DEPLOYMENT, responses.get_deployment),
    arm(_DEPLOYMENT, responses.put_deployment, ["PUT"]),
    arm(_DEPLOYMENT, responses.delete_deployment, ["DELETE"]),
    arm(f"{_DEPLOYMENT}/getLogs", responses.get_logs, ["POST"]),
    control("/endpoints/collector", responses.set_collector, ["PUT"]),
    control("/endpoints/pace", responses.set_pace, ["PUT"]),
    control("/endpoints/seed", responses.set_seed, ["PUT"]),
    control("/endpoints/{endpoint}/faults", responses.set_endpoint_faults, ["PUT"]),
    control(
        "/endpoints/{endpoint}/deployments/{deployment}/faults", responses.set_deployment_faults, ["PUT"]
    ),
]
_started: list[Endpoints] = []


def start(service: Service) -> None:
    """The deployments that served before serve again when this returns."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each scoring request
    endpoints = Endpoints(service)
    service.add(endpoints)
    _started.append(endpoints)
    endpoints.resume()


def stop() -> None:
    while _started:
        _started.pop().deployments.stop()

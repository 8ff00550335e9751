"""Each scoring request reaches exactly one deployment, by header or by weight, and leaves one row in the log."""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.endpoints.board import Routed, Target
from local.endpoints.collector import Frame
from local.endpoints.endpoint_faults import Serving
from local.endpoints.models import Endpoints
from local.identity.exceptions import Unauthorized
from local.logs.models import TRAFFIC_LOG, TrafficLog
from local.refusal import ArmError
from local.service import Service
from local.settings import LOCATION, LOGS_WORKSPACE_ID, SUBSCRIPTION, WORKSPACE, WORKSPACE_GUID, WORKSPACE_ID
from local.state import Document
from local.web import action_of

AUDIENCE = "https://ml.azure.com"  # what the SDK's get_keys asks a token for, in every cloud
DEPLOYMENT_HEADER = "azureml-model-deployment"
_PASSED_ON = ("content-type", "accept", "traceparent")
_NOT_IN_CLIENT_IDS = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_CLIENT_ID = 40
_LONGEST_USER_AGENT = 70
_PHRASES = {each.value: each.phrase for each in HTTPStatus}
_client: list[httpx.AsyncClient] = []


@dataclass
class Answer:
    """What the client gets, and what the log says of it."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    deployment: str = ""
    model_status: int | None = None


@dataclass(frozen=True)
class Arrived:
    """One request, its body read."""

    request: Request
    content: bytes
    at: datetime
    began: float
    read_ms: float
    request_id: str
    """The service's own, a GUID: what a client sends as x-request-id is overwritten."""

    @property
    def client_id(self) -> str:
        given = self.request.headers.get("x-ms-client-request-id", "")
        return _NOT_IN_CLIENT_IDS.sub("", given)[:_LONGEST_CLIENT_ID]


async def score(request: Request) -> Response:
    service: Service = request.app.state.service
    began, at = time.perf_counter(), service.clock()
    content = await request.body()
    request_id = str(uuid.uuid4())
    arrived = Arrived(request, content, at, began, (time.perf_counter() - began) * 1000, request_id)
    endpoints = service.get(Endpoints)
    routed = endpoints.board.find(request.path_params["endpoint"])
    if routed is None:
        return JSONResponse({"error": {"code": "NotFound", "message": "There is no such endpoint."}}, 404)
    answer = await _answered(service, endpoints, routed, arrived)
    service.get(TrafficLog).add(at, _row(routed, arrived, answer))
    headers = answer.headers | {"x-ms-request-id": request_id, "x-request-id": request_id}
    if answer.deployment:
        headers[DEPLOYMENT_HEADER] = answer.deployment
    return Response(answer.content, answer.status, headers)


async def _answered(service: Service, endpoints: Endpoints, routed: Routed, arrived: Arrived) -> Answer:
    try:
        _admit(service, routed, arrived.request.headers.get("authorization", ""))
    except ArmError as refusal:
        return _error(
            refusal.status, "Unauthorized" if refusal.status == 401 else refusal.code, refusal.message
        )
    wanted = arrived.request.headers.get(DEPLOYMENT_HEADER)
    chosen = wanted.lower() if wanted else routed.choose(endpoints.board.chance)
    target = routed.targets.get(chosen) if chosen else None
    if target is None:
        what = (
            f"the deployment '{chosen}' does not serve" if chosen else "no deployment has a positive weight"
        )
        return _error(404, "NotFound", f"The endpoint '{routed.name}' cannot answer: {what}.", chosen or "")
    if target.in_flight >= target.most_at_once:
        message = (
            f"Too many pending requests: '{target.name}' takes {target.most_at_once} at once"
            " (2 x max_concurrent_requests_per_instance x instance_count)."
        )
        return _error(429, "TooManyRequests", message, target.name)
    target.in_flight += 1
    try:
        return await _forwarded(endpoints, target, arrived)
    finally:
        target.in_flight -= 1


def _admit(service: Service, routed: Routed, authorization: str) -> None:
    if routed.auth == "Key":
        scheme, _, key = authorization.partition(" ")
        known = [secrets.compare_digest(key.encode(), each.encode()) for each in routed.keys]
        if scheme.lower() != "bearer" or not any(known):
            raise Unauthorized("The endpoint's key is missing or wrong.")
        return
    who = service.tokens.check(authorization, [AUDIENCE])
    service.roles.demand(who, action_of("/onlineEndpoints/score", "POST"), "workspace")


async def _forwarded(endpoints: Endpoints, target: Target, arrived: Arrived) -> Answer:
    fault = endpoints.faults.serving(target.endpoint, target.name)
    if fault is not None and fault.delay_ms:
        await asyncio.sleep(fault.delay_ms / 1000)
    if fault is not None and endpoints.board.chance.random() < fault.error_rate:
        answer = _model_error(500, b'{"message": "The fault that was set for this deployment."}', target)
    else:
        answer = await _asked(target, arrived)
    if fault is not None and fault.shift_rate and answer.status == 200:
        answer.content = _shifted(answer.content, fault, arrived.content, endpoints.board.chance)
    _collect(endpoints, target, arrived, answer)
    return answer


async def _asked(target: Target, arrived: Arrived) -> Answer:
    given = arrived.request.headers
    headers = {name: given[name] for name in _PASSED_ON if name in given}
    headers |= {"x-request-id": arrived.request_id, "x-ms-client-request-id": arrived.client_id}
    try:
        response = await _http().post(
            f"{target.scoring.address}/score",
            content=arrived.content,
            headers=headers,
            timeout=target.timeout_s,
        )
    except httpx.TimeoutException:
        message = f"The model took longer than the request timeout of {target.timeout_s:g} s."
        return _error(408, "RequestTimeout", message, target.name)
    except httpx.TransportError as error:
        message = f"No process answers behind '{target.name}': {type(error).__name__}."
        return _error(503, "ServiceUnavailable", message, target.name)
    if response.status_code != 200:
        return _model_error(response.status_code, response.content, target)
    kept = {name: response.headers[name] for name in ("content-type",) if name in response.headers}
    return Answer(200, response.content, kept, target.name, 200)


def _shifted(content: bytes, fault: Serving, asked: bytes, chance: random.Random) -> bytes:
    """A list's members are its predictions; any other answer is one."""
    answer = json.loads(content)
    predictions = answer if isinstance(answer, list) else [answer]
    concerned = _concerned(asked, fault.shift_where, len(predictions))
    shifted = [
        fault.shift_to if concerns and chance.random() < fault.shift_rate else each
        for concerns, each in zip(concerned, predictions, strict=True)
    ]
    return json.dumps(shifted if isinstance(answer, list) else shifted[0]).encode()


def _concerned(asked: bytes, where: str, rows: int) -> list[bool]:
    """For each row of pandas' split form whether it has `column=value`; all rows where nothing is said."""
    if not where:
        return [True] * rows
    column, _, value = where.partition("=")
    table = json.loads(asked)["input_data"]
    at = table["columns"].index(column)
    return [str(row[at]) == value for row in table["data"]]


def _model_error(status: int, content: bytes, target: Target) -> Answer:
    """Whatever the model answers but 200 becomes 424, with its own status in a header."""
    headers = {
        "content-type": "application/json",
        "ms-azureml-model-error-statuscode": str(status),
        "ms-azureml-model-error-reason": "model_error",
    }
    return Answer(424, content, headers, target.name, status)


def _error(status: int, code: str, message: str, deployment: str = "") -> Answer:
    content = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Answer(status, content, {"content-type": "application/json"}, deployment)


def _collect(endpoints: Endpoints, target: Target, arrived: Arrived, answer: Answer) -> None:
    """Payload logging: what the client sent and got, under the request's id. Only answers of the model."""
    if answer.status != 200:
        return
    ids = {"correlationid": arrived.request_id, "xrequestid": arrived.request_id}
    for name, content in (("request", arrived.content), ("response", answer.content)):
        if endpoints.board.chance.random() >= target.collected.get(name, 0.0):
            continue
        extra = {"path": "/score", "method": "POST"} | ids
        kind = arrived.request.headers.get("content-type", "") if name == "request" else "application/json"
        frame = Frame(name, arrived.at, content, kind, extra)
        endpoints.deployments.collector.take((target.endpoint, target.name), frame)


def _http() -> httpx.AsyncClient:
    """One client for the process's only event loop, made inside it."""
    if not _client or _client[0].is_closed:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        _client[:] = [httpx.AsyncClient(trust_env=False, limits=limits)]
    return _client[0]


def _row(routed: Routed, arrived: Arrived, answer: Answer) -> Document:
    request = arrived.request
    total_ms = (time.perf_counter() - arrived.began) * 1000
    version = request.scope.get("http_version", "1.1")
    model = answer.model_status
    return {
        "AuthType": "Key" if routed.auth == "Key" else "AADToken",
        "AzureMLWorkspaceId": WORKSPACE_GUID,
        "AzureMLWorkspaceName": WORKSPACE,
        "DeploymentName": answer.deployment,
        "EndpointName": routed.name,
        "Location": LOCATION,
        "Method": request.method,
        "ModelStatusCode": model,
        "ModelStatusReason": _phrase(model) if model else "",
        "OperationName": "Inference",
        "Path": request.url.path,
        "Protocol": f"HTTP/{version}",
        "RequestDurationMs": round(arrived.read_ms),
        "RequestPayloadSize": len(arrived.content),
        "RequestThrottlingDelayMs": 0,
        "ResponseCode": answer.status,
        "ResponseCodeReason": _phrase(answer.status),
        "ResponseDurationMs": round(total_ms - arrived.read_ms),
        "ResponsePayloadSize": len(answer.content),
        "ResponseThrottlingDelayMs": 0,
        "SourceSystem": "Azure",
        "TenantId": LOGS_WORKSPACE_ID,
        "TotalDurationMs": round(total_ms),
        "Type": TRAFFIC_LOG,
        "UserAgent": request.headers.get("user-agent", "")[:_LONGEST_USER_AGENT],
        "XMSClientRequestId": arrived.client_id,
        "XRequestId": arrived.request_id,
        "_ResourceId": WORKSPACE_ID.lower(),
        "_SubscriptionId": SUBSCRIPTION,
    }


def _phrase(status: int) -> str:
    return _PHRASES.get(status, "")

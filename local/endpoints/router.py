"""Each scoring request is answered by exactly one deployment, by header or by weight, and leaves one row in the log.

A copy of one that names no deployment may go to the one that gets mirrored traffic, whose answer nobody sees and which
leaves a row of its own. What happens at a limit: how-to-troubleshoot-online-endpoints.md, "HTTP status codes".
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import secrets
import time
import uuid
from dataclasses import replace

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.endpoints import limits
from local.endpoints.board import Routed, Target
from local.endpoints.collector import Frame
from local.endpoints.endpoint_faults import Serving
from local.endpoints.exchange import Answer, Arrived, row
from local.endpoints.models import Endpoints
from local.identity.exceptions import Unauthorized
from local.identity.roles import object_id
from local.logs.models import TrafficLog
from local.refusal import ArmError
from local.service import Service
from local.web import action_of

AUDIENCE = "https://ml.azure.com"  # what the SDK's get_keys asks a token for, in every cloud
DEPLOYMENT_HEADER = "azureml-model-deployment"
_PASSED_ON = ("content-type", "accept", "traceparent")
_client: list[httpx.AsyncClient] = []
_behind: set[asyncio.Task[None]] = set()
"""What nobody waits for: mirrored requests, and work that goes on after its caller has gone."""
_log = logging.getLogger(__name__)


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
    service.get(TrafficLog).add(at, row(routed, arrived, answer))
    _mirror(service, endpoints, routed, arrived, answer)
    headers = answer.headers | {"x-ms-request-id": request_id, "x-request-id": request_id}
    if answer.deployment:
        headers[DEPLOYMENT_HEADER] = answer.deployment
    return Response(answer.content, answer.status, headers)


async def _answered(service: Service, endpoints: Endpoints, routed: Routed, arrived: Arrived) -> Answer:
    try:
        identity = _admit(service, routed, arrived.request.headers.get("authorization", ""))
    except ArmError as refusal:
        return _error(
            refusal.status, "Unauthorized" if refusal.status == 401 else refusal.code, refusal.message
        )
    if not routed.admits(int(time.monotonic()), limits.MOST_A_SECOND):
        message = f"Rate-limited: an endpoint takes {limits.MOST_A_SECOND} requests a second."
        return _error(429, "TooManyRequests", message)
    wanted = arrived.request.headers.get(DEPLOYMENT_HEADER)
    chosen = wanted.lower() if wanted else routed.choose(endpoints.board.chance)
    target = routed.targets.get(chosen) if chosen else None
    if target is None:
        what = (
            f"the deployment '{chosen}' does not serve" if chosen else "no deployment has a positive weight"
        )
        return _error(404, "NotFound", f"The endpoint '{routed.name}' cannot answer: {what}.", chosen or "")
    return replace(await _of(endpoints, target, arrived), identity=identity)


async def _of(endpoints: Endpoints, target: Target, arrived: Arrived) -> Answer:
    """A deployment's answer, unless it has too much to do."""
    if target.in_flight >= target.most_at_once:
        message = (
            f"Too many pending requests: '{target.name}' takes {target.most_at_once} at once"
            " (2 x max_concurrent_requests_per_instance x instance_count)."
        )
        return _error(429, "TooManyRequests", message, target.name)
    target.in_flight += 1
    goes_on: asyncio.Task[httpx.Response] | None = None
    try:
        answer = await _forwarded(endpoints, target, arrived)
        goes_on = answer.goes_on
        return answer
    finally:
        if goes_on is None:
            target.in_flight -= 1
        else:
            _behind_the_answer(asyncio.create_task(_let_go(target, goes_on)))


def _mirror(service: Service, endpoints: Endpoints, routed: Routed, arrived: Arrived, answer: Answer) -> None:
    """A copy for the deployment that gets mirrored traffic. Of a request that names a deployment there is none."""
    if arrived.request.headers.get(DEPLOYMENT_HEADER) or not answer.deployment:
        return
    shadow = routed.targets.get(routed.shadow(endpoints.board.chance) or "")
    if shadow is None:
        return
    copy = replace(arrived, request_id=str(uuid.uuid4()), began=time.perf_counter())

    async def ask() -> None:
        hidden = replace(await _of(endpoints, shadow, copy), identity=answer.identity)
        service.get(TrafficLog).add(arrived.at, row(routed, copy, hidden))

    _behind_the_answer(asyncio.create_task(ask()))


def _behind_the_answer(task: asyncio.Task[None]) -> None:
    _behind.add(task)
    task.add_done_callback(_behind.discard)


def _admit(service: Service, routed: Routed, authorization: str) -> str:
    """The object id of who asks, where tokens say so."""
    if routed.auth == "Key":
        scheme, _, key = authorization.partition(" ")
        known = [secrets.compare_digest(key.encode(), each.encode()) for each in routed.keys]
        if scheme.lower() != "bearer" or not any(known):
            raise Unauthorized("The endpoint's key is missing or wrong.")
        return ""
    who = service.tokens.check(authorization, [AUDIENCE])
    service.roles.demand(who, action_of("/onlineEndpoints/score", "POST"), "workspace")
    return object_id(who)


async def _forwarded(endpoints: Endpoints, target: Target, arrived: Arrived) -> Answer:
    fault = endpoints.faults.serving(target.endpoint, target.name)
    if fault is not None and fault.delay_ms:
        await asyncio.sleep(fault.delay_ms / 1000)
    if fault is not None and endpoints.board.chance.random() < fault.error_rate:
        answer = _model_error(500, b'{"message": "The fault that was set for this deployment."}', target)
    else:
        answer = await _asked(endpoints, target, arrived)
    if fault is not None and fault.shift_rate and answer.status == 200:
        answer.content = _shifted(answer.content, fault, arrived.content, endpoints.board.chance)
    _collect(endpoints, target, arrived, answer)
    return answer


async def _asked(endpoints: Endpoints, target: Target, arrived: Arrived) -> Answer:
    given = arrived.request.headers
    headers = {name: given[name] for name in _PASSED_ON if name in given}
    headers |= {"x-request-id": arrived.request_id, "x-ms-client-request-id": arrived.client_id}
    asked = asyncio.create_task(_posted(target, arrived.content, headers))
    done, _ = await asyncio.wait({asked}, timeout=target.timeout_s)
    if not done:  # the model goes on all the same, and takes its place (azure-sdk-for-python#36296)
        message = f"The model took longer than the request timeout of {target.timeout_s:g} s."
        return replace(_error(408, "RequestTimeout", message, target.name), goes_on=asked)
    try:
        response = asked.result()
    except httpx.TransportError as error:
        endpoints.deployments.revive(target)
        message = f"No process answers behind '{target.name}': {type(error).__name__}."
        return _model_error(502, json.dumps({"message": message}).encode(), target)
    if response.status_code != 200:
        return _model_error(response.status_code, response.content, target)
    kept = {name: response.headers[name] for name in ("content-type",) if name in response.headers}
    return Answer(200, response.content, kept, target.name, 200)


async def _posted(target: Target, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return await _http().post(
        f"{target.scoring.address}/score", content=content, headers=headers, timeout=limits.LONGEST_TIMEOUT_S
    )


async def _let_go(target: Target, asked: asyncio.Task[httpx.Response]) -> None:
    try:
        await asked
    except httpx.HTTPError as error:
        _log.info("an answer that nobody waited for: %s", type(error).__name__)
    finally:
        target.in_flight -= 1


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
        many = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        _client[:] = [httpx.AsyncClient(trust_env=False, limits=many)]
    return _client[0]

"""Requests reach a service as ARM promises: ids in any case, tokens checked, errors in ARM's shape."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from local.refusal import ArmError
from local.service import Service
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE
from local.state import Document

PAGE = 10
_API_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview|-privatepreview)?")
WORKSPACE_PATH = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)


@dataclass(frozen=True)
class Call:
    """One request, its body read."""

    service: Service
    request: Request = field(repr=False)
    content: bytes = field(repr=False)
    who: str = ""
    """Whose token it brought, an identity of infra/identities.yaml; empty where no token is asked for."""

    @property
    def body(self) -> Document:
        """The JSON body; an empty body is an empty object, as ARM takes it."""
        if not self.content:
            return {}
        try:
            parsed = json.loads(self.content)
        except ValueError as error:
            raise ArmError(400, "InvalidRequestContent", f"The body is not JSON: {error}.") from error
        if not isinstance(parsed, dict):
            raise ArmError(400, "InvalidRequestContent", "The body must be a JSON object.")
        return parsed

    def path(self, name: str) -> str:
        value = self.request.path_params[name]
        return value if isinstance(value, str) else str(value)

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def header(self, name: str, default: str = "") -> str:
        return self.request.headers.get(name, default)


Handler = Callable[[Call], Response]


def reply(body: object = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; an empty one without a body."""
    if body is None:
        return Response(status_code=status, headers=dict(headers or {}))
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def listing(call: Call, found: Sequence[Document], known: Sequence[str] = ()) -> Response:
    """A page of a list, and where the next one is.

    Azure's pages are larger; whoever takes the first for all would not notice there. A parameter that is neither ours
    nor among `known` would be a filter that does nothing: 501.
    """
    unknown = sorted(set(call.request.query_params) - {"api-version", "$skipToken", *known})
    if unknown:
        raise ArmError(501, "NotEmulated", f"The local Azure does not emulate lists by {', '.join(unknown)}.")
    begin = int(call.query("$skipToken") or 0)
    answer: Document = {"value": list(found[begin : begin + PAGE])}
    if len(found) > begin + PAGE:
        url = call.request.url.include_query_params(**{"$skipToken": begin + PAGE})
        answer["nextLink"] = f"{call.service.settings.arm}{url.path}?{url.query}"
    return reply(answer)


_shown: dict[str, Handler] = {}
"""How the resource at a path is shown, for conditions on what it is now."""
_one_condition_at_a_time = threading.Lock()


def check_api_version(call: Call) -> None:
    """As Resource Manager does (MicrosoftDocs/azure-docs, azure-resource-manager/troubleshooting/error codes:
    MissingApiVersionParameter, InvalidApiVersionParameter)."""
    version = call.query("api-version")
    if not version:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    if not _API_VERSION.fullmatch(version):
        raise ArmError(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid.")


class CaselessRoute(Route):
    """Matches its fixed segments in any case, and only its own methods: others are not emulated (501)."""

    action = ""
    """What the caller's role must allow."""

    def __init__(self, path: str, endpoint: Callable[..., object], methods: Sequence[str]) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (match, child) if match is Match.FULL else (Match.NONE, {})


def arm(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> Route:
    """A route below the workspace's ARM id, for tokens of Azure Resource Manager."""

    def in_workspace(call: Call) -> Response:
        named = (call.path("subscription"), call.path("group"), call.path("workspace"))
        if [name.lower() for name in named] != [SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE]:
            raise ArmError(
                404,
                "ResourceNotFound",
                f"There is no workspace '{'/'.join(named)}' (subscription, resource group, name);"
                f" the local Azure has '{SUBSCRIPTION}/{RESOURCE_GROUP}/{WORKSPACE}'.",
            )
        check_api_version(call)
        return _conditioned(call, path, handler)

    if "GET" in methods:
        _shown[path] = handler
    needed = action_of(path, methods[0])
    return secured(WORKSPACE_PATH + path, in_workspace, methods, audiences=("arm",), action=needed)


def _conditioned(call: Call, path: str, handler: Handler) -> Response:
    """Answers bear an ETag, and a write under a condition that does not hold is 412.

    Source: Azure/azure-resource-manager-rpc, v1.0/resource-api-reference.md, "Put Resource". Azure ML's own client
    sends no condition, so nothing of the product may rest on one.
    """
    if call.request.method == "GET":
        answer = handler(call)
        answer.headers["ETag"] = _etag(answer)
        return answer
    wanted, unwanted = call.header("if-match"), call.header("if-none-match")
    show = _shown.get(path)
    if show is None or not (wanted or unwanted):
        return handler(call)
    with _one_condition_at_a_time:
        try:
            now = _etag(show(call))
        except ArmError:
            now = ""
        if (wanted and not _names(wanted, now)) or (unwanted and _names(unwanted, now)):
            raise ArmError(
                412, "PreconditionFailed", "The resource does not meet the condition of the request."
            )
        return handler(call)


def _etag(answer: Response) -> str:
    return f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:32]}"'


def _names(condition: str, etag: str) -> bool:
    return bool(etag) and (condition == "*" or etag in [each.strip() for each in condition.split(",")])


def action_of(path: str, method: str) -> str:
    """The action that a path below the workspace needs: its types, then the verb, as Azure names them."""
    types = [part for part in path.split("/") if part and not part.startswith("{")]
    verb = {"GET": "read", "PUT": "write", "PATCH": "write", "POST": "action", "DELETE": "delete"}[method]
    return "/".join(["Microsoft.MachineLearningServices/workspaces", *types, verb])


def secured(
    path: str,
    handler: Handler,
    methods: Sequence[str] = ("GET",),
    *,
    audiences: Sequence[str],
    action: str = "",
    scope: str = "workspace",
) -> Route:
    """A route for bearer tokens of one of `audiences` (resource addresses, "arm", or "ml").

    Whose token it is must have a role that allows `action` on `scope`; without an action nobody is asked.
    """

    def with_token(call: Call) -> Response:
        who = call.service.tokens.check(call.header("authorization"), audiences)
        call.service.throttle.admit(call.request.url.path)
        if action:
            call.service.roles.demand(who, action, scope)
        return handler(replace(call, who=who))

    route = opened(path, with_token, methods)
    route.action = action
    return route


def control(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> Route:
    """A route of the control surface, below /local, for who knows the control secret."""

    def with_secret(call: Call) -> Response:
        if call.header("x-local-control") != call.service.settings.control_secret:
            raise ArmError(403, "Forbidden", "The control surface needs the header x-local-control.")
        return handler(call)

    return opened("/local" + path, with_secret, methods)


def opened(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> CaselessRoute:
    """A route that checks nothing itself. The handler runs in a thread, so it may block."""

    async def endpoint(request: Request) -> Response:
        call = Call(request.app.state.service, request, await request.body())
        try:
            return await run_in_threadpool(handler, call)
        except ArmError as error:
            return reply(error.body(), error.status, error.headers)

    return CaselessRoute(path, endpoint, methods)


async def not_emulated(request: Request) -> Response:
    version = request.query_params.get("api-version", "none")
    message = (
        f"{request.method} {request.url.path} (api-version {version}) is not emulated by the local Azure."
        " It answers only what it can answer as Azure would; see local/ for what is there."
    )
    return reply(ArmError(501, "NotEmulated", message).body(), 501)

"""An HTTP request reaches the one function that its route names, if its key allows; else a plain refusal."""

import base64
import logging
from collections.abc import Callable
from typing import cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.host import signin
from local.host.errors import InvocationFailed
from local.host.keys import Keys
from local.host.principal import BadToken, with_principal
from local.host.triggers import HttpTrigger

log = logging.getLogger(__name__)
Invoke = Callable[[str, str, object], dict[str, object]]


class TooLarge(Exception):
    """The body is longer than the host takes."""


class Front:
    """Answers for every HTTP function of the app."""

    def __init__(
        self,
        triggers: list[HttpTrigger],
        prefix: str,
        keys: Keys,
        signing_key: str,
        invoke: Invoke,
        body_limit_bytes: int,
    ) -> None:
        self._triggers = sorted(triggers, key=lambda t: t.route.rank)
        self._prefix, self._keys, self._signing_key, self._invoke = prefix, keys, signing_key, invoke
        self._body_limit_bytes = body_limit_bytes

    def app(self) -> Starlette:
        every = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=every)])

    async def _answer(self, request: Request) -> Response:
        path = request.url.path.strip("/")
        if path == "admin/host/ping":
            return Response(status_code=200)
        if (signed_in := signin.answer(request, self._signing_key)) is not None:
            return signed_in
        found = self._find(path, request.method)
        if found is None:
            return Response(status_code=404)
        trigger, parameters = found
        if not self._keys.admit(trigger.auth_level, trigger.function, request.headers, request.query_params):
            return Response(status_code=401)
        try:
            headers = with_principal(_joined(request.headers.items()), self._signing_key)
            body = await _body(request, self._body_limit_bytes)
        except BadToken as error:
            log.warning("a request to %s had a bad token: %s", trigger.function, error)
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        except TooLarge:
            return Response(status_code=413)
        value: dict[str, object] = {
            "method": request.method,
            "url": str(request.url),
            "headers": headers,
            "query": _joined(request.query_params.multi_items()),
            "params": parameters,
            "body": base64.b64encode(body).decode(),
        }
        return await run_in_threadpool(self._called, trigger.function, value)

    def _find(self, path: str, method: str) -> tuple[HttpTrigger, dict[str, str]] | None:
        if self._prefix:
            head, path = path[: len(self._prefix)], path[len(self._prefix) :]
            if head.lower() != self._prefix.lower() or (path and not path.startswith("/")):
                return None
        for trigger in self._triggers:
            parameters = trigger.route.match(path)
            if parameters is not None and method in trigger.methods:
                return trigger, parameters
        return None

    def _called(self, function: str, value: dict[str, object]) -> Response:
        try:
            answer = self._invoke(function, "http", value)
        except InvocationFailed:
            return Response(status_code=500)
        returned = cast(dict[str, object], answer["returned"])
        response = Response(
            base64.b64decode(str(returned["body"])), status_code=cast(int, returned["status"])
        )
        for name, content in cast(dict[str, str], returned["headers"]).items():
            response.headers[name] = content
        for cookie in cast(list[str], returned["cookies"]):
            response.headers.append("set-cookie", cookie)
        return response


def _joined(items: list[tuple[str, str]]) -> dict[str, str]:
    """The protocol to the worker has one value for each name: several are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in items:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


async def _body(request: Request, limit_bytes: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)

"""An HTTP request reaches the first function whose route and methods it fits, if its key allows; else a refusal."""

import asyncio
import base64
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.host import admin, cookies, paths, signin
from local.host.errors import InvocationFailed
from local.host.keys import Keys
from local.host.principal import BadToken, with_principal
from local.host.triggers import HttpTrigger

LONGEST_LINE, LONGEST_HEADERS = 8 * 1024, 32 * 1024

log = logging.getLogger(__name__)
Invoke = Callable[[str, str, object], Future[dict[str, object]]]


class TooLarge(Exception):
    """The body is longer than the host takes."""


class Front:
    """Answers for every HTTP function of the app. An ASGI app."""

    def __init__(
        self,
        triggers: list[HttpTrigger],
        prefix: str,
        keys: Keys,
        signing_key: str,
        begin: Invoke,
        body_limit_bytes: int,
        host: admin.Running,
        homepage_hidden: bool,
    ) -> None:
        self._triggers, self._prefix = triggers, prefix
        self._keys, self._signing_key, self._begin = keys, signing_key, begin
        self._body_limit_bytes, self._host = body_limit_bytes, host
        self._homepage_hidden = homepage_hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        status = _refused(scope)
        response = Response(status_code=status) if status else await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            path = paths.decoded(request.scope["raw_path"], request.headers.get("host", ""))
        except paths.BadTarget:
            return Response(status_code=400)
        if (signed_in := signin.answer(request, self._signing_key)) is not None:
            return signed_in
        if (own := admin.answer(path, request, self._keys, self._host)) is not None:
            return own
        found = self._find(path, request.method)
        if found is None:
            return admin.homepage(path, self._homepage_hidden) or Response(status_code=404)
        trigger, parameters = found
        if not self._keys.admit(trigger.auth_level, trigger.function, request.headers, request.query_params):
            return Response(status_code=401)
        try:
            headers = with_principal(_joined(request.headers.items()), self._signing_key)
            body = await _body(request, self._body_limit_bytes)
        except BadToken as error:
            log.warning("a request to %s had a bad token: %s", trigger.function, error)
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        except TooLarge:  # 413 would be right; the real host fails the invocation
            return Response(status_code=500, headers={"connection": "close"})
        query = request.scope["query_string"].decode("latin-1")
        value: dict[str, object] = {
            "method": request.method,
            "url": paths.url(request.url.scheme, request.headers.get("host", ""), path, query),
            "headers": headers,
            "query": _query(request.query_params.multi_items()),
            "params": parameters,
            "body": base64.b64encode(body).decode(),
        }
        return await self._called(trigger.function, value)

    def _find(self, path: str, method: str) -> tuple[HttpTrigger, dict[str, str]] | None:
        """In the order of registration, as on Azure: a variable route that comes first hides a fixed one."""
        path = path.removeprefix("/")
        if "//" in path or path.startswith("/"):
            return None  # an empty segment matches nothing, not even {*rest}
        if self._prefix:
            head, path = path[: len(self._prefix)], path[len(self._prefix) :]
            if head.lower() != self._prefix.lower() or (path and not path.startswith("/")):
                return None
            path = path.removeprefix("/")
        for trigger in self._triggers:
            parameters = trigger.route.match(path)
            if parameters is not None and (trigger.methods is None or method in trigger.methods):
                return trigger, parameters
        return None

    async def _called(self, function: str, value: dict[str, object]) -> Response:
        try:
            answer = await asyncio.wrap_future(self._begin(function, "http", value))
        except InvocationFailed:
            return Response(status_code=500)
        returned = cast(dict[str, object], answer["returned"])
        headers = cast(dict[str, str], returned["headers"])
        lines = [cookies.written(each) for each in cast(list[dict[str, str]], returned["cookies"])]
        if not all(_is_printable(text) for text in [*headers, *headers.values(), *lines]):
            log.error("%s answered with a header that HTTP cannot carry", function)
            return Response(status_code=500)
        body = base64.b64decode(str(returned["body"]))
        response = Response(body, status_code=cast(int, returned["status"]))
        for name, content in headers.items():
            response.headers[name] = content
        for line in lines:
            response.headers.append("set-cookie", line)
        return response


def _refused(scope: Scope) -> int:
    """Kestrel's limits: the status for a request that is past one, else 0."""
    line = (
        len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"]) + len("  ? HTTP/1.1\r\n")
    )
    if line > LONGEST_LINE:
        return 414
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if sum(len(name) + len(value) + len(": \r\n") for name, value in headers) > LONGEST_HEADERS:
        return 431
    return 400 if any(byte > 0x7F for _, value in headers for byte in value) else 0


def _is_printable(text: str) -> bool:
    return text.isascii() and not any(ord(character) < 0x20 and character != "\t" for character in text)


def _joined(items: list[tuple[str, str]]) -> dict[str, str]:
    """The protocol to the worker has one value for each name: several are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in items:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _query(items: list[tuple[str, str]]) -> dict[str, str]:
    """As ASP.NET: names without case, what is empty is left out of several."""
    names: dict[str, str] = {}
    found: dict[str, str] = {}
    for name, value in items:
        known = names.setdefault(name.casefold(), name)
        found[known] = ",".join(filter(None, (found.get(known, ""), value)))
    return found


async def _body(request: Request, limit_bytes: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)

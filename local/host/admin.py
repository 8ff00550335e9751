"""The host's own addresses: its page, its ping, and what its master key may ask. All else below them is 401 or 404."""

import json
import threading
from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from local.host.keys import Keys

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Functions host</title>
<body><h1>Your Functions app is up and running</h1></body></html>"""


def homepage(path: str, hidden: bool) -> Response | None:
    """What the host answers at its root, by any method, where no function does; None for any other path.

    `hidden` is the setting AzureWebJobsDisableHomepage (azure-functions-host, Middleware/HomepageMiddleware.cs).
    """
    if path != "/":
        return None
    return Response(status_code=204) if hidden else HTMLResponse(_PAGE)


class Running(Protocol):
    """The part of the host that its administrator sees."""

    functions: list[str]

    def run(self, function: str) -> bool:
        """Start a function that is not an HTTP one, and do not wait; False when there is no such function."""

    def drain(self) -> None:
        """Receive no more messages and start no more timers, but answer HTTP."""

    @property
    def drained(self) -> bool | None:
        """None when nobody asked; else whether all that ran is over."""


def answer(path: str, request: Request, keys: Keys, host: Running) -> Response | None:
    """The answer for one of the host's own addresses; None for the app's."""
    path = path.strip("/").lower()
    if path == "admin/host/ping":
        return Response(status_code=200 if request.method in ("GET", "POST") else 404)
    first = path.partition("/")[0]
    if first != "admin" and not path.startswith("runtime/webhooks"):
        return None
    if not keys.admit("admin", "", request.headers, request.query_params):
        return Response(status_code=401)
    known: dict[tuple[str, str], Callable[[], Response]] = {
        ("GET", "admin/host/status"): lambda: JSONResponse({"state": "Running"}),
        ("GET", "admin/functions"): lambda: JSONResponse([{"name": name} for name in host.functions]),
        ("POST", "admin/host/drain"): lambda: _drain(host),
        ("GET", "admin/host/drain/status"): lambda: JSONResponse({"state": _state(host)}),
    }
    if (request.method, path) in known:
        return known[request.method, path]()
    name = path.removeprefix("admin/functions/")
    started = name != path and request.method == "POST" and host.run(name)
    return Response(status_code=202 if started else 404)


def _drain(host: Running) -> Response:
    threading.Thread(target=host.drain, daemon=True).start()
    return Response(json.dumps({"isSuccess": True}), 202, media_type="application/json")


def _state(host: Running) -> str:
    return {None: "Disabled", False: "InProgress", True: "Completed"}[host.drained]

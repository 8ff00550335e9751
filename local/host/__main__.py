"""`python -m local.host --app DIR` runs a function app until SIGTERM or Ctrl-C, on 127.0.0.1 only.

It ends by itself where the real host does, with the same code 0: somebody must start it again (local/host/platform.py
does). An app that it refuses ends it with 1 and the reason.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import signal
import sys
from pathlib import Path

import uvicorn

from local.host import logs
from local.host.errors import AppRefused
from local.host.jobhost import Host, groups
from local.host.keys import Keys
from local.host.pace import Pace
from local.host.web import Front
from local.settings import Settings, settings_of

HTTP_DRAIN_S = 30.0
KEEP_ALIVE_S = 130
"""As Kestrel, in which the real host runs:
learn.microsoft.com/dotnet/api/microsoft.aspnetcore.server.kestrel.core.kestrelserverlimits.keepalivetimeout"""
BODY_LIMIT_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
HOMEPAGE_SETTING = "AzureWebJobsDisableHomepage"
DEFAULT_STATE = Path(__file__).resolve().parents[2] / ".local" / "state"

log = logging.getLogger("local.host")


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    logs.configure()
    settings = settings_of(chosen.state)
    ended = _End()
    try:
        host = Host(chosen.app.resolve(), os.environ, Pace(chosen.speed), ended.fatal)
    except AppRefused as error:
        for line in str(error).splitlines():
            log.critical("%s", line)
        print(f"The app was refused:\n{error}\n{error.on_azure}.", file=sys.stderr)  # noqa: T201 - for the person
        return 1
    if chosen.groups:
        print(json.dumps(groups(host.triggers)))  # noqa: T201 - what was asked for
        host.stop()
        return 0
    told = settings.folder / "host-functions.json"  # as a host tells the platform, which lists them
    told.with_suffix(".new").write_text(json.dumps(host.functions))
    told.with_suffix(".new").replace(told)
    port = settings.host_port if chosen.port is None else chosen.port
    _serve(host, _front(host, settings), port, Pace(chosen.speed), ended)
    if not host.stop():
        log.warning("what was running is cut; its messages come back when their ten minutes are over")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    add = parser.add_argument
    add("--app", type=Path, required=True, help="the folder that holds function_app.py and host.json")
    add("--state", type=Path, default=DEFAULT_STATE, help="the local Azure's state folder")
    add("--port", type=int, help="where to listen; the state folder's own port unless given, 0 for any")
    add("--speed", type=float, default=1.0, help="divides all of Azure's times, for tests; 1 unless given")
    add("--groups", action="store_true", help="print the app's groups of functions as JSON, and end")
    return parser


class _End:
    """Why the host ends by itself, and the server that must then stop; whatever comes first."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._reason = ""

    def fatal(self, reason: str) -> None:
        log.critical("unhandled exception, the host is shutting down: %s", reason)
        self._reason = self._reason or reason
        if self._server is not None:
            self._server.should_exit = True

    def watch(self, server: uvicorn.Server) -> None:
        self._server = server
        server.should_exit = bool(self._reason)


def _front(host: Host, settings: Settings) -> Front:
    return Front(
        host.triggers.http,
        host.configuration.route_prefix,
        Keys(settings.folder / "host-keys.json", host.functions),
        settings.signing_key,
        host.begin,
        int(os.environ.get(BODY_LIMIT_SETTING, "104857600")),
        host,
        os.environ.get(HOMEPAGE_SETTING, "").casefold() == "true",
    )


def _serve(host: Host, front: Front, port: int, pace: Pace, ended: _End) -> None:
    """Until a signal, or until the host ends itself. HTTP drains first; listeners go on meanwhile, as on Azure."""

    class Server(uvicorn.Server):
        """Says where it listens once it does, and lets the triggers begin only then."""

        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup()
            if self.started:
                host.start()
                actual = self.servers[0].sockets[0].getsockname()[1]
                print(f"functions host ready at http://127.0.0.1:{actual}", flush=True)  # noqa: T201 - promised line

        async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            asyncio.get_running_loop().call_later(pace.of(HTTP_DRAIN_S), self.cut)
            await super().shutdown()

        def cut(self) -> None:
            """What still waits for its answer gets none: the connection is reset."""
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    config = uvicorn.Config(
        front, host="127.0.0.1", port=port, log_config=None, lifespan="off", access_log=False,
        server_header=False, timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(pace.of(HTTP_DRAIN_S)) + 1,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at these, then raises them again for whoever was before it: we are, and stop in order.
        signal.signal(number, lambda *_: None)
    server = Server(config)
    ended.watch(server)
    server.run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads that wait for what was cut are never answered, and must not keep the process

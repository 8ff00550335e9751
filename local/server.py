"""One process answers for Resource Manager, Azure ML, identity, events and logs; all else is 501."""

from __future__ import annotations

import importlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

import uvicorn
from azure.core.exceptions import ResourceExistsError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from local.certificates import certificates
from local.refusal import ArmError
from local.service import Clock, Service, utc_now
from local.settings import CONTAINERS, KEEP_ALIVE_S, PARTNER_CONTAINER, QUEUES, TABLE, Settings, settings_of
from local.state import State
from local.web import Call, not_emulated, opened, reply

SERVICES = ("identity", "arm", "assets", "jobs", "registries", "endpoints", "batch", "logs", "events")
"""Started in this order, stopped in the reverse one. Each is `local.<name>.urls` with `routes`, and where it
has them the hooks `start(service: Service) -> None` and `stop() -> None`."""


def assembled(settings: Settings, clock: Clock = utc_now) -> Starlette:
    """The application over a state folder. Its services start with its lifespan."""
    modules = _modules()
    routes: list[BaseRoute] = [opened("/local/health", _health)]
    for module in modules:
        routes += module.routes

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service = Service(settings, State(settings.folder / "state.sqlite"), clock)
        app.state.service = service
        await run_in_threadpool(_create_storage, service)
        started: list[Callable[[], None]] = [service.close]
        try:
            for module in modules:
                if hasattr(module, "start"):
                    await run_in_threadpool(module.start, service)
                if hasattr(module, "stop"):
                    started.append(module.stop)
            yield
        finally:
            for stop in reversed(started):
                await run_in_threadpool(stop)

    methods = ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]
    routes.append(Route("/{path:path}", not_emulated, methods=methods))
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Exception: _failed})


def serve(folder: Path) -> None:
    """Run the workspace process over a state folder until SIGTERM."""
    settings = settings_of(folder)
    paths = certificates(settings.folder / "certificates")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    config = uvicorn.Config(
        assembled(settings),
        host="127.0.0.1",
        port=settings.workspace_port,
        ssl_certfile=str(paths.certificate),
        ssl_keyfile=str(paths.key),
        lifespan="on",
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run()


def service_routes(service: str) -> list[BaseRoute]:
    """What a service answers, for the reference."""
    routes: list[BaseRoute] = importlib.import_module(f"local.{service}.urls").routes
    return routes


def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"local.{name}.urls") for name in SERVICES]


def _create_storage(service: Service) -> None:
    for container in CONTAINERS:
        _unless_there(partial(service.blobs.create_container, container))
    _unless_there(partial(service.partner.create_container, PARTNER_CONTAINER))
    for queue in QUEUES:
        _unless_there(partial(service.queues.create_queue, queue))
    service.tables.create_table_if_not_exists(TABLE)


def _unless_there(create: Callable[[], object]) -> None:
    try:
        create()
    except ResourceExistsError:
        return


def _health(call: Call) -> Response:
    return reply({"status": "ready"})


async def _failed(request: Request, error: Exception) -> Response:
    message = (
        f"The local Azure failed at {request.method} {request.url.path}: {type(error).__name__}: {error}"
    )
    return reply(ArmError(500, "InternalServerError", message).body(), 500)

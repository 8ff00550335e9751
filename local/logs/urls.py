"""The addresses of the Log Analytics query API, and of its control."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.logs import responses
from local.logs.models import TrafficLog
from local.service import Service
from local.web import control, secured

_LOGS = ("arm", "https://api.loganalytics.io")
"""LogsQueryClient asks for a token of its endpoint, which is the local Azure's own address."""

_QUERY = "Microsoft.OperationalInsights/workspaces/query/read"

routes: list[BaseRoute] = [
    secured(
        "/v1/workspaces/{workspace}/query",
        responses.of_workspace,
        ["POST"],
        audiences=_LOGS,
        action=_QUERY,
        scope="logs",
    ),
    secured("/v1/$batch", responses.batch, ["POST"], audiences=_LOGS, action=_QUERY, scope="logs"),
    secured(
        "/v1/{resource:path}/query",
        responses.of_resource,
        ["POST"],
        audiences=_LOGS,
        action=_QUERY,
        scope="logs",
    ),
    control("/logs", responses.set_settings, ["PUT"]),
]
_started: list[TrafficLog] = []


def start(service: Service) -> None:
    log = TrafficLog(service.settings.folder / "traffic.sqlite", service.state, service.clock)
    _started.append(log)
    service.add(log)


def stop() -> None:
    while _started:
        _started.pop().stop()

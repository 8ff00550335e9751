"""HTTP in and out of the Log Analytics query API."""

from __future__ import annotations

from datetime import datetime

from starlette.responses import Response

from local.logs.exceptions import QueryRefused
from local.logs.models import TrafficLog
from local.logs.query import Table, Value
from local.refusal import ArmError
from local.service import Service
from local.settings import LOGS_WORKSPACE_ID, WORKSPACE_ID
from local.web import Call, reply


def of_workspace(call: Call) -> Response:
    if call.path("workspace").lower() != LOGS_WORKSPACE_ID:
        raise ArmError(404, "WorkspaceNotFoundError", f"There is no workspace '{call.path('workspace')}'.")
    return _answer(call.service, call.body)


def of_resource(call: Call) -> Response:
    """A query over one resource's logs: the workspace's, or of one of its endpoints by their own filter."""
    if f"/{call.path('resource')}".lower() != WORKSPACE_ID.lower():
        message = f"Logs are kept of {WORKSPACE_ID} only, not of '/{call.path('resource')}'."
        raise ArmError(501, "NotEmulated", message)
    return _answer(call.service, call.body)


def batch(call: Call) -> Response:
    answers = []
    for request in call.body.get("requests") or []:
        if str(request.get("workspace", "")).lower() != LOGS_WORKSPACE_ID:
            error = {
                "code": "WorkspaceNotFoundError",
                "message": f"No workspace {request.get('workspace')!r}.",
            }
            answers.append({"id": request.get("id"), "status": 404, "body": {"error": error}})
            continue
        status, body = _run(call.service, request.get("body") or {})
        answers.append({"id": request.get("id"), "status": status, "body": body})
    return reply({"responses": answers})


def set_settings(call: Call) -> Response:
    try:
        return reply(call.service.get(TrafficLog).settings(call.body))
    except QueryRefused as refused:
        return reply(refused.body(), refused.status)


def _answer(service: Service, body: dict[str, object]) -> Response:
    status, answer = _run(service, body)
    return reply(answer, status, {"Retry-After": "1"} if status == 429 else {})


def _run(service: Service, body: dict[str, object]) -> tuple[int, dict[str, object]]:
    timespan = body.get("timespan")
    try:
        table = service.get(TrafficLog).query(
            str(body.get("query") or ""), str(timespan) if timespan else None
        )
    except QueryRefused as refused:
        return refused.status, refused.body()
    answer: dict[str, object] = {"tables": [_table(table)]}
    if service.get(TrafficLog).is_partial:
        answer["error"] = {
            "code": "PartialError",
            "message": "There were some errors when processing your query.",
        }
    return 200, answer


def _table(table: Table) -> dict[str, object]:
    return {
        "name": "PrimaryResult",
        "columns": [{"name": name, "type": kind} for name, kind in table.columns.items()],
        "rows": [[_json(row[name]) for name in table.columns] for row in table.rows],
    }


def _json(value: Value) -> str | int | float | None:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value

"""One scoring request and its answer, and the row that the traffic log has of them."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import httpx
from starlette.requests import Request

from local.endpoints.board import Routed
from local.logs.models import TRAFFIC_LOG
from local.settings import LOCATION, LOGS_WORKSPACE_ID, SUBSCRIPTION, WORKSPACE, WORKSPACE_GUID, WORKSPACE_ID
from local.state import Document

_NOT_IN_CLIENT_IDS = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_CLIENT_ID = 40
_LONGEST_USER_AGENT = 70
_PHRASES = {each.value: each.phrase for each in HTTPStatus}


@dataclass
class Answer:
    """What the client gets, and what the log says of it."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    deployment: str = ""
    model_status: int | None = None
    identity: str = ""
    """The object id of who bore the token; empty where there are keys."""
    goes_on: asyncio.Task[httpx.Response] | None = None
    """What the model still works at, though nobody waits for it any more."""


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


def row(routed: Routed, arrived: Arrived, answer: Answer) -> Document:
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
        "IdentityData": answer.identity,
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

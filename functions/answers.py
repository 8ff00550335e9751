"""HTTP bodies in and out: bounded, JSON, and a problem says what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping

import azure.functions as func

from shared.errors import InputRejected


def read_json(req: func.HttpRequest, limit_bytes: int) -> dict[str, object]:
    """The request's JSON object; InputRejected when it is too large, not JSON, or no object."""
    body = req.get_body()
    if len(body) > limit_bytes:
        raise InputRejected(
            "too-large", f"the body has {len(body):,} bytes; at most {limit_bytes:,} are read"
        )
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputRejected("not-json", "the body is not JSON; send one JSON object") from error
    if not isinstance(content, dict):
        raise InputRejected("not-an-object", "the body is not a JSON object; send one JSON object")
    return content


def answer(content: object, status: int, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    body = json.dumps(content, ensure_ascii=False)
    return func.HttpResponse(
        body, status_code=status, mimetype="application/json", headers=dict(headers or {})
    )


def problem(rejection: InputRejected) -> func.HttpResponse:
    """400, or 413 for a body that is too large."""
    content = {"code": rejection.code, "message": str(rejection)}
    return answer(content, 413 if rejection.code == "too-large" else 400)

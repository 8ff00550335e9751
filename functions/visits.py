"""Between Azure Functions' requests and the tower's: who visits, from where, and what goes back."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import azure.functions as func

from functions.identity import Denied, caller
from shared.settings import Settings
from tower.site import Reply, Visit, problem
from tower.visit import Studio


def visit(req: func.HttpRequest, role: str = "") -> Visit | Reply:
    """The visit of somebody who is signed in, and has `role` where one is named; or the refusal."""
    path = req.route_params.get("path") or ""
    headers = {name.casefold(): value for name, value in req.headers.items()}
    at = urlsplit(req.url).path
    base = at[: at.casefold().find("/tower") + len("/tower")]  # routes are found in any case
    as_json = path.endswith(".json") or "text/html" not in headers.get("accept", "text/html")
    try:
        who = caller(headers, role)
    except Denied as denied:
        title = "Sign in" if denied.status == 401 else "Not allowed"
        sign_in = f"/.auth/login/aad?post_login_redirect_uri={quote(at)}" if denied.status == 401 else ""
        return problem(as_json, base, denied.status, title, str(denied), sign_in)
    return Visit(
        path=path,
        base=base,
        url=req.url,
        headers=headers,
        query=dict(req.params),
        caller=who,
        body=req.get_body() if req.method == "POST" else b"",
    )


def studio(settings: Settings) -> Studio:
    return Studio(
        f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
    )


def response(reply: Reply) -> func.HttpResponse:
    kind, _, charset = reply.kind.partition("; charset=")
    return func.HttpResponse(
        reply.content,
        status_code=reply.status,
        mimetype=kind,
        charset=charset or "utf-8",
        headers=dict(reply.headers),
    )

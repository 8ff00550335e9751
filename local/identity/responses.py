"""The App Service identity endpoint, as ManagedIdentityCredential and DefaultAzureCredential call it."""

from __future__ import annotations

import hmac

from starlette.responses import Response

from local.identity.exceptions import Forbidden, NoSuchIdentity, ResourceMissing, UnknownIdentity
from local.identity.roles import Grant, object_id
from local.settings import APP_CLIENT_ID
from local.web import Call, reply


def token(call: Call) -> Response:
    who = _who(call)
    if who == "app" and call.query("client_id") != APP_CLIENT_ID:
        raise NoSuchIdentity
    resource = call.query("resource")
    if not resource:
        raise ResourceMissing
    if "storage.azure" in resource and not call.service.roles.stores(who):
        raise Forbidden(object_id(who), "Microsoft.Storage/storageAccounts/*", "account")
    access_token, ends = call.service.tokens.issue(resource, who)
    return reply(
        {
            "access_token": access_token,
            "expires_on": str(ends),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": call.query("client_id"),
        }
    )


def _who(call: Call) -> str:
    header, settings = call.header("x-identity-header"), call.service.settings
    for who in ("publisher", "app", "compute", "endpoint"):
        if hmac.compare_digest(header.encode(), settings.header_of(who).encode()):
            return who
    raise UnknownIdentity


def set_roles(call: Call) -> Response:
    """PUT /local/roles {"without": [[who, role, scope]], "denied": [action], "also": [[who, role, scope]]}.

    What is taken away and what is given beside the table, until the next.
    """
    without, also = ([Grant(*row) for row in call.body.get(name, [])] for name in ("without", "also"))
    call.service.roles.change(without, call.body.get("denied", []), also)
    return reply(status=204)


def asked(call: Call) -> Response:
    """GET /local/roles: [identity, action, scope] of every call so far; with ?forget=1 the list begins anew."""
    return reply({"asked": call.service.roles.asked(forget=bool(call.query("forget")))})

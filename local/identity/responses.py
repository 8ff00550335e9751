"""The App Service identity endpoint, as ManagedIdentityCredential and DefaultAzureCredential call it."""

from __future__ import annotations

from starlette.responses import Response

from local.identity.exceptions import ResourceMissing, UnknownIdentity
from local.web import Call, reply


def token(call: Call) -> Response:
    if call.header("x-identity-header") != call.service.settings.identity_header:
        raise UnknownIdentity
    resource = call.query("resource")
    if not resource:
        raise ResourceMissing
    access_token, ends = call.service.tokens.issue(resource)
    return reply(
        {
            "access_token": access_token,
            "expires_on": str(ends),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": call.query("client_id"),
        }
    )

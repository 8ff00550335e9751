"""Who is asking, by the platform's authentication. Fails closed when it is switched off."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping

from shared.domain.caller import Caller

_ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
_NAME_CLAIMS = ("preferred_username", "upn", "name", "appid", "azp", "oid")
_GROUPS = "groups"
_GROUPS_LEFT_OUT = frozenset({"_claim_names", "hasgroups"})
"""Of somebody in more groups than a token can name, so that it names none; `hasgroups` by the implicit flow:
https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles"""
_ID_CLAIMS = ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier")


class Denied(Exception):
    """401 or 403, with what is missing."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def caller(headers: Mapping[str, str], role: str = "") -> Caller:
    """The caller, who has `role` where one is named; Denied otherwise. `headers` in any case.

    Anyone can forge the header unless the platform strips and sets it, so without the platform's
    authentication no caller is authenticated.
    """
    if os.environ.get("WEBSITE_AUTH_ENABLED", "").casefold() != "true":
        raise Denied(
            401,
            "platform authentication is off, so no caller can be authenticated; switch it on (docs/deploy.md)",
        )
    folded = {name.casefold(): value for name, value in headers.items()}
    claims = _claims(folded.get("x-ms-client-principal", ""))
    roles = frozenset(value for kind, value in claims if kind in _ROLE_CLAIMS)
    if role and role not in roles:
        raise Denied(403, f"this needs the app role {role}; ask the owner of the Driftloop app registration")
    named = dict(reversed(claims))
    name = next((named[kind] for kind in _NAME_CLAIMS if named.get(kind)), "somebody with no name")
    oid = next((named[kind] for kind in _ID_CLAIMS if named.get(kind)), "")
    groups = frozenset(value for kind, value in claims if kind == _GROUPS)
    left_out = not groups and any(kind in _GROUPS_LEFT_OUT for kind, _ in claims)
    return Caller(name, oid, roles | groups, left_out)


def _claims(header: str) -> list[tuple[str, str]]:
    if not header:
        raise Denied(401, "sign in first")
    try:
        principal = json.loads(base64.b64decode(header, validate=True))
        return [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise Denied(401, "the caller's identity cannot be read") from error

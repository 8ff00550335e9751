"""Who is asking, by the platform's authentication. Fails closed when it is switched off."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

ACTING_ROLE = "Driftloop.Act"
LOOKING_ROLE = "Driftloop.Look"

_ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
_NAME_CLAIMS = ("preferred_username", "upn", "name", "appid", "azp", "oid")
_ID_CLAIMS = ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier")


class Denied(Exception):
    """401 or 403, with what is missing."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Caller:
    """Who calls, and the app roles that they were given."""

    name: str
    oid: str
    """Their object id in the directory; empty when the token has none. A name may be given to somebody else later."""
    roles: frozenset[str]

    @property
    def actor(self) -> str:
        """As the ledger keeps them: the name, and what will always mean this person."""
        return f"{self.name} ({self.oid})" if self.oid and self.oid != self.name else self.name


def caller(headers: Mapping[str, str], role: str) -> Caller:
    """The caller, who has `role`; Denied otherwise. `headers` in any case.

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
    if role not in roles:
        raise Denied(403, f"this needs the app role {role}; ask the owner of the Driftloop app registration")
    named = dict(reversed(claims))
    name = next((named[kind] for kind in _NAME_CLAIMS if named.get(kind)), "somebody with no name")
    oid = next((named[kind] for kind in _ID_CLAIMS if named.get(kind)), "")
    return Caller(name, oid, roles)


def actor(headers: Mapping[str, str], role: str = ACTING_ROLE) -> str:
    """The caller as the ledger keeps them, who has `role`; Denied otherwise."""
    return caller(headers, role).actor


def _claims(header: str) -> list[tuple[str, str]]:
    if not header:
        raise Denied(401, "sign in first")
    try:
        principal = json.loads(base64.b64decode(header, validate=True))
        return [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise Denied(401, "the caller's identity cannot be read") from error

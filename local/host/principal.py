"""X-MS-CLIENT-PRINCIPAL says who calls, and only the platform can have said it: a stranger's is dropped.

Plays the platform's authentication (App Service "Easy Auth") with tokens of the local identity service for
the audience api://driftloop, or the session cookie of its sign-in page; anonymous calls are allowed: no token,
no header; a bad token is 401.
"""

import base64
import json
from collections.abc import Mapping

import jwt

from local.host.signin import token_of
from local.identity.models import APP_AUDIENCE

_OURS = "x-ms-client-principal"


class BadToken(Exception):
    """The bearer token is forged, expired, or not for this app."""


def with_principal(headers: Mapping[str, str], signing_key: str) -> dict[str, str]:
    """The request's headers as the app may see them."""
    passed = {name: value for name, value in headers.items() if not name.startswith(_OURS)}
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return passed | _of_session(headers.get("cookie", ""), signing_key)
    return passed | _of_token(token, signing_key)


def _of_session(cookies: str, signing_key: str) -> dict[str, str]:
    """A browser's session; one that has ended, or is not ours, is nobody's."""
    token = token_of(cookies)
    try:
        return _of_token(token, signing_key) if token else {}
    except BadToken:
        return {}


def _of_token(token: str, signing_key: str) -> dict[str, str]:
    try:
        claims = jwt.decode(token.strip(), signing_key, algorithms=["HS256"], audience=APP_AUDIENCE)
    except jwt.InvalidTokenError as error:
        raise BadToken(str(error)) from error
    principal = {
        "auth_typ": "aad",
        "claims": [{"typ": typ, "val": val} for typ, value in claims.items() for val in _values(value)],
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": "roles",
    }
    who = str(claims.get("oid", claims.get("sub", "")))
    return {
        _OURS: base64.b64encode(json.dumps(principal).encode()).decode(),
        f"{_OURS}-id": who,
        f"{_OURS}-name": str(claims.get("preferred_username", who)),
        f"{_OURS}-idp": "aad",
    }


def _values(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]

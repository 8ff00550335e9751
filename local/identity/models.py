"""Tokens name their audience and end; one for another audience, forged or expired, is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
from azure.core.credentials import AccessToken

from local.identity.exceptions import Unauthorized
from local.identity.roles import PLATFORM, PUBLISHER, object_id
from local.settings import ML_RESOURCE, TENANT, Settings

LASTS = timedelta(hours=24)
_ISSUER = f"https://sts.windows.net/{TENANT}/"  # the prefix that Azurite wants
_CLIENT = "00000000-0000-0000-0000-0000000000cc"
APP_AUDIENCE = "api://driftloop"
"""The app registration before the Function App. Whoever sits at the laptop has all of its roles."""
_APP_ROLES = ["ActionGroupsSecureWebhook", "Driftloop.Act", "Driftloop.Look"]


class Tokens:
    """Issues tokens for any resource, and checks those that come back."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._key = settings.signing_key
        self._clock = clock
        self._named = {"arm": settings.arm, "ml": ML_RESOURCE}

    def issue(self, resource: str, who: str = PUBLISHER) -> tuple[str, int]:
        """A token of `who` whose audience is `resource` exactly, and when it ends (seconds since 1970)."""
        issued = int(self._clock().timestamp())
        ends = issued + int(LASTS.total_seconds())
        claims = {
            "aud": resource,
            "iss": _ISSUER,
            "iat": issued,
            "nbf": issued - 300,
            "exp": ends,
            "tid": TENANT,
            "oid": object_id(who),
            "sub": object_id(who),
            "who": who,
            "appid": _CLIENT,
            "idtyp": "app",
            "ver": "1.0",
        } | ({"roles": _APP_ROLES} if resource == APP_AUDIENCE else {})
        return jwt.encode(claims, self._key, algorithm="HS256"), ends

    def check(self, authorization: str, audiences: Sequence[str]) -> str:
        """Whose token it is; Unauthorized unless the header holds one of ours for one of `audiences`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("The Authorization header must hold a bearer token.")
        accepted = [self._named.get(name, name).rstrip("/") for name in audiences]
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], options={"verify_aud": False})
        except jwt.InvalidTokenError as error:
            raise Unauthorized(f"The access token is not valid: {error}.") from error
        audience = str(claims.get("aud", "")).rstrip("/")
        if audience not in accepted:
            raise Unauthorized(
                f"The access token is for the audience '{audience}'; accepted here: {', '.join(accepted)}."
            )
        return str(claims["who"])


class LocalCredential:
    """The workspace's own identity, for the SDK clients inside its process (a TokenCredential), or another's."""

    def __init__(self, tokens: Tokens, who: str = PLATFORM) -> None:
        self._tokens, self._who = tokens, who

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        token, ends = self._tokens.issue(scopes[0].removesuffix("/.default"), self._who)
        return AccessToken(token, ends)

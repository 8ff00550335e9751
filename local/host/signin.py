"""Who has the code that `make up` printed is signed in by a cookie, as App Service's sign-in pages do it.

Plays /.auth/login/aad and /.auth/logout for a browser on this machine; there is no Entra ID here to ask. The
cookie is as permissive towards other sites as App Service's own, so that the app must see to forgery itself.
"""

import hashlib
import hmac
import time
import uuid
from http.cookies import CookieError, SimpleCookie

import jwt
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from local.identity.models import APP_AUDIENCE
from local.settings import Settings

COOKIE = "AppServiceAuthSession"
LASTS_S = 8 * 3600
YOU, YOUR_OID = "you@laptop", "00000000-0000-0000-0000-0000000000e0"
ROLES = {"both": ["Driftloop.Act", "Driftloop.Look"], "looking": ["Driftloop.Look"], "none": []}
_ATTRIBUTES = "Path=/; HttpOnly; Secure; SameSite=None"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in to the local Azure</title>
<body><h1>Sign in to the local Azure</h1><p>Open the address that <code>make up</code> printed: it holds the code
that signs you in.</p></body></html>"""


def code_of(signing_key: str) -> str:
    return hmac.new(signing_key.encode(), b"sign-in", hashlib.sha256).hexdigest()[:32]


def address(settings: Settings, to: str = "/api/tower", roles: str = "both") -> str:
    """What a person opens in a browser: signs in, then goes to the pages. `roles` is one of ROLES, or role names with
    commas between them; with `&as=ann@laptop` one is somebody else, for a loop that asks for two persons."""
    code = code_of(settings.signing_key)
    return f"{settings.functions}/.auth/login/aad?code={code}&roles={roles}&post_login_redirect_uri={to}"


def answer(request: Request, signing_key: str) -> Response | None:
    """Of the sign-in pages; None for any other path."""
    path = request.url.path.rstrip("/").lower()
    if path == "/.auth/logout":
        response: Response = RedirectResponse("/", 302)
        response.headers["set-cookie"] = f"{COOKIE}=; {_ATTRIBUTES}; Max-Age=0"
        return response
    if path != "/.auth/login/aad":
        return None
    given, chosen = request.query_params.get("code", ""), request.query_params.get("roles", "both")
    if not hmac.compare_digest(given.encode(), code_of(signing_key).encode()):
        return HTMLResponse(_PAGE, 401)
    roles = ROLES.get(chosen, chosen.split(","))
    who = request.query_params.get("as", YOU if roles != ROLES["looking"] else "looker@laptop")
    to = request.query_params.get("post_login_redirect_uri", "/")
    inside = to.startswith("/") and not to.startswith(("//", "/\\"))
    response = RedirectResponse(to if inside else "/", 302)
    response.headers["set-cookie"] = f"{COOKIE}={_session(signing_key, who, roles)}; {_ATTRIBUTES}"
    return response


def _session(signing_key: str, who: str, roles: list[str]) -> str:
    now = int(time.time())
    claims = {
        "aud": APP_AUDIENCE,
        "iat": now,
        "exp": now + LASTS_S,
        "oid": YOUR_OID if who == YOU else str(uuid.uuid5(uuid.NAMESPACE_URL, who)),
        "preferred_username": who,
        "roles": roles,
    }
    return jwt.encode(claims, signing_key, algorithm="HS256")


def token_of(cookies: str) -> str:
    """The session's token; empty without a session."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(cookies)
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""

"""A page of somebody else's cannot act in a person's name: the browser's own word on where a request comes from,
and a token that only our pages know.

`Sec-Fetch-Site` (else `Origin`) is set by the browser and cannot be set by a script. The token is the double-submit
kind: a random cookie that must come back in the form. It needs no secret to keep, to rotate or to share between
instances, and the `__Host-` prefix keeps other hosts of the same domain from planting one.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

COOKIE = "__Host-driftloop"
FIELD = "token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")


class Forged(Exception):
    """The request was not made on a page of ours."""


def token_of(headers: Mapping[str, str]) -> str:
    """The visitor's token; empty when there is none yet."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    found = jar[COOKIE].value if COOKIE in jar else ""
    return found if _TOKEN.fullmatch(found) else ""


def new_token() -> str:
    return secrets.token_urlsafe(32)


def cookie(token: str) -> str:
    return f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"


def refuse_other_sites(headers: Mapping[str, str], url: str) -> None:
    """Forged when a browser says that another site made this request. Other clients say nothing, and pass."""
    headers = {name.casefold(): value for name, value in headers.items()}
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site and site != "same-origin":
        raise Forged(f"this request comes from another site (Sec-Fetch-Site: {site[:20]}); nothing was done")
    if not site and origin and origin != _origin(headers, url):
        raise Forged("this request comes from another site's page (Origin); nothing was done")


def _origin(headers: Mapping[str, str], url: str) -> str:
    """Ours, as a browser writes it: the scheme belongs to it."""
    at = urlsplit(url)
    return f"{at.scheme}://{headers.get('host') or at.netloc}"


def check(headers: Mapping[str, str], url: str, given: str) -> None:
    """Forged unless a page of ours made this request: for forms, which only browsers send."""
    refuse_other_sites(headers, url)
    if not headers.get("sec-fetch-site") and not headers.get("origin"):
        raise Forged("this request does not say which page it comes from; use a current browser")
    token = token_of(headers)
    if not token or not hmac.compare_digest(token.encode(), given.encode(errors="replace")):
        raise Forged("this page is too old, or cookies are off: load it again, then repeat the action")

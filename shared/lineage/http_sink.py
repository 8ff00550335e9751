"""OpenLineage events go to one HTTP endpoint, one a request, as https://openlineage.io/apidocs/openapi says."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import SplitResult, urlsplit

from shared import deadline
from shared.domain.reason import Code
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.lineage import openlineage
from shared.ports import Traced

TIMEOUT_S = 5.0
"""For each answer: a loop's worker waits for it."""

REST_S = 30.0
"""An endpoint that did not answer is not asked by every loop in turn."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_PASSING = frozenset({408, 425, 429})


class HttpLineage:
    """`Lineage` over an endpoint such as Marquez's. The key goes nowhere but into the header."""

    def __init__(self, url: str, key: str, place: openlineage.Place) -> None:
        self._url = url
        self._key = key
        self._place = place
        self._rests_until = 0.0

    def publish(self, loop: str, traced: Sequence[Traced]) -> None:
        told = [event for one in traced for event in openlineage.events(self._place, loop, one)]
        if not told:
            return
        where = _checked(self._url)
        if (left := self._rests_until - time.monotonic()) > 0:
            raise DependencyUnavailable(f"{where.hostname} took no lineage event lately. Will retry.", left)
        with closing(_connection(where)) as connection:
            for event in told:
                connection.timeout = deadline.left_s(TIMEOUT_S)
                self._post(connection, where, event)

    def _post(
        self, connection: http.client.HTTPConnection, where: SplitResult, event: openlineage.Json
    ) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "driftloop"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        path = where.path + (f"?{where.query}" if where.query else "")
        try:
            connection.request("POST", path, json.dumps(event).encode(), headers)
            with closing(connection.getresponse()) as response:
                response.read()
        except ValueError:  # its text holds the key, so that it is told nowhere
            raise ConfigurationError(
                "DRIFTLOOP_LINEAGE_KEY cannot be sent in a header: it holds a line break or a letter beyond Latin-1."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self._rests_until = time.monotonic() + REST_S
            raise DependencyUnavailable(
                f"{where.hostname} did not take a lineage event ({type(error).__name__}). Will retry."
            ) from error
        _check(response, where)


def _check(response: http.client.HTTPResponse, where: SplitResult) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    if status in _PASSING or status >= 500:
        asked = response.getheader("Retry-After") or ""
        wait_s = float(asked) if re.fullmatch(r"\d{1,6}", asked) else None
        raise DependencyUnavailable(
            f"{where.hostname} answered a lineage event with {status}. Will retry.", wait_s
        )
    setting, code = "DRIFTLOOP_LINEAGE_URL", Code.REQUEST_REFUSED
    if status in {401, 403}:
        setting, code = "DRIFTLOOP_LINEAGE_KEY", Code.ACCESS_REFUSED
    raise ConfigurationError(
        f"{where.hostname} refused a lineage event ({status}). Change the app setting {setting}; without "
        "DRIFTLOOP_LINEAGE_URL none is sent.",
        code=code,
    )


def _checked(url: str) -> SplitResult:
    """Names of columns and files, and the key, do not go in clear text."""
    try:
        where = urlsplit(url)
        where.port  # noqa: B018  # raises where it is not a number
        (where.hostname or "").encode("idna")
        if not re.fullmatch(r"[!-~]*", where.path + where.query):
            raise ValueError("a request line takes no other letter")
    except ValueError:
        where = urlsplit("")
    secure = where.scheme == "https" or (where.scheme == "http" and where.hostname in _LOOPBACK)
    if not (secure and where.hostname and where.path.strip("/") and not where.username):
        raise ConfigurationError(
            "DRIFTLOOP_LINEAGE_URL is not an address for lineage events. Give one that begins with https:// and has "
            "a path, for example https://marquez.example.com/api/v1/lineage; a key belongs in DRIFTLOOP_LINEAGE_KEY."
        )
    return where


def _connection(where: SplitResult) -> http.client.HTTPConnection:
    host = where.hostname or ""
    if where.scheme == "http":
        return http.client.HTTPConnection(host, where.port, timeout=TIMEOUT_S)
    return http.client.HTTPSConnection(
        host, where.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
    )

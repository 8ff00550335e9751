"""Only addresses in the loop file are asked, at public addresses, within limits of size and time.

No URL of an event ever comes here. A redirect is followed on the same host alone. The connection is made to the
address that was checked, so that a name cannot mean another machine a moment later. The one exception to public
addresses is a loop file that itself names http://127.0.0.1 or http://localhost, for a laptop and its tests.

A key is sent to the host that it was set for and to no other, whatever a loop file says.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from urllib.parse import SplitResult, urljoin, urlsplit

from shared.domain.reason import Code
from shared.errors import DependencyUnavailable, InputRejected
from shared.ports import Fetched

MOST_REDIRECTS = 3
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CHUNK = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def _away(text: str, retry_after_s: float | None = None) -> DependencyUnavailable:
    return DependencyUnavailable(text, retry_after_s, code=Code.SOURCE_UNREACHABLE)


class WebSources:
    """`Sources` over HTTP. `keys`: bearer tokens by host, as an address spells it: with its port where it has one. They
    are asked for with each request, as they may be unfit, and a command that requests nothing has no use for them."""

    def __init__(self, keys: Callable[[], Mapping[str, str]]) -> None:
        self._keys = keys

    def fetch(self, url: str, *, etag: str, modified: str, limit_bytes: int, timeout_s: float) -> Fetched:
        deadline = time.monotonic() + timeout_s
        first = here = urlsplit(url)
        key = self._keys().get(first.netloc.casefold(), "")
        for _ in range(MOST_REDIRECTS + 1):
            answer = _ask(here, _headers(etag, modified, key), limit_bytes, deadline)
            if isinstance(answer, Fetched):
                return answer
            there = urlsplit(urljoin(here.geturl(), answer))
            if (there.scheme, there.netloc) != (first.scheme, first.netloc):
                raise InputRejected(
                    "foreign-redirect",
                    f"{first.hostname} redirects to {there.hostname!r}; "
                    "name the host that has the data in the loop file",
                )
            here = there
        raise InputRejected("redirect-loop", f"{first.hostname} redirects more than {MOST_REDIRECTS} times")


def _ask(where: SplitResult, headers: Mapping[str, str], limit_bytes: int, deadline: float) -> Fetched | str:
    """What one request gave, or where it was sent on to."""
    with closing(_connection(where, deadline)) as connection:
        line = connection.sock  # the connection lets go of it as soon as the answer says that it is the last
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        try:
            connection.request("GET", path, headers=headers)
            with closing(connection.getresponse()) as response:
                if response.status in _REDIRECTS:
                    return response.getheader("Location") or ""
                if response.status == 304:
                    modified = headers.get("If-Modified-Since", "")
                    return Fetched(b"", True, headers.get("If-None-Match", ""), modified, "")
                _check(response, where)
                content = _body(response, line, where, limit_bytes, deadline)
                return _fetched(response, content)
        except (OSError, http.client.HTTPException) as error:
            raise _away(f"{where.hostname} did not answer: {type(error).__name__}") from error


def _fetched(response: http.client.HTTPResponse, content: bytes) -> Fetched:
    return Fetched(
        content=content,
        unchanged=False,
        etag=response.getheader("ETag") or "",
        modified=response.getheader("Last-Modified") or "",
        kind=(response.getheader("Content-Type") or "").split(";")[0].strip().casefold(),
    )


def _headers(etag: str, modified: str, key: str) -> dict[str, str]:
    headers = {
        "Accept": "text/csv, application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "driftloop",
    }
    if etag:
        headers["If-None-Match"] = etag
    elif modified:
        headers["If-Modified-Since"] = modified
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _check(response: http.client.HTTPResponse, where: SplitResult) -> None:
    if response.status in _PASSING:
        asked = response.getheader("Retry-After") or ""
        wait_s = float(asked) if re.fullmatch(r"\d{1,6}", asked) else None
        raise _away(f"{where.hostname} answered {response.status}", wait_s)
    if response.status != 200:
        raise InputRejected(
            "source-refused",
            f"{where.hostname} answered {response.status}; look at its address in the loop file",
        )
    if (response.getheader("Content-Encoding") or "identity") != "identity":
        raise InputRejected(
            "source-encoded", f"{where.hostname} sent a compressed body that was not requested"
        )


def _body(
    response: http.client.HTTPResponse,
    line: socket.socket,
    where: SplitResult,
    limit_bytes: int,
    deadline: float,
) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _away(f"{where.hostname} took too long")
        line.settimeout(left)
        part = response.read1(_CHUNK)
        if not part:
            break
        size += len(part)
        if size > limit_bytes:
            raise InputRejected(
                "too-large",
                f"{where.hostname} sent more than {limit_bytes:,} bytes; ask for less, or, of a drop, raise "
                "`data.limits.max_size_mb`",
            )
        parts.append(part)
    if response.length:
        raise _away(f"{where.hostname} closed the connection with {response.length:,} bytes remaining")
    return b"".join(parts)


def _connection(where: SplitResult, deadline: float) -> http.client.HTTPConnection:
    host, left = where.hostname or "", max(deadline - time.monotonic(), 0.1)
    address, secure = _address(where), where.scheme == "https"
    made = http.client.HTTPConnection(host, where.port or (443 if secure else 80), timeout=left)
    made.default_port = 443 if secure else 80  # else the Host header would name the port
    try:
        made.sock = socket.create_connection((address, made.port), left)
        if secure:
            made.sock = ssl.create_default_context().wrap_socket(made.sock, server_hostname=host)
    except OSError as error:
        made.close()
        raise _away(f"{host} cannot be reached: {type(error).__name__}") from error
    return made


def _address(where: SplitResult) -> str:
    """The address to connect to; refused when the host has any that is not public."""
    host = where.hostname or ""
    try:
        found = socket.getaddrinfo(host, where.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _away(f"{host} could not be resolved") from error
    addresses = [str(each[4][0]) for each in found]
    local = where.scheme == "http" and host in LOOPBACK
    for address in addresses:
        if not (public(address) or (local and ipaddress.ip_address(address).is_loopback)):
            raise InputRejected(
                "private-address",
                f"{host} is at {address}, which is not a public address: no request was sent",
            )
    return addresses[0]


def public(address: str) -> bool:
    """Whether an address is one of the open Internet; an IPv4 address inside IPv6 counts as itself."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None) or parsed
    if parsed in _NAT64:
        inner = ipaddress.ip_address(int(parsed) & 0xFFFFFFFF)
    return bool(inner.is_global and not inner.is_multicast)

"""Requests go to exactly one deployment, few at a time, and bear a stamp by which no statistic counts them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import requests
from azure.core.credentials import TokenCredential

from shared import deadline
from shared.azure.failures import asking
from shared.domain.reason import Code
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.port_rules import own_request
from shared.ports import Answer
from shared.redaction import safe

ROLE = "AzureML Data Scientist"

SCOPE = "https://ml.azure.com/.default"
_AT_ONCE = 4
_CONNECT_S, _READ_S = 10.0, 60.0
_ATTEMPTS = 4
_LONGEST_WAIT_S = 5.0
_PASSING = frozenset({429, 502, 503, 504})
"""What the router says of itself; a 500 or 424 is the model's own answer, and evidence."""


class Scoring:
    """Straight to the scoring address: the SDK's `invoke` keeps a chosen deployment for later calls."""

    def __init__(self, address: Callable[[str], str], identity: TokenCredential) -> None:
        self._address = address
        self._identity = identity
        self._addresses: dict[str, str] = {}
        self._sessions = threading.local()

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        """One answer a payload, in order. DependencyUnavailable when one stays without an answer of the model."""
        if not payloads:
            return []
        uri = self._addresses.get(endpoint) or self._address(endpoint)
        self._addresses[endpoint] = uri
        with asking("Getting a token", f"Azure ML endpoint {endpoint}", ROLE):
            token = self._identity.get_token(SCOPE).token
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "azureml-model-deployment": deployment,
        }

        def ask(numbered: tuple[int, str]) -> Answer:
            number, payload = numbered
            stamped = headers | {"x-ms-client-request-id": own_request(stamp, number)}
            return self._ask(f"{endpoint}/{deployment}", uri, stamped, payload)

        with ThreadPoolExecutor(min(_AT_ONCE, len(payloads)), thread_name_prefix="predict") as pool:
            contexts = [copy_context() for _ in payloads]  # a thread of its own knows no end
            return list(
                pool.map(lambda context, numbered: context.run(ask, numbered), contexts, enumerate(payloads))
            )

    def _ask(self, what: str, uri: str, headers: dict[str, str], payload: str) -> Answer:
        trouble, wait_s = "", 0.0
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(deadline.left_s(min(wait_s or 0.2 * 2**attempt, _LONGEST_WAIT_S)))
            timeout_s = deadline.left_s(_CONNECT_S), deadline.left_s(_READ_S)
            started = time.perf_counter()
            try:
                reply = self._session().post(
                    uri, data=payload.encode(), headers=headers, timeout=timeout_s, allow_redirects=False
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                trouble, wait_s = type(error).__name__, 0.0
                continue
            latency_ms = (time.perf_counter() - started) * 1000
            if reply.status_code in {401, 403}:
                raise ConfigurationError(
                    f"Deployment {what} refused the request ({reply.status_code}). Give the identity that "
                    f"Driftloop runs as the role '{ROLE}' on the endpoint.",
                    code=Code.ACCESS_REFUSED,
                )
            if reply.status_code == 404:  # a model's own 404 comes as 424
                raise DependencyUnavailable(
                    f"Deployment {what} does not serve: {safe(reply.text)}", code=Code.ENDPOINT_UNUSABLE
                )
            if reply.status_code not in _PASSING:
                return Answer(reply.status_code, reply.text, latency_ms)
            trouble, wait_s = f"{reply.status_code} {safe(reply.text)}", _seconds(reply)
            if wait_s > _LONGEST_WAIT_S:
                break
        raise DependencyUnavailable(f"Deployment {what} does not answer ({trouble}).", wait_s or None)

    def _session(self) -> requests.Session:
        """One a thread: connections are kept, and a session is not made for threads."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
        session: requests.Session = self._sessions.session
        return session


def _seconds(reply: requests.Response) -> float:
    try:
        return float(reply.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0

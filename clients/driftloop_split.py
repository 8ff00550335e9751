"""A caller that always meets the same model while a canary runs. Copy this file: it needs nothing but Python.

    split = Split("https://APP.azurewebsites.net/api/loops/churn/split", token)
    response = http.post(scoring_uri, json=body, headers={**authorization, **split.headers(user)})

How it works, for other languages: docs/how-to.md of Driftloop, "keep each caller on one model".
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

DEPLOYMENT = "azureml-model-deployment"
REQUEST_ID = "x-ms-client-request-id"


def point(draw: str, caller: str) -> float:
    """Where a caller lies between 0 and 100: the same each time of one draw, anew in the next."""
    digest = hashlib.sha256(f"{draw}\n{caller}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 * 100


def deployment(split: Mapping[str, Any], caller: str) -> str:
    """The deployment that serves this caller; empty while nobody is served."""
    at = point(split["draw"], caller)
    return next((str(arm["deployment"]) for arm in split["arms"] if at < arm["up_to_pct"]), "")


def request_id(caller: str) -> str:
    """33 characters that name the caller, by a hash, before the `_`: `canary.unit: client_id` counts by it."""
    return f"{hashlib.sha256(caller.encode()).hexdigest()[:16]}_{secrets.token_hex(8)}"


class Split:
    """The split as the app tells it, asked for again when it is old. Without a fresh one the endpoint draws as ever."""

    def __init__(
        self, url: str, token: Callable[[], str], timeout_s: float = 2.0, again_s: float = 15.0
    ) -> None:
        """`token`: a bearer token for the app. After a failure the app is left alone for `again_s`."""
        self._url, self._token, self._timeout_s, self._again_s = url, token, timeout_s, again_s
        self._lock = threading.Lock()
        self._told: Mapping[str, Any] | None = None
        self._until = 0.0
        self.error: Exception | None = None
        """Why the app could not be asked; None when it could."""

    def headers(self, caller: str) -> dict[str, str]:
        """What a request of this caller bears beside its own authorization."""
        told = self._fresh()
        chosen = deployment(told, caller) if told else ""
        return {REQUEST_ID: request_id(caller)} | ({DEPLOYMENT: chosen} if chosen else {})

    def forget(self) -> None:
        """The endpoint answered 404: what was told is over. Ask for headers again, and send the request once more."""
        with self._lock:
            self._told, self._until = None, 0.0

    def _fresh(self) -> Mapping[str, Any] | None:
        with self._lock:
            if time.monotonic() >= self._until:
                self._ask()
            return self._told

    def _ask(self) -> None:
        asked_at = time.monotonic()
        try:
            bearer = {"Authorization": f"Bearer {self._token()}"}
            request = urllib.request.Request(self._url, headers=bearer)  # noqa: S310 - the address is the caller's own
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                told = json.load(answer)
            deployment(told, "")  # what cannot be used is no split
            self._told, self._until, self.error = told, asked_at + float(told["max_age_s"]), None
        except Exception as error:  # noqa: BLE001 - a request must not fail because nobody says who should answer it
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            self._told, self._until, self.error = None, time.monotonic() + self._again_s, error

"""Azure's errors become ours in one place: by consequence, with what to do, and without anything secret."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.request import getproxies

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import RequestsTransport
from requests import RequestException

from shared import deadline
from shared.azure.service_codes import ADVICE, LOST, Consequence, consequence
from shared.azure.trust import SharedTrust
from shared.domain.reason import Code
from shared.errors import ConfigurationError, Conflict, DependencyUnavailable, DriftloopError
from shared.redaction import safe

LONGEST_WAIT_S = 5.0
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
CALL_S = 60.0
"""How long a call may take with all its retries, where it moves no large file: a service that is silent keeps a loop's
other parts waiting for no longer."""


UNBOUNDED = math.inf
"""By itself: the function that asks has its own end."""


class NotAwaitedError(Exception):
    """Ends the thread that a client starts to follow a long operation: the next tick looks at the state instead."""


class Busy(DependencyUnavailable):
    """What is asked for contradicts the state of the thing now, by a change that is under way: it passes."""


class BoundedTransport(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily: no type
    """Waits no longer than there is time, and sleeps a moment for a client's retry policy; a longer wait is left to the
    caller, who has a clock for it.

    The threads in which pollers of long operations run get no answer at all: nobody awaits them, they would
    print, and they would outlive the function that began the operation.
    """

    def __init__(self) -> None:
        super().__init__(
            connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, **environment_settings()
        )

    def open(self) -> None:
        is_new = not self.session
        super().open()
        if is_new:
            retries = self.session.get_adapter("https://").max_retries
            self.session.mount("https://", SharedTrust(max_retries=retries))

    def send(self, request: Any, **kwargs: Any) -> Any:
        _end_pollers()
        for name, most in (("connection_timeout", CONNECT_TIMEOUT_S), ("read_timeout", READ_TIMEOUT_S)):
            kwargs[name] = deadline.left_s(kwargs.get(name, most))
        return super().send(request, **kwargs)

    def sleep(self, duration: float) -> None:
        _end_pollers()
        if duration > LONGEST_WAIT_S:
            raise DependencyUnavailable(
                f"Throttled by Azure; retrying after {duration:.0f} s.", retry_after_s=duration
            )
        super().sleep(deadline.left_s(duration))


def environment_settings() -> dict[str, Any]:
    """Where there is no proxy, the environment is asked once for a bundle of certificates, and not for both, and for a
    `.netrc` that would take the place of our token, at each request: that was a tenth of what one costs us."""
    if getproxies():
        return {}
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return {"use_env_settings": False, "connection_verify": bundle or True}


def _end_pollers() -> None:
    if threading.current_thread().name.startswith("LROPoller"):
        raise NotAwaitedError


@contextmanager
def asking(call: str, resource: str, role: str, *, most_s: float = CALL_S) -> Iterator[None]:
    """Around calls of an Azure client: `role` is what the app's identity needs on `resource` for this `call`.

    `most_s` is UNBOUNDED where a large file is moved, and in a generator, whose caller's time would be counted as well.
    """
    ends_at = time.monotonic() + most_s
    try:
        if most_s == UNBOUNDED:
            yield
        else:
            with deadline.within(most_s):
                yield
    except deadline.TimeIsUp:
        raise _late(call, resource) from None
    except (AzureError, RequestException) as error:
        # Not `from error`: a client's message may hold a URL with a signature.
        if time.monotonic() >= ends_at or deadline.over():  # a credential hides that its service is silent
            raise _late(call, resource) from None
        raise translated(error, call, resource, role) from None


def _late(call: str, resource: str) -> deadline.TimeIsUp:
    return deadline.TimeIsUp(f"{call} on {resource} was not answered in time. Will retry.")


def translated(error: AzureError | RequestException, call: str, resource: str, role: str) -> DriftloopError:
    """What an Azure client's error means to us."""
    if isinstance(error, RequestException):  # of a reply that azure-core reads where it does not translate
        error = ServiceResponseError(error)
    status = status_of(error)
    what = f"{call} on {resource}"
    if (meant := _meant(error, status, what, role)) is not None:
        return meant
    if status is None and isinstance(error, ClientAuthenticationError):
        # Why, stands in words alone: its service is away or throttles, or there is no identity at all.
        return DependencyUnavailable(
            f"{what} could not be asked for: no token could be had. It is tried again; if that lasts, the app has no "
            "identity (`azd provision` gives it), or nobody is signed in on this machine (`az login`).",
            code=Code.NOT_SIGNED_IN,
        )
    if status in {401, 403}:
        return ConfigurationError(
            f"{what} was refused ({_code(error)}). Give the identity that Driftloop runs as the role "
            f"'{role}' on it; roles take some minutes to work.",
            code=Code.ACCESS_REFUSED,
        )
    if _is_passing(error, status):
        return DependencyUnavailable(
            f"{what} is temporarily unavailable ({_code(error)}). Will retry.", retry_after_s(error)
        )
    if getattr(error, "error_category", "") == "UserError":  # azure-ai-ml refused it before asking Azure
        return ConfigurationError(
            f"{what} cannot be done as it is written: {safe(error.message)}", code=Code.REQUEST_REFUSED
        )
    return DriftloopError(f"{what} failed ({_code(error)}): {safe(error.message)}", code=Code.REQUEST_REFUSED)


def _meant(error: AzureError, status: int | None, what: str, role: str) -> DriftloopError | None:
    """By the service's own code, whatever the status (`service_codes`); None when it says nothing."""
    code = code_of(error)
    match consequence(status, code):
        case Consequence.RACE:
            return Conflict(
                f"{what}: it changed or exists already ({_code(error)}). Read it again and decide again."
            )
        case Consequence.PASSING if (status or 0) >= 500:
            return None
        case Consequence.PASSING:
            return Busy(f"{what} is refused for now ({_code(error)}). Will retry.", retry_after_s(error))
        case Consequence.BLOB_UNREADABLE:
            return ConfigurationError(
                f"{what} was refused ({_code(error)}): a blob in it cannot be read. Rehydrate it to an "
                "online tier, or write it again without a key of its own.",
                code=Code.REQUEST_REFUSED,
            )
        case Consequence.CONFIGURATION:
            advice = ADVICE[code] if ADVICE[code].endswith(".") else f"{ADVICE[code]} '{role}' on it."
            refused = Code.ACCESS_REFUSED if status in {401, 403} else Code.REQUEST_REFUSED
            return ConfigurationError(f"{what} was refused ({_code(error)}). {advice}", code=refused)
    return None


def must_be_absent(error: ResourceNotFoundError) -> None:
    """Raise it where not the thing alone is not there, but what it lies in: nothing was deleted then."""
    if consequence(status_of(error), code_of(error)) is not None:
        raise error


def lost(error: HttpResponseError, place: str) -> str:
    """Why a blob of our own in `place` cannot be read, in words that follow its name; empty: not for its own sake."""
    status, code = status_of(error), code_of(error)
    # Of a copy's source the service says so in other words.
    is_gone = status == 404 and consequence(status, code) is None
    return LOST.get("BlobNotFound" if is_gone else code, "").format(place=place)


def status_of(error: AzureError) -> int | None:
    """The HTTP status behind an error, or None when there was no answer."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def _is_passing(error: AzureError, status: int | None) -> bool:
    if status is not None:
        return status in {408, 429} or status >= 500
    cut_off = isinstance(error, HttpResponseError) and error.response is None  # in the middle of the reply
    return cut_off or isinstance(error, ServiceRequestError | ServiceResponseError)


def retry_after_s(error: AzureError) -> float | None:
    """What the service asked for, as seconds or as a date."""
    response = error.response if isinstance(error, HttpResponseError) else None
    asked = getattr(response, "headers", {}).get("Retry-After")
    if not asked:
        return None
    try:
        return float(asked)
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def code_of(error: AzureError) -> str:
    """The service's own name for what went wrong; empty when it gave none."""
    code = getattr(error, "error_code", None) or getattr(getattr(error, "error", None), "code", None)
    return str(getattr(code, "value", code) or "")


def _code(error: AzureError) -> str:
    parts = [str(part) for part in (status_of(error), code_of(error)) if part]
    return " ".join(parts) or type(error).__name__

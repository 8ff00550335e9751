"""A transport that breaks under Azure's unmodified clients, as connections and services do."""

from __future__ import annotations

import threading
from typing import Any

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.exceptions import IncompleteRead, ProtocolError

from shared.azure.failures import BoundedTransport

FAULTS = ("lost", "unsent", "truncated", "broken off", "503", "429 1")
"""The reply is lost, the request never sent, the reply's body is shorter than it said, the connection breaks in the
middle of it, the service is away, or asks for a second."""


class Breakable(BoundedTransport):
    """Each request meets what `fault_of` says: one of `FAULTS`, another status, or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._adapter = _Cutting()

    def fault_of(self, method: str, url: str) -> str:
        raise NotImplementedError

    def open(self) -> None:
        was = self.session
        super().open()
        if was is None and self.session is not None:
            self.session.mount("https://", self._adapter)
            self.session.mount("http://", self._adapter)

    def send(self, request: object, **kwargs: object) -> object:
        fault = self.fault_of(request.method, request.url)  # type: ignore[attr-defined]  # old or new request type
        if fault == "unsent":
            raise ServiceRequestError("connection refused by https://host/path?sig=planted")
        with self._adapter.cutting(fault if fault in {"truncated", "broken off"} else ""):
            response = super().send(request, **kwargs)
        if fault == "lost":
            response.internal_response.close()
            raise ServiceResponseError("connection reset by https://host/path?sig=planted")
        if fault[:1].isdigit():
            status, _, retry_after = fault.partition(" ")
            response.status_code = int(status)
            if retry_after:
                response.headers["Retry-After"] = retry_after
        return response


class _Cutting(HTTPAdapter):
    """Ends the body of a reply in its middle, as urllib3 tells it."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)
        self._thread = threading.local()

    def cutting(self, how: str) -> _Cutting:
        self._thread.how = how
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._thread.how = ""

    def send(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> Response:  # Any: requests' own signature
        response = super().send(request, *args, **kwargs)
        if how := getattr(self._thread, "how", ""):
            whole = response.raw.stream

            def stream(amount: int = 1024, decode_content: bool | None = None) -> object:
                for piece in whole(amount, decode_content):
                    yield piece[: len(piece) // 2]
                    break
                cause = (
                    IncompleteRead(1, 1) if how == "truncated" else ConnectionResetError(104, "reset by peer")
                )
                raise ProtocolError(f"Connection broken: {cause!r}", cause)

            response.raw.stream = stream
        return response

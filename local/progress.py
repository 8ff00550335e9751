"""How long Azure seems to take is configured: at once, after n looks, or after t seconds.

Services begin an operation, do their work, and say how it ended. A look at the operation shows it running
until its pace is over *and* its work has ended, so tests see the states in between when they want to.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from local.settings import LOCATION, SUBSCRIPTION
from local.state import Document, State

_LOCATION_PATH = (
    "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
)
OPERATIONS_PATH = _LOCATION_PATH + "/mfeOperationsStatus"
RESULTS_PATH = _LOCATION_PATH + "/mfeOperationResults"


class Status(StrEnum):
    RUNNING = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(frozen=True)
class Pace:
    """`looks` and `seconds` that an operation is shown as running, whichever ends later."""

    looks: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Pace:
        """`immediate`, `<n> looks` or `<t> seconds`; ValueError otherwise."""
        if text == "immediate":
            return cls()
        amount, _, unit = text.partition(" ")
        if unit == "looks":
            return cls(looks=int(amount))
        if unit == "seconds":
            return cls(seconds=float(amount))
        raise ValueError(f"A pace is 'immediate', '<n> looks' or '<t> seconds', not {text!r}.")


class Operations:
    """Long-running operations, by id. A pace is set for a `kind`: `deployment`, `job.cancel`..."""

    def __init__(self, state: State, clock: Callable[[], datetime], address: str) -> None:
        self._state = state
        self._clock = clock
        self._address = address

    def set_pace(self, kind: str, pace: Pace) -> None:
        self._state.put("pace", kind, {"looks": pace.looks, "seconds": pace.seconds})

    def pace(self, kind: str) -> Pace:
        found = self._state.get("pace", kind)
        return Pace() if found is None else Pace(**found)

    def begin(self, kind: str, target: str = "") -> str:
        """The id of a new operation on the resource `target`."""
        operation = uuid.uuid4().hex
        pace = self.pace(kind)
        self._state.put(
            "operation",
            operation,
            {
                "kind": kind,
                "target": target,
                "looks_left": pace.looks,
                "shown_until": (self._clock() + timedelta(seconds=pace.seconds)).isoformat(),
                "status": Status.RUNNING,
                "error": None,
            },
        )
        return operation

    def finish(self, operation: str, error: Document | None = None, status: Status | None = None) -> None:
        """The work has ended: well, or with an ARM error document. The first end counts."""
        with self._state.transaction():
            found = self._found(operation)
            if found["status"] == Status.RUNNING:
                found["status"] = status or (Status.FAILED if error else Status.SUCCEEDED)
                found["error"] = error
                self._state.put("operation", operation, found)

    def look(self, operation: str) -> Status:
        """What a client may see now. Counts as one look."""
        with self._state.transaction():
            found = self._found(operation)
            if found["looks_left"] > 0:
                found["looks_left"] -= 1
                self._state.put("operation", operation, found)
                return Status.RUNNING
            if self._clock() < datetime.fromisoformat(found["shown_until"]):
                return Status.RUNNING
            return Status(found["status"])

    def document(self, operation: str) -> Document:
        """The body that the operation's URL answers with. Counts as one look."""
        status = self.look(operation)
        body: Document = {"id": operation, "name": operation, "status": status}
        error = self._found(operation)["error"]
        return body | ({"error": error} if status is Status.FAILED and error else {})

    def headers(self, operation: str) -> dict[str, str]:
        """What the answer that begins an operation carries, so that the SDK polls every second."""
        return {"Azure-AsyncOperation": self._url(OPERATIONS_PATH, operation), "Retry-After": "1"}

    def result_headers(self, operation: str) -> dict[str, str]:
        """For a 202 whose `Location` answers 202 until the operation ends, then 200."""
        return {"Location": self._url(RESULTS_PATH, operation), "Retry-After": "1"}

    def _url(self, path: str, operation: str) -> str:
        below = path.format(subscription=SUBSCRIPTION, location=LOCATION)
        return f"{self._address}{below}/{operation}?api-version=2022-02-01-preview"

    def _found(self, operation: str) -> Document:
        found = self._state.get("operation", operation)
        if found is None:
            raise LookupError(f"There is no operation {operation!r}.")
        return found

"""Every call of every port passes one place, where a test may look, break, or delay it; the engine does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from shared.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    DriftloopError,
    InputRejected,
    OutcomeUnknown,
)
from shared.ports import Ports

LOOKS = frozenset(
    {
        *(
            "store.read",
            "store.range",
            "store.loop_after",
            "store.overview",
            "store.overviews",
            "store.unrouted",
            "documents.get",
        ),
        *(
            "blobs.find",
            "blobs.list",
            "blobs.download",
            "blobs.download_all",
            "versions.read",
            "versions.list",
        ),
        *(
            "serving.traffic",
            "serving.set_by_us",
            "serving.deployments",
            "serving.predict",
            "batch.traffic",
            "batch.set_by_us",
            "batch.deployments",
            "evidence.traffic",
            "evidence.predictions",
            "evidence.inputs",
            "sources.fetch",
            "readings.left",
        ),
    }
)
"""Calls that change nothing; all others are effects."""

RETRY_AFTER_S = 7.0


class Crash(BaseException):
    """The process is gone. No handler of errors may swallow it, so it is no Exception."""


@dataclass(frozen=True)
class Call:
    """One call of one port."""

    port: str
    method: str
    arguments: tuple[object, ...]

    @property
    def name(self) -> str:
        return f"{self.port}.{self.method}"

    @property
    def effect(self) -> bool:
        return self.name not in LOOKS


Around = Callable[[Call, Callable[[], object]], object]
"""Gets a call and the way to make it; gives its answer, or raises."""


class _Watched:
    """One port, every method of which goes through `around`."""

    def __init__(self, name: str, port: object, around: Around) -> None:
        self._name, self._port, self._around = name, port, around

    def __getattr__(self, method: str) -> Any:  # Any: this stands for each of the ports
        found = getattr(self._port, method)
        if not callable(found):
            return found

        def call(*arguments: object, **named: object) -> object:
            told = Call(self._name, method, (*arguments, *named.values()))
            return self._around(told, lambda: found(*arguments, **named))

        return call


def watched(ports: Ports, around: Around) -> Ports:
    """The same ports, all calls but the clock's through `around`."""
    wrapped = {
        field.name: _Watched(field.name, getattr(ports, field.name), around)
        for field in fields(Ports)
        if field.name != "clock" and getattr(ports, field.name) is not None
    }
    return Ports(**wrapped, clock=ports.clock)


FAULTS = ("crash before", "crash after", "lost reply", "conflict", "throttled", "unavailable")


def break_with(fault: str, call: Call, make: Callable[[], object]) -> object:
    """Make one call go wrong in this way."""
    if fault == "crash before":
        raise Crash(call.name)
    if fault == "throttled":
        raise DependencyUnavailable(f"{call.name}: too many requests", RETRY_AFTER_S)
    if fault == "unavailable":
        raise DependencyUnavailable(f"{call.name} is unavailable")
    if fault == "conflict" and call.name == "store.commit":
        raise Conflict(f"{call.name}: a rival wrote first")
    if fault == "conflict":
        raise DependencyUnavailable(f"{call.name}: busy with another change")
    answer = make()
    if fault == "crash after":
        raise Crash(call.name)
    if fault == "lost reply" and call.name == "store.commit":
        raise OutcomeUnknown(f"{call.name}: the answer was lost")
    if fault == "lost reply":
        raise DependencyUnavailable(f"{call.name}: the answer was lost")
    return answer


class Foreign(ValueError):
    """An error of a library, made on purpose."""


PERMANENT: Mapping[str, Callable[[str], Exception]] = {
    "archived": lambda what: InputRejected("archived-blob", f"{what}: 409 BlobArchived"),
    "lost race": lambda what: Conflict(f"{what}: a rival wrote first"),
    "outcome unknown": lambda what: OutcomeUnknown(f"{what}: the answer was lost"),
    "unavailable": lambda what: DependencyUnavailable(f"{what} is unavailable"),
    "refused": lambda what: ConfigurationError(f"{what} was refused (403)"),
    "unclassed": lambda what: DriftloopError(f"{what} failed (418)"),
    "foreign": lambda what: Foreign(f"{what}: an error of a library"),
}
"""What does not pass: every call that it concerns fails like this, for ever."""

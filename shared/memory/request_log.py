"""What an endpoint was asked and answered, in memory: lines and rows that tests append."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple

import numpy as np

from shared.errors import ConfigurationError, DependencyUnavailable, DriftloopError
from shared.port_rules import OWN_REQUESTS, counts_as_error, sampled
from shared.ports import ArmTraffic, CountedUnit, TrafficMinute, TrafficSeen, TrafficSpan


class MemoryRequest(NamedTuple):
    """A line of the traffic log; lives make them by the ten thousand, so it is no dataclass."""

    at: datetime
    deployment: str
    status: int = 200
    latency_ms: float = 10.0
    request_id: str = ""
    """The client's own."""
    identity: str = ""
    """Who bore the token."""
    service_id: str = ""
    """The service's own, by which a row that is called `<service_id>_<index>` is known to be of this request."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000


class _Columns:
    """Lines of one endpoint with the columns that they are counted by: a life asks thousands of times for thousands of
    lines, and has appended some since."""

    def __init__(self, lines: Sequence[MemoryRequest]) -> None:
        self.lines = lines
        self.at_us = np.empty(0, np.int64)
        self.status = np.empty(0, np.int16)
        self.latency_ms = np.empty(0)
        self.deployment = np.empty(0, np.int32)
        self.strange = np.empty(0, bool)
        self.names: dict[str, int] = {}
        self.grown()

    def grown(self) -> _Columns:
        """With what was appended since."""
        new = self.lines[len(self.at_us) :]
        if new:
            names = [self.names.setdefault(line.deployment, len(self.names)) for line in new]
            strange = [not line.request_id.startswith(OWN_REQUESTS) for line in new]
            self.at_us = np.append(self.at_us, np.array([_us(line.at) for line in new], np.int64))
            self.status = np.append(self.status, np.array([line.status for line in new], np.int16))
            self.latency_ms = np.append(self.latency_ms, [line.latency_ms for line in new])
            self.deployment = np.append(self.deployment, np.array(names, np.int32))
            self.strange = np.append(self.strange, strange)
        return self

    def strangers(self, since: datetime, until: datetime) -> np.ndarray:
        """Which lines are of that time and no request of ours."""
        return np.flatnonzero(self.strange & (self.at_us >= _us(since)) & (self.at_us < _us(until)))

    def arms(self, chosen: np.ndarray) -> tuple[dict[str, ArmTraffic], list[TrafficMinute]]:
        """What each deployment answered, and by the minute."""
        arms, minutes = dict[str, ArmTraffic](), defaultdict[int, dict[str, tuple[int, int]]](dict)
        statuses = np.unique(self.status[chosen])
        failed = np.isin(self.status, [one for one in statuses.tolist() if counts_as_error(one)])
        for name, code in sorted(self.names.items()):
            own = chosen[self.deployment[chosen] == code]
            if not len(own):
                continue
            well = own[~failed[own]]
            arms[name] = ArmTraffic(len(own), len(own) - len(well), tuple(self.latency_ms[well].tolist()))
            starts, which = np.unique(self.at_us[own] // _MINUTE_US, return_inverse=True)
            requests, errors = np.bincount(which), np.bincount(which, failed[own])
            for start, n, bad in zip(starts.tolist(), requests.tolist(), errors.tolist(), strict=True):
                minutes[start][name] = n, int(bad)
        return arms, [TrafficMinute(_EPOCH + timedelta(minutes=at), minutes[at]) for at in sorted(minutes)]


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


class MemoryEvidence:
    """Append to `requests[endpoint]` and `rows[endpoint, deployment]`; `unavailable` makes queries fail, `late` is how
    long after a request its line can be read. `answers` has what a loop's own query gives, by the table that it begins
    with."""

    def __init__(self) -> None:
        self.requests: dict[str, list[MemoryRequest]] = {}
        self._columns: dict[str, _Columns] = {}
        self.rows: dict[tuple[str, str], list[Mapping[str, object]]] = {}
        self.answers: dict[str, list[Mapping[str, object]] | DriftloopError] = {}
        self.unavailable = ""
        self.late = timedelta()

    def traffic(
        self, endpoint: str, since: datetime, until: datetime, unit: CountedUnit = "request"
    ) -> TrafficSeen:
        self._check()
        columns = self._columns_of(endpoint)
        seen = columns.strangers(since, until - self.late)
        newest = columns.lines[seen[np.argmax(columns.at_us[seen])]].at if len(seen) else None
        nameless = 0
        if unit != "request":
            requests = [columns.lines[index] for index in seen]
            nameless = sum(not _caller(request, unit) for request in requests)
            columns = _Columns(_counted(requests, unit))
            seen = np.arange(len(columns.lines))
        arms, minutes = columns.arms(seen)
        return TrafficSeen(arms, newest, minutes, nameless)

    def history(self, endpoint: str, since: datetime, until: datetime, minutes: int) -> list[TrafficSpan]:
        self._check()
        found = defaultdict[tuple[datetime, str], list[MemoryRequest]](list)
        for request in self._strangers(endpoint, since, until):
            midnight = request.at.replace(hour=0, minute=0, second=0, microsecond=0)
            start = request.at - (request.at - midnight) % timedelta(minutes=minutes)
            found[start, request.deployment].append(request)
        return [_span(*key, found[key]) for key in sorted(found)]

    def _strangers(self, endpoint: str, since: datetime, until: datetime) -> list[MemoryRequest]:
        columns = self._columns_of(endpoint)
        return [columns.lines[index] for index in columns.strangers(since, until - self.late)]

    def _columns_of(self, endpoint: str) -> _Columns:
        lines = self.requests.get(endpoint, [])
        kept = self._columns.get(endpoint)
        if kept is None or kept.lines is not lines or len(lines) < len(kept.at_us):
            kept = self._columns[endpoint] = _Columns(lines)
        return kept.grown()

    def predictions(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        limit: int = 10_000,
        id: str = "",
        unit: CountedUnit = "request",
    ) -> list[Mapping[str, object]]:
        rows = self._between(endpoint, deployment, since, until)
        if unit != "request":
            first = {one.service_id for one in _counted(self._strangers(endpoint, since, until), unit)}
            rows = [row for row in rows if str(row["id"]).rpartition("_")[0] in first]
        return rows[:limit]

    def inputs(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        limit: int = 10_000,
        id: str = "",
    ) -> list[Mapping[str, object]]:
        found = self._between(endpoint, deployment, since, until)
        return sampled(({name: row[name] for name in ("id", "time", "inputs")} for row in found), limit)

    def query(self, query: str, since: datetime, until: datetime, most: int) -> list[Mapping[str, object]]:
        self._check()
        table = query.split()[0]
        answer = self.answers.get(table, ConfigurationError(f"the logs have no table {table}"))
        if isinstance(answer, DriftloopError):
            raise answer
        return answer[:most]

    def _between(
        self, endpoint: str, deployment: str, since: datetime, until: datetime
    ) -> list[Mapping[str, object]]:
        self._check()
        begins, ends = since.isoformat(), until.isoformat()
        rows = self.rows.get((endpoint, deployment), [])
        return [row for row in rows if begins <= str(row["time"]) < ends]

    def _check(self) -> None:
        if self.unavailable:
            raise DependencyUnavailable(self.unavailable)


def _caller(request: MemoryRequest, unit: CountedUnit) -> str:
    return request.identity if unit == "identity" else request.request_id.partition("_")[0]


def _counted(requests: Sequence[MemoryRequest], unit: CountedUnit) -> Sequence[MemoryRequest]:
    """All, or the first of each caller that is named."""
    if unit == "request":
        return requests
    first: dict[str, MemoryRequest] = {}
    for request in sorted(requests, key=lambda one: one.at):
        if caller := _caller(request, unit):
            first.setdefault(caller, request)
    return list(first.values())


def _span(at: datetime, name: str, requests: Sequence[MemoryRequest]) -> TrafficSpan:
    arm = _arm(requests)
    ordered = sorted(arm.latencies_ms)
    median, high = (
        ordered[ceil(share * len(ordered)) - 1]
        if ordered
        else None  # nearest rank, as the log's own percentile
        for share in (0.5, 0.95)
    )
    return TrafficSpan(at, name, arm.requests, arm.errors, median, high)


def _arm(requests: Sequence[MemoryRequest]) -> ArmTraffic:
    failed = {status for status in {request.status for request in requests} if counts_as_error(status)}
    answered = tuple(request.latency_ms for request in requests if request.status not in failed)
    return ArmTraffic(len(requests), len(requests) - len(answered), answered)

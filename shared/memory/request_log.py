"""What an endpoint was asked and answered, in memory: lines and rows that tests append."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple

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


class MemoryEvidence:
    """Append to `requests[endpoint]` and `rows[endpoint, deployment]`; `unavailable` makes queries fail, `late` is how
    long after a request its line can be read. `answers` has what a loop's own query gives, by the table that it begins
    with."""

    def __init__(self) -> None:
        self.requests: dict[str, list[MemoryRequest]] = {}
        self.rows: dict[tuple[str, str], list[Mapping[str, object]]] = {}
        self.answers: dict[str, list[Mapping[str, object]] | DriftloopError] = {}
        self.unavailable = ""
        self.late = timedelta()

    def traffic(
        self, endpoint: str, since: datetime, until: datetime, unit: CountedUnit = "request"
    ) -> TrafficSeen:
        self._check()
        requests = self._strangers(endpoint, since, until)
        newest = max((request.at for request in requests), default=None)
        arms = defaultdict[str, list[MemoryRequest]](list)
        for request in _counted(requests, unit):
            arms[request.deployment].append(request)
        nameless = 0 if unit == "request" else sum(not _caller(request, unit) for request in requests)
        return TrafficSeen(
            {name: _arm(arms[name]) for name in sorted(arms)}, newest, _minutes(arms), nameless
        )

    def history(self, endpoint: str, since: datetime, until: datetime, minutes: int) -> list[TrafficSpan]:
        self._check()
        found = defaultdict[tuple[datetime, str], list[MemoryRequest]](list)
        for request in self._strangers(endpoint, since, until):
            midnight = request.at.replace(hour=0, minute=0, second=0, microsecond=0)
            start = request.at - (request.at - midnight) % timedelta(minutes=minutes)
            found[start, request.deployment].append(request)
        return [_span(*key, found[key]) for key in sorted(found)]

    def _strangers(self, endpoint: str, since: datetime, until: datetime) -> list[MemoryRequest]:
        end = until - self.late
        return [
            request
            for request in self.requests.get(endpoint, [])
            if since <= request.at < end and not request.request_id.startswith(OWN_REQUESTS)
        ]

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


def _minutes(arms: Mapping[str, Sequence[MemoryRequest]]) -> list[TrafficMinute]:
    found = defaultdict[datetime, dict[str, tuple[int, int]]](dict)
    for name, seen in arms.items():
        statuses = defaultdict[datetime, list[int]](list)
        minute = end = datetime.min.replace(tzinfo=UTC)
        for request in seen:
            if (
                not minute <= request.at < end
            ):  # neighbours mostly share theirs, and to cut one off takes time
                minute = request.at.replace(second=0, microsecond=0)
                end = minute + timedelta(minutes=1)
            statuses[minute].append(request.status)
        for minute, of_minute in statuses.items():
            errors = sum(n for status, n in Counter(of_minute).items() if counts_as_error(status))
            found[minute][name] = len(of_minute), errors
    return [TrafficMinute(at, found[at]) for at in sorted(found)]


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

"""What live traffic showed: the traffic log per request, and collected predictions; no answer is never zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from heapq import nsmallest

from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult, LogsTable, LogsTableRow

from shared.azure.datastore import Datastore
from shared.azure.failures import asking
from shared.errors import DependencyUnavailable
from shared.port_rules import OWN_REQUESTS, counts_as_error, rank_by_hash, sampled
from shared.ports import ArmTraffic, CountedUnit, TrafficMinute, TrafficSeen, TrafficSpan
from shared.redaction import safe
from shared.serving.collector_rows import Line, Row, alone, joined, line_of, sizes_of

ROLE = "Log Analytics Reader"

SAMPLE = 20_000
"""Rows that one look reads; of more requests the counts are exact and the latencies those of the first ones: a
sample drawn anew at each look would let a statistic choose among samples."""

_REQUESTS = """AmlOnlineEndpointTrafficLog
| where TimeGenerated >= datetime({since}) and TimeGenerated < datetime({until})
| where EndpointName =~ "{endpoint}" and not(XMSClientRequestId startswith "{own}")
"""
_ROWS = "| project TimeGenerated, DeploymentName, ResponseCode, TotalDurationMs\n| top {sample} by TimeGenerated asc"
_COUNTS = (
    "| summarize Requests = count(), Newest = max(TimeGenerated)"
    " by DeploymentName, ResponseCode, Minute = bin(TimeGenerated, 1m)"
)
_SPANS = (
    "| summarize Requests = count(), P50 = percentile(TotalDurationMs, 50), P95 = percentile(TotalDurationMs, 95)"
    " by DeploymentName, ResponseCode, Span = bin(TimeGenerated, {minutes}m)"
)
_CALLERS = {
    "identity": "| extend Caller = IdentityData",
    "client_id": '| extend Caller = tostring(split(XMSClientRequestId, "_")[0])',
}
_FIRST = """
| where Caller != "" and DeploymentName != ""
| summarize arg_min(TimeGenerated, DeploymentName, ResponseCode, TotalDurationMs, XRequestId) by Caller
"""
_WHOLE = (
    '\n| where DeploymentName != ""'
    '| summarize Requests = count(), Named = countif(Caller != ""), Newest = max(TimeGenerated)'
)
_IDS = '| where DeploymentName =~ "{deployment}" | project XRequestId | take {most}'
_LATE = timedelta(minutes=15)
_NEAR = timedelta(minutes=5)
"""How far the collector's time of a request may lie from the log's."""

MOST_IDS = 200_000

MOST_LINES = 50_000
"""Lines of one hour and collection that are held for a sample of inputs; of more, those that come first by hash."""


class AzureEvidence:
    """`Evidence` over Log Analytics and the collector's blobs."""

    def __init__(
        self, logs: LogsQueryClient, workspace_id: str, datastore: Datastore, sample: int = SAMPLE
    ) -> None:
        self._logs = logs
        self._workspace_id = workspace_id
        self._datastore = datastore
        self._sample = sample

    def traffic(
        self, endpoint: str, since: datetime, until: datetime, unit: CountedUnit = "request"
    ) -> TrafficSeen:
        requests = _counted(endpoint, since, until, unit)
        rows = self._query(requests + _ROWS.format(sample=self._sample), since, until)
        counts = Counter((_minute(row["TimeGenerated"]), *_kind(row)) for row in rows)
        newest = max((row["TimeGenerated"] for row in rows), default=None)
        if len(rows) >= self._sample:
            counted = self._query(requests + _COUNTS, since, until)
            counts = Counter({(row["Minute"], *_kind(row)): int(row["Requests"]) for row in counted})
            newest = max(row["Newest"] for row in counted)
        arms = {name: _arm(name, counts, rows) for name in sorted({name for _, name, _ in counts})}
        seen = TrafficSeen(arms, newest, _minutes(counts))
        return seen if unit == "request" else self._of_callers(seen, endpoint, since, until, unit)

    def _of_callers(
        self, seen: TrafficSeen, endpoint: str, since: datetime, until: datetime, unit: CountedUnit
    ) -> TrafficSeen:
        """With the watermark of all requests, and how many named no caller."""
        whole = _requests(endpoint, since, until) + _CALLERS[unit] + _WHOLE
        (row,) = self._query(whole, since, until)
        return replace(seen, watermark_at=row["Newest"], nameless=int(row["Requests"]) - int(row["Named"]))

    def history(self, endpoint: str, since: datetime, until: datetime, minutes: int) -> list[TrafficSpan]:
        rows = self._query(_requests(endpoint, since, until) + _SPANS.format(minutes=minutes), since, until)
        groups: dict[tuple[datetime, str], list[LogsTableRow]] = {}
        for row in rows:
            groups.setdefault((row["Span"], str(row["DeploymentName"])), []).append(row)
        return [_span(*key, groups[key]) for key in sorted(groups)]

    def query(self, query: str, since: datetime, until: datetime, most: int) -> list[Mapping[str, object]]:
        bounded = f"{query.rstrip().rstrip(';')}\n| take {most}"
        tables = self._tables("Querying the logs", bounded, since, until)
        return [dict(zip(table.columns, row, strict=True)) for table in tables for row in table.rows]

    def _query(self, query: str, since: datetime, until: datetime) -> list[LogsTableRow]:
        tables = self._tables("Querying the traffic log", query, since, until)
        return [row for table in tables for row in table.rows]

    def _tables(self, call: str, query: str, since: datetime, until: datetime) -> list[LogsTable]:
        with asking(call, "the Log Analytics workspace", ROLE):
            # Rows are stored some time after their TimeGenerated; the span only bounds the search.
            result = self._logs.query_workspace(self._workspace_id, query, timespan=(since, until + _LATE))
        if isinstance(result, LogsQueryPartialResult):
            raise DependencyUnavailable(f"{call} was answered in part: {safe(result.partial_error)}")
        return list(result.tables)

    def predictions(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        limit: int = 10_000,
        id: str = "",
        unit: CountedUnit = "request",
    ) -> list[Row]:
        """Rows of inputs and outputs, oldest first: what the scoring script collected or the payloads, whichever can
        be told apart for more rows."""
        id = id if unit == "request" else ""

        @cache
        def lines(collection: str) -> list[Line]:
            return list(self._lines(endpoint, deployment, collection, since, until))

        @cache
        def strangers() -> Set[str]:
            return self._strangers(endpoint, deployment, since, until, unit)

        @cache
        def sizes() -> Mapping[str, int]:
            return sizes_of(lines("request"))

        found: list[Row] = []
        for inputs, outputs in (("model_inputs", "model_outputs"), ("request", "response")):
            rows = joined(lines(inputs), lines(outputs), strangers, sizes, id)
            found = max(found, rows, key=len)
            if found and len(found) == sum(len(line.rows) for line in lines(outputs)):
                break
        return found[:limit]

    def inputs(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        limit: int = 10_000,
        id: str = "",
    ) -> list[Row]:
        """Hour by hour, as the collector's blobs are, so that memory grows with no span: what the scoring script
        collected or the payloads, whichever can be told apart for more rows of the hour."""
        kept: list[Row] = []
        for start, end in _hours(since, until):
            kept = sampled([*kept, *self._inputs(endpoint, deployment, start, end, id)], limit)
        return kept

    def _inputs(self, endpoint: str, deployment: str, since: datetime, until: datetime, id: str) -> list[Row]:
        @cache
        def lines(collection: str) -> list[Line]:
            found = self._lines(endpoint, deployment, collection, since, until)
            return nsmallest(MOST_LINES, found, key=lambda line: rank_by_hash(line.id))

        @cache
        def strangers() -> Set[str]:
            return self._strangers(endpoint, deployment, since, until)

        def sizes() -> Mapping[str, int]:
            return sizes_of(lines("request"))

        found: list[Row] = []
        for collection in ("model_inputs", "request"):
            found = max(found, alone(lines(collection), strangers, sizes, id), key=len)
            if found and len(found) == sum(len(line.rows) for line in lines(collection)):
                break
        return found

    def _strangers(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        unit: CountedUnit = "request",
    ) -> Set[str]:
        """The service's ids of the requests that are known not to be ours: those whose row has come, and says so. Of
        callers, those of the first request of each within the span."""
        if unit == "request":
            since, until = since - _NEAR, until + _NEAR
        requests = _counted(endpoint, since, until, unit)
        rows = self._query(requests + _IDS.format(deployment=_plain(deployment), most=MOST_IDS), since, until)
        return {str(row["XRequestId"]) for row in rows}

    def _lines(
        self, endpoint: str, deployment: str, collection: str, since: datetime, until: datetime
    ) -> Iterator[Line]:
        folder = f"modelDataCollector/{endpoint}/{deployment}/{collection}"
        for day in _days(since, until):
            for blob in self._datastore.blobs(f"{folder}/{_hour_or_day(day, since, until)}/"):
                place = blob.name.removeprefix(f"{folder}/")
                if not place.endswith(".jsonl") or not _is_within(place, since, until):
                    continue
                for text in self._datastore.read(blob.name).splitlines():
                    line = line_of(text, since, until, self._datastore.read_address)
                    if line is not None:
                        yield line


def _requests(endpoint: str, since: datetime, until: datetime) -> str:
    """The query for all requests of a span that are not ours."""
    span = {"since": since.isoformat(), "until": until.isoformat()}
    return _REQUESTS.format(**span, endpoint=_plain(endpoint), own=OWN_REQUESTS)


def _counted(endpoint: str, since: datetime, until: datetime, unit: CountedUnit) -> str:
    """The query for those of them that count."""
    requests = _requests(endpoint, since, until)
    return requests if unit == "request" else requests + _CALLERS[unit] + _FIRST


Counts = Mapping[tuple[datetime, str, int], int]
"""Requests by minute, deployment and status."""


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _kind(row: LogsTableRow) -> tuple[str, int]:
    return str(row["DeploymentName"]), int(row["ResponseCode"])


def _minutes(counts: Counts) -> list[TrafficMinute]:
    found: dict[datetime, dict[str, tuple[int, int]]] = {}
    for (at, name, status), count in counts.items():
        requests, errors = found.setdefault(at, {}).get(name, (0, 0))
        found[at][name] = requests + count, errors + count * counts_as_error(status)
    return [TrafficMinute(at, found[at]) for at in sorted(found)]


def _span(at: datetime, name: str, by_code: Sequence[LogsTableRow]) -> TrafficSpan:
    """Latency is that of the most frequent code of answers that were well: percentiles of several do not add up."""
    well = [row for row in by_code if not counts_as_error(int(row["ResponseCode"]))]
    most = max(well, key=lambda row: int(row["Requests"]), default=None)
    requests = sum(int(row["Requests"]) for row in by_code)
    return TrafficSpan(
        at,
        name,
        requests,
        errors=requests - sum(int(row["Requests"]) for row in well),
        latency_p50_ms=None if most is None else float(most["P50"]),
        latency_p95_ms=None if most is None else float(most["P95"]),
    )


def _arm(name: str, counts: Counts, rows: Sequence[LogsTableRow]) -> ArmTraffic:
    of_arm = [(status, count) for (_, deployment, status), count in counts.items() if deployment == name]
    return ArmTraffic(
        requests=sum(count for _, count in of_arm),
        errors=sum(count for status, count in of_arm if counts_as_error(status)),
        latencies_ms=tuple(
            float(row["TotalDurationMs"])
            for row in rows
            if row["DeploymentName"] == name and not counts_as_error(int(row["ResponseCode"]))
        ),
    )


def _days(since: datetime, until: datetime) -> Iterator[datetime]:
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < until:
        yield day
        day += timedelta(days=1)


def _hours(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The span cut at the hours of the clock."""
    start = since
    while start < until:
        end = min(start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1), until)
        yield start, end
        start = end


def _is_within(place: str, since: datetime, until: datetime) -> bool:
    """Whether a blob under yyyy/MM/dd/HH/ may hold rows of the span; each blob holds the rows of its hour."""
    hour = place[: len("yyyy/MM/dd/HH")]
    return f"{since:%Y/%m/%d/%H}" <= hour <= f"{_last(until):%Y/%m/%d/%H}"


def _last(until: datetime) -> datetime:
    """The last moment of a span that ends before `until`."""
    return until - timedelta(microseconds=1)


def _hour_or_day(day: date, since: datetime, until: datetime) -> str:
    """The folder of a day, or of the only hour that the span lies in."""
    hour = f"{since:%Y/%m/%d/%H}"
    return hour if hour == f"{_last(until):%Y/%m/%d/%H}" else f"{day:%Y/%m/%d}"


def _plain(name: str) -> str:
    """For a string in a query: an endpoint's name holds letters, digits and hyphens only."""
    return "".join(character for character in name if character.isalnum() or character == "-")

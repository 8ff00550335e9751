"""One row for each request that the router answered, readable a settable delay after it was written."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local import durations
from local.logs.exceptions import QueryRefused, QuerySemanticError
from local.logs.query import Row, Table, parse_datetime, run, table_of
from local.service import Clock
from local.state import Document, State

TRAFFIC_LOG = "AmlOnlineEndpointTrafficLog"
COLUMNS = {
    "TimeGenerated": "datetime",
    "AuthType": "string",
    "AzureMLWorkspaceId": "string",
    "AzureMLWorkspaceName": "string",
    "DeploymentName": "string",
    "EndpointName": "string",
    "IdentityData": "string",
    "Location": "string",
    "Method": "string",
    "ModelStatusCode": "int",
    "ModelStatusReason": "string",
    "OperationName": "string",
    "Path": "string",
    "Protocol": "string",
    "RequestDurationMs": "int",
    "RequestPayloadSize": "int",
    "RequestThrottlingDelayMs": "int",
    "ResponseCode": "int",
    "ResponseCodeReason": "string",
    "ResponseDurationMs": "int",
    "ResponsePayloadSize": "int",
    "ResponseThrottlingDelayMs": "int",
    "SourceSystem": "string",
    "TenantId": "string",
    "TotalDurationMs": "int",
    "Type": "string",
    "UserAgent": "string",
    "XMSClientRequestId": "string",
    "XRequestId": "string",
    "_ResourceId": "string",
    "_SubscriptionId": "string",
}
DELAY_S = 0.2
FAULTS = ("none", "error", "empty", "partial", "throttled")


@dataclass
class Way:
    """How requests become rows that can be read; the control surface sets it, and it outlives a restart."""

    delay_s: float = DELAY_S  # how late each row can be read
    late_rate: float = 0.0  # the share of rows that come later still, in no order ...
    late_s: float = 0.0  # ... by up to so much
    lost_rate: float = 0.0  # the share of rows that never come
    starts_s: float = 0.0  # how long after its first request an endpoint has no rows: diagnostics start late
    seed: int = 0
    fault: str = "none"  # error: queries fail; empty: no row; partial: half of the rows; throttled: 429
    off: list[str] = field(default_factory=list)  # endpoints whose diagnostics are off

    def changed(self, body: Document) -> Way:
        """QuerySemanticError for what is not settable: no test shall believe in a misspelt fault."""
        numbers = {name: value for name, value in body.items() if name not in ("fault", "off")}
        wrong = [name for name, value in numbers.items() if name not in asdict(self) or float(value) < 0]
        if wrong or body.get("fault", "none") not in FAULTS:
            settable = ", ".join(asdict(self))
            raise QuerySemanticError(f"Settable are {settable}, from 0; fault is one of {', '.join(FAULTS)}.")
        named = {"off": sorted(str(name).lower() for name in body["off"])} if "off" in body else {}
        return replace(self, **(body | named))


_SCHEMA = """
CREATE TABLE IF NOT EXISTS traffic (generated_at REAL NOT NULL, arrives_at REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS traffic_time ON traffic (generated_at);
"""


class QueryFails(QueryRefused):
    """The fault: Log Analytics is not well."""

    status = 500
    code = "InternalServerError"
    inner_code = "QueryExecutionError"


class QueryThrottled(QueryRefused):
    """The fault: more queries than a user may send."""

    status = 429
    code = "ThrottledError"
    inner_code = "ThrottledError"


class TrafficLog:
    """Rows are buffered, and on disk within a fraction of a second: a log, not a ledger."""

    def __init__(self, file: Path, state: State, clock: Clock) -> None:
        self._clock = clock
        self._state = state
        self._way = Way(**(state.get("logs.settings", "all") or {}))
        self._chance = random.Random(self._way.seed)
        self._first: dict[str, datetime] = {}
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)
        self._lock = threading.Lock()
        self._buffer: deque[tuple[float, float, str]] = deque()  # both ends are safe without a lock
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write_until_ended, daemon=True, name="traffic-log")
        self._writer.start()

    def add(self, generated_at: datetime, row: Document) -> None:
        """Called from the router's event loop: it never waits for the disk."""
        endpoint, way = str(row.get("EndpointName", "")), self._way
        began = self._first.setdefault(endpoint.lower(), generated_at)
        if not self.is_on(endpoint) or generated_at < began + timedelta(seconds=way.starts_s):
            return
        if self._chance.random() < way.lost_rate:
            return
        later_s = self._chance.random() * way.late_s if self._chance.random() < way.late_rate else 0.0
        arrives = self._clock().timestamp() + way.delay_s + later_s
        self._buffer.append((generated_at.timestamp(), arrives, json.dumps(row)))

    def is_on(self, endpoint: str) -> bool:
        """Whether the endpoint's diagnostics settings send its traffic log here."""
        return endpoint.lower() not in self._way.off

    def settings(self, body: Document) -> Document:
        """Change how requests become rows."""
        self._way = self._way.changed(body)
        if "seed" in body:
            self._chance.seed(self._way.seed)
        self._state.put("logs.settings", "all", asdict(self._way))
        return asdict(self._way)

    def query(self, query: str, timespan: str | None) -> Table:
        """The table that the query makes of the rows that have arrived; QueryRefused when it cannot be run."""
        now = self._clock()
        if self._way.fault == "error":
            raise QueryFails("The query failed for a reason of the service's own. Try again later.")
        if self._way.fault == "throttled":
            raise QueryThrottled("Too many requests. Retry after 1 second.")
        if table_of(query) != TRAFFIC_LOG:
            raise QuerySemanticError(f"Failed to resolve table expression named '{table_of(query)}'")
        rows = [] if self._way.fault == "empty" else self._arrived(now, *_span(timespan, now))
        return run(query, Table(COLUMNS, rows[::2] if self.is_partial else rows))

    @property
    def is_partial(self) -> bool:
        """Whether answers hold a part of the rows only, and say so."""
        return self._way.fault == "partial"

    def stop(self) -> None:
        self._ended.set()
        self._writer.join()
        self._flush()
        self._connection.close()

    def _arrived(self, now: datetime, since: datetime | None, until: datetime | None) -> list[Row]:
        self._flush()
        bounds = (
            since.timestamp() if since else 0.0,
            until.timestamp() if until else float("inf"),
            now.timestamp(),
        )
        with self._lock:
            found = self._connection.execute(
                "SELECT generated_at, body FROM traffic"
                " WHERE generated_at >= ? AND generated_at < ? AND arrives_at <= ? ORDER BY generated_at",
                bounds,
            ).fetchall()
        return [_row(*each) for each in found]

    def _flush(self) -> None:
        with self._lock:
            rows = [self._buffer.popleft() for _ in range(len(self._buffer))]
            if rows:
                self._connection.execute("BEGIN")
                self._connection.executemany("INSERT INTO traffic VALUES (?, ?, ?)", rows)
                self._connection.execute("COMMIT")

    def _write_until_ended(self) -> None:
        while not self._ended.wait(0.2):
            self._flush()


def _row(generated_at: float, body: str) -> Row:
    stored = json.loads(body)
    row: Row = {name: stored.get(name, "" if kind == "string" else None) for name, kind in COLUMNS.items()}
    row["TimeGenerated"] = datetime.fromtimestamp(generated_at, UTC)
    return row


def _span(timespan: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From when on and up to when: an ISO 8601 interval, or a duration that ends now."""
    if not timespan:
        return None, None
    first, _, second = timespan.partition("/")
    if not second:
        return now - _duration(first), None
    if first.startswith("P"):
        until = parse_datetime(second)
        return until - _duration(first), until
    since = parse_datetime(first)
    return since, since + _duration(second) if second.startswith("P") else parse_datetime(second)


def _duration(text: str) -> timedelta:
    found = durations.parsed(text)
    if found is None:
        raise QuerySemanticError(f"The timespan {text!r} is not an ISO 8601 duration or interval")
    return found

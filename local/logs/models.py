"""One row for each request that the router answered, readable a settable delay after it was written."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
FAULTS = ("none", "error", "empty")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS traffic (generated_at REAL NOT NULL, arrives_at REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS traffic_time ON traffic (generated_at);
"""


class QueryFails(QueryRefused):
    """The fault: Log Analytics is not well."""

    status = 500
    code = "InternalServerError"
    inner_code = "QueryExecutionError"


class TrafficLog:
    """Rows are buffered, and on disk within a fraction of a second: a log, not a ledger."""

    def __init__(self, file: Path, state: State, clock: Clock) -> None:
        self._clock = clock
        self._state = state
        stored = state.get("logs.settings", "all") or {}
        self._delay_s = float(stored.get("delay_s", DELAY_S))
        self._fault = str(stored.get("fault", "none"))
        self._off = frozenset(stored.get("off", ()))
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
        if not self.is_on(str(row.get("EndpointName", ""))):
            return
        generated = generated_at.timestamp()
        arrives = self._clock().timestamp() + self._delay_s
        self._buffer.append((generated, arrives, json.dumps(row)))

    def is_on(self, endpoint: str) -> bool:
        """Whether the endpoint's diagnostics settings send its traffic log here."""
        return endpoint.lower() not in self._off

    def settings(self, body: Document) -> Document:
        """Set `delay_s`, `fault` (`none`, `error`: queries fail, `empty`: they find no row), `off` (endpoints)."""
        unknown = sorted(set(body) - {"delay_s", "fault", "off"})
        if unknown or body.get("fault", "none") not in FAULTS or float(body.get("delay_s", 0)) < 0:
            raise QuerySemanticError(
                f"Settable are delay_s from 0, off, and fault as one of {', '.join(FAULTS)}."
            )
        self._delay_s = float(body.get("delay_s", self._delay_s))
        self._fault = str(body.get("fault", self._fault))
        self._off = frozenset(str(name).lower() for name in body.get("off", self._off))
        stored: Document = {"delay_s": self._delay_s, "fault": self._fault, "off": sorted(self._off)}
        self._state.put("logs.settings", "all", stored)
        return stored

    def query(self, query: str, timespan: str | None) -> Table:
        """The table that the query makes of the rows that have arrived; QueryRefused when it cannot be run."""
        now = self._clock()
        if self._fault == "error":
            raise QueryFails("The query failed for a reason of the service's own. Try again later.")
        if table_of(query) != TRAFFIC_LOG:
            raise QuerySemanticError(f"Failed to resolve table expression named '{table_of(query)}'")
        rows = [] if self._fault == "empty" else self._arrived(now, *_span(timespan, now))
        return run(query, Table(COLUMNS, rows))

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
    found = _DURATION.fullmatch(text)
    if found is None:
        raise QuerySemanticError(f"The timespan {text!r} is not an ISO 8601 duration or interval")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

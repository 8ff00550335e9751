"""What live traffic showed: the traffic log per request, and collected predictions; no answer is never zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult, LogsTable, LogsTableRow

from shared.azure.collected import Collected, joined, rows_of
from shared.azure.datastore import DefaultDatastore
from shared.azure.failures import asking, safe
from shared.contract import OWN_REQUESTS, counts_as_error
from shared.errors import DependencyUnavailable
from shared.ports import ArmTraffic, TrafficSeen

ROLE = "Log Analytics Reader"

_ROW_LIMIT = 30_000
_QUERY = """AmlOnlineEndpointTrafficLog
| where TimeGenerated >= datetime({since}) and TimeGenerated < datetime({until})
| where EndpointName == "{endpoint}" and not(XRequestId startswith "{own}")
| project TimeGenerated, DeploymentName, ResponseCode, TotalDurationMs
| order by TimeGenerated asc
| take {limit}"""
_LATE = timedelta(minutes=15)


class AzureEvidence:
    """`Evidence` over Log Analytics and the collector's blobs."""

    def __init__(self, logs: LogsQueryClient, workspace_id: str, datastore: DefaultDatastore) -> None:
        self._logs = logs
        self._workspace_id = workspace_id
        self._datastore = datastore

    def traffic(self, endpoint: str, since: datetime, until: datetime) -> TrafficSeen:
        query = _QUERY.format(
            since=since.isoformat(),
            until=until.isoformat(),
            endpoint=_plain(endpoint),
            own=OWN_REQUESTS,
            limit=_ROW_LIMIT,
        )
        with asking("Querying the traffic log", "the Log Analytics workspace", ROLE):
            # Rows are stored some time after their TimeGenerated; the span only bounds the search.
            result = self._logs.query_workspace(self._workspace_id, query, timespan=(since, until + _LATE))
        if isinstance(result, LogsQueryPartialResult):
            raise DependencyUnavailable(f"The traffic log answered in part: {safe(result.partial_error)}")
        return _seen(result.tables[0]) if result.tables else TrafficSeen({}, None)

    def predictions(
        self, endpoint: str, deployment: str, since: datetime, until: datetime, limit: int = 10_000
    ) -> list[Mapping[str, object]]:
        """Rows of inputs and outputs, oldest first: what the scoring script collected, else the payloads."""
        for kinds in (("model_inputs", "model_outputs"), ("request", "response")):
            inputs, outputs = (self._rows(endpoint, deployment, kind, since, until) for kind in kinds)
            if outputs:
                return joined(inputs, outputs)[:limit]
        return []

    def _rows(
        self, endpoint: str, deployment: str, collection: str, since: datetime, until: datetime
    ) -> dict[str, Collected]:
        folder = f"modelDataCollector/{endpoint}/{deployment}/{collection}"
        found: dict[str, Collected] = {}
        for hour in _hours(since, until):
            for blob in self._datastore.blobs(f"{folder}/{hour:%Y/%m/%d/%H}/"):
                for line in self._datastore.read(blob.name).splitlines():
                    found.update(rows_of(line, since, until))
        return found


def _seen(table: LogsTable) -> TrafficSeen:
    if len(table.rows) >= _ROW_LIMIT:
        raise DependencyUnavailable(
            f"The traffic log has {_ROW_LIMIT} rows or more for one look; ask for less."
        )
    at = {name: place for place, name in enumerate(table.columns)}
    arms: dict[str, list[LogsTableRow]] = {}
    for row in table.rows:
        arms.setdefault(str(row[at["DeploymentName"]]), []).append(row)
    times = [row[at["TimeGenerated"]] for row in table.rows]
    return TrafficSeen(
        {
            name: ArmTraffic(
                requests=len(rows),
                errors=sum(counts_as_error(int(row[at["ResponseCode"]])) for row in rows),
                latencies_ms=tuple(float(row[at["TotalDurationMs"]]) for row in rows),
            )
            for name, rows in arms.items()
        },
        max(times, default=None),
    )


def _hours(since: datetime, until: datetime) -> Iterator[datetime]:
    hour = since.replace(minute=0, second=0, microsecond=0)
    while hour < until:
        yield hour
        hour += timedelta(hours=1)


def _plain(name: str) -> str:
    """For a string in a query: an endpoint's name holds letters, digits and hyphens only."""
    return "".join(character for character in name if character.isalnum() or character == "-")

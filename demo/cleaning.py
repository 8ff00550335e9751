"""Takes away what was made under a name of its own in a deployment; says what stays, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from shared.azure.client import Clients, Workspace, credential
from shared.redaction import safe
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

CONTAINERS = ("landing", "labels", "quarantine", "versions")
ENDED = ("Completed", "Failed", "Canceled")


def clear(settings: Settings, prefix: str) -> Iterator[str]:
    """Rows, blobs, jobs, endpoints and assets whose names begin with `prefix`; a line for each kind of thing."""
    clients = Clients(settings, credential())
    ml = Workspace(settings, clients.identity)()
    yield _each("rows", _rows(clients, prefix))
    for container in CONTAINERS:
        yield _each(f"blobs in {container}", _blobs(clients, container, prefix))
    yield _each("jobs cancelled", _jobs(ml, prefix))
    yield _each("endpoints", _endpoints(ml, prefix))
    for kind in ("models", "data", "components", "environments"):
        yield _each(f"{kind} archived", _assets(ml, kind, prefix))


def _each(what: str, ends: Iterator[Callable[[], object]]) -> str:
    done, left = 0, []
    for end in ends:
        try:
            end()
            done += 1
        except AzureError as error:
            left.append(safe(error.message, 120))
    return f"{what}: {done}" + (f"; {len(left)} stay: {left[0]}" if left else "")


def _rows(clients: Clients, prefix: str) -> Iterator[Callable[[], object]]:
    """The overview first: without it nobody looks at the loop any more."""
    table = clients.table()
    bounds = {"low": prefix, "high": f"{prefix}~", "first": f"loop.{prefix}", "last": f"loop.{prefix}~"}
    overview = "PartitionKey eq 'overview' and RowKey ge @low and RowKey lt @high"
    for query in (overview, "PartitionKey ge @first and PartitionKey lt @last"):
        for row in list(table.query_entities(query, parameters=bounds, select=["PartitionKey", "RowKey"])):
            yield partial(table.delete_entity, row["PartitionKey"], row["RowKey"])


def _blobs(clients: Clients, container: str, prefix: str) -> Iterator[Callable[[], object]]:
    client = clients.blobs().get_container_client(container)
    places = [f"{outer}/{prefix}" for outer in CONTAINERS] if container == "quarantine" else [prefix]
    for place in places:
        for blob in list(client.list_blobs(name_starts_with=place)):
            yield partial(client.delete_blob, blob.name)


def _jobs(ml: MLClient, prefix: str) -> Iterator[Callable[[], object]]:
    for job in ml.jobs.list():
        if str(job.name).startswith(prefix) and job.status not in ENDED:
            yield partial(ml.jobs.begin_cancel, job.name)


def _endpoints(ml: MLClient, prefix: str) -> Iterator[Callable[[], object]]:
    """Deployments go with them. The deletion is begun, not awaited."""
    for endpoint in list(ml.online_endpoints.list()):
        if str(endpoint.name).startswith(prefix):
            yield partial(ml.online_endpoints.begin_delete, endpoint.name)


def _assets(ml: MLClient, kind: str, prefix: str) -> Iterator[Callable[[], object]]:
    """Azure ML deletes no asset; an archived one is in no list. A component's name has no hyphens."""
    operations: Any = getattr(ml, kind)
    names = {str(asset.name) for asset in operations.list()}
    for name in sorted(name for name in names if name.replace("_", "-").startswith(prefix)):
        yield partial(operations.archive, name)

"""Harmless looks at a deployment's resources, for `driftloop doctor`: nothing is written, nothing is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.azure.client import ML_ROLE, Clients, credential
from shared.azure.failures import asking
from shared.inbox import dead_letters
from shared.port_rules import DEAD_LETTERS
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

BLOB_ROLE = "Storage Blob Data Contributor"
QUEUE_ROLE = "Storage Queue Data Reader"

_LETTER_BYTES = 1_000_000


@dataclass(frozen=True)
class QueueSeen:
    waiting: int
    oldest_at: datetime | None
    """When the message at the head came in; None when none is visible."""


class Checkup:
    """One look a method; what is refused is raised as ours, with the role that is missing."""

    def __init__(self, settings: Settings, ml: Callable[[], MLClient]) -> None:
        self._settings = settings
        self._clients = Clients(settings, credential())
        self._blobs = self._clients.blobs()
        self._ml = ml

    def container(self, name: str) -> datetime | None:
        """The service's clock in its answer, or None when the container is not there."""
        dates: list[str] = []
        client = self._blobs.get_container_client(name)
        with asking("Looking for a container", f"container {name}", BLOB_ROLE):
            try:
                client.get_container_properties(
                    raw_response_hook=lambda response: dates.append(response.http_response.headers["Date"])
                )
            except ResourceNotFoundError:
                return None
        return parsedate_to_datetime(dates[-1])

    def dead_letters(self, since: datetime) -> tuple[int, str]:
        """How many events Event Grid gave up since then, and why it gave up the last one."""
        container = self._blobs.get_container_client(DEAD_LETTERS)
        with asking("Listing blobs", f"container {DEAD_LETTERS}", BLOB_ROLE):
            found = [blob for blob in container.list_blobs() if blob.last_modified >= since]
            if not found:
                return 0, ""
            newest = max(found, key=lambda blob: blob.last_modified)
            content = container.download_blob(newest.name, length=_LETTER_BYTES, offset=0).readall()
        try:
            letter = json.loads(content)[-1]
            return len(found), dead_letters.why_of(letter)
        except (ValueError, LookupError, TypeError, AttributeError):
            return len(found), f"{newest.name} says why"

    def queue(self, name: str) -> QueueSeen | None:
        """None when the queue is not there."""
        client = self._queue(name)
        with asking("Looking at a queue", f"queue {name}", QUEUE_ROLE):
            try:
                waiting = client.get_queue_properties().approximate_message_count or 0
                head = client.peek_messages(1)
            except ResourceNotFoundError:
                return None
        at = head[0].inserted_on if head else None
        return QueueSeen(waiting, at.astimezone(UTC) if at is not None else None)

    def _queue(self, name: str) -> QueueClient:
        uri = self._settings.queue_service_uri
        return QueueClient(uri, name, credential=self._clients.identity, transport=self._clients.transport())

    def datastore(self) -> str | None:
        """The container behind the datastore of the data versions; None when there is no such datastore."""
        with asking("Reading a datastore", f"Azure ML datastore {self._settings.datastore}", ML_ROLE):
            try:
                return str(self._ml().datastores.get(self._settings.datastore).container_name)
            except ResourceNotFoundError:
                return None

    def endpoint(self, name: str, *, batch: bool = False) -> dict[str, str] | None:
        """The states of an endpoint (under its own name) and of its deployments; None when it is not there."""
        with asking("Reading an endpoint", f"Azure ML endpoint {name}", ML_ROLE):
            ml = self._ml()
            endpoints, deployments = (
                (ml.batch_endpoints, ml.batch_deployments)
                if batch
                else (ml.online_endpoints, ml.online_deployments)
            )
            try:
                states = {name: _plain(endpoints.get(name).provisioning_state)}
                for deployment in deployments.list(name):
                    states[f"{name}/{deployment.name}"] = _plain(deployment.provisioning_state)
            except ResourceNotFoundError:
                return None
        return states


def _plain(state: object) -> str:
    """The SDK gives a text or an enumeration's member, whose own text is its name."""
    return str(getattr(state, "value", state))

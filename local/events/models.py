"""An event that was accepted is delivered at least once, in any order, whatever dies in between.

What is accepted is first a row in the state (one for each delivery), then a message in a queue, and only then
is its row deleted. A process killed in between delivers again.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import uuid
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.queue import QueueClient

from local.events import retry
from local.events.delivery_faults import Faults
from local.events.subscriptions import Subscription, subscriptions
from local.service import Service
from local.settings import WORKSPACE_ID
from local.state import Document

DEAD_LETTER_CONTAINER = "dead-letter"
HELD_BACK = timedelta(seconds=1)  # while reordering: sent when nothing more has come for so long
HELD_BACK_AT_MOST = timedelta(seconds=5)
_DELIVERY = "event-delivery"

log = logging.getLogger(__name__)


class Events:
    """The way from what happened to the queues that wait for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-delivery", daemon=True)
        self._queues: dict[str, QueueClient] = {}
        self._attempts: deque[tuple[datetime, str, bool]] = deque(maxlen=10_000)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Deliver no more; what is left is delivered after the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(10)

    def accept(self, source: str, events: Iterable[Document]) -> None:
        """Take events in; when this returns, none of them can be lost but by a fault that was asked for.

        Joins a transaction of the caller, who may so note in one step what it is that it told.
        """
        state = self._service.state
        with state.transaction():
            for event in events:
                for subscription in subscriptions(state):
                    if subscription.wants(source, event):
                        self._plan(subscription, event)
        self._wake.set()

    def waiting(self) -> int:
        """How many deliveries are still to be made."""
        return len(self._service.state.keys(_DELIVERY))

    def _plan(self, subscription: Subscription, event: Document) -> None:
        state = self._service.state
        faults = Faults.read(state)
        if faults.lose > 0:
            faults.without("lose").write(state)
            return
        row: Document = {"subscription": subscription.name, "queue": subscription.queue, "event": event}
        row["accepted"] = self._service.clock().isoformat()
        due = self._service.clock() + timedelta(seconds=faults.delay_s)
        if faults.dead_letter > 0:
            faults.without("dead_letter").write(state)
            row["dead_letter"] = {"reason": "MaxDeliveryAttemptsExceeded", "outcome": "NotFound"}
            row["attempts"] = retry.MOST_ATTEMPTS
        elif faults.reorder:
            due += HELD_BACK
            row["held_back"] = True
        for _ in range(1 + int(faults.duplicates)):
            state.put(_DELIVERY, uuid.uuid4().hex, row | {"due": due.isoformat()})

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()  # before the look, so that what comes during it is seen
            wait_s = self._until_next_s()
            if wait_s is None or wait_s > 0:
                self._wake.wait(wait_s)
            else:
                self._deliver_due()

    def _until_next_s(self) -> float | None:
        rows = self._rows()
        return (min(due for due, _, _ in rows) - self._service.clock()).total_seconds() if rows else None

    def _rows(self) -> list[tuple[datetime, str, Document]]:
        """What is to be delivered, and when: what is held back goes together, the newest first."""
        rows = [(datetime.fromisoformat(r["due"]), key, r) for key, r in self._service.state.items(_DELIVERY)]
        held = [row for row in rows if row[2].get("held_back")]
        if held:
            together = min(max(row[0] for row in held), held[0][0] + HELD_BACK_AT_MOST)
            held = [(together, key, row) for _, key, row in reversed(held)]
        return [row for row in rows if not row[2].get("held_back")] + held

    def _deliver_due(self) -> None:
        now = self._service.clock()
        for key, row in [(key, row) for due, key, row in self._rows() if due <= now]:
            if self._stopping.is_set():
                return
            try:
                self._deliver(row)
            except AzureError as error:
                self._attempted(row, delivered=False)
                self._service.state.put(_DELIVERY, key, self._failed(row, error))
            else:
                self._attempted(row, delivered=True)
                self._service.state.delete(_DELIVERY, key)

    def _attempted(self, row: Document, *, delivered: bool) -> None:
        if not row.get("dead_letter"):
            self._attempts.append((self._service.clock(), str(row["subscription"]), delivered))

    def attempts(self, names: Iterable[str], since: datetime, until: datetime, *, delivered: bool) -> int:
        """How many attempts of these subscriptions ended so, since this process started."""
        wanted = set(names)
        return sum(
            name in wanted and since <= at <= until and delivered is ended
            for at, name, ended in list(self._attempts)
        )

    def _failed(self, row: Document, error: AzureError) -> Document:
        """The delivery as it goes on after an attempt that failed: tried again, or to be written down as dead."""
        now, speed = self._service.clock(), Faults.read(self._service.state).speed
        if row.get("dead_letter"):  # the container is not there just now
            return row | {"due": (now + timedelta(seconds=1)).isoformat()}
        attempts = int(row.get("attempts", 0)) + 1
        again = retry.next_at(now, datetime.fromisoformat(row["accepted"]), attempts, error, speed)
        tried = row | {"attempts": attempts, "last_attempt": stamp(now)}
        if again is not None:
            log.warning("an event for %s is delivered later: %s", row["queue"], error)
            return tried | {"due": again.isoformat()}
        given_up = {"reason": retry.reason(attempts, error), "outcome": retry.outcome(error)}
        due = now + timedelta(seconds=retry.DEAD_LETTER_AFTER_S / speed)
        log.warning("an event for %s is given up after %d attempts: %s", row["queue"], attempts, error)
        return tried | {"dead_letter": given_up, "due": due.isoformat()}

    def _deliver(self, row: Document) -> None:
        if row.get("dead_letter"):
            self._dead_letter(row)
            return
        text = base64.b64encode(json.dumps(row["event"]).encode()).decode()
        name = row["queue"]
        queue = self._queues.get(name) or self._service.queues.get_queue_client(name)
        self._queues[name] = queue
        queue.send_message(text)

    def _dead_letter(self, row: Document) -> None:
        """As Event Grid does: an array of one event with the reason, in a blob named by time and id."""
        event: Document = row["event"]
        now = self._service.clock()
        failed = event | {
            "deadLetterReason": row["dead_letter"]["reason"],
            "deliveryAttempts": row["attempts"],
            "lastDeliveryOutcome": row["dead_letter"]["outcome"],
            "publishTime": event.get("eventTime", event.get("time")),
            "lastDeliveryAttemptTime": row.get("last_attempt", stamp(now)),
        }
        with suppress(ResourceExistsError):
            self._service.blobs.create_container(DEAD_LETTER_CONTAINER)
        name = f"{row['subscription']}/{now:%Y/%m/%d/%H}/{event['id']}.json"
        blob = self._service.blobs.get_blob_client(DEAD_LETTER_CONTAINER, name)
        blob.upload_blob(json.dumps([failed]), overwrite=True)


def completed(event: Document, now: datetime) -> Document:
    """An event in the Event Grid schema, with what the service adds where it is missing."""
    return {
        "topic": WORKSPACE_ID,
        "id": str(uuid.uuid4()),
        "eventTime": stamp(now),
        "dataVersion": "1.0",
        "metadataVersion": "1",
    } | event


def stamp(moment: datetime) -> str:
    """A time with seven digits of a second, as Azure writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"

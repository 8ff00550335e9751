"""A queue message is deleted only after its function succeeded; after five failures it is poison.

As the real host does: received for ten minutes, renewed at half-time, polled every 100 ms when there is work
and ever more rarely when there is none. Nothing about a message is kept in memory only: when this process is
killed, the message comes back when its visibility ends.
"""

import base64
import binascii
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.configuration import QueueOptions
from local.host.errors import InvocationFailed

FIRST_DELAY_S = 0.1

log = logging.getLogger(__name__)


class Invoke(Protocol):
    """Calls the function; InvocationFailed when it did not succeed."""

    def __call__(self, function: str, kind: str, value: object, metadata: dict[str, str]) -> object: ...


class _InFlight:
    """One received message, with the pop receipt that is valid now."""

    def __init__(self, message: QueueMessage) -> None:
        self.message = message
        self.lock = threading.Lock()
        self.renewed = time.monotonic()
        self.settled = False


class QueueListener:
    """Feeds one function from one queue."""

    def __init__(
        self,
        function: str,
        client: Callable[[str], QueueClient],
        queue: str,
        options: QueueOptions,
        invoke: Invoke,
        visibility_s: float = 600,
    ) -> None:
        self._function, self._options, self._invoke = function, options, invoke
        # As on Azure, a poison queue has none of its own: what fails there comes again until it expires.
        self._queue = client(queue)
        self._poison = None if queue.endswith("-poison") else client(f"{queue}-poison")
        self._visibility_s = visibility_s
        self._in_flight: set[_InFlight] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix=function)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._poll, self._renew)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, grace_s: float) -> None:
        """Receive no more; give what runs `grace_s` to finish."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._in_flight, grace_s)

    def join(self) -> None:
        """Wait until every message that was received is settled."""
        self._pool.shutdown(wait=True)
        self._queue.close()
        if self._poison is not None:
            self._poison.close()

    def _poll(self) -> None:
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._stopping.is_set() or len(self._in_flight) <= self._options.new_batch_threshold
                    )
                )
            if self._stopping.is_set():
                return
            if self._receive():
                delay_s = FIRST_DELAY_S
            else:
                delay_s = min(self._options.max_polling_interval_s, delay_s * random.uniform(1.4, 2.0))
            self._stopping.wait(delay_s)

    def _receive(self) -> int:
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._options.batch_size, visibility_timeout=int(self._visibility_s)
            ).by_page()
            received = [_InFlight(message) for message in next(pages, ())]
        except ResourceNotFoundError:
            return 0  # as on Azure: a queue that is not there yet is an empty queue
        except AzureError as error:
            log.warning("queue of %s cannot be read, trying again later: %s", self._function, error)
            return 0
        with self._changed:
            self._in_flight.update(received)
        for item in received:
            self._pool.submit(self._process, item)
        return len(received)

    def _process(self, item: _InFlight) -> None:
        try:
            self._handle(item)
        except AzureError as error:
            log.warning("message %s of %s could not be settled: %s", item.message.id, self._function, error)
        finally:
            item.settled = True
            with self._changed:
                self._in_flight.discard(item)
                self._changed.notify_all()

    def _handle(self, item: _InFlight) -> None:
        count = item.message.dequeue_count or 0
        body = self._decoded(item.message)
        if body is None:
            log.error("message %s of %s is not Base64", item.message.id, self._function)
            self._move_to_poison(item)
        elif count > self._options.max_dequeue_count and self._poison is not None:
            self._move_to_poison(item)
        else:
            try:
                self._invoke(self._function, "string", body, _metadata(item.message))
            except InvocationFailed:
                last = count >= self._options.max_dequeue_count and self._poison is not None
                if last and not self._stopping.is_set():
                    self._move_to_poison(item)
                else:
                    self._release(item)
            else:
                with item.lock:
                    self._queue.delete_message(item.message)

    def _decoded(self, message: QueueMessage) -> str | None:
        if not self._options.base64:
            return str(message.content)
        try:
            raw = base64.b64decode("".join(str(message.content).split()), validate=True)
        except (binascii.Error, ValueError):
            return None
        return raw.decode("utf-8", errors="replace")

    def _release(self, item: _InFlight) -> None:
        with item.lock:
            self._queue.update_message(
                item.message, visibility_timeout=int(self._options.visibility_timeout_s)
            )

    def _move_to_poison(self, item: _InFlight) -> None:
        """Copy first, then delete: dying in between makes two of it, never none.

        A message that a poison queue's function cannot even be given stays hidden until its visibility ends.
        """
        if self._poison is None:
            return
        log.error(
            "message %s of %s goes to %s after %s attempts",
            item.message.id, self._function, self._poison.queue_name, item.message.dequeue_count,
        )  # fmt: skip
        try:
            self._poison.send_message(item.message.content)
        except ResourceNotFoundError:
            try:
                self._poison.create_queue()
            except ResourceExistsError:
                log.debug("the poison queue was made by someone else")
            self._poison.send_message(item.message.content)
        with item.lock:
            self._queue.delete_message(item.message)

    def _renew(self) -> None:
        while not self._stopping.wait(self._visibility_s / 8) or self._in_flight:
            with self._changed:
                due = [i for i in self._in_flight if time.monotonic() - i.renewed > self._visibility_s / 2]
            for item in due:
                self._extend(item)
            if self._stopping.is_set():
                time.sleep(0.2)

    def _extend(self, item: _InFlight) -> None:
        with item.lock:
            if item.settled:
                return
            try:
                item.message = self._queue.update_message(
                    item.message, visibility_timeout=int(self._visibility_s)
                )
                item.renewed = time.monotonic()
            except AzureError as error:
                log.warning("message %s of %s was not renewed: %s", item.message.id, self._function, error)


def _metadata(message: QueueMessage) -> dict[str, str]:
    return {
        "Id": str(message.id),
        "DequeueCount": str(message.dequeue_count),
        "ExpirationTime": _instant(message.expires_on),
        "InsertionTime": _instant(message.inserted_on),
        "NextVisibleTime": _instant(message.next_visible_on),
        "PopReceipt": str(message.pop_receipt),
    }


def _instant(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%dT%H:%M:%S+00:00")

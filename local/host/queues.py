"""A queue message is deleted only after its function succeeded; after five failures it is poison.

As the real host does: received for ten minutes, renewed at half-time, polled every 100 ms when there is work
and ever more rarely when there is none. Nothing about a message is kept in memory only: when this process is
killed, the message comes back when its ten minutes end, and nobody gives it back sooner.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.configuration import QueueOptions
from local.host.errors import InvocationFailed
from local.host.messages import NotBindable, NotDecodable, metadata_of, text_of
from local.host.pace import Pace
from local.host.storage import tried
from local.refusal import status_of

VISIBILITY_S = 600.0
SOONEST_RENEWAL_S = 60.0
FIRST_DELAY_S = 0.1
_GONE = (400, 404)  # the pop receipt is another one's, or the message is not there

log = logging.getLogger(__name__)


class Invoke(Protocol):
    """Calls the function; InvocationFailed when it did not succeed."""

    def __call__(self, function: str, kind: str, value: object, metadata: dict[str, str]) -> object: ...


class _InFlight:
    """One received message, with the pop receipt that is valid now."""

    def __init__(self, message: QueueMessage, renewal_s: float) -> None:
        self.message = message
        self.lock = threading.Lock()
        self.wait_s = renewal_s
        self.due = time.monotonic() + renewal_s
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
        pace: Pace,
        fatal: Callable[[str], None],
        put: Callable[[str], None] = lambda queue: None,
    ) -> None:
        self.queue = queue
        self._function, self._options, self._invoke = function, options, invoke
        self._pace, self._fatal, self._put = pace, fatal, put
        self._visibility_s = max(1, round(pace.of(VISIBILITY_S)))
        self._client = client(queue)
        # As on Azure a poison queue has none of its own, and what fails there is not even given back.
        self._poison = None if queue.endswith("-poison") else client(f"{queue}-poison")
        self._in_flight: set[_InFlight] = set()
        self._receiving = False
        self._changed = threading.Condition()
        self._stopping, self._woken = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix=function)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._poll, self._renew)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Poll at once: this process has just put something here."""
        self._woken.set()

    def stop(self) -> None:
        """Receive no more."""
        self._stopping.set()
        self._woken.set()
        with self._changed:
            self._changed.notify_all()

    def idle(self, within_s: float) -> bool:
        """Wait until nothing is in flight; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight and not self._receiving, within_s)

    def _poll(self) -> None:
        empty = 0
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._stopping.is_set() or len(self._in_flight) <= self._options.new_batch_threshold
                    )
                )
                if self._stopping.is_set():
                    return
                self._receiving = True
            try:
                received = self._receive()
            except AzureError as error:
                self._fatal(f"queue {self.queue} cannot be read: {error}")
                return
            finally:
                with self._changed:
                    self._receiving = False
                    self._changed.notify_all()
            empty = 0 if received else empty + 1
            if empty:
                self._rest(empty)

    def _rest(self, empty: int) -> None:
        """100 ms after the first empty answer, then about twice as long each time."""
        grown_s = FIRST_DELAY_S * (2 ** min(empty - 2, 12)) * random.uniform(0.8, 1.2) if empty > 1 else 0.0
        self._woken.wait(min(self._options.max_polling_interval_s, FIRST_DELAY_S + grown_s))
        self._woken.clear()

    def _receive(self) -> int:
        """How many messages came. What is neither 404 nor 5xx ends the host, as on Azure; 503 for hours does not."""
        try:
            messages = tried(self._received, self._pace)
        except ResourceNotFoundError:
            return 0  # a queue that is not there yet is an empty queue
        except AzureError as error:
            if status_of(error) < 500:
                raise
            log.warning("queue %s is read again later: %s", self.queue, error)
            return 0
        items = [_InFlight(message, self._visibility_s / 2) for message in messages]
        with self._changed:
            self._in_flight.update(items)
        for item in items:
            self._pool.submit(self._process, item)
        return len(items)

    def _received(self) -> list[QueueMessage]:
        pages = self._client.receive_messages(
            messages_per_page=self._options.batch_size, visibility_timeout=self._visibility_s
        ).by_page()
        return list(next(pages, ()))

    def _process(self, item: _InFlight) -> None:
        try:
            self._handle(item)
        except AzureError as error:
            if status_of(error) in _GONE:
                log.warning("message %s of %s was not there any more", item.message.id, self._function)
            else:
                self._fatal(f"message {item.message.id} of {self._function} could not be settled: {error}")
        finally:
            item.settled = True
            with self._changed:
                self._in_flight.discard(item)
                self._changed.notify_all()

    def _handle(self, item: _InFlight) -> None:
        count, most = item.message.dequeue_count or 0, self._options.max_dequeue_count
        if self._poison is not None and count > most:
            self._move_to_poison(item, self._poison)
            return
        try:
            text = text_of(str(item.message.content), self._options.base64)
            self._invoke(self._function, "string", text, metadata_of(item.message, text))
        except NotDecodable:
            log.error("message %s of %s is not Base64", item.message.id, self._function)
            self._failed(item, last=True)
        except (InvocationFailed, NotBindable) as error:
            log.warning("message %s of %s failed: %s", item.message.id, self._function, error)
            self._failed(item, last=count >= most)
        else:
            with item.lock:
                tried(lambda: self._client.delete_message(item.message), self._pace)

    def _failed(self, item: _InFlight, *, last: bool) -> None:
        if self._poison is None:
            return  # no request at all: it stays hidden for what is left of its ten minutes
        if last:
            self._move_to_poison(item, self._poison)
            return
        visible_in_s = self._pace.of(self._options.visibility_timeout_s)
        with item.lock:
            tried(
                lambda: self._client.update_message(item.message, visibility_timeout=round(visible_in_s)),
                self._pace,
            )

    def _move_to_poison(self, item: _InFlight, poison: QueueClient) -> None:
        """Copy first, then delete: dying in between makes two of it, never none."""
        log.error(
            "message %s of %s goes to %s after %s attempts",
            item.message.id, self._function, poison.queue_name, item.message.dequeue_count,
        )  # fmt: skip

        def copy() -> None:
            try:
                poison.send_message(item.message.content)
            except ResourceNotFoundError:
                try:
                    poison.create_queue()
                except ResourceExistsError:
                    log.debug("the poison queue was made by someone else")
                poison.send_message(item.message.content)

        tried(copy, self._pace)
        self._put(poison.queue_name)
        with item.lock:
            tried(lambda: self._client.delete_message(item.message), self._pace)

    def _renew(self) -> None:
        while True:
            time.sleep(min(0.5, self._visibility_s / 20))
            with self._changed:
                due = [one for one in self._in_flight if time.monotonic() >= one.due]
            for item in due:
                self._extend(item)

    def _extend(self, item: _InFlight) -> None:
        """Renew for ten minutes more; sooner again after a 5xx, never again when the message is another one's."""
        with item.lock:
            if item.settled:
                return
            try:
                item.message = self._client.update_message(
                    item.message, visibility_timeout=self._visibility_s
                )
                item.wait_s = self._visibility_s / 2
            except AzureError as error:
                log.warning("message %s of %s was not renewed: %s", item.message.id, self._function, error)
                if status_of(error) in _GONE:
                    item.wait_s = float("inf")
                elif status_of(error) >= 500:
                    item.wait_s = max(self._pace.of(SOONEST_RENEWAL_S), item.wait_s / 2)
                else:
                    self._fatal(
                        f"message {item.message.id} of {self._function} could not be renewed: {error}"
                    )
            item.due = time.monotonic() + item.wait_s

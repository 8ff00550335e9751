"""Messages are written as Event Grid writes them, Base64 of one JSON object; what failed five times is read as it lies.

No function is triggered by the poison queue: a message whose keys are named like the queue's own metadata would never
reach it, and one that it failed at would be hidden for ten minutes each time.
"""

from __future__ import annotations

import base64

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from shared.azure.failures import asking
from shared.ports import Poisoned

ROLE = "Storage Queue Data Message Sender"
POISON_ROLE = "Storage Queue Data Contributor"
MOST_AT_ONCE, HIDDEN_S = 32, 300


class AzureQueue:
    """`Queue` over one storage queue and its poison queue."""

    def __init__(self, queue: QueueClient, poison: QueueClient) -> None:
        self._queue, self._poison = queue, poison

    def put(self, message: str) -> None:
        with asking("Writing a message", f"queue {self._queue.queue_name}", ROLE):
            self._queue.send_message(base64.b64encode(message.encode()).decode())

    def poisoned(self) -> list[Poisoned]:
        with asking("Reading poison messages", f"queue {self._poison.queue_name}", POISON_ROLE):
            try:
                found = list(
                    self._poison.receive_messages(
                        messages_per_page=MOST_AT_ONCE, max_messages=MOST_AT_ONCE, visibility_timeout=HIDDEN_S
                    )
                )
            except ResourceNotFoundError:  # the host makes the queue when it first needs it
                return []
        return [Poisoned(str(message.content), message) for message in found]

    def remove(self, poisoned: Poisoned) -> None:
        message = poisoned.receipt
        assert isinstance(message, QueueMessage), "what `poisoned` gave"
        with asking("Removing a poison message", f"queue {self._poison.queue_name}", POISON_ROLE):
            try:
                self._poison.delete_message(message)
            except ResourceNotFoundError:
                return

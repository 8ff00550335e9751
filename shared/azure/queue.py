"""Messages are written as Event Grid writes them: Base64 of one JSON object."""

from __future__ import annotations

import base64

from azure.storage.queue import QueueClient

from shared.azure.failures import asking

ROLE = "Storage Queue Data Message Sender"


class AzureQueue:
    """`Queue` over one storage queue."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue

    def put(self, message: str) -> None:
        with asking("Writing a message", f"queue {self._queue.queue_name}", ROLE):
            self._queue.send_message(base64.b64encode(message.encode()).decode())

"""A stage without a functions host: what the host would do is done between two looks, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from demo.stage import LocalStage, StoryFailed
from shared.inbox import recorder
from shared.ports import Ports
from shared.runtime import tick

PATIENCE_S = 120


class _Inbox:
    """A queue whose messages are received at once; the queue's own semantics have their own tests."""

    def __init__(self, stage: DrivenStage) -> None:
        self._stage = stage

    def put(self, message: str) -> None:
        self._stage.receive(message)


class DrivenStage(LocalStage):
    """Tells the demo's stories in a test: the product's code, the real SDKs, no second process to wait for."""

    def __enter__(self) -> DrivenStage:
        super().__enter__()
        self.ports: Ports = replace(self.ports, queue=_Inbox(self))
        return self

    def receive(self, message: str) -> None:
        recorder.receive(self.ports, message, self.settings.blob_service_uri)

    def wait(self, what: str, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        tick.sweep(self.ports)
        while not true():
            if time.monotonic() > deadline:
                self.ledger_so_far()
                raise StoryFailed(f"waited {PATIENCE_S} s for {what}: {self._status()}")
            tick.tick(self.ports)
            time.sleep(0.3)
        self.ledger_so_far()

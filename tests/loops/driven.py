"""A stage without a functions host: what the host would do is done between two looks, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import pandas as pd

from demo.stage import LocalStage, StoryFailed
from shared.domain.release import Phase
from shared.inbox import recorder
from shared.ports import Ports
from shared.runtime import tick
from tests.patience import rest

PATIENCE_S = 180


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
        self._begin: Callable[[], None] | None = None
        self.ports: Ports = replace(self.ports, queue=_Inbox(self))
        return self

    def receive(self, message: str) -> None:
        recorder.receive(self.ports, message, self.settings.blob_service_uri)

    def live(self, rows: pd.DataFrame, per_second: float) -> None:
        """Requests begin when a canary asks for them: before, they only take the time of the job and its models."""
        live = super().live
        self._begin = lambda: live(rows, per_second)

    def _begin_if_asked(self) -> None:
        number = self.state.open_release
        if self._begin and number is not None and self.release(number).phase is Phase.CANARY:
            self._begin()
            self._begin = None

    def wait(self, what: str, true: Callable[[], bool]) -> None:
        began = time.monotonic()
        with mock.patch.object(tick, "STILL", timedelta(0)):  # what lies here nobody is writing still
            tick.sweep(self.ports)
        while not true():
            self._begin_if_asked()
            if time.monotonic() - began > PATIENCE_S:
                self.ledger_so_far()
                raise StoryFailed(f"waited {PATIENCE_S} s for {what}: {self._status()}")
            tick.tick(self.ports)
            rest(began, most_s=1)
        self.ledger_so_far()

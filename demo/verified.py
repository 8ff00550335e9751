"""The same stories on the Azure that the environment names; what they made there is taken away again, and what differs
from a local Azure is told."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType

import pandas as pd
from rich.console import Console

from demo.cleaning import clear
from demo.stage import Stage
from shared.checkup.platform_checkup import Surroundings
from shared.inbox import messages

HOST_ONLY = {"prices": "its source is a server on this machine, which an app on Azure cannot reach"}
"""Stories that cannot be told there, and why."""

PATIENCE_S = 3600
"""Azure builds an image for each environment, and a deployment takes minutes."""


def asked_for() -> bool:
    return os.environ.get("AZURE_VERIFIED") == "1"


class VerifiedStage(Stage):
    """A loop of a name that nobody else has, so that nothing of anybody is touched."""

    patience_s = PATIENCE_S

    def __init__(self, console: Console, loop: str) -> None:
        super().__init__(console, loop)
        self.loop = f"{loop}-v{uuid.uuid4().hex[:7]}"
        self.differing: list[str] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.chapter("Taken away again", self.loop)
        for words in clear(self.settings, self.loop):
            self.say(words)
        self.chapter("What differed from a local Azure")
        for words in [*self.differing, *([f"the story broke off: {error}"] if error else [])]:
            self.say(words)

    def publish(self, overrides: Sequence[str]) -> None:
        name, compute = self.loop, os.environ.get("AZURE_VERIFIED_COMPUTE", "driftloop-cpu")
        own = (f"loop={name}", f"data.landing=landing/{name}/", f"serve.endpoint={name}")
        super().publish((*overrides, *own, f"train.compute={compute}"))

    def live(self, rows: pd.DataFrame, per_second: float) -> None:
        """A canary needs the traffic log, which a person switches on for a new endpoint (docs/deploy.md)."""
        wanted, around = self.settings.logs_workspace_id.casefold(), Surroundings(self.settings)
        if wanted not in around.traffic_logs(self.loop):
            self.say(f"now: azd env set DRIFTLOOP_ENDPOINTS {self.loop}, then azd provision")
            self.differing.append("the traffic log of a new endpoint is off until a person switches it on")
        self.wait("the traffic log", lambda: wanted in around.traffic_logs(self.loop))
        super().live(rows, per_second)

    def send_alert(self, body: Mapping[str, object]) -> None:
        """Only Azure Monitor has the role to call the function; what it would put in the queue is put there."""
        self.differing.append("left out: the alert function, which only Azure Monitor may call")
        self.ports.queue.put(messages.alert_message(body))

    def spoil(self, deployment: str, error_rate: float) -> bool:
        self.differing.append(f"left out: {deployment} errs; a person takes it back instead")
        return False

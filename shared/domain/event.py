"""What came in from outside, and where it has got to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.reason import Reason


class EventKind(StrEnum):
    """What came in from outside."""

    BLOB = "blob"
    """A blob was created under the loop's landing prefix."""
    LABELS = "labels"
    """A blob was created where the loop's late labels land."""
    ALERT = "alert"
    """An Azure Monitor alert fired, or an Azure ML monitor reported a breach."""
    MODEL = "model"
    """A model was registered that the loop's `models` asks for."""
    DEPLOYED = "deployed"
    """A model was deployed on the loop's endpoint, by whomever."""
    PERSON = "person"
    """Somebody acted: retrain, release, approve, abort, pause, resume, roll back."""


class InboxState(StrEnum):
    """Where an event has got to. Only NEW is work; the others are kept as long as their blob is."""

    NEW = "new"
    READING = "reading"
    """A job reads it."""
    DONE = "done"
    """It led to a data version, a trigger or an action."""
    DUPLICATE = "duplicate"
    """Its content is already a data version."""
    SUPERSEDED = "superseded"
    """The blob was overwritten before it was read; the newer event counts."""
    IGNORED = "ignored"
    """It asks for nothing: a part file that waits for _SUCCESS, a resolved alert."""
    QUARANTINED = "quarantined"
    """It cannot be used; `reason` says why."""


@dataclass(frozen=True)
class InboxRecord:
    """One event, stored before it is acknowledged. `key` identifies what happened, not the delivery."""

    key: str
    kind: EventKind
    received_at: datetime
    body: Mapping[str, str]
    state: InboxState = InboxState.NEW
    reason: Reason | None = None
    version: int | None = None
    attempts: int = 0
    by_job: str = ""
    """Code of what put the drop beyond the app; empty while the app may read it."""
    jobs: int = 0
    """How many jobs it was given to."""
    failed_jobs: int = 0
    refused: bool = False
    """Of what a person asked for: it was answered, not done."""

    @property
    def blob(self) -> str:
        """container/name of the blob that it is about; empty for any other event."""
        return f"{self.body.get('container', '')}/{self.body.get('name', '')}".strip("/")

    @property
    def subject(self) -> str:
        return self.blob or self.kind.value

"""Which events go into which queue: the event subscriptions of the local Azure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

from local.refusal import ArmError
from local.settings import PARTNER_CONTAINER, QUEUE
from local.state import Document, State

STORAGE, PARTNER_STORAGE, WORKSPACE = "storage", "partner-storage", "workspace"
"""The sources of events; a custom topic's source is `topic:<name>`."""

_KIND = "event-subscription"


@dataclass(frozen=True)
class Subscription:
    """Events of one source, filtered by type and by how the subject begins, go into one queue."""

    name: str
    source: str
    queue: str
    event_types: tuple[str, ...] = ()
    subject_begins_with: str = ""

    def wants(self, source: str, event: Document) -> bool:
        kind = event.get("eventType", event.get("type", ""))
        return (
            self.source == source
            and (not self.event_types or kind in self.event_types)
            and str(event.get("subject", "")).lower().startswith(self.subject_begins_with.lower())
        )

    @classmethod
    def from_document(cls, body: Document) -> Self:
        try:
            return cls(**(body | {"event_types": tuple(body.get("event_types", ()))}))
        except TypeError as error:
            raise ArmError(400, "BadRequest", f"This is not a subscription: {error}.") from error


DEFAULT = (
    *(
        Subscription(
            name=f"{container}-created",
            source=STORAGE,
            queue=QUEUE,
            event_types=("Microsoft.Storage.BlobCreated",),
            subject_begins_with=f"/blobServices/default/containers/{container}/",
        )
        for container in ("landing", "labels")
    ),
    Subscription(
        name="partner-written",
        source=PARTNER_STORAGE,
        queue=QUEUE,
        event_types=(
            "Microsoft.Storage.BlobCreated",
            "Microsoft.Storage.BlobRenamed",
            "Microsoft.Storage.DirectoryRenamed",
        ),
        subject_begins_with=f"/blobServices/default/containers/{PARTNER_CONTAINER}/",
    ),
    Subscription(
        name="workspace",
        source=WORKSPACE,
        queue=QUEUE,
        event_types=(
            "Microsoft.MachineLearningServices.RunCompleted",
            "Microsoft.MachineLearningServices.RunStatusChanged",
            "Microsoft.MachineLearningServices.ModelRegistered",
            "Microsoft.MachineLearningServices.ModelDeployed",
        ),
    ),
)


def subscriptions(state: State) -> list[Subscription]:
    """Those of the state folder; a new folder begins with the default ones."""
    found = state.items(_KIND)
    if not found:
        replace(state, DEFAULT)
        return list(DEFAULT)
    return [Subscription.from_document(body) for _, body in found]


def replace(state: State, wanted: Iterable[Subscription]) -> None:
    with state.transaction():
        for key in state.keys(_KIND):
            state.delete(_KIND, key)
        for subscription in wanted:
            state.put(_KIND, subscription.name, asdict(subscription))

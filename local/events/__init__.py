"""Event Grid: what happens in storage, workspace and product reaches the queues that wait for it."""

from __future__ import annotations

from local.events.models import Events, completed
from local.events.subscriptions import WORKSPACE
from local.service import Service
from local.state import Document


def publish(service: Service, event: Document) -> None:
    """Send an event of the workspace on its way; `subject`, `eventType` and `data` are the caller's."""
    try:
        events = service.get(Events)
    except LookupError:  # services that start before this one publish, too: theirs is noted, and sent later
        events = Events(service)
    events.accept(WORKSPACE, [completed(event, service.clock())])

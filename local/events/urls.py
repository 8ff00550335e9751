"""Where events come in, and the threads that carry them on."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.events import responses
from local.events.models import Events
from local.events.topics import AUDIENCE, Topics
from local.events.watcher import BlobWatcher
from local.service import Service
from local.web import control, secured

routes: list[BaseRoute] = [
    secured(
        "/topics/{topic}/api/events",
        responses.publish,
        ["POST"],
        audiences=(AUDIENCE,),
        action="Microsoft.EventGrid/events/send/action",
        scope="topic",
    ),
    control("/events/topics/{topic}", responses.taken, ["GET", "DELETE"]),
    control("/events/faults", responses.faults, ["GET", "PUT"]),
    control("/events/subscriptions", responses.subscribed, ["GET", "PUT"]),
    control("/events/waiting", responses.waiting),
    control("/events/writer", responses.writer, ["PUT"]),
    control("/events/rename", responses.rename, ["PUT"]),
]

_running: list[Events | BlobWatcher] = []


def start(service: Service) -> None:
    events = Events(service)
    watcher = BlobWatcher(service, events)
    service.add(events)
    service.add(watcher)
    service.add(Topics(service, events))
    _running.extend([events, watcher])
    for part in _running:
        part.start()


def stop() -> None:
    while _running:
        _running.pop().stop()

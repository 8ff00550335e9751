"""A custom topic takes CloudEvents 1.0 as Event Grid does, and forgets none that it took."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime

from local.events.delivery_faults import Faults
from local.events.exceptions import BadEvent, NoSuchTopic, TooLarge, TopicBusy
from local.events.models import Events
from local.service import Service
from local.settings import TOPIC
from local.state import Document
from local.web import Call

LIMIT_BYTES = 1024 * 1024
API_VERSION = "2018-01-01"
AUDIENCE = "https://eventgrid.azure.net"
_KIND = "topic-event"
_ATTRIBUTE = re.compile(r"^[a-z0-9]{1,20}$")
_REQUIRED = ("id", "source", "type", "specversion")


class Topics:
    """The custom topics of the local Azure: there is one."""

    def __init__(self, service: Service, events: Events) -> None:
        self._service, self._events = service, events

    def publish(self, name: str, call: Call) -> None:
        """Take a request's events, all or none."""
        if name != TOPIC:
            raise NoSuchTopic(name)
        if call.query("api-version") != API_VERSION:
            raise BadEvent(f"The query needs api-version={API_VERSION}, not '{call.query('api-version')}'.")
        state = self._service.state
        faults = Faults.read(state)
        if faults.topic_statuses:
            status, *rest = faults.topic_statuses
            Faults(**{**faults.__dict__, "topic_statuses": tuple(rest)}).write(state)
            if status >= 300:
                raise TopicBusy(status)
        if len(call.content) > LIMIT_BYTES:
            raise TooLarge(len(call.content), LIMIT_BYTES)
        events = _parsed(call.content, call.header("content-type").split(";")[0].strip().lower())
        with state.transaction():
            for event in events:
                state.put(_KIND, f"{name}/{uuid.uuid4().hex}", event)
            self._events.accept(f"topic:{name}", events)

    def taken(self, name: str) -> list[Document]:
        """Every event that the topic has taken, oldest first."""
        return [event for _, event in self._service.state.items(_KIND, f"{name}/")]

    def forget(self, name: str) -> None:
        for key in self._service.state.keys(_KIND, f"{name}/"):
            self._service.state.delete(_KIND, key)


def _parsed(content: bytes, content_type: str) -> list[Document]:
    single = content_type == "application/cloudevents+json"
    if not single and content_type != "application/cloudevents-batch+json":
        raise BadEvent(
            f"The topic takes CloudEvents (application/cloudevents-batch+json), not '{content_type}'."
        )
    try:
        body = json.loads(content)
    except ValueError as error:
        raise BadEvent(f"The body is not JSON: {error}.") from error
    if isinstance(body, list) is single:
        raise BadEvent(f"A body of {content_type} must be {'one object' if single else 'an array'}.")
    events: list[object] = [body] if single else body
    return [_checked(event, position) for position, event in enumerate(events)]


def _checked(event: object, position: int) -> Document:
    if not isinstance(event, dict):
        raise BadEvent(f"Event {position} is not an object.")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise BadEvent(f"Event {position} has no '{name}'.")
    if event["specversion"] != "1.0":
        raise BadEvent(f"Event {position} has the specversion '{event['specversion']}', not '1.0'.")
    for name in set(event) - {"data_base64"}:
        if not _ATTRIBUTE.match(name):
            raise BadEvent(f"Event {position}: the attribute '{name}' must be 1 to 20 of a-z and 0-9.")
    if "data" in event and "data_base64" in event:
        raise BadEvent(f"Event {position} has both 'data' and 'data_base64'.")
    if event.get("time") is not None and not _is_time(event["time"]):
        raise BadEvent(f"Event {position}: '{event['time']}' is not an RFC 3339 time.")
    return event


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False

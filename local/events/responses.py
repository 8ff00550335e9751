"""The topic's one call, and the control surface of the events."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from starlette.responses import Response

from local.events import namespace
from local.events.delivery_faults import Faults, parsed
from local.events.models import Events
from local.events.subscriptions import Subscription, replace, subscriptions
from local.events.topics import Topics
from local.events.watcher import BlobWatcher
from local.refusal import ArmError
from local.web import Call, reply


def publish(call: Call) -> Response:
    call.service.get(Topics).publish(call.path("topic"), call)
    return Response(status_code=200)


def taken(call: Call) -> Response:
    topics = call.service.get(Topics)
    if call.request.method == "DELETE":
        topics.forget(call.path("topic"))
        return reply(status=204)
    return reply({"events": topics.taken(call.path("topic"))})


def faults(call: Call) -> Response:
    """PUT replaces all faults: what is not named is off."""
    state = call.service.state
    if call.request.method == "PUT":
        parsed(cast(dict[str, object], call.body)).write(state)
    return reply(asdict(Faults.read(state)))


def subscribed(call: Call) -> Response:
    state = call.service.state
    if call.request.method == "PUT":
        wanted = call.body.get("subscriptions")
        if not isinstance(wanted, list):
            raise ArmError(400, "BadRequest", "The body needs the array 'subscriptions'.")
        replace(state, [Subscription.from_document(one) for one in wanted])
    return reply({"subscriptions": [asdict(one) for one in subscriptions(state)]})


def writer(call: Call) -> Response:
    """PUT {"writer": "blob" | "dfs" | "sftp"}: by what files of the partner's account are written from now on."""
    namespace.set_writer(call.service.state, call.body.get("writer"))
    return reply(status=204)


def rename(call: Call) -> Response:
    """PUT {"container": …, "source": …, "destination": …}: of a file or a folder of the partner's account, which alone
    has a namespace for it."""
    names = [str(call.body.get(name, "")).strip("/") for name in ("container", "source", "destination")]
    if not all(names):
        raise ArmError(400, "BadRequest", "The body needs 'container', 'source' and 'destination'.")
    call.service.get(BlobWatcher).rename(*names)
    return reply(status=204)


def waiting(call: Call) -> Response:
    return reply({"waiting": call.service.get(Events).waiting()})

"""The world is told of every ledger entry, at least once, as a CloudEvent whose id is loop and number."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from azure.core.messaging import CloudEvent

from shared import deadline
from shared.azure.failures import CONNECT_TIMEOUT_S, asking
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Reason
from shared.state import hash_chain
from shared.words import spoken

if TYPE_CHECKING:
    from azure.eventgrid import EventGridPublisherClient

ROLE = "EventGrid Data Sender"

_TIMEOUT_S = 30.0
_BATCH = 50
"""Entries in one request; Event Grid takes 1 MB."""


class AzureTopic:
    """`Topic` over an Event Grid custom topic."""

    def __init__(self, client: EventGridPublisherClient, endpoint: str) -> None:
        self._client = client
        self._endpoint = endpoint
        # The client takes what bounds a call for fields of each event as well, and warns of three for every one.
        logging.getLogger("azure.eventgrid._legacy._generated._serialization").setLevel(logging.ERROR)

    def publish(self, loop: str, entries: Sequence[LedgerEntry]) -> None:
        for start in range(0, len(entries), _BATCH):
            batch = [event_of(loop, entry) for entry in entries[start : start + _BATCH]]
            with asking("Publishing events", f"topic {self._endpoint}", ROLE):
                self._client.send(
                    batch,
                    retry_total=0,  # the next run sends what was not taken
                    connection_timeout=deadline.left_s(CONNECT_TIMEOUT_S),
                    read_timeout=deadline.left_s(_TIMEOUT_S),
                )


def event_of(loop: str, entry: LedgerEntry) -> CloudEvent[dict[str, object]]:
    """The entry with its hash: who keeps the events can tell when a ledger was cut."""
    return CloudEvent(
        id=f"{loop}-{entry.seq}",
        source=f"/driftloop/loops/{loop}",
        type=event_type(entry.what),
        subject=entry.subject,
        time=entry.at,
        extensions={"traceparent": f"00-{hash_chain.operation(loop, entry.cause)}-{entry.hash[:16]}-01"},
        data={
            "loop": loop,
            "seq": entry.seq,
            "what": entry.what,
            "subject": entry.subject,
            "actor": entry.actor,
            "cause": entry.cause,
            "before": entry.before,
            "after": entry.after,
            "detail": spoken(entry.detail),
            "codes": {name: v.code.value for name, v in entry.detail.items() if isinstance(v, Reason)},
            "previousHash": entry.previous_hash,
            "hash": entry.hash,
        },
    )


def event_type(what: str) -> str:
    """`release.rolled_back` is told as `Driftloop.Release.RolledBack`."""
    words = [part.split("_") for part in what.split(".")]
    return ".".join(["Driftloop", *("".join(word.capitalize() for word in part) for part in words)])

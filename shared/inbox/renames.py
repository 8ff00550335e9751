"""A rename is read as what lies there now: no other event tells of it, and its ETag is not in the event."""

from __future__ import annotations

from collections.abc import Iterator

from shared.domain.loop import Overview
from shared.inbox import landings
from shared.inbox.blob_events import Landed, Renamed
from shared.ports import Blob, Ports


def landed(ports: Ports, overview: Overview, renamed: Renamed) -> list[Landed]:
    """The loop's blobs under the new name, as they are, in the order in which they were written. None where they have
    gone on since: then another event tells of them."""
    found = _file(ports, renamed) if not renamed.name.endswith("/") else _folder(ports, overview, renamed)
    return [
        Landed(blob.container, blob.name, blob.etag, renamed.sequencer)
        for blob in sorted(found, key=lambda blob: blob.created_at)
        if landings.place_of(overview, blob.container, blob.name) is not None
    ]


def _file(ports: Ports, renamed: Renamed) -> list[Blob]:
    blob = ports.blobs.find(renamed.container, renamed.name)
    if blob is None and renamed.written:
        blob = ports.blobs.find(renamed.container, renamed.written)
    return [blob] if blob is not None else []


def _folder(ports: Ports, overview: Overview, renamed: Renamed) -> Iterator[Blob]:
    """Of a folder that a landing place lies in, what lies in that place."""
    for place in (overview.landing, overview.labels):
        home, _, prefix = place.partition("/")
        for name in filter(None, (renamed.name, renamed.written)):
            below = max(name, prefix, key=len)
            if home == renamed.container and below.startswith(name) and below.startswith(prefix):
                yield from ports.blobs.list(home, below)

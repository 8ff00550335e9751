"""What Event Grid could not deliver lies in the dead-letter container; the sweep takes each letter up once."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from shared.domain.reason import Code, Reason, reason
from shared.errors import DriftloopError
from shared.inbox import recorder, unrouted
from shared.inbox.landings import Landings
from shared.inbox.unrouted import Unrouted
from shared.port_rules import DEAD_LETTERS
from shared.ports import Blob, Ports
from shared.redaction import safe, words_of

log = logging.getLogger("driftloop")

NEWS = timedelta(days=7)
"""Event Grid gives up after a day; what is much older is not worth acting on."""

LARGEST = 4 * 1024 * 1024
"""Bytes; Event Grid takes no event above one million."""


def replay(ports: Ports, account_url: str) -> int:
    """Handle each new letter as if its events had come through the queue, and show it; how many there were."""
    since = ports.clock.now() - NEWS
    letters = [blob for blob in ports.blobs.list(DEAD_LETTERS, "") if blob.created_at >= since]
    if not letters:
        return 0
    known = {row.key for row in ports.store.unrouted(limit=unrouted.MOST)}
    found = 0
    for letter in sorted(letters, key=lambda blob: blob.created_at):
        key = unrouted.key(letter.created_at, DEAD_LETTERS, letter.name, letter.etag)
        if key in known:
            continue
        try:
            why = _take_up(ports, letter, account_url)
        except (DriftloopError, OSError) as error:  # the next sweep tries this one again
            log.warning("a dead letter waits", extra={"letter": letter.name, "error": words_of(error)})
            continue
        unrouted.put(ports, key, Unrouted(why, ports.clock.now()))
        found += 1
    return found


def _take_up(ports: Ports, letter: Blob, account_url: str) -> Reason:
    if letter.size_bytes > LARGEST:
        return reason(Code.DEAD_LETTER_UNREADABLE, letter=letter.name, why="larger than any event")
    with tempfile.TemporaryDirectory(prefix="driftloop-") as folder:
        path = Path(folder) / "letter"
        ports.blobs.download(letter, path)
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return reason(Code.DEAD_LETTER_UNREADABLE, letter=letter.name, why="not JSON")
    events = [event for event in content if _is_azures(event)] if isinstance(content, list) else []
    landings = Landings()
    loops = [
        loop for event in events for loop in recorder.receive(ports, json.dumps(event), account_url, landings)
    ]
    why = why_of(events[-1] if events else {})
    if not loops:
        return reason(Code.DEAD_LETTER_NO_LOOP, letter=letter.name, why=why)
    return reason(Code.DEAD_LETTER, letter=letter.name, why=why, loops=", ".join(sorted(set(loops))))


def _is_azures(event: object) -> bool:
    """People's acts and alerts come through the queue alone, which fewer can write to than blobs."""
    return isinstance(event, dict) and not any(name.casefold() == "driftloop" for name in event)


def why_of(event: Mapping[str, object]) -> str:
    """As the Event Grid schema writes it, or as CloudEvents do."""
    names = {name.casefold(): value for name, value in event.items()}
    inner = names.get("deadletterproperties")
    if isinstance(inner, dict):
        names |= {name.casefold(): value for name, value in inner.items()}
    given = [str(names[name]) for name in ("deadletterreason", "lastdeliveryoutcome") if names.get(name)]
    return safe(", ".join(given)) or "no reason given"

"""What Event Grid gave up to deliver lies in the dead-letter container: the sweep takes it up, each letter once."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from shared.errors import DriftloopError
from shared.inbox import recorder
from shared.port_rules import DEAD_LETTERS
from shared.ports import Blob, Ports
from shared.redaction import safe, words_of

log = logging.getLogger("driftloop")

NEWS = timedelta(days=7)
"""Event Grid gives up after a day. What is much older is no news any more, and nothing is to be done about it."""

LARGEST = 4 * 1024 * 1024
"""Bytes; Event Grid takes no event above one million."""


def replay(ports: Ports, account_url: str) -> int:
    """Handle each new letter as if its events had come through the queue, and tell of it; how many there were."""
    since = ports.clock.now() - NEWS
    letters = [blob for blob in ports.blobs.list(DEAD_LETTERS, "") if blob.created_at >= since]
    if not letters:
        return 0
    told = {row.key for row in ports.store.unrouted(limit=recorder.MOST_UNROUTED)}
    found = 0
    for letter in sorted(letters, key=lambda blob: blob.created_at):
        key = recorder.unrouted_key(letter.created_at, DEAD_LETTERS, letter.name, letter.etag)
        if key in told:
            continue
        try:
            words = _take_up(ports, letter, account_url)
        except (DriftloopError, OSError) as error:  # the next sweep tries this one again
            log.warning("a dead letter waits", extra={"letter": letter.name, "error": words_of(error)})
            continue
        recorder.keep(
            ports, key, recorder.UNDELIVERED, f"Event Grid gave up to deliver {letter.name}: {words}"
        )
        found += 1
    return found


def _take_up(ports: Ports, letter: Blob, account_url: str) -> str:
    if letter.size_bytes > LARGEST:
        return "it is larger than any event, and was not read"
    with tempfile.TemporaryDirectory(prefix="driftloop-") as folder:
        path = Path(folder) / "letter"
        ports.blobs.download(letter, path)
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return "it is no JSON, and nobody's event"
    events = [event for event in content if _is_azures(event)] if isinstance(content, list) else []
    loops = [loop for event in events for loop in recorder.receive(ports, json.dumps(event), account_url)]
    whom = f"on record for {', '.join(sorted(set(loops)))}" if loops else "it concerns no loop"
    return f"{_reason(events[-1] if events else {})}; {whom}"


def _is_azures(event: object) -> bool:
    """People's acts and alerts come through the queue alone, which fewer may write to than blobs."""
    return isinstance(event, dict) and not any(name.casefold() == "driftloop" for name in event)


def _reason(event: Mapping[str, object]) -> str:
    """As the Event Grid schema writes it, or as CloudEvents do."""
    names = {name.casefold(): value for name, value in event.items()}
    inner = names.get("deadletterproperties")
    if isinstance(inner, dict):
        names |= {name.casefold(): value for name, value in inner.items()}
    told = [str(names[name]) for name in ("deadletterreason", "lastdeliveryoutcome") if names.get(name)]
    return safe(", ".join(told)) or "without a reason"

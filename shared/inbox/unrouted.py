"""Events that belong to no loop: kept with their reason for people to see, and for the sweep to try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from shared.domain.reason import Code, Reason, reason
from shared.errors import InputRejected, InvariantBroken
from shared.inbox import messages
from shared.inbox.messages import Incoming
from shared.ports import Ports, Row
from shared.redaction import reason_of, redacted_message
from shared.state import rows

MOST = 10_000
"""Events that a sweep looks at, the newest days first."""

WORTH_ANOTHER_TRY = frozenset(
    {
        Code.POISON,
        Code.POISON_TAKEN_NAMES,
        Code.NO_LOOP,
        Code.NO_LANDING,
        Code.NO_ALERT_PATTERN,
        Code.NO_MONITOR_PATTERN,
    }
)
TAKEN_UP = frozenset({Code.REPLAYED, Code.DEAD_LETTER, Code.DEAD_LETTER_NO_LOOP, Code.DEAD_LETTER_UNREADABLE})
"""Codes of what needs no person any more."""


@dataclass(frozen=True)
class Unrouted:
    """One such event."""

    reason: Reason
    received_at: datetime
    message: str = ""
    """It can be tried again, unless it was altered."""
    altered: bool = False
    """Without its secrets it means something else."""


def key(day: datetime, *parts: str) -> str:
    """The newest day first, so that who reads a few reads the newest; within a day what is the same is kept once."""
    return f"{date.max.toordinal() - day.toordinal():07d}-{rows.key_of(*parts)}"


def keep(ports: Ports, message: str, why: Reason, alike: str = "") -> None:
    """Keep a queue message, without its secrets; of several that are `alike` one a day."""
    now = ports.clock.now()
    text = messages.decoded(message[: messages.MAX_MESSAGE_BYTES])
    kept = redacted_message(text)
    altered = kept != text and why.code in WORTH_ANOTHER_TRY and _meaning(kept) != _meaning(text)
    put(ports, key(now, "unrouted", alike or message), Unrouted(why, now, kept, altered))


def put(ports: Ports, at: str, event: Unrouted) -> None:
    ports.store.record_unrouted(at, rows.encode(event))


def _meaning(message: str) -> Incoming | Code:
    try:
        return messages.parse(message, "")
    except InputRejected as rejection:
        return rejection.code


def newest(ports: Ports, limit: int) -> list[tuple[Row, Unrouted]]:
    """The first `limit`, the newest days first; a row that cannot be read says so."""
    found = []
    for row in ports.store.unrouted(limit=limit):
        try:
            found.append((row, rows.decode(Unrouted, row)))
        except InvariantBroken as error:
            found.append((row, Unrouted(reason_of(error), datetime.min.replace(tzinfo=UTC))))
    return found


def try_again(ports: Ports, take: Callable[[str], list[str]]) -> int:
    """Give each event that failed five times, or came before its loop was published, to `take`, which names the loops
    that it is now recorded for; how many there were."""
    taken = 0
    for row, event in newest(ports, MOST):
        if event.reason.code in WORTH_ANOTHER_TRY and not event.altered and (loops := take(event.message)):
            why = reason(Code.REPLAYED, loops=", ".join(loops), was=event.reason.code)
            put(ports, row.key, replace(event, reason=why))
            taken += 1
    return taken

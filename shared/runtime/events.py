"""An event becomes what it asks for, by its kind; one that fails too often is quarantined and holds up no other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.reason import Code, reason
from shared.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    InvariantBroken,
    OutcomeUnknown,
)
from shared.inbox import requests
from shared.intake import drops, folders, labels
from shared.ports import Delete, Row
from shared.redaction import words_of
from shared.runtime import strangers, unit_of_work
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows

log = logging.getLogger("driftloop")

MAX_ATTEMPTS = 5
"""Unexpected failures of one event before it is quarantined."""

HANDLERS: dict[EventKind, Callable[[Unit, InboxRecord, Row], None]] = {
    EventKind.BLOB: folders.take,
    EventKind.LABELS: labels.take,
    EventKind.ALERT: requests.alert,
    EventKind.MODEL: requests.model,
    EventKind.DEPLOYED: strangers.take,
    EventKind.PERSON: requests.person,
}


def handle(current: Unit, todo: Row) -> bool:
    """Do what an event asks for, once; it is work no more when this returns."""
    key = todo.doc
    row = current.ports.store.read(current.loop, rows.inbox_key(key))
    if row is None:
        raise InvariantBroken(
            f"{current.loop}: {todo.key} has no inbox record; run `driftloop doctor`", code=Code.ROW_MISSING
        )
    record = rows.decode(InboxRecord, row)
    if record.state is not InboxState.NEW:
        current.commit(changes=[Delete(todo.key)])
        return True
    try:
        HANDLERS[record.kind](current, record, row)
    except (Conflict, OutcomeUnknown, DependencyUnavailable, ConfigurationError, rows.Unreadable):
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is counted, logged and shown
        failed_again(*_as_it_is(current, record, row), error)
    else:
        _made_good(current, record)
    return True


def _as_it_is(current: Unit, record: InboxRecord, row: Row) -> tuple[Unit, InboxRecord, Row]:
    """The loop and the event after what was written of it before it failed: a drop has its number, for example."""
    found = current.ports.store.read(current.loop, row.key) if current.spent else None
    if found is None:
        return current, record, row
    return unit_of_work.read(current.ports, current.loop), rows.decode(InboxRecord, found), found


def _made_good(before: Unit, record: InboxRecord) -> None:
    """What is in quarantine needs nobody any more once a newer event of its kind was used."""
    if drops.made_good(before.state, record) == before.state:
        return
    current = unit_of_work.read(before.ports, before.loop)
    row = current.ports.store.read(current.loop, rows.inbox_key(record.key))
    if row is not None and rows.decode(InboxRecord, row).state is InboxState.DONE:
        current.commit(drops.made_good(current.state, record))


def failed_again(current: Unit, record: InboxRecord, row: Row, error: Exception) -> None:
    """One more failed attempt; the last one sets the event aside by name."""
    if record.attempts + 1 < MAX_ATTEMPTS:
        current.commit(changes=[update(row, replace(record, attempts=record.attempts + 1))])
        raise DependencyUnavailable(
            f"event {record.key} failed ({words_of(error)}); will retry", code=Code.TRIED_AGAIN
        ) from error
    log.error("event quarantined", extra={"loop": current.loop, "event": record.key}, exc_info=error)
    why = reason(Code.GIVEN_UP, attempts=MAX_ATTEMPTS, text=words_of(error))
    drops.close(current, record, row, InboxState.QUARANTINED, why)

"""Stretches of a loop's ledger, found without reading it from its beginning."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.ledger import LedgerEntry
from shared.ports import Row
from shared.state import rows
from shared.state.rows import Read

if TYPE_CHECKING:
    from shared.runtime.unit_of_work import Unit


def entries_after(current: Unit, seq: int, limit: int = 1000) -> list[LedgerEntry]:
    """Up to 1,000 entries that follow entry `seq`, in one read."""
    return [rows.decode(LedgerEntry, row) for row in _after(current, seq, limit)]


def shown_after(current: Unit, seq: int, limit: int = 1000) -> Read[LedgerEntry]:
    """The same for people: what cannot be read is told beside what can."""
    return rows.read(LedgerEntry, _after(current, seq, limit))


def shown_between(current: Unit, after: int, through: int) -> Read[LedgerEntry]:
    """The entries after one up to another for people, a thousand a call."""
    found: list[Row] = []
    store, key, last = current.ports.store, rows.ledger_key(after), rows.ledger_key(through)
    limit = min(rows.PAGE, max(1, through - after))
    while key < last and (page := store.range(current.loop, "ledger-", after=key, limit=limit)):
        found += page
        key = page[-1].key
    return rows.read(LedgerEntry, (row for row in found if row.key <= last))


def _after(current: Unit, seq: int, limit: int) -> list[Row]:
    return current.ports.store.range(current.loop, "ledger-", after=rows.ledger_key(seq), limit=limit)


def seq_at(current: Unit, moment: datetime) -> int:
    """The last entry at or before `moment`, found by halves: some twenty reads in a million entries."""
    low, high = 0, current.state.ledger_seq
    while low < high:
        middle = (low + high + 1) // 2
        seq, at = _readable_at(current, middle, low)
        if seq == low or (at is not None and at <= moment):
            low = middle
        else:
            high = seq - 1
    return low


def _readable_at(current: Unit, seq: int, low: int) -> tuple[int, datetime | None]:
    """Entry `seq`, or the nearest before it that can be read, down to `low`; with its moment, None where it is gone."""
    while seq > low:
        row = current.ports.store.read(current.loop, rows.ledger_key(seq))
        found = rows.read(LedgerEntry, [row] if row is not None else [])
        if not found.unread:
            return seq, found.values[0].at if found.values else None
        seq -= 1
    return seq, None

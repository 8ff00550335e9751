"""Stretches of a loop's ledger, found without reading it from its beginning."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.ledger import LedgerEntry
from shared.state import rows

if TYPE_CHECKING:
    from shared.runtime.unit_of_work import Unit


def entries_after(current: Unit, seq: int, limit: int = 1000) -> list[LedgerEntry]:
    """Up to 1,000 entries that follow entry `seq`, in one read."""
    found = current.ports.store.range(current.loop, "ledger-", after=rows.ledger_key(seq), limit=limit)
    return [rows.decode(LedgerEntry, row) for row in found]


def seq_at(current: Unit, moment: datetime) -> int:
    """The last entry at or before `moment`, found by halves: some twenty reads in a million entries."""
    low, high = 0, current.state.ledger_seq
    while low < high:
        middle = (low + high + 1) // 2
        row = current.ports.store.read(current.loop, rows.ledger_key(middle))
        if row is not None and rows.decode(LedgerEntry, row).at <= moment:
            low = middle
        else:
            high = middle - 1
    return low

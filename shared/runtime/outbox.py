"""Every ledger entry goes out on the topic at least once."""

from __future__ import annotations

import logging
from dataclasses import replace

from shared.domain.ledger import LedgerEntry
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, rows

log = logging.getLogger(__name__)

BATCH = 50


def announce(current: Unit) -> bool:
    """Publish the entries that have not gone out; the ledger itself is the outbox. True when some were."""
    state = current.state
    if state.announced_seq >= state.ledger_seq:
        return False
    found = current.ports.store.range(
        state.loop, "ledger-", after=rows.ledger_key(state.announced_seq), limit=BATCH
    )
    entries = [rows.decode(LedgerEntry, row) for row in found]
    current.ports.topic.publish(state.loop, entries)
    for entry in entries:
        log.info(entry.what, extra=_told(state.loop, entry))
    current.commit(replace(state, announced_seq=entries[-1].seq))
    return True


def _told(loop: str, entry: LedgerEntry) -> dict[str, object]:
    """What the log says of an entry: no words of people or data, these are in the ledger."""
    about = {"loop": loop, "seq": entry.seq, "subject": entry.subject, "before": entry.before}
    operation = hash_chain.operation(loop, entry.cause)
    return {**about, "after": entry.after, "at": entry.at.isoformat(), "operation": operation}

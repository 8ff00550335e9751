"""Every ledger entry goes out on the topic at least once, and is told to the lineage tool where there is one."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

from shared.domain.ledger import LedgerEntry
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.ports import Traced
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, rows

log = logging.getLogger(__name__)

BATCH = 50


def announce(current: Unit) -> bool:
    """Publish the entries that have not gone out; the ledger itself is the outbox. True when some were."""
    state = current.state
    if state.announced_seq >= state.ledger_seq:
        return False
    entries = _after(current, state.announced_seq)
    current.ports.topic.publish(state.loop, entries)
    for entry in entries:
        log.info(entry.what, extra=_told(state.loop, entry))
    current.commit(replace(state, announced_seq=entries[-1].seq))
    return True


def trace(current: Unit) -> bool:
    """Tell the lineage tool of the entries that it does not know, from the first one on; True when there were some."""
    state, lineage = current.state, current.ports.lineage
    if lineage is None or state.traced_seq >= state.ledger_seq:
        return False
    entries = _after(current, state.traced_seq)
    lineage.publish(state.loop, _traced(current, entries))
    current.commit(replace(state, traced_seq=entries[-1].seq))
    return True


def _after(current: Unit, seq: int) -> list[LedgerEntry]:
    found = current.ports.store.range(current.loop, "ledger-", after=rows.ledger_key(seq), limit=BATCH)
    return [rows.decode(LedgerEntry, row) for row in found]


def _traced(current: Unit, entries: list[LedgerEntry]) -> list[Traced]:
    """Each entry with its version or release; a row that somebody removed can tell nothing."""

    @cache
    def release(number: int) -> Release | None:
        row = current.ports.store.read(current.loop, rows.release_key(number))
        return rows.decode(Release, row) if row else None

    def traced(entry: LedgerEntry) -> Traced:
        kind, _, number = entry.subject.partition(" ")
        if entry.what == "version.created":
            row = current.ports.store.read(current.loop, rows.version_key(int(number)))
            return Traced(entry, version=rows.decode(DataVersion, row) if row else None)
        if kind != "release" or (found := release(int(number))) is None:
            return Traced(entry)
        endpoint = current.at_hand(found).definition.serve.endpoint
        return Traced(entry, release=found, endpoint=endpoint)

    return [traced(entry) for entry in entries]


def _told(loop: str, entry: LedgerEntry) -> dict[str, object]:
    """What the log says of an entry: no words of people or data, these are in the ledger."""
    about = {"loop": loop, "seq": entry.seq, "subject": entry.subject, "before": entry.before}
    operation = hash_chain.operation(loop, entry.cause)
    return {**about, "after": entry.after, "at": entry.at.isoformat(), "operation": operation}

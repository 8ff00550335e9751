"""A ledger whose entries each carry the hash of the one before, so that an edit, a removal or a swap shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from shared.domain.ledger import GENESIS, LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Reason


@dataclass(frozen=True)
class Draft:
    """An entry before it has its place in the chain."""

    what: str
    subject: str
    actor: str
    cause: str
    before: str = ""
    after: str = ""
    detail: Mapping[str, str | Reason] = field(default_factory=dict)


def entry_hash(entry: LedgerEntry) -> str:
    """SHA-256 over the canonical JSON of everything but the hash itself."""
    detail = {name: v if isinstance(v, str) else asdict(v) for name, v in entry.detail.items()}
    content = dict(vars(entry), at=entry.at.isoformat(), detail=detail)
    del content["hash"]
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def operation(loop: str, cause: str) -> str:
    """The W3C trace id (32 hex digits) of all that one event led to, in whichever invocation it was done.

    A release keeps the event that started it as its cause, so that the drop, its version, the verdict and every
    step to the promotion have the same one. A person's action in between has one of its own.
    """
    return hashlib.sha256(f"{loop}\n{cause}".encode()).hexdigest()[:32]


def append(
    state: LoopState, drafts: Sequence[Draft], at: datetime
) -> tuple[LoopState, tuple[LedgerEntry, ...]]:
    """The state with its new head, and the entries in their places."""
    entries: list[LedgerEntry] = []
    seq, head = state.ledger_seq, state.ledger_head
    for draft in drafts:
        seq += 1
        unsealed = LedgerEntry(
            seq=seq,
            at=at,
            actor=draft.actor,
            cause=draft.cause,
            what=draft.what,
            subject=draft.subject,
            before=draft.before,
            after=draft.after,
            detail=dict(draft.detail),
            previous_hash=head,
            hash="",
        )
        head = entry_hash(unsealed)
        entries.append(replace(unsealed, hash=head))
    return replace(state, ledger_seq=seq, ledger_head=head), tuple(entries)


def problems(entries: Sequence[LedgerEntry], state: LoopState) -> list[str]:
    """What is wrong with the whole chain of a loop, in words; empty when nothing is.

    `entries` are all entries of the loop in order. An edited, removed or swapped entry breaks a link; a cut
    tail differs from the head in the loop's row.
    """
    found: list[str] = []
    expected_seq, expected_hash = 1, GENESIS
    for entry in entries:
        if entry.seq != expected_seq:
            found.append(
                f"entry {expected_seq} is missing or out of order: entry {entry.seq} stands in its place"
            )
        if entry.previous_hash != expected_hash:
            found.append(f"entry {entry.seq} does not follow the entry before it")
        if entry_hash(entry) != entry.hash:
            found.append(f"entry {entry.seq} ({entry.what}) was changed after it was written")
        expected_seq, expected_hash = entry.seq + 1, entry.hash
    if (expected_seq - 1, expected_hash) != (state.ledger_seq, state.ledger_head):
        found.append(f"the ledger ends at entry {expected_seq - 1}, the loop's state says {state.ledger_seq}")
    return found

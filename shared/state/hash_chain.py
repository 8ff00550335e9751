"""A ledger whose entries each carry the hash of the one before, so that an edit, a removal or a swap shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from shared.domain.ledger import GENESIS, LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason


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


def problems(
    entries: Sequence[LedgerEntry],
    head: tuple[int, str] | None,
    *,
    after: int = 0,
    unread: Collection[int] = (),
) -> list[Reason]:
    """What is wrong with a stretch of a loop's ledger; empty when nothing is.

    `entries` are those that follow entry `after`, in order. An edited, removed or swapped entry breaks a link; a cut
    tail differs from `head`, the number and the hash of the last entry by the loop's row. None: the stretch does not
    reach so far. What went before entry `after` is not looked at, and the place of an entry in `unread`, of which
    only the number is known, is no gap.
    """
    found: list[Reason] = []
    expected_seq = after + 1
    expected_hash = GENESIS if after == 0 or not entries else entries[0].previous_hash
    for entry in entries:
        follows = not _all_unread(range(expected_seq, entry.seq), unread)
        if follows and entry.seq != expected_seq:
            found.append(reason(Code.LEDGER_ENTRY_MISSING, entry=expected_seq, instead=entry.seq))
        if follows and entry.previous_hash != expected_hash:
            found.append(reason(Code.LEDGER_LINK_BROKEN, entry=entry.seq))
        if entry_hash(entry) != entry.hash:
            found.append(reason(Code.LEDGER_ENTRY_EDITED, entry=entry.seq, what=entry.what))
        expected_seq, expected_hash = entry.seq + 1, entry.hash
    if head is None or _all_unread(range(expected_seq, head[0] + 1), unread):
        return found
    if (expected_seq - 1, expected_hash) != head:
        found.append(reason(Code.LEDGER_HEAD_DIFFERS, ends=expected_seq - 1, head=head[0]))
    return found


def proven(entries: Sequence[LedgerEntry], head: tuple[int, str] | None) -> tuple[LedgerEntry, ...]:
    """Those that the chain protects: back from `head`, or from the last where that is None, each has its own hash, by
    which the one after it names it. Nothing names those before one that is missing, edited, or written anew."""
    found: list[LedgerEntry] = []
    named = head
    for entry in reversed(entries):
        named = named or (entry.seq, entry.hash)
        if (entry.seq, entry.hash) != named or entry_hash(entry) != entry.hash:
            break
        found.append(entry)
        named = entry.seq - 1, entry.previous_hash
    return tuple(reversed(found))


def _all_unread(between: range, unread: Collection[int]) -> bool:
    """Whether there are entries between, and none of them can be read."""
    return bool(between) and all(seq in unread for seq in between)

"""One entry of a loop's audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.reason import Reason

GENESIS = "0" * 64
"""What the first ledger entry of a loop follows."""


@dataclass(frozen=True)
class LedgerEntry:
    """One change of state: what, of which thing, by whom, because of what, from what to what."""

    seq: int
    at: datetime
    actor: str
    cause: str
    what: str
    """Dotted, past tense where it can be: version.created, release.promoted, retrain.denied."""
    subject: str
    before: str
    after: str
    detail: Mapping[str, str | Reason]
    """Texts by name; what has a code is a reason, which `words.spoken` turns into text."""
    previous_hash: str
    hash: str

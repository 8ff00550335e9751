"""The sentences that people read, made from codes and facts: the one place to which a language could be added."""

from __future__ import annotations

from shared.domain.reason import Reason
from shared.words.english import TEXTS

__all__ = ["TEXTS", "say"]


def say(reason: Reason | None) -> str:
    """The sentence for `reason`; empty for None. A stored fact that the text does not name is left out."""
    return TEXTS[reason.code].format(**reason.facts) if reason is not None else ""

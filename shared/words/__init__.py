"""The sentences that people read, made from codes and facts: the one place to which a language could be added."""

from __future__ import annotations

import inspect

from shared.domain.reason import Reason
from shared.domain.release import Judgement
from shared.words import judges
from shared.words.english import TEXTS

__all__ = ["TEXTS", "say", "titled"]


def say(reason: Reason | None) -> str:
    """The sentence for `reason` and what it rests on; empty for None.

    A stored fact that the text does not name is left out.
    """
    if reason is None:
        return ""
    text = TEXTS[reason.code]
    if isinstance(text, str):
        words = text.format(**reason.facts)
    else:
        named = inspect.signature(text).parameters
        words = text(**{name: fact for name, fact in reason.facts.items() if name in named})
    because = "; ".join(say(each) for each in reason.because)
    return f"{words}: {because}" if words and because else words or because


def titled(judgement: Judgement) -> str:
    """The name of a verdict, for example *canary step 1 of 2 at 10 %*."""
    return judges.title(judgement.kind, judgement.step, judgement.steps, judgement.weight_pct)

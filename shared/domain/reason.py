"""What the product says is a code with typed facts; `shared/words` alone turns it into a sentence.

Nothing decides by a sentence: programs compare codes and read facts, people read `words.say(reason)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = str | int | float | bool | None
"""A moment is ISO 8601 text in UTC; a list is text that is ready to be read."""


class Code(StrEnum):
    """Everything that may be said: outcomes, reasons, refusals, waits and findings. The value is stored and is the
    anchor of the code's row in docs/operations.md, where it has one; it never changes."""


@dataclass(frozen=True)
class Reason:
    """One thing that is said: why something happened, did not happen, or waits."""

    code: Code
    facts: Mapping[str, Fact] = field(default_factory=dict)


def reason(code: Code, **facts: Fact) -> Reason:
    """`reason(Code.COOLDOWN, until=…)`: the facts that the text of this code names, no more and no fewer."""
    return Reason(code, facts)

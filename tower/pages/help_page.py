"""What to do when: the chapter of docs/operations.md, where whoever sees a message can read it at once."""

from __future__ import annotations

from dataclasses import dataclass

from shared import guide
from shared.guide import Part
from shared.intake.rejections import REMEDIES


@dataclass(frozen=True)
class HelpPage:
    parts: tuple[Part, ...]
    rejections: tuple[tuple[str, str], ...]
    """Code of a rejected drop, and what to do."""


def helping() -> HelpPage:
    return HelpPage(guide.parts(), tuple(sorted(REMEDIES.items())))

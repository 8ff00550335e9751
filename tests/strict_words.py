"""In tests each reason that code makes is checked: it has every fact that its text names. Stored ones may be older."""

from __future__ import annotations

import inspect
import sys
from functools import cache
from string import Formatter
from typing import Any

from shared.domain.reason import Code, Reason
from shared.domain.reason import reason as make
from shared.words import ITS_OWN, TEXTS


@cache
def facts_of(code: Code) -> set[str]:
    """The facts that the text of `code` must have."""
    text = TEXTS.get(code, ITS_OWN)
    if isinstance(text, str):
        return {name for _, name, _, _ in Formatter().parse(text) if name} - {"because"}
    return {p.name for p in inspect.signature(text).parameters.values() if p.default is p.empty}


def check(found: Reason) -> None:
    missing = facts_of(found.code) - set(found.facts)
    if missing:
        raise AssertionError(f"{found.code}: missing facts {sorted(missing)}")


def install() -> None:
    plain = Reason.__init__

    def strict(self: Reason, *args: Any, **named: Any) -> None:
        plain(self, *args, **named)
        if sys._getframe(1).f_code is make.__code__:
            check(self)

    Reason.__init__ = strict  # type: ignore[method-assign]  # in tests only

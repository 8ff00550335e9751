"""In tests each Reason is checked when it is made: its facts are those that its text names, no more and no fewer."""

from __future__ import annotations

import inspect
from string import Formatter
from typing import Any

from shared.domain.reason import Code, Reason
from shared.words import TEXTS


def facts_of(code: Code) -> tuple[set[str], set[str]]:
    """The facts that the text of `code` must have, and those that it may have."""
    text = TEXTS[code]
    if isinstance(text, str):
        named = {name for _, name, _, _ in Formatter().parse(text) if name}
        return named, named
    parameters = inspect.signature(text).parameters.values()
    return {p.name for p in parameters if p.default is p.empty}, {p.name for p in parameters}


def check(found: Reason) -> None:
    must, may = facts_of(found.code)
    if not must <= set(found.facts) <= may:
        missing, unknown = must - set(found.facts), set(found.facts) - may
        raise AssertionError(
            f"{found.code}: missing facts {sorted(missing)}, unknown facts {sorted(unknown)}"
        )


def install() -> None:
    plain = Reason.__init__

    def strict(self: Reason, *args: Any, **named: Any) -> None:
        plain(self, *args, **named)
        check(self)

    Reason.__init__ = strict  # type: ignore[method-assign]  # in tests only

"""What two publications of a loop say otherwise: key by key, and line by line of the loop's own code."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.redaction import redacted, redacted_message

if TYPE_CHECKING:
    from shared.loopfile import Definition

_AROUND = 2
"""Lines beside a changed one."""


@dataclass(frozen=True)
class Change:
    """One thing as it was and as it is; None where it is not."""

    what: str
    before: object
    after: object

    @property
    def same(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True)
class CodeChange:
    """One file of the loop's own code, as a unified diff."""

    file: str
    lines: tuple[str, ...]


def keys(before: Definition, after: Definition) -> tuple[Change, ...]:
    """The keys that differ, each by its dotted name, with defaults as if they were written."""
    one, other = (dict(_flat(each.model_dump(mode="json"), "")) for each in (before, after))
    both = [Change(key, one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])]
    return tuple(change for change in both if not change.same)


def _flat(value: object, above: str) -> Iterator[tuple[str, str]]:
    """An empty section is a value: else it could not be told from one that is not there."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{above}.{name}" if above else str(name))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{above}[{number}]")
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield above, redacted_message(text)


def code(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[CodeChange, ...]:
    """The files that differ; one that is new or gone is all added or all removed."""
    found = (_file(file, before.get(file, ""), after.get(file, "")) for file in sorted({*before, *after}))
    return tuple(change for change in found if change.lines)


def _file(file: str, before: str, after: str) -> CodeChange:
    sides = before.splitlines(), after.splitlines()
    lines = list(difflib.unified_diff(*sides, n=_AROUND, lineterm=""))[2:]  # less the names of the files
    return CodeChange(file, tuple(map(redacted, lines)))

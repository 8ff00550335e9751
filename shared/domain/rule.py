"""What a rule of a contract means, apart from how it is written: nothing is imported for it but Python's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

TYPES: Mapping[str, frozenset[str]] = {
    "number": frozenset({"number", "integer"}),
    "integer": frozenset({"integer"}),
    "boolean": frozenset({"boolean"}),
    "text": frozenset({"string"}),
    "time": frozenset({"datetime"}),
}
"""What a rule calls a type -> the types of a version's columns that are one."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "range": ("at_least", "above", "at_most", "below"),
    "values": ("values",),
    "pattern": ("pattern",),
    "length": ("min_length", "max_length"),
    "type": ("type",),
    "nulls": ("nulls_at_most",),
    "unique": ("unique",),
    "rows": ("rows_at_least", "rows_at_most"),
    "age": ("max_age",),
}
DURATION = r"(\d{1,6}(?:\.\d{1,3})?)([smhd])"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ANY = frozenset({"number", "integer", "boolean", "string", "datetime"})
_BY_ROW = frozenset({"range", "values", "pattern", "length", "nulls", "unique"})
_FEW = 6


class RuleMeaning:
    """What follows from the keys of a rule, whichever class has them."""

    if TYPE_CHECKING:  # else pydantic would take them for keys of its own, the first ones
        column: Any
        unique: Any

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the rule is about; exactly one in a sound rule."""
        return tuple(kind for kind, keys in KINDS.items() if any(getattr(self, k) is not None for k in keys))

    @property
    def kind(self) -> str:
        return next(iter(self.kinds), "")

    @property
    def by_row(self) -> bool:
        """Whether single rows break it."""
        return self.kind in _BY_ROW

    @property
    def bounds(self) -> Mapping[str, Any]:
        """Numbers, times as text, or what names another column."""
        found = {key: getattr(self, key) for key in KINDS["range"]}
        return {key: value for key, value in found.items() if value is not None}

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it looks at."""
        others = (bound.column for bound in self.bounds.values() if hasattr(bound, "column"))
        own = (self.column,) if self.column else ()
        return tuple(dict.fromkeys((*own, *others, *(self.unique or ()))))


@dataclass(frozen=True)
class RuleBound:
    """The value of another column in the same row."""

    column: str


@dataclass(frozen=True)
class ContractRule(RuleMeaning):
    """A sound rule as the reader has it; the keys are those of `shared.loopfile.contract.Rule`, in their order."""

    column: str | None = None
    at_least: Any = None
    above: Any = None
    at_most: Any = None
    below: Any = None
    values: tuple[str | int | float | bool, ...] | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    type: str | None = None
    nulls_at_most: float | None = None
    unique: tuple[str, ...] | None = None
    rows_at_least: int | None = None
    rows_at_most: int | None = None
    max_age: timedelta | None = None
    tolerance: float | None = None
    on_breach: str = "quarantine"
    notation: str = ""
    """The rule as a line of a loop file has it, without what happens on a breach."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ContractRule:
        """From a rule as JSON has it."""
        told = {name: _typed(name, value) for name, value in document.items()}
        return cls(**told, notation=_notation(document))


def _typed(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return RuleBound(value["column"])
    if name == "max_age":
        return duration(value)
    return tuple(value) if isinstance(value, list) else value


def _notation(document: Mapping[str, Any]) -> str:
    names = [one.name for one in fields(ContractRule) if one.name in document]
    said = ", ".join(f"{n}: {shown(document[n])}" for n in names if n not in ("column", "on_breach"))
    column = document.get("column")
    return f"{column}: {said}" if column else said


def shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        more = f", … {len(value) - _FEW} more" if len(value) > _FEW else ""
        return f"[{', '.join(map(shown, value[:_FEW]))}{more}]"
    if isinstance(value, Mapping):
        return f"{{column: {value['column']}}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def duration(text: str) -> timedelta:
    """A duration as a loop file has it; ValueError when it is none."""
    found = re.fullmatch(DURATION, text)
    if found is None:
        raise ValueError("not a duration")
    return timedelta(seconds=float(found[1]) * UNITS[found[2]])


def moment(text: str) -> datetime:
    """A time of a rule, aware; ValueError when it is none."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def whole(pattern: str) -> str:
    """The pattern, as it has to match from a text's beginning to its end."""
    return rf"\A(?:{pattern})\z"


def as_spelled(rule: ContractRule, columns: Iterable[str]) -> ContractRule:
    """The rule with the names of its columns as these are spelled: Unicode has several ways to write one."""
    known = {normalize("NFC", name): name for name in columns}

    def there(name: str) -> str:
        return known.get(normalize("NFC", name), name)

    spelled: dict[str, Any] = {
        k: RuleBound(there(bound.column)) for k, bound in rule.bounds.items() if hasattr(bound, "column")
    }
    if rule.column is not None:
        spelled["column"] = there(rule.column)
    if rule.unique is not None:
        spelled["unique"] = tuple(map(there, rule.unique))
    return replace(rule, **spelled)


def misfit(rule: ContractRule, columns: Mapping[str, str]) -> tuple[str, str] | None:
    """The first column that the rule cannot be checked on, and its type, empty where it is not there.

    `columns` are a version's: name -> number, integer, boolean, string, datetime or nothing.
    """
    for name in rule.columns:
        if name not in columns:
            return name, ""
    fitting = _fitting(rule)
    for name in rule.columns:
        if columns[name] != "nothing" and columns[name] not in fitting:
            return name, columns[name]
    if rule.kind == "range" and len({_family(columns[name]) for name in rule.columns} - {"nothing"}) > 1:
        return rule.columns[-1], columns[rule.columns[-1]]
    return None


def _fitting(rule: ContractRule) -> frozenset[str]:
    """Types of columns that the rule can be checked on."""
    if rule.type is not None:
        return TYPES[rule.type]
    if rule.kind == "values":
        return TYPES[sort((rule.values or ("",))[0])]
    if rule.kind == "range":
        fixed = [bound for bound in rule.bounds.values() if not hasattr(bound, "column")]
        numbers, times = TYPES["number"], TYPES["time"]
        return numbers | times if not fixed else times if isinstance(fixed[0], str) else numbers
    return {"pattern": TYPES["text"], "length": TYPES["text"], "age": TYPES["time"]}.get(rule.kind, _ANY)


def sort(value: str | int | float | bool) -> str:
    return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _family(kind: str) -> str:
    return "number" if kind == "integer" else kind

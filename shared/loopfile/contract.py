"""A contract: rules that every drop keeps, frozen with the loop; what a rule cannot mean is found before any data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from shared.domain.rule import KINDS, ContractRule, RuleMeaning, moment, shown, sort, whole
from shared.loopfile.value_kinds import Allowed, Column, Columns, Count, Duration, Section, Share

OnBreach = Literal["quarantine", "drop_rows", "report"]
Type = Literal["number", "integer", "boolean", "text", "time"]
Value = str | int | float | bool


class OtherColumn(Section):
    column: Column
    """Whose value in the same row is the bound."""


def _as_one(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """One mistake for a value of several types, not one for each type. JSON, of what is stored, has lists."""
    try:
        return handler(tuple(value) if isinstance(value, list) else value)
    except ValidationError as error:
        raise ValueError("none of the types") from error


Length = Annotated[int | None, Field(ge=0, le=2**31 - 1)]
Bound = Annotated[
    int | float | str | OtherColumn,
    WrapValidator(_as_one),
    Allowed("a number, a time such as 2024-12-31T08:00, or {column: NAME}"),
]


class Rule(Section, RuleMeaning):
    """One promise about a drop. A null breaks `nulls_at_most` alone."""

    column: Column | None = None
    """The column that the rule is about; none for unique, rows_at_least and rows_at_most."""
    at_least: Bound | None = None
    """Smallest value. Times without a zone are UTC."""
    above: Bound | None = None
    """Each value is greater."""
    at_most: Bound | None = None
    """Greatest value."""
    below: Bound | None = None
    """Each value is smaller."""
    values: Annotated[
        tuple[Value, ...] | None,
        WrapValidator(_as_one),
        Allowed("a list of texts, of numbers, or of true and false"),
    ] = None
    """The only values."""
    pattern: Annotated[
        str | None, StringConstraints(min_length=1, max_length=2_000), Allowed("a regular expression (RE2)")
    ] = None
    """Matches the whole of each text."""
    min_length: Length = None
    """Fewest characters of a text."""
    max_length: Length = None
    """Most characters of a text."""
    type: Type | None = None
    """What the column is; a column of whole numbers is a number too."""
    nulls_at_most: Annotated[float | None, Field(ge=0, le=1)] = None
    """Largest share of nulls; 1: the column is there."""
    unique: Annotated[Columns, Field(min_length=1)] | None = None
    """No two rows have the same values in these columns; rows with a null among them are left out."""
    rows_at_least: Count | None = None
    """Fewest rows of a drop."""
    rows_at_most: Count | None = None
    """Most rows of a drop."""
    max_age: Duration | None = None
    """How long before the drop landed the column's newest time may lie."""
    tolerance: Share | None = None
    """Share of rows that may break the rule; nothing: none."""
    on_breach: OnBreach = "quarantine"
    """quarantine: the drop is; drop_rows: rows that break the rule are rejected, and kept; report: a finding."""

    @property
    def plain(self) -> ContractRule:
        """As the reader has it."""
        return ContractRule.from_document(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def notation(self) -> str:
        """As `ContractRule.notation`."""
        return self.plain.notation


_WITHOUT_COLUMN = frozenset({"unique", "rows"})


Fault = tuple[str, object, str]
"""Key of the rule (empty: the rule), the value found, the values allowed."""


def faults(rule: Rule) -> Iterator[Fault]:
    """What a rule cannot mean, whatever the data."""
    kinds = rule.kinds
    if len(kinds) != 1:
        keys = ", ".join(key for key in _keys(rule))
        yield "", keys or "no rule", f"one of {'; '.join(', '.join(KINDS[kind]) for kind in KINDS)}"
        return
    if rule.kind in _WITHOUT_COLUMN and rule.column is not None:
        yield "column", rule.column, f"no column beside {_keys(rule)[0]}"
    if rule.kind not in _WITHOUT_COLUMN and rule.column is None:
        yield "column", None, f"the column that {_keys(rule)[0]} is about"
    yield from _FAULTS[rule.kind](rule)
    yield from _breach(rule)


def _keys(rule: Rule) -> list[str]:
    return [key for kind in rule.kinds for key in KINDS[kind] if getattr(rule, key) is not None]


def _breach(rule: Rule) -> Iterator[Fault]:
    whole = not rule.by_row or bool(rule.nulls_at_most)
    if rule.on_breach == "drop_rows" and whole:
        yield "on_breach", "drop_rows", f"quarantine or report, because no single row breaks {_keys(rule)[0]}"
    if rule.tolerance is None:
        return
    if not rule.by_row or rule.kind == "nulls":
        yield "tolerance", rule.tolerance, f"no tolerance beside {_keys(rule)[0]}"
    if rule.on_breach == "drop_rows":
        yield "tolerance", rule.tolerance, "no tolerance beside on_breach: drop_rows, which rejects each row"


def _range(rule: Rule) -> Iterator[Fault]:
    for one, other in (("at_least", "above"), ("at_most", "below")):
        if one in rule.bounds and other in rule.bounds:
            yield other, getattr(rule, other), f"one of {one} and {other}"
    sound = True
    for key, bound in rule.bounds.items():
        if isinstance(bound, OtherColumn) and bound.column == rule.column:
            yield key, bound.column, "another column"
        if isinstance(bound, str) and not _is_moment(bound):
            sound = False
            yield key, bound, "a number, a time such as 2024-12-31T08:00, or {column: NAME}"
    fixed = {key: bound for key, bound in rule.bounds.items() if not isinstance(bound, OtherColumn)}
    if len({isinstance(bound, str) for bound in fixed.values()}) > 1:
        yield "", shown(list(fixed.values())), "bounds that are all numbers, or all times"
    elif sound and _is_empty(fixed):
        key = next(k for k in ("at_most", "below") if k in fixed)
        yield key, fixed[key], "a bound that leaves a value: none is within these"


def _is_moment(text: str) -> bool:
    try:
        return bool(moment(text))
    except ValueError:
        return False


def _is_empty(fixed: Mapping[str, int | float | str]) -> bool:
    """Whether no value lies within."""
    ends = {key: moment(bound) if isinstance(bound, str) else bound for key, bound in fixed.items()}
    lows, highs = (
        [ends[k] for k in keys if k in ends] for keys in (("at_least", "above"), ("at_most", "below"))
    )
    strict = "above" in ends or "below" in ends
    return any(low > high or (strict and low == high) for low in lows for high in highs)  # type: ignore[operator]


def _values(rule: Rule) -> Iterator[Fault]:
    found = rule.values or ()
    if not found or len({sort(value) for value in found}) > 1:
        yield "values", list(found), "a list of texts, of numbers, or of true and false"


def _pattern(rule: Rule) -> Iterator[Fault]:
    if wrong := unusable(str(rule.pattern)):
        yield "pattern", rule.pattern, f"a regular expression (RE2): {wrong}"


def unusable(pattern: str) -> str:
    """What is wrong with a pattern; empty when nothing is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        for one in (pattern, whole(pattern)):  # by itself too: `a)|(b` only looks whole
            pc.match_substring_regex(pa.array([""]), one)
    except pa.ArrowInvalid as error:
        return str(error).split(": ")[1]
    return ""


def _ends(low: str, high: str) -> Callable[[Rule], Iterator[Fault]]:
    def found(rule: Rule) -> Iterator[Fault]:
        least, most = getattr(rule, low), getattr(rule, high)
        if least is not None and most is not None and least > most:
            yield high, most, f"at least {low} ({least})"

    return found


def _none(rule: Rule) -> Iterator[Fault]:
    yield from ()


_FAULTS: Mapping[str, Callable[[Rule], Iterator[Fault]]] = {
    "range": _range,
    "values": _values,
    "pattern": _pattern,
    "length": _ends("min_length", "max_length"),
    "rows": _ends("rows_at_least", "rows_at_most"),
    **dict.fromkeys(("type", "nulls", "unique", "age"), _none),
}

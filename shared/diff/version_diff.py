"""Two data versions of a loop: what they hold, their columns, how each column moved, and what the contract found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.diff.definition_diff import Change
from shared.domain.version import DataVersion
from shared.errors import InvariantBroken
from shared.runtime.unit_of_work import Unit
from shared.verdict import comparison

if TYPE_CHECKING:
    import drift


@dataclass(frozen=True)
class RuleSides:
    """What one rule of the contract found in both; None where a version was read without it."""

    rule: str
    before: str | None
    after: str | None
    broken: bool
    """In either."""


@dataclass(frozen=True)
class VersionDiff:
    """`before` is the reference of the comparison."""

    before: DataVersion
    after: DataVersion
    facts: tuple[Change, ...]
    """All of them, also those that are alike."""
    schema: tuple[Change, ...]
    """Columns that are new, gone, or of another type."""
    contract: tuple[RuleSides, ...] | None
    """Rules that either breaks, or that only one was read with; None where what one of them found is lost."""
    report: drift.Report | None
    profiles: tuple[drift.Profile, drift.Profile] | None
    lost: str = ""
    """Why the rows cannot be compared."""


def versions(current: Unit, one: int, other: int) -> VersionDiff:
    """ConfigurationError where the loop has no version of either number."""
    before, after = current.version(one)[0], current.version(other)[0]
    profiles, report, lost = _compared(current, before, after)
    return VersionDiff(
        before=before,
        after=after,
        facts=tuple(_facts(before, after)),
        schema=schema(before.columns, after.columns),
        contract=_contracts(current, before, after),
        report=report,
        profiles=profiles,
        lost=lost,
    )


def schema(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    found = (Change(name, before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after]))
    return tuple(change for change in found if not change.same)


def _facts(before: DataVersion, after: DataVersion) -> Iterator[Change]:
    plain = ("source", "created_at", "rows", "train_rows", "holdout_rows", "rejected_rows", "labelled")
    for name in plain:
        yield Change(name, getattr(before, name), getattr(after, name))
    yield Change("columns", len(before.columns), len(after.columns))
    yield Change("content", before.content_hash[:16], after.content_hash[:16])
    for name in ("findings", "judged_against", "verdict"):
        yield Change(name, getattr(before, name), getattr(after, name))
    yield Change("metric", before.metric_found, after.metric_found)
    yield Change("answer", before.decision, after.decision)


def _compared(
    current: Unit, before: DataVersion, after: DataVersion
) -> tuple[tuple[drift.Profile, drift.Profile] | None, drift.Report | None, str]:
    """By the loop's own tolerances as they are published now."""
    import drift

    documents = current.ports.documents
    try:
        one, other = (drift.Profile.from_bytes(documents.get(each.profile)) for each in (before, after))
        return (one, other), comparison.between(one, other, current.published().definition), ""
    except (InvariantBroken, drift.DataError) as error:
        return None, None, str(error)


def _contracts(current: Unit, before: DataVersion, after: DataVersion) -> tuple[RuleSides, ...] | None:
    try:
        return tuple(_rules(_contract(current, before), _contract(current, after)))
    except InvariantBroken:
        return None


Rules = Mapping[str, Mapping[str, Any]]
"""What each rule came to, by rule; none where the version was read without a contract."""


def _contract(current: Unit, version: DataVersion) -> Rules:
    if not version.contract:
        return {}
    found = json.loads(current.ports.documents.get(version.contract))
    return {rule["rule"]: rule for rule in found["rules"]}


def _rules(one: Rules, other: Rules) -> Iterator[RuleSides]:
    for rule in dict.fromkeys([*one, *other]):
        first, second = one.get(rule), other.get(rule)
        broken = any(side is not None and side["broken"] for side in (first, second))
        if broken or first is None or second is None:
            yield RuleSides(rule, _side(first), _side(second), broken)


def _side(rule: Mapping[str, Any] | None) -> str | None:
    return None if rule is None else came_to(rule)


def came_to(rule: Mapping[str, Any]) -> str:
    """What a rule of a stored contract found."""
    if rule["found"]:
        return str(rule["found"])
    if not rule["rows"]:
        return "kept"
    more = ", …" if rule["rows"] > len(rule["first"]) else ""
    rows = ", ".join(map(str, rule["first"])) + more
    return f"{rule['rows']:,} of {rule['of']:,} rows break it: {rows}"

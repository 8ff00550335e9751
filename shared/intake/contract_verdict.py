"""What a contract's results mean for the drop: quarantined, or taken with findings that name what was broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.intake.rejections import rejected
from shared.redaction import printable

if TYPE_CHECKING:
    from shared.reader.contract_pass import Result

MOST_NAMED = 10
"""Broken rules that are named; the version's document has all."""
_LONGEST = 200


def verdict(results: Sequence[Result], rejected_rows: int) -> list[str]:
    """Findings of a drop that keeps its contract well enough to be used.

    Raises
    ------
    InputRejected
        `contract-broken`: a rule says quarantine, cannot be checked and would have rejected rows, or no row is left.
    """
    broken = [result for result in results if result.broken]
    fatal = [result for result in broken if is_fatal(result)]
    if fatal:
        raise rejected("contract-broken", f"the drop breaks its contract: {_listed(fatal)}")
    findings = [f"contract: {told(result)}" for result in broken[:MOST_NAMED]]
    if len(broken) > MOST_NAMED:
        findings.append(f"contract: {len(broken) - MOST_NAMED} more rules are broken")
    if rejected_rows:
        rows = broken[0].of
        if rejected_rows == rows:
            raise rejected("contract-broken", f"the contract rejects all {rows:,} rows: {_listed(broken)}")
        findings.append(f"contract: {rejected_rows:,} of {rows:,} rows are rejected and kept apart")
    return findings


def is_fatal(result: Result) -> bool:
    """Rows that cannot be told from the others cannot be rejected: then the drop is."""
    return result.on_breach == "quarantine" or (result.on_breach == "drop_rows" and bool(result.found))


def _listed(results: Sequence[Result]) -> str:
    more = f"; and {len(results) - 3} more rules" if len(results) > 3 else ""
    return "; ".join(map(told, results[:3])) + more


def told(result: Result) -> str:
    """A broken rule in words: the rule, then what breaks it. No value of the data is in it."""
    rule = printable(result.rule)
    rule = rule if len(rule) <= _LONGEST else f"{rule[: _LONGEST - 1]}…"
    if result.found:
        return f"'{rule}': {printable(result.found)}"
    more = ", …" if result.rows > len(result.first) else ""
    return f"'{rule}': {result.rows:,} of {result.of:,} rows (row {', '.join(map(str, result.first))}{more})"

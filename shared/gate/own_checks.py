"""Whether the loop's own functions let a challenger pass, by what they found of both models' answers to the same rows.

H0 of a function: challenger and champion answer alike, so that who gave which of a row's two answers is chance. A
claimed p-value counts at `1 - confidence`, shared among the functions (Bonferroni), and is tested itself: under H0 the
two answers of each row may be exchanged at random, and who claims p-values there that are small more often than chance
allows (`check_verdict`) claims them falsely here too. Rows are independent; any number of them.
"""

from __future__ import annotations

from shared.domain.reason import Code, Fact, reason
from shared.domain.release import Outcome
from shared.gate.gate_record import Finding, GateEvidence, GatePolicy
from shared.verdict.check_verdict import Check, lie

_SAID = {"drift": Outcome.FAIL, "warning": Outcome.INCONCLUSIVE, "info": Outcome.PASS}
"""What a function's severity comes to."""


def judge_functions(evidence: GateEvidence, policy: GatePolicy) -> list[Finding]:
    """A finding for each function. What could not be asked, or claims p-values that are none, settles nothing."""
    seen = evidence.functions
    if seen is None:
        return []
    if seen.fault is not None:
        return [(Outcome.INCONCLUSIVE, seen.fault, None)]
    level = (1 - policy.confidence) / max(1, len(seen.found))
    return [_judged(check, level) for check in seen.found]


def _judged(check: Check, level: float) -> Finding:
    facts: dict[str, Fact] = {"name": check.name, "text": check.text}
    if check.p_value is not None and (told := lie(check, level)) is not None:
        return Outcome.INCONCLUSIVE, reason(Code.GATE_FUNCTION_LIES, **facts, **told), None
    outcome = _SAID[check.severity]
    if outcome is not Outcome.PASS and check.p_value is not None and check.p_value > level:
        chance: dict[str, Fact] = {"p_value": check.p_value, "least": level}
        return Outcome.PASS, reason(Code.GATE_FUNCTION_BY_CHANCE, **facts, **chance), None
    facts |= {"outcome": outcome.value, "p_value": check.p_value}
    return outcome, reason(Code.GATE_FUNCTION, **facts), None

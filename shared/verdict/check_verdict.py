"""What a loop's own checks found, and whether it counts: a claimed p-value must be one.

H0 of a check: the drop's rows are like the reference's. A p-value promises to be at most a under H0 in at most a of
drops, for each a. The reference split at random is H0 itself: whoever claims p-values there that are small more often
than chance allows (exact binomial, `LIE` in all, over two levels) claims them falsely of drops too. Splits of one
reference are independent given its rows. Valid for any number of splits; few show great lies alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.domain.reason import Code, Fact, Reason, reason

LIE = 0.001
"""How often an honest check is called a liar, per drop."""
EVERYDAY = 0.05
"""Besides the level that decides, lies are looked for here, where a couple of hundred splits show small ones."""


@dataclass(frozen=True)
class Check:
    """One check's finding, and its p-values where nothing had changed; none where it claims none."""

    name: str
    severity: Literal["info", "warning", "drift"]
    text: str
    p_value: float | None
    same: tuple[float, ...] = ()


def judge_checks(checks: Sequence[Check], false_alarm_rate: float) -> tuple[bool, tuple[Reason, ...]]:
    """Whether one of them is an alarm, and what each found.

    A check of severity `drift` is an alarm; with a p-value only where that is one, and at most the loop's
    false-alarm rate shared among the checks (Bonferroni).
    """
    level = false_alarm_rate / max(1, len(checks))
    judged = [_judged(one, level) for one in checks]
    return any(alarm for alarm, _ in judged), tuple(why for _, why in judged)


def _judged(check: Check, level: float) -> tuple[bool, Reason]:
    if check.p_value is not None:
        if (facts := lie(check, level)) is not None:
            return False, reason(Code.CHECK_LIES, name=check.name, text=check.text, **facts)
        if check.severity == "drift" and check.p_value > level:
            chance: dict[str, Fact] = {"p_value": check.p_value, "least": level}
            return False, reason(Code.CHECK_BY_CHANCE, name=check.name, text=check.text, **chance)
    found: dict[str, Fact] = {"severity": check.severity, "p_value": check.p_value}
    return check.severity == "drift", reason(Code.CHECK_FOUND, name=check.name, text=check.text, **found)


def lie(check: Check, level: float) -> dict[str, Fact] | None:
    """At which level its p-values are too often small where nothing has changed, how many are, and how many may be."""
    from scipy.special import bdtrc

    splits = len(check.same)
    for at in (EVERYDAY, level):
        below = sum(p <= at for p in check.same)
        if below and bdtrc(below - 1, splits, at) <= LIE / 2:
            return {"splits": splits, "below": below, "at": at, "due": at * splits}
    return None

"""What the loop's own code says of the gate's rows, its metric and its checks: it is run before the gate is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.gate.gate_record import (
    ALL_ROWS,
    FunctionsSeen,
    GateEvidence,
    GatePolicy,
    OwnSeen,
    few_rows,
    least_rows,
    slice_confidence,
    slice_groups,
    slice_name,
    unusable,
    without_probability,
)
from shared.own import checked, source_text
from shared.own.measured import Group, measure
from shared.stats.metrics import Metric, metric_of
from shared.verdict.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd


def own_seen(
    code: str,
    evidence: GateEvidence,
    policy: GatePolicy,
    models: Sequence[Predictions],
    rows: pd.DataFrame,
) -> OwnSeen | None:
    """None where the judge needs no metric to see that the rows or answers cannot be used."""
    own = policy.own
    if own is None or unusable(evidence, metric_of(policy.metric, own=own)):
        return None
    told: list[Sequence[object]] = [model.values for model in models]
    if own.positive:
        two = len(evidence.known_classes) == 2
        told = [model.of([own.positive] * len(evidence.y_true), two=two) for model in models]
        if fault := _unstated(told, policy.metric, len(evidence.y_true)):
            return OwnSeen(fault=fault)
    groups = {ALL_ROWS: Group(range(len(evidence.y_true)), policy.confidence)}
    groups |= _slices(evidence, policy, metric_of(policy.metric, own=own))
    return measure(code, policy.metric, own, evidence.y_true, told, rows, groups)


def functions_seen(
    code: str, evidence: GateEvidence, policy: GatePolicy, rows: pd.DataFrame
) -> FunctionsSeen | None:
    """Both models' answers beside the rows; a first model stands beside itself. None as above."""
    if not policy.functions or unusable(evidence, metric_of(policy.metric, own=policy.own)):
        return None
    if checked.ANSWER in rows:
        what = f"the rows have a column {checked.ANSWER} of their own, where each model's answers would stand"
        return FunctionsSeen(fault=reason(Code.OWN_CODE_UNFIT, where=source_text.CHECKS_FILE, what=what))
    before = evidence.challenger if evidence.champion is None else evidence.champion
    sides = (rows.assign(**{checked.ANSWER: list(answers)}) for answers in (before, evidence.challenger))
    found = checked.ask(code, policy.functions, *sides, same_rows=True)
    return FunctionsSeen(fault=found) if isinstance(found, Reason) else FunctionsSeen(found)


def _unstated(told: Sequence[Sequence[object]], metric: str, rows: int) -> Reason | None:
    for code, stated in zip(
        (Code.GATE_PROBABILITIES_UNSTATED, Code.GATE_CHAMPION_UNSTATED), told, strict=False
    ):
        if unstated := without_probability(stated, rows):
            return reason(code, unstated=unstated, metric=metric)
    return None


def _slices(evidence: GateEvidence, policy: GatePolicy, metric: Metric) -> dict[str, Group]:
    """Slices in which the function can be judged: with enough rows of each class."""
    if policy.slices is None or not metric.given:
        return {}
    positive = policy.own.positive if policy.own else ""
    large = {
        slice_name(*where): at
        for where, at in slice_groups(evidence.slices, policy.slices.by).items()
        if len(at) >= max(policy.slices.min_rows, least_rows(metric))
        and not few_rows([evidence.y_true[row] for row in at], evidence.known_classes, metric, positive)
    }
    level = slice_confidence(policy, len(large), champion=evidence.champion is not None)
    return {name: Group(at, level) for name, at in large.items()}

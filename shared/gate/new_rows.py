"""The old and the new champion beside each other, on those rows of the gate that were new to both.

The gate judges on the holdout of the whole training window. Most of it may be older than the data for which a model was
retrained, and there the old champion is at home. Here only holdout rows of versions later than any that the old
champion was trained on count: neither model has seen them. Rows count as independent, as they do at the gate. A model
that passed the gate by chance is shown to be better by chance, too: that it helped also asks for a next version on
which the metric is not breached (`shared/retraining/effectiveness.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import TypeVar

from shared.gate.gate_judge import GateEvidence, GateRecord, GateVerdict, judge_gate

Value = TypeVar("Value")


def compare(record: GateRecord, trained_through: int) -> GateVerdict | None:
    """Passes when the new model is shown to be better, fails when it is shown to be worse, else is inconclusive.

    `trained_through` is the newest version that the old champion was trained on. None where no row is known to be new.
    """
    evidence = record.evidence
    new = [number > trained_through for number, rows in evidence.drawn for _ in range(rows)]
    if evidence.champion is None or not any(new) or len(new) != len(evidence.y_true):
        return None
    if evidence.own and not evidence.own.rows:
        return None  # one number for all rows says nothing of some
    policy = replace(
        record.policy,
        margin=0.0,
        superiority=True,
        floor=None,
        slices=None,
        parity=None,
        calibration=None,
        functions=(),
    )
    return judge_gate(_of(evidence, new), policy)


def _of(evidence: GateEvidence, new: Sequence[bool]) -> GateEvidence:
    """These rows alone, with what the paired difference needs."""

    def kept(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(compress(values, new))

    champion, scores, own = evidence.champion, evidence.champion_scores, evidence.own
    return replace(
        evidence,
        ids=kept(evidence.ids),
        y_true=kept(evidence.y_true),
        challenger=kept(evidence.challenger),
        champion=None if champion is None else kept(champion),
        slices={},
        stated=(),
        scores=kept(evidence.scores),
        champion_scores=None if scores is None else kept(scores),
        drawn=(),
        own=None if own is None else replace(own, rows=tuple(map(kept, own.rows))),
        functions=None,
    )

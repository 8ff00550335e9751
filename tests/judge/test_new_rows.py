"""Old and new champion on the rows that are new to both: what neither shows nor hides behind the rows of before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.release import Outcome
from shared.gate import new_rows
from shared.gate.gate_judge import GateEvidence, GatePolicy, GateRecord, ParityPolicy, judge_gate

TRAINED_THROUGH = 2
TRUTH = ("Adelie", "Gentoo") * 30
WRONG = ("Gentoo", "Adelie") * 30
POLICY = GatePolicy("accuracy", margin=0.9, floor=0.99)


def gate(new: tuple[str, ...], old: tuple[str, ...], rows_new: int = 30) -> GateRecord:
    """60 rows, of which the first are of version 3, which the champion was not trained on."""
    evidence = GateEvidence(
        ids=tuple(map(str, range(60))),
        y_true=TRUTH,
        challenger=new,
        champion=old,
        known_classes=("Adelie", "Gentoo"),
        drawn=((3, rows_new), (2, 60 - rows_new)),
    )
    return GateRecord(evidence, POLICY, judge_gate(evidence, POLICY))


def half(first: tuple[str, ...], then: tuple[str, ...]) -> tuple[str, ...]:
    return first[:30] + then[30:]


@pytest.mark.parametrize(
    ("new", "old", "outcome"),
    [
        (half(TRUTH, WRONG), half(WRONG, TRUTH), Outcome.PASS),
        (half(WRONG, TRUTH), half(TRUTH, WRONG), Outcome.FAIL),
        (half(TRUTH, TRUTH), half(TRUTH, WRONG), Outcome.INCONCLUSIVE),
        (half(TRUTH, WRONG), half(TRUTH, TRUTH), Outcome.INCONCLUSIVE),
    ],
)
def test_only_rows_that_are_new_to_both_count(
    new: tuple[str, ...], old: tuple[str, ...], outcome: Outcome
) -> None:
    found = new_rows.compare(gate(new, old), TRAINED_THROUGH)
    assert found is not None
    assert (found.outcome, found.rows) == (outcome, 30)


def test_groups_that_the_gate_compares_are_no_question_here() -> None:
    record = gate(half(TRUTH, WRONG), half(WRONG, TRUTH))
    parity = ParityPolicy(by=("island",), positive="Adelie", limits={"selection_rate": 0.1})
    found = new_rows.compare(replace(record, policy=replace(POLICY, parity=parity)), TRAINED_THROUGH)
    assert found is not None and found.outcome is Outcome.PASS


def test_few_new_rows_show_nothing() -> None:
    found = new_rows.compare(gate(TRUTH, WRONG, rows_new=2), TRAINED_THROUGH)
    assert found is not None
    assert found.outcome is Outcome.INCONCLUSIVE


def test_where_no_row_is_known_to_be_new_there_is_no_answer() -> None:
    record = gate(TRUTH, WRONG)
    for evidence in (
        replace(record.evidence, drawn=()),
        replace(record.evidence, drawn=((3, 59),)),
        replace(record.evidence, champion=None),
    ):
        assert new_rows.compare(replace(record, evidence=evidence), TRAINED_THROUGH) is None
    assert new_rows.compare(record, 3) is None


def test_a_record_of_before_still_reads() -> None:
    stored = gate(TRUTH, WRONG).to_dict()
    del stored["evidence"]["drawn"]
    assert new_rows.compare(GateRecord.from_dict(stored), TRAINED_THROUGH) is None

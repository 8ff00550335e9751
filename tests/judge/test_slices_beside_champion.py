"""A challenger that is as good on the whole, and worse for one group, is told by the group."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from shared.domain.reason import Code
from shared.gate.gate_judge import GateEvidence, GatePolicy, Outcome, SlicePolicy, judge_gate
from shared.gate.gate_record import GateRecord
from shared.words import say

PROMISED = 0.05
POLICY = GatePolicy(
    "accuracy", margin=0.1, slices=SlicePolicy(by=("plan",), floor=0.1, min_rows=30, margin=0.05)
)


def rows(right: dict[str, tuple[float, float]], each: int = 300, seed: int = 1) -> GateEvidence:
    """`each` rows of every plan; how often challenger and champion are right there, apart from each other."""
    rng = random.Random(seed)
    plans = [plan for plan in right for _ in range(each)]
    truth = [rng.choice(("yes", "no")) for _ in plans]

    def answers(model: int) -> tuple[object, ...]:
        other = {"yes": "no", "no": "yes"}
        return tuple(
            name if rng.random() < right[plan][model] else other[name]
            for name, plan in zip(truth, plans, strict=True)
        )

    return GateEvidence(
        tuple(map(str, range(len(plans)))), tuple(truth), answers(0), answers(1), {"plan": tuple(plans)}
    )


def test_a_group_that_is_served_worse_rejects_a_model_that_is_better_on_the_whole() -> None:
    seen = rows({"big": (0.97, 0.8), "old": (0.97, 0.8), "small": (0.6, 0.85)})
    verdict = judge_gate(seen, POLICY)
    assert verdict.difference is not None and (verdict.difference.value or 0) > 0
    assert verdict.outcome is Outcome.FAIL
    why = verdict.reasons[0]
    assert (why.code, why.facts["slice"]) == (Code.GATE_SLICE_DIFFERENCE, "plan=small")
    assert "shown to be worse by more than 0.05" in say(why)
    assert (
        judge_gate(seen, replace(POLICY, slices=replace(POLICY.slices, margin=None))).outcome is Outcome.PASS
    )  # type: ignore[type-var]
    again = GateRecord.from_dict(GateRecord(seen, POLICY, verdict).to_dict())
    assert judge_gate(again.evidence, again.policy) == again.verdict


def test_where_no_group_is_worse_the_nearest_one_is_told() -> None:
    verdict = judge_gate(rows({"big": (0.9, 0.8), "small": (0.85, 0.85)}), POLICY)
    assert verdict.outcome is Outcome.PASS
    (told,) = [why for why in verdict.reasons if why.code is Code.GATE_SLICE_DIFFERENCE]
    assert told.facts["slice"] == "plan=small"
    assert "not shown to be worse by more than 0.05" in say(told)


@pytest.mark.parametrize("champion", [None, "there"])
def test_few_rows_and_a_first_model_are_not_compared(champion: str | None) -> None:
    seen = rows({"big": (0.9, 0.9), "small": (0.1, 0.9)}, each=29 if champion else 300)
    policy = replace(POLICY, floor=None)
    verdict = judge_gate(seen if champion else replace(seen, champion=None), policy)
    assert Code.GATE_SLICE_DIFFERENCE not in {why.code for why in verdict.reasons}


@pytest.mark.soak
def test_groups_that_are_worse_by_just_the_margin_fail_at_most_as_often_as_promised() -> None:
    """Ten groups at once, each at the edge of what is tolerated."""
    edge = {f"plan {n}": (0.80, 0.85) for n in range(10)}
    failed = sum(
        any(
            why.code is Code.GATE_SLICE_DIFFERENCE and why.facts["outcome"] == "fail"
            for why in judge_gate(rows(edge, each=60, seed=seed), POLICY).reasons
        )
        for seed in range(60)
    )
    assert failed / 60 <= PROMISED + 3 * (PROMISED * (1 - PROMISED) / 60) ** 0.5


def test_the_second_question_costs_the_first_half_of_its_level() -> None:
    seen = rows({"big": (0.9, 0.8), "small": (0.85, 0.85)})
    alone = replace(POLICY, slices=SlicePolicy(by=("plan",), floor=0.1, min_rows=30))
    widths = [
        [(s.interval.high or 0) - (s.interval.low or 0) for s in judge_gate(seen, policy).slices]
        for policy in (POLICY, alone)
    ]
    assert all(wide > narrow for wide, narrow in zip(*widths, strict=True))

"""Bounds of a metric of which nothing is known: they keep their promise where each class has thirty rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shared.domain.reason import Code
from shared.gate.gate_judge import GateEvidence, GatePolicy, Outcome, SlicePolicy, judge_gate
from shared.gate.gate_record import ALL_ROWS, GateRecord, Interval, OwnFound, OwnSeen
from shared.stats.function_bounds import LEAST, Asked, function_bounds
from shared.stats.metrics import METRICS, OwnMetric, metric_of
from shared.verdict.metric import Threshold, judge_metric

PROMISED = 0.05


def auc(truth: Any, stated: Any, rows: Any, weights: Any) -> float:
    order = np.argsort(stated, kind="stable")
    up, weight = truth[order], weights[order]
    below = np.cumsum(weight * ~up)
    return float((weight * up * below).sum() / ((weight * up).sum() * below[-1]))


def precision(truth: Any, stated: Any, rows: Any, weights: Any) -> float:
    order = np.argsort(-stated, kind="stable")
    hits, called = np.cumsum(weights[order] * truth[order]), np.cumsum(weights[order])
    return float((weights[order] * truth[order] * hits / called).sum() / hits[-1])


def f1(truth: Any, stated: Any, rows: Any, weights: Any) -> float:
    called = stated > 0.5
    return float(
        2 * (weights * (called & truth)).sum() / ((weights * called).sum() + (weights * truth).sum())
    )


def caught(truth: Any, stated: Any, rows: Any, weights: Any) -> float:
    """The share of the positive rows among the tenth that is called first."""
    order = np.argsort(-stated, kind="stable")
    reached = np.cumsum(weights[order])
    first = reached <= 0.1 * reached[-1]
    return float((weights[order] * truth[order] * first).sum() / (weights * truth).sum())


def recall(truth: Any, stated: Any, rows: Any, weights: Any) -> float:
    return float((weights * truth * (stated > 0.1)).sum() / (weights * truth).sum())


OWN: dict[str, Callable[[Any, Any, Any, Any], float]] = {
    one.__name__: one for one in (auc, precision, f1, caught, recall)
}
AREAS = (0.83, 0.85)
"""Of the challenger and the champion."""


def draw(rng: np.random.Generator, n: int, share: float) -> tuple[Any, ...]:
    """Which rows are positive, and what two alike models state: true probabilities of scores that are normal."""
    positive, common, found = rng.random(n) < share, rng.normal(size=n), []
    for area in AREAS:
        apart = math.sqrt(2) * NormalDist().inv_cdf(area)
        score = math.sqrt(0.8) * common + math.sqrt(0.2) * rng.normal(size=n) + apart * positive
        odds = score * apart - apart**2 / 2 + math.log(share / (1 - share))
        found.append(1 / (1 + np.exp(-odds)))
    return (positive, *found)


def false_passes(name: str, n: int, share: float, samples: int, resamples: int) -> tuple[float, float]:
    """How often a floor at the truth, and a margin of the true difference, pass where rows suffice."""
    function = OWN[name]
    positive, *stated = draw(np.random.default_rng(5), 400_000, share)
    ones = np.ones(len(positive))
    now, was = (function(positive, each, None, ones) for each in stated)
    floor, margin, judged = 0, 0, 0
    for seed in range(samples):
        positive, *stated = draw(np.random.default_rng(1000 + seed), n, share)
        if positive.sum() < LEAST:
            continue
        asked = Asked(positive, tuple(stated), pd.DataFrame(index=range(n)), "probabilities")
        found = function_bounds(function, asked, 1, 1 - PROMISED, resamples, seed)
        assert found.difference is not None
        judged += 1
        floor += found.models[0].low > now
        margin += found.difference.low > now - was
    return floor / judged, margin / judged


@pytest.mark.parametrize("name", ["auc", "caught"])
def test_a_function_on_rare_positives_passes_no_more_often_than_promised(name: str) -> None:
    """A plain bootstrap of an area passes 8 to 32 % of such models falsely (docs/statistics.md)."""
    floor, margin = false_passes(name, 700, 0.05, samples=60, resamples=100)
    assert max(floor, margin) <= PROMISED


@pytest.mark.soak
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(("n", "share"), [(100, 0.3), (300, 0.12), (700, 0.05), (2000, 0.02), (2000, 0.1)])
def test_functions_pass_no_more_often_than_promised(name: str, n: int, share: float) -> None:
    floor, margin = false_passes(name, n, share, samples=300, resamples=300)
    print(f"\n{name} n={n} positives={share:.0%}: floor {floor:.1%}, margin {margin:.1%}")
    assert max(floor, margin) <= PROMISED + 3 * (PROMISED * (1 - PROMISED) / 300) ** 0.5


def labelled(n: int, wrong: int) -> tuple[Any, Any]:
    truth = np.array(["yes" if row % 3 == 0 else "no" for row in range(n)], dtype=object)
    answers = truth.copy()
    answers[:wrong] = np.where(truth[:wrong] == "yes", "no", "yes")
    return truth, answers


def share_right(truth: Any, answers: Any, rows: Any, weights: Any) -> float:
    return float(np.average(truth == answers, weights=weights))


def test_a_perfect_model_is_not_shown_to_be_perfect_and_one_like_the_other_not_to_be_equal() -> None:
    truth, answers = labelled(120, 0)
    asked = Asked(truth, (answers, answers), pd.DataFrame(index=range(120)), "classes")
    found = function_bounds(share_right, asked, 1, 0.95, 400, 1)
    assert found.models[0].value == 1.0 and found.difference is not None
    assert 0.9 < found.models[0].low < 0.98 and found.models[0].high == 1.0
    assert -0.1 < found.difference.low < -0.02 and 0.02 < found.difference.high < 0.1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lower_bound_is_low_whatever_is_better(sign: int) -> None:
    """A model with 30 of 120 wrong against one with 6: worse by 0.2 in either reading."""
    truth, bad = labelled(120, 30)
    good = labelled(120, 6)[1]
    asked = Asked(truth, (bad, good), pd.DataFrame(index=range(120)), "classes")
    found = function_bounds(lambda t, p, r, w: sign * share_right(t, p, r, w), asked, sign, 0.95, 400, 1)
    assert found.difference is not None
    assert found.difference.value == pytest.approx(-0.2)
    assert -0.32 < found.difference.low < -0.2 < found.difference.high < -0.1
    one = found.models[0]
    assert one.value == pytest.approx(sign * 0.75)
    assert one.low < one.value < one.high


def test_for_numbers_the_made_up_row_is_the_furthest_that_was_seen() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=200)
    asked = Asked(truth, (truth + 0.1 * rng.normal(size=200),), pd.DataFrame(index=range(200)), "numbers")

    def error(truth: Any, answers: Any, rows: Any, weights: Any) -> float:
        return float(np.average(np.abs(truth - answers), weights=weights))

    found = function_bounds(error, asked, -1, 0.95, 400, 1).models[0]
    assert found.low < found.value < found.high < found.value + 0.02


@pytest.mark.parametrize("models", [1, 2])
def test_a_function_that_has_no_value_in_some_draws_has_no_bounds(models: int) -> None:
    """Not bounds of width nothing at the value that was seen."""
    truth, answers = labelled(120, 6)
    asked = Asked(truth, (answers,) * models, pd.DataFrame(index=range(120)), "classes")

    def odd(truth: Any, answers: Any, rows: Any, weights: Any) -> float:
        return math.nan if weights[0] > 4 else share_right(truth, answers, rows, weights)

    found = function_bounds(odd, asked, 1, 0.95, 400, 1)
    for one in (*found.models, *([found.difference] if found.difference else [])):
        assert math.isfinite(one.value) and math.isnan(one.low) and math.isnan(one.high)


NUMBER = OwnMetric("higher", "classification", None, "", "c" * 64)
GOOD = Interval(0.9, 0.89, 0.91)
FINE = OwnFound(GOOD, Interval(0.85, 0.84, 0.86), Interval(0.05, 0.04, 0.06))


def evidence(frauds: int, n: int = 300) -> GateEvidence:
    truth = ("fraud",) * frauds + ("fair",) * (n - frauds)
    return GateEvidence(
        tuple(map(str, range(n))),
        truth,
        truth,
        truth,
        {"half": tuple("one" if row % 2 else "two" for row in range(n))},
        known_classes=("fair", "fraud"),
        own=OwnSeen(found={ALL_ROWS: FINE}),
    )


POLICY = GatePolicy("metrics.profit", margin=0.02, own=NUMBER)


def test_a_function_passes_where_its_bounds_say_so_and_not_on_few_rows_of_a_class() -> None:
    verdict = judge_gate(evidence(40), POLICY)
    assert (verdict.outcome, verdict.metric) == (Outcome.PASS, "metrics.profit")
    assert verdict.difference == FINE.difference
    again = GateRecord.from_dict(GateRecord(evidence(40), POLICY, verdict).to_dict())
    assert judge_gate(again.evidence, again.policy) == again.verdict
    rare = judge_gate(evidence(29), POLICY)
    assert rare.outcome is Outcome.INCONCLUSIVE
    (why,) = [one for one in rare.reasons if one.code is Code.GATE_CLASS_TOO_RARE]
    assert (why.facts["name"], why.facts["have"], why.facts["least"]) == ("fraud", 29, LEAST)
    sided = replace(POLICY, own=replace(NUMBER, positive="fraud"), positive="fraud")
    assert judge_gate(evidence(29), sided).outcome is Outcome.INCONCLUSIVE
    assert judge_gate(evidence(40), sided).outcome is Outcome.PASS


def test_a_slice_is_judged_only_where_the_function_was_asked_about_it() -> None:
    policy = replace(POLICY, slices=SlicePolicy(by=("half",), floor=0.95, min_rows=30))
    seen = evidence(40)
    bad = OwnFound(Interval(0.9, 0.89, 0.91))
    seen = replace(seen, own=OwnSeen(found={ALL_ROWS: FINE, "half=one": bad}))
    verdict = judge_gate(seen, policy)
    assert {one.name: one.outcome for one in verdict.slices} == {"one": Outcome.FAIL, "two": None}
    assert verdict.outcome is Outcome.FAIL


def test_a_function_that_gave_nothing_settles_nothing() -> None:
    from shared.domain.reason import reason

    slow = reason(Code.OWN_CODE_SLOW, file="metrics.py", seconds=120)
    seen = replace(evidence(40), own=OwnSeen(fault=slow))
    verdict = judge_gate(seen, POLICY)
    assert (verdict.outcome, verdict.reasons) == (Outcome.INCONCLUSIVE, (slow,))
    found = judge_metric(
        seen.y_true, seen.y_true, metric_of("metrics.profit", own=NUMBER), Threshold(0.5), seen=seen.own
    )
    assert (found.breached, found.reason) == (None, slow)


@pytest.mark.parametrize(("value", "breached"), [(0.2, True), (0.9, False)])
def test_numbers_a_row_are_judged_as_a_bounded_mean(value: float, breached: bool) -> None:
    own = replace(NUMBER, range=(0.0, 1.0))
    seen = evidence(40)
    numbers = OwnSeen(rows=((value,) * 300,))
    found = judge_metric(
        seen.y_true, seen.y_true, metric_of("metrics.profit", own=own), Threshold(0.5), seen=numbers
    )
    assert found.breached is breached and found.value == pytest.approx(value)
    assert found.high is not None and found.high > value, "what was never seen is possible"
    both = OwnSeen(rows=((value,) * 300, (0.5,) * 300))
    verdict = judge_gate(replace(seen, own=both), replace(POLICY, own=own))
    assert verdict.outcome is (Outcome.PASS if value > 0.5 else Outcome.FAIL)


def test_no_metric_of_ours_is_taken_for_one_of_the_loops_own() -> None:
    assert all(not metric.given for metric in METRICS.values())

"""A challenger that is worse by more than the margin passes at most as often as promised, on few rows too."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks.canary.simulation import lower
from shared.domain.reason import Code, reason
from shared.gate.calibration import judge_calibration
from shared.gate.gate_judge import (
    GateEvidence,
    GatePolicy,
    GateVerdict,
    Outcome,
    SlicePolicy,
    judge_gate,
)
from shared.stats.exact import clopper_pearson, paired_lower_bound, paired_p_value
from shared.stats.intervals import Sample, bounds, sample_of
from shared.stats.metrics import METRICS
from shared.words import say

PROMISED = 0.05


def rows(n: int, challenger: float, champion: float | None, seed: int = 0) -> GateEvidence:
    """`n` rows of three classes; each model is right with its own probability."""
    rng = random.Random(seed)
    truth = [rng.choice(("Adelie", "Chinstrap", "Gentoo")) for _ in range(n)]

    def answers(right: float) -> tuple[object, ...]:
        return tuple(
            name if rng.random() < right else {"Adelie": "Gentoo"}.get(name, "Adelie") for name in truth
        )

    return GateEvidence(
        ids=tuple(map(str, range(n))),
        y_true=tuple(truth),
        challenger=answers(challenger),
        champion=None if champion is None else answers(champion),
        slices={"island": tuple(rng.choice(("Biscoe", "Dream")) for _ in truth)},
    )


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "balanced_accuracy"])
@pytest.mark.parametrize(
    ("n", "margin", "outcome"),
    [(40, 0.1, Outcome.PASS), (20, 0.1, Outcome.INCONCLUSIVE), (40, 0.02, Outcome.INCONCLUSIVE)],
)
def test_two_perfect_models_on_penguin_sized_holdouts(
    metric: str, n: int, margin: float, outcome: Outcome
) -> None:
    verdict = judge_gate(rows(n, 1, 1), GatePolicy(metric, margin))
    assert verdict.outcome is outcome
    assert (verdict.rows_needed is None) == (outcome is Outcome.PASS)
    if verdict.rows_needed:
        settled = judge_gate(
            rows(verdict.rows_needed + verdict.rows_needed // 5, 1, 1), GatePolicy(metric, margin)
        )
        assert settled.outcome is Outcome.PASS


def test_a_champion_that_spells_classes_otherwise_is_not_beaten_by_that() -> None:
    asked = rows(200, 0.9, 0.9)
    number = {"Adelie": 0, "Chinstrap": 1, "Gentoo": 2}
    encoded = replace(asked, champion=tuple(number[str(one)] for one in asked.champion or ()))
    verdict = judge_gate(encoded, GatePolicy("f1_macro", 0.1))
    assert (verdict.outcome, verdict.champion) == (Outcome.INCONCLUSIVE, None)
    assert verdict.reasons == (reason(Code.GATE_UNUSABLE_VALUES, of="champion"),)


def test_a_perfect_score_is_not_certainty() -> None:
    low = judge_gate(rows(40, 1, 1), GatePolicy("accuracy", 0.1)).difference
    assert low is not None and low.low is not None
    assert low.low == pytest.approx(-(1 - (0.05 - 0.001) ** (1 / 40)), abs=1e-3)  # the rule of three


def test_a_clearly_worse_challenger_fails_and_says_why() -> None:
    verdict = judge_gate(rows(60, 0.6, 1), GatePolicy("f1_macro", 0.05))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].code is Code.GATE_DIFFERENCE
    assert "shown to be worse by more than the margin" in say(verdict.reasons[0])


def test_superiority_wants_more_than_as_good() -> None:
    policy = GatePolicy("accuracy", 0.02, superiority=True)
    assert judge_gate(rows(200, 0.95, 0.7), policy).outcome is Outcome.PASS
    assert judge_gate(rows(200, 0.9, 0.9), policy).outcome is Outcome.INCONCLUSIVE
    assert judge_gate(rows(200, 0.7, 0.95), policy).outcome is Outcome.FAIL


def test_the_first_model_has_floors_only() -> None:
    evidence = rows(60, 0.97, None)
    assert judge_gate(evidence, GatePolicy("accuracy")).outcome is Outcome.PASS
    assert judge_gate(evidence, GatePolicy("accuracy", floor=0.8)).outcome is Outcome.PASS
    assert judge_gate(rows(60, 0.5, None), GatePolicy("accuracy", floor=0.8)).outcome is Outcome.FAIL
    unsettled = judge_gate(rows(60, 0.88, None), GatePolicy("accuracy", floor=0.85))
    assert unsettled.outcome is Outcome.INCONCLUSIVE
    assert unsettled.rows_needed is not None and unsettled.rows_needed > 60


def test_the_worst_slice_is_named_and_small_ones_are_not_judged() -> None:
    evidence = rows(200, 1, 1)
    bad = tuple(
        "Gentoo" if name == "Adelie" and place == "Dream" else answer
        for name, place, answer in zip(
            evidence.y_true, evidence.slices["island"], evidence.challenger, strict=True
        )
    )
    rare = tuple("Rare" if row < 5 else place for row, place in enumerate(evidence.slices["island"]))
    policy = GatePolicy("accuracy", 0.5, slices=SlicePolicy(("island",), 0.9, 30))
    verdict = judge_gate(replace(evidence, challenger=bad, slices={"island": rare}), policy)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.worst_slice == "island=Dream"
    assert verdict.reasons[0].facts["slice"] == "island=Dream"
    assert {(one.name, one.outcome) for one in verdict.slices} >= {("Rare", None), ("Biscoe", Outcome.PASS)}


def test_a_slice_below_its_floor_by_chance_is_inconclusive() -> None:
    policy = GatePolicy("accuracy", 0.5, slices=SlicePolicy(("island",), 0.88, 20))
    verdict = judge_gate(rows(80, 0.92, 0.9, seed=3), policy)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "may be chance" in say(verdict.reasons[0])


@pytest.mark.parametrize(
    ("change", "outcome", "code"),
    [
        (
            {"malformed": (reason(Code.SMOKE_COUNT, predictions=1, rows=2),)},
            Outcome.FAIL,
            Code.GATE_MALFORMED,
        ),
        ({"challenger": ("Adelie",)}, Outcome.FAIL, Code.GATE_UNANSWERED),
        ({"challenger": (None,) * 40}, Outcome.FAIL, Code.GATE_UNUSABLE_ANSWERS),
        ({"champion": (None,) * 40}, Outcome.INCONCLUSIVE, Code.GATE_UNUSABLE_VALUES),
        ({"y_true": (), "challenger": (), "champion": ()}, Outcome.INCONCLUSIVE, Code.GATE_NO_ROWS),
    ],
)
def test_broken_evidence_never_passes(
    change: dict[str, tuple[object, ...]], outcome: Outcome, code: Code
) -> None:
    verdict = judge_gate(replace(rows(40, 1, 1), **change), GatePolicy("f1_macro", 0.1))  # type: ignore[arg-type]  # by keyword
    assert verdict.outcome is outcome
    assert verdict.reasons[0].code is code


def numbers(n: int, scale: float, seed: int = 0) -> GateEvidence:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    champion, challenger = truth + rng.normal(size=n) * 0.2, truth + rng.normal(size=n) * scale
    columns = (tuple(map(float, column)) for column in (truth, challenger, champion))
    return GateEvidence(tuple(map(str, range(n))), *columns)


@pytest.mark.parametrize(("metric", "margin"), [("mae", 0.05), ("rmse", 0.06), ("r2", 0.04)])
def test_regression_in_both_directions(metric: str, margin: float) -> None:
    assert judge_gate(numbers(500, 0.2), GatePolicy(metric, margin)).outcome is Outcome.PASS
    assert judge_gate(numbers(500, 0.5), GatePolicy(metric, margin)).outcome is Outcome.FAIL
    assert judge_gate(numbers(500, 0.1), GatePolicy(metric, margin, superiority=True)).outcome is Outcome.PASS
    if metric != "r2":
        assert judge_gate(numbers(500, 0.2), GatePolicy(metric, margin, floor=0.25)).outcome is Outcome.PASS
        assert judge_gate(numbers(500, 0.2), GatePolicy(metric, margin, floor=0.1)).outcome is Outcome.FAIL


def test_not_a_number_fails_and_mape_of_zero_is_undefined() -> None:
    evidence = numbers(40, 0.2)
    broken = replace(evidence, challenger=(*evidence.challenger[:-1], float("nan")))
    assert judge_gate(broken, GatePolicy("mae", 1.0)).outcome is Outcome.FAIL
    zero = replace(evidence, y_true=(0.0, *evidence.y_true[1:]))
    assert judge_gate(zero, GatePolicy("mape", 1.0)).outcome is Outcome.INCONCLUSIVE


def test_verdicts_are_recomputed_from_stored_documents() -> None:
    policy = GatePolicy("f1_macro", 0.02, floor=0.8, slices=SlicePolicy(("island",), 0.8, 20))
    for evidence in (rows(60, 0.97, 0.95), rows(60, 0.7, None), rows(0, 1, 1)):
        verdict = judge_gate(evidence, policy)
        document = json.loads(
            json.dumps([evidence.to_dict(), policy.to_dict(), verdict.to_dict()], allow_nan=False)
        )
        again = judge_gate(GateEvidence.from_dict(document[0]), GatePolicy.from_dict(document[1]))
        assert again == verdict == GateVerdict.from_dict(document[2])


def test_metrics_equal_their_definitions() -> None:
    truth, answers = list("aaabbc"), list("aabbbc")
    assert METRICS["accuracy"].function(truth, answers) == pytest.approx(5 / 6)
    assert METRICS["recall_macro"].function(truth, answers) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert METRICS["precision_macro"].function(truth, answers) == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert METRICS["f1_macro"].function(truth, answers) == pytest.approx((0.8 + 0.8 + 1) / 3)
    assert METRICS["f1_weighted"].function(truth, answers) == pytest.approx((3 * 0.8 + 2 * 0.8 + 1) / 6)
    assert METRICS["accuracy"].function([1, 2, 3.0], ["1", "2", 3]) == 1
    assert METRICS["f1_macro"].function(["a"] * 9, ["a"] * 8 + ["b"]) == pytest.approx(16 / 17)
    actual, forecast = [1.0, 2.0, 4.0], [1.0, 3.0, 2.0]
    assert METRICS["mae"].function(actual, forecast) == pytest.approx(1)
    assert METRICS["rmse"].function(actual, forecast) == pytest.approx((5 / 3) ** 0.5)
    assert METRICS["mape"].function(actual, forecast) == pytest.approx((0.5 + 0.5) / 3)
    assert METRICS["r2"].function(actual, forecast) == pytest.approx(1 - 5 / (14 / 3))


def test_exact_bounds_reproduce_known_values() -> None:
    assert clopper_pearson(0, 10, 0.975)[1] == pytest.approx(0.3085, abs=1e-4)  # 1 - .025 ** .1
    assert clopper_pearson(10, 10, 0.95)[0] == pytest.approx(0.05**0.1)
    low, high = clopper_pearson(7, 20, 0.975)
    assert (low, high) == (pytest.approx(0.1539, abs=1e-4), pytest.approx(0.5922, abs=1e-4))
    bound = paired_lower_bound(5, 9, 120, 0.95)
    assert (
        paired_p_value(5, 9, 120, bound - 1e-4, 0.05) <= 0.05 < paired_p_value(5, 9, 120, bound + 1e-4, 0.05)
    )


@pytest.mark.parametrize("n", [50, 500, 5000, 50_000])
def test_false_passes_of_accuracy(n: int) -> None:
    """2,000 holdouts on which the challenger is worse by exactly the margin, discordance small and large."""
    rng = np.random.default_rng(n)
    for margin, discordant in ((0.1, 0.1), (0.1, 0.3), (0.02, 0.05)):
        lose, win = (discordant + margin) / 2, (discordant - margin) / 2
        tables, times = np.unique(
            rng.multinomial(n, [win, lose, 1 - win - lose], 2000), axis=0, return_counts=True
        )
        seen = tables[:: max(1, len(tables) // 60)], times[:: max(1, len(tables) // 60)]
        passed = [paired_p_value(int(w), int(x), n, -margin, PROMISED) <= PROMISED for w, x, _ in seen[0]]
        false = float(np.average(passed, weights=seen[1]))
        assert lower(false, int(seen[1].sum()), 12) <= PROMISED


POPULATION = np.array(
    [(y, a, b) for y in range(3) for a in range(3) for b in range(3)], dtype=np.int64
).T  # truth, challenger, champion


def population(extra: float) -> np.ndarray:
    """Penguin-like classes; the champion errs in 3 %, the challenger where it errs and in `extra` more."""
    y, a, b = POPULATION
    prior = np.array([0.44, 0.2, 0.36])[y]
    champion = np.where(b == y, 0.97, 0.015)
    challenger = (1 - extra) * (a == b) + extra * (a != y) / 2
    return prior * champion * challenger


def worse_by(metric: str, margin: float) -> np.ndarray:
    """The population on which the true metric differs by exactly the margin."""
    low, high = 0.0, 1.0
    for _ in range(50):
        extra = (low + high) / 2
        shares = population(extra)
        sample = Sample(METRICS[metric], POPULATION[0], (POPULATION[1], POPULATION[2]), shares)
        low, high = (extra, high) if sample.score(shares[None])[0] > -margin else (low, extra)
    return population(high)


@pytest.mark.parametrize("metric", ["f1_macro", "balanced_accuracy"])
@pytest.mark.parametrize("n", [50, 200, 2000, 50_000])
def test_false_passes_of_metrics_that_are_not_means(metric: str, n: int) -> None:
    shares = worse_by(metric, 0.05)
    draws = np.random.default_rng(n).multinomial(n, shares / shares.sum(), 250)
    passed = 0
    for seed, counts in enumerate(draws):
        there = counts > 0
        cells = POPULATION[:, there]
        sample = Sample(METRICS[metric], cells[0], (cells[1], cells[2]), counts[there].astype(float))
        passed += bounds(sample, 0.95, 500, seed).low > -0.05
    assert lower(passed / 250, 250, 8) <= PROMISED


@pytest.mark.parametrize("n", [50, 300])
def test_false_passes_of_regressions(n: int) -> None:
    rng, scale = np.random.default_rng(n), 1.15
    margin = (scale - 1) * (2 / np.pi) ** 0.5
    passed = 0
    for seed in range(250):
        truth, own, other = rng.normal(size=(3, n))
        sample = sample_of(METRICS["mae"], truth, truth + scale * own, truth + other)
        passed += bounds(sample, 0.95, 500, seed).low > -margin
    assert lower(passed / 250, 250, 2) <= PROMISED


def stated(n: int, says: float, right: float, seed: int) -> GateEvidence:
    """A classifier that gives each of its answers the same probability, and is right with another."""
    truth = np.where(np.random.default_rng(seed).random(n) < right, "a", "b")
    answers = ("a",) * n
    ids = tuple(map(str, range(n)))
    return GateEvidence(ids, tuple(truth), answers, answers, stated=(says,) * n)


def test_a_model_that_is_surer_than_it_is_right_fails_its_calibration() -> None:
    policy = GatePolicy("accuracy", calibration=0.1)
    verdict = judge_gate(stated(500, 0.95, 0.7, 1), policy)
    assert verdict.outcome is Outcome.FAIL
    assert say(verdict.reasons[0]).startswith("calibration: where the challenger states 95% on average")
    told = judge_gate(stated(500, 0.95, 0.7, 1), GatePolicy("accuracy"))
    assert told.outcome is Outcome.PASS
    assert any("for information only" in say(words) for words in told.reasons)
    silent = judge_gate(replace(stated(500, 0.95, 0.7, 1), stated=()), policy)
    assert silent.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("n", [60, 500])
def test_a_calibrated_model_fails_at_most_as_often_as_promised(n: int) -> None:
    policy = GatePolicy("accuracy", calibration=0.01)
    findings = [
        judge_calibration(e.y_true, e.challenger, e.stated, policy.calibration, policy.confidence)
        for e in (stated(n, 0.8, 0.8, seed) for seed in range(400))
    ]
    fails = sum(found[0][0] is Outcome.FAIL for found in findings)
    assert clopper_pearson(fails, 400, 0.95)[0] <= 0.05


MACRO = ["f1_macro", "balanced_accuracy", "recall_macro", "precision_macro"]


def two_classes(n: int, positives: int, says_yes: int = 0, champion_yes: int = 0) -> GateEvidence:
    """`n` rows of which so many are positive; each model says yes to the first so many of all rows."""
    truth = ("yes",) * positives + ("no",) * (n - positives)
    challenger, champion = (("yes",) * yes + ("no",) * (n - yes) for yes in (says_yes, champion_yes))
    return GateEvidence(tuple(map(str, range(n))), truth, challenger, champion, known_classes=("no", "yes"))


@pytest.mark.parametrize("metric", MACRO)
@pytest.mark.parametrize("margin", [0.02, 0.9])
def test_a_class_that_the_holdout_lacks_never_passes(metric: str, margin: float) -> None:
    verdict = judge_gate(two_classes(400, 0), GatePolicy(metric, margin))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rows_needed is None
    (why,) = [one for one in verdict.reasons if one.code is Code.GATE_CLASS_TOO_RARE]
    assert say(why) == (
        f"class 'yes' has 0 of 400 holdout rows; {metric} takes 5 of each class; no row like these has it"
    )


@pytest.mark.parametrize("metric", MACRO)
def test_so_many_rows_would_hold_enough_of_a_rare_class(metric: str) -> None:
    verdict = judge_gate(two_classes(300, 3, 3, 3), GatePolicy(metric, 0.9))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rows_needed == 500
    assert "about 500 such rows would do" in say(verdict.reasons[0])
    assert judge_gate(two_classes(500, 5, 5, 5), GatePolicy(metric, 0.9)).outcome is Outcome.PASS


def test_metrics_of_rows_do_not_ask_for_each_class_nor_does_a_document_of_before() -> None:
    assert judge_gate(two_classes(400, 0), GatePolicy("accuracy", 0.02)).outcome is Outcome.PASS
    before = two_classes(400, 2, 2, 2).to_dict()
    del before["known_classes"]
    assert judge_gate(GateEvidence.from_dict(before), GatePolicy("f1_macro", 0.9)).outcome is Outcome.PASS


def test_a_floor_is_not_met_without_the_class_either() -> None:
    first = replace(two_classes(400, 2, 2), champion=None)
    assert judge_gate(first, GatePolicy("recall_macro", floor=0.1)).outcome is Outcome.INCONCLUSIVE
    assert judge_gate(first, GatePolicy("recall_macro")).outcome is Outcome.PASS, "nothing is compared"


def test_a_challenger_that_is_shown_to_be_worse_still_fails() -> None:
    verdict = judge_gate(two_classes(400, 4, 300, 4), GatePolicy("f1_macro", 0.02))
    assert verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize("positives", [5, 40])
def test_precision_of_a_class_that_neither_model_names_is_not_known(positives: int) -> None:
    verdict = judge_gate(two_classes(400, positives), GatePolicy("precision_macro", 0.02))
    difference = verdict.difference
    assert difference is not None and difference.low is not None and difference.high is not None
    assert difference.low < -0.4 and difference.high > 0.4
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("metric", "positives", "n"),
    [
        pytest.param(metric, positives, n, marks=[] if (at + (n == 300)) % 2 else pytest.mark.soak)
        for at, (metric, positives) in enumerate(product(MACRO, (0.01, 0.05)))
        for n in (100, 300)
    ]
    + [
        pytest.param(metric, positives, n, marks=pytest.mark.soak)
        for metric, positives, n in product(MACRO, (0.01, 0.05, 0.3), (1_000, 10_000))
    ],
)
@pytest.mark.parametrize("tries", [60, pytest.param(150, marks=pytest.mark.soak)])
def test_false_passes_with_few_positives(metric: str, positives: float, n: int, tries: int) -> None:
    """The champion finds three of four positives; the challenger is worse by the margin or a little more."""
    rng, found, margin = np.random.default_rng(n), 0.75, 0.1
    lost = {"f1_macro": 0.28, "precision_macro": 0.0}.get(metric, 0.2)  # of the positives that are found
    stray = positives * (0.4 if metric == "precision_macro" else 0.1)
    policy, passed = GatePolicy(metric, margin, resamples=400), 0
    for _ in range(tries):
        truth = rng.random(n) < positives
        champion = np.where(truth, rng.random(n) < found, rng.random(n) < positives / 10)
        challenger = np.where(truth, rng.random(n) < found - lost, rng.random(n) < stray)
        names = [tuple(np.where(each, "yes", "no").tolist()) for each in (truth, challenger, champion)]
        ids = tuple(map(str, range(n)))
        passed += (
            judge_gate(GateEvidence(ids, *names, known_classes=("no", "yes")), policy).outcome is Outcome.PASS
        )
    assert lower(passed / tries, tries, 16) <= PROMISED, passed

"""A breach is called only when it is one; nonsense with status 200 does not get through."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from shared.domain.reason import Code
from shared.gate.gate_record import bad_values
from shared.gate.smoke import SmokeEvidence, SmokePolicy, answers_of, judge_smoke, only
from shared.serving import collector_rows
from shared.stats.metrics import METRICS
from shared.verdict.metric import Threshold, judge_metric
from shared.words import say

CLASSES = SmokePolicy("classification", ("Adelie", "Gentoo"))
GOOD = ["Adelie", "Gentoo"]


def labelled(n: int, right: float, seed: int = 0) -> tuple[list[object], list[object]]:
    rng = random.Random(seed)
    truth: list[object] = [rng.choice("ab") for _ in range(n)]
    return truth, [name if rng.random() < right else ("a" if name == "b" else "b") for name in truth]


def test_a_breach_must_be_significant() -> None:
    assert judge_metric(*labelled(200, 0.6), METRICS["f1_macro"], Threshold(0.85)).breached is True
    assert judge_metric(*labelled(200, 0.95), METRICS["f1_macro"], Threshold(0.85)).breached is False
    chance = judge_metric(*labelled(40, 0.84, seed=1), METRICS["accuracy"], Threshold(0.9))
    assert chance.breached is False
    assert chance.reason.code is Code.METRIC_PAST_BY_CHANCE


def test_the_direction_counts() -> None:
    truth = [float(n) for n in range(50)]
    assert judge_metric(truth, [n + 2 for n in truth], METRICS["mae"], Threshold(1.0)).breached is True
    assert judge_metric(truth, [n + 0.5 for n in truth], METRICS["mae"], Threshold(1.0)).breached is False


@pytest.mark.parametrize(
    ("truth", "answers"),
    [([], []), (["a"] * 3, ["a"] * 3), (["a"] * 30, ["a"] * 29), (["a"] * 30, [None] * 30)],
)
def test_too_little_says_nothing(truth: list[object], answers: list[object]) -> None:
    verdict = judge_metric(truth, answers, METRICS["f1_macro"], Threshold(0.85))
    assert verdict.breached is None
    assert say(verdict.reason)


def test_a_threshold_that_holds_is_called_breached_at_most_as_promised() -> None:
    called = sum(
        bool(judge_metric(*labelled(60, 0.85, seed), METRICS["accuracy"], Threshold(0.85)).breached)
        for seed in range(400)
    )
    assert called <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["Adelie"], "1 predictions for 2 rows"),
        (["Adelie", "Emperor"], "not a known class"),
        (["Adelie", None], "not a class"),
        (["Adelie", float("nan")], "not a class"),
        (["Adelie", ""], "not a known class"),
        ({"error": "shapes do not match"}, "an error instead of predictions"),
        ("Traceback (most recent call last)", "a text instead of predictions"),
        ({"status": "ok"}, "an object without predictions"),
        (7, "int instead of predictions"),
        (["Gentoo", "Gentoo"], "1 of 2 predictions differ from training's"),
    ],
)
def test_malformed_answers_with_status_200_fail(answer: object, words: str) -> None:
    golden = ("Adelie", "Gentoo")
    verdict = judge_smoke([SmokeEvidence(2, 200, answer, 10, golden)], CLASSES)
    assert not verdict.passed
    assert words in say(verdict.reasons[0])


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        {"predictions": GOOD},
        {"result": GOOD},
        {"outputs": GOOD},
        {"predictions": '["Adelie", "Gentoo"]'},
        '["Adelie", "Gentoo"]',
        [["Adelie"], ["Gentoo"]],
        [{"species": "Adelie"}, {"species": "Gentoo"}],
        *(
            {"result": GOOD, key: nothing}
            for key in ("error", "message", "detail", "exception")
            for nothing in (None, "", [], {}, False, 0)
        ),
    ],
)
def test_good_answers_pass_in_every_usual_wrapping_and_the_collectors_reader_has_them_alike(
    answer: object,
) -> None:
    assert judge_smoke([SmokeEvidence(2, 200, answer, 10, ("Adelie", "Gentoo"))], CLASSES).passed
    assert answers_of(answer) == ("Adelie", "Gentoo")
    assert [only(row) for row in collector_rows._rows(answer)] == GOOD


@pytest.mark.parametrize("row", [{"error": "no such column"}, {"a": 1, "b": 2}, [1, 2], {}, []])
def test_a_row_of_several_columns_or_an_error_in_its_place_is_no_answer(row: object) -> None:
    assert answers_of([row]) == (row,)
    assert not judge_smoke([SmokeEvidence(1, 200, [row])], SmokePolicy("classification")).passed
    assert bad_values([row], "classification") == 1


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        ([True, False], [1, 0]),
        ([True, False], [1.0, 0.0]),
        ([True, False], ["true", "false"]),
        (["Adelie", "Gentoo"], [0, 1]),
        (["Adelie", "Gentoo"], [{"species": "Adelie", "p": 0.9}] * 2),
    ],
)
def test_answers_in_another_spelling_are_not_wrong_but_of_no_use(
    truth: list[object], answers: list[object]
) -> None:
    verdict = judge_metric(truth * 30, answers * 30, METRICS["f1_macro"], Threshold(0.85))
    assert (verdict.breached, verdict.value) == (None, None)
    assert verdict.reason.code is Code.METRIC_BAD_VALUES


def test_a_model_that_is_never_right_is_breached() -> None:
    for truth, answers in ((["a", "b"] * 30, ["b", "a"] * 30), (["new"] * 60, ["a"] * 60)):
        assert judge_metric(truth, answers, METRICS["accuracy"], Threshold(0.85), classes={"a", "b"}).breached
    one = judge_metric(["new"] * 60, ["a"] * 60, METRICS["accuracy"], Threshold(0.85))
    assert one.breached, "of a single class nobody can tell"
    part = judge_metric(["b", "c"] * 30, ["a"] * 60, METRICS["accuracy"], Threshold(0.85), whole=False)
    assert part.breached, "a slice may lack the class that was answered"


def test_numbers_must_be_finite_and_equal_to_the_golden_ones() -> None:
    policy = SmokePolicy("regression")
    assert judge_smoke([SmokeEvidence(2, 200, [1.0, 2], None, (1.0, 2.0 + 1e-9))], policy).passed
    for answer in ([1.0, float("inf")], ["1", 2.0], [True, 2.0], [1.0, 2.1]):
        assert not judge_smoke([SmokeEvidence(2, 200, answer, None, (1.0, 2.0))], policy).passed


def test_being_slow_refused_or_silent_fails() -> None:
    good = ["Adelie", "Gentoo"]
    slow = SmokePolicy("classification", max_latency_ms=100)
    assert not judge_smoke([SmokeEvidence(2, 200, good, 101)], slow).passed
    assert not judge_smoke([SmokeEvidence(2, 503, good)], CLASSES).passed
    assert not judge_smoke([], CLASSES).passed


def test_the_judges_types_cost_no_heavy_import() -> None:
    modules = (
        "shared.canary.arms, shared.canary.canary_judge, shared.gate.gate_judge, "
        "shared.gate.smoke, shared.verdict.metric, shared.stats.metrics"
    )
    code = f"import sys, {modules}; print([m for m in ('numpy', 'scipy', 'pydantic') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_a_mean_over_the_classes_is_not_called_good_on_rows_that_lack_a_class() -> None:
    """A model that never says the rare class is right about every row of a sample that has none of it."""
    truth = ["no"] * 996 + ["yes"] * 4
    silent = judge_metric(
        truth[:996], ["no"] * 996, METRICS["balanced_accuracy"], Threshold(None), classes={"yes", "no"}
    )
    assert (silent.breached, silent.reason.code) == (None, Code.METRIC_CLASS_TOO_RARE)
    assert "class 'yes' has 0 of 996 rows, and it takes 5 of each class" in say(silent.reason)
    few = judge_metric(
        truth, ["no"] * 1000, METRICS["balanced_accuracy"], Threshold(0.4), classes={"yes", "no"}
    )
    assert (few.breached, few.reason.code) == (None, Code.METRIC_CLASS_TOO_RARE)
    bad = judge_metric(
        truth, ["yes"] * 996 + ["no"] * 4, METRICS["balanced_accuracy"], Threshold(0.9), classes={"yes", "no"}
    )
    assert bad.breached is True
    shares = judge_metric(
        truth[:996], ["no"] * 996, METRICS["accuracy"], Threshold(0.9), classes={"yes", "no"}
    )
    assert shares.breached is False

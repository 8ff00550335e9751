"""A metric without labels: its interval covers where only the inputs changed, and nobody is to believe it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.stats import label_design, unlabelled
from shared.stats.intervals import bounds, sample_of
from shared.stats.metrics import METRICS, Metric, RowSpan
from shared.stats.unlabelled import Rows

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
"""Of each bound: 90 % of the intervals cover."""


@dataclass(frozen=True)
class World:
    """Three columns; the model knows the first two, and is surer than it should be."""

    held: Rows
    truth: NDArray[np.int64]
    served: Rows
    later: NDArray[np.int64]
    """The labels of what was served."""


def drawn(
    rng: np.random.Generator, rows: int, moved: float, flipped: float, classes: int
) -> tuple[Rows, Floats]:
    columns = rng.normal(size=(rows, 3)) + np.array([moved, 0.0, moved])
    slopes = np.linspace(-1, 1, classes)
    logits = np.outer(columns[:, 0] + 0.6 * columns[:, 1], slopes) * 1.5
    chances = _softmax(logits + np.outer(columns[:, 2], slopes) * 0.8)
    chances = (1 - flipped) * chances + flipped * chances[:, ::-1]
    stated = _softmax(logits * 1.4)
    named = {f"c{n}": columns[:, n].tolist() for n in range(3)}
    named["word"] = np.where(columns[:, 0] > 0.5, "high", "low").tolist()
    return Rows(named, stated.argmax(axis=1), stated), chances


def _softmax(logits: Floats) -> Floats:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def world(seed: int, moved: float = 0.0, flipped: float = 0.0, classes: int = 2, rows: int = 500) -> World:
    rng = np.random.default_rng(seed)
    held, chances = drawn(rng, rows, 0.0, 0.0, classes)
    served, later = drawn(rng, rows // 2, moved, flipped, classes)
    labels = [(rng.random((len(p), 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1) for p in (chances, later)]
    return World(held, labels[0], served, labels[1])


def truth_of(name: str, one: World) -> float:
    if name == "log_loss":
        against = one.served.stated[np.arange(len(one.later)), one.later]
    elif name in ("roc_auc", "average_precision"):
        against = one.served.stated[:, 1]
    else:
        return METRICS[name].function(one.later.tolist(), one.served.answers.tolist())
    return METRICS[name].function((one.later == 1).tolist(), against.tolist())


def covered(name: str, runs: int, **how: object) -> tuple[float, float]:
    """How often the interval held what the labels then said, and the mean error."""
    hits, errors = [], []
    for seed in range(runs):
        one = world(seed, **how)  # type: ignore[arg-type]
        found = unlabelled.classes(
            name, one.held, one.truth, one.served, positive=1, confidence=CONFIDENCE, seed=seed
        )
        said = truth_of(name, one)
        assert found.low <= found.value <= found.high
        hits.append(found.low <= said <= found.high)
        errors.append(found.value - said)
    return float(np.mean(hits)), float(np.mean(errors))


CELLS = [
    ("accuracy", 0.0, 2),
    ("accuracy", 0.8, 2),
    ("accuracy", 0.8, 3),
    ("f1_macro", 0.8, 2),
    ("f1_macro", 0.5, 4),
    ("roc_auc", 0.5, 2),
    ("average_precision", 0.5, 2),
    ("log_loss", 0.5, 3),
]


@pytest.mark.parametrize(
    ("name", "moved", "classes"),
    [pytest.param(*cell, marks=[] if n % 4 == 2 else pytest.mark.soak) for n, cell in enumerate(CELLS)],
)
def test_the_interval_covers_what_labels_say_where_only_the_inputs_changed(
    name: str, moved: float, classes: int
) -> None:
    """90 % promised, of 40 runs: below 77 % lies 1 run of this test in 100."""
    share, error = covered(name, 40, moved=moved, classes=classes)
    assert share >= 0.77
    assert abs(error) < 0.03


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "moved", "classes"), [*CELLS, ("balanced_accuracy", 0.8, 3), ("f1_macro", 1.2, 2)]
)
def test_the_interval_covers_in_the_long_run(name: str, moved: float, classes: int) -> None:
    share, _ = covered(name, 400, moved=moved, classes=classes, rows=1500)
    assert share >= 0.90 - 3 * (0.9 * 0.1 / 400) ** 0.5


def test_under_a_change_of_concept_it_covers_nothing_which_is_why_it_neither_gates_nor_rolls_back() -> None:
    share, error = covered("accuracy", 10, flipped=0.5)
    assert share == 0
    assert error > 0.1


def paid(truth: NDArray[np.int64], rows: Rows) -> Floats:
    """What each answer costs, for each class that may be its truth: more for a row that lies far out."""
    table = np.array([[0.0, 1.0, 2.0], [4.0, 0.0, 1.0], [6.0, 3.0, 0.5]])
    far = 1 + np.clip(np.abs(np.array(rows.columns["c0"], dtype=float)), 0, 3)
    return np.asarray(table[truth][:, rows.answers].T * far[:, None])


@pytest.mark.parametrize("moved", [0.8, pytest.param(0.0, marks=pytest.mark.soak)])
def test_the_interval_of_a_mean_of_one_number_a_row_covers(moved: float) -> None:
    """As of the metrics of the box; from 0 to 24 for each row."""
    cost = Metric("cost", "lower", "classification", lambda *_: 0.0, span=RowSpan(0.0, 24.0, 24.0))
    hits, errors, every = [], [], np.arange(3)
    for seed in range(40):
        one = world(seed, moved=moved, classes=3)
        values = paid(every, one.held), paid(every, one.served)
        found = unlabelled.valued(
            cost, one.held, one.truth, one.served, values, confidence=CONFIDENCE, seed=seed
        )
        said = float(values[1][np.arange(len(one.later)), one.later].mean())
        assert 0 <= found.low <= found.value <= found.high <= 24
        hits.append(found.low <= said <= found.high)
        errors.append(found.value - said)
    assert np.mean(hits) >= 0.77
    assert abs(np.mean(errors)) < 0.1


def test_inputs_that_no_holdout_row_is_like_are_not_believed() -> None:
    near, far = (
        unlabelled.classes("accuracy", one.held, one.truth, one.served)
        for one in (world(1, moved=0.5), world(1, moved=4.0))
    )
    assert near.believed and near.effective > 200
    assert not far.believed and far.effective < 100


def test_a_model_that_was_never_wrong_gets_no_interval_of_width_nothing() -> None:
    one = world(3)
    sure = np.where(np.eye(2)[one.truth] == 1, 1.0, 0.0)
    held = Rows(one.held.columns, one.truth, sure)
    served = Rows(one.served.columns, one.served.answers, np.eye(2)[one.served.answers])
    found = unlabelled.classes("accuracy", held, one.truth, served)
    assert found.value > 0.99
    assert found.low < 0.998 and found.high == pytest.approx(1, abs=0.002)


def test_where_a_row_states_only_its_answer_accuracy_can_be_had() -> None:
    one = world(4, moved=0.5, classes=3)
    held, served = (
        Rows(rows.columns, rows.answers, rows.stated.max(axis=1, keepdims=True))
        for rows in (one.held, one.served)
    )
    found = unlabelled.classes("accuracy", held, one.truth, served)
    assert found.low <= truth_of("accuracy", one) <= found.high
    assert found.stated == pytest.approx(float(served.stated.mean()), abs=0.002)


def test_a_sample_of_what_was_served_says_less_than_all_of_it() -> None:
    one = world(5)
    whole, part = (
        unlabelled.classes("accuracy", one.held, one.truth, one.served, of_inputs=rows)
        for rows in (0, 100_000)
    )
    assert part.value == whole.value
    assert part.high - part.low > whole.high - whole.low


def regression(seed: int, moved: float) -> tuple[Rows, Floats, Rows, Floats]:
    """The error grows with the second column, which is what moves."""
    rng = np.random.default_rng(seed)
    found: list[tuple[Rows, Floats]] = []
    for rows, by in ((600, 0.0), (300, moved)):
        columns = rng.normal(size=(rows, 2)) + np.array([0.0, by])
        predicted = columns[:, 0]
        error = rng.normal(size=rows) * np.exp(0.4 * columns[:, 1])
        named = {"a": columns[:, 0].tolist(), "b": columns[:, 1].tolist()}
        found.append((Rows(named, np.zeros(rows, dtype=np.int64), predicted[:, None]), np.abs(error)))
    return *found[0], *found[1]


SOAKED_LOSSES = [("mae", 0.0), ("rmse", 0.3)]


@pytest.mark.parametrize(
    ("name", "moved"), [("mae", 0.7), *(pytest.param(*one, marks=pytest.mark.soak) for one in SOAKED_LOSSES)]
)
def test_a_mean_loss_of_numbers_is_covered_as_well(name: str, moved: float) -> None:
    hits, errors = [], []
    for seed in range(40):
        held, losses, served, later = regression(seed, moved)
        powered = losses**2 if name == "rmse" else losses
        found = unlabelled.numbers(name, held, powered, served, confidence=CONFIDENCE, seed=seed)
        said = float(np.sqrt((later**2).mean())) if name == "rmse" else float(later.mean())
        assert found.low <= found.value <= found.high
        hits.append(found.low <= said <= found.high)
        errors.append(found.value - said)
    assert np.mean(hits) >= 0.77
    assert abs(np.mean(errors)) < 0.08


def test_columns_of_any_kind_are_taken_in_and_none_that_only_one_side_has() -> None:
    one = world(6)
    odd = [None, *one.held.columns["c0"][1:]]
    flags: list[object] = [n % 2 == 0 for n in range(len(odd))]
    held = Rows(
        {**one.held.columns, "c0": odd, "more": ["x"] * len(odd), "fixed": [1] * len(odd), "flag": flags},
        one.held.answers,
        one.held.stated,
    )
    more: dict[str, list[object]] = {"fixed": [1] * 250, "flag": flags[:250]}
    served = Rows({**one.served.columns, **more}, one.served.answers, one.served.stated)
    found = unlabelled.classes("accuracy", held, one.truth, served)
    assert found.believed


def test_labels_of_chosen_rows_give_an_unbiased_metric_from_fewer_of_them() -> None:
    """Against as many rows drawn at random: as right on average, and nearer each time."""
    one = world(7, moved=0.8, rows=4000)
    found = unlabelled.classes("accuracy", one.held, one.truth, one.served)
    right = (one.later == one.served.answers).astype(float)
    spread = np.sqrt(found.losses * (1 - found.losses))
    by_design, by_chance = [], []
    for seed in range(300):
        chosen = label_design.choose(found.losses, spread, 150, seed)
        rows, weights = [c.row for c in chosen], [c.weight for c in chosen]
        assert (
            len(set(rows)) == len(rows) and len(rows) + 2 >= 150 and sum(weights) == pytest.approx(len(right))
        )
        by_design.append(np.average(right[rows], weights=weights))
        by_chance.append(
            right[np.random.default_rng(seed).choice(len(right), len(rows), replace=False)].mean()
        )
    noise = np.std(by_design) / np.sqrt(300)
    assert abs(np.mean(by_design) - right.mean()) < 3 * noise
    assert np.std(by_design) < 0.95 * np.std(by_chance)


def test_bounds_of_weighted_labels_hold_the_truth() -> None:
    one = world(8, moved=0.8, rows=4000)
    found = unlabelled.classes("accuracy", one.held, one.truth, one.served)
    spread, said = np.sqrt(found.losses * (1 - found.losses)), truth_of("accuracy", one)
    hits = []
    for seed in range(100):
        chosen = label_design.choose(found.losses, spread, 150, seed)
        rows, worth = [c.row for c in chosen], [c.weight for c in chosen]
        truth, answers = one.later[rows].tolist(), one.served.answers[rows].tolist()
        ends = bounds(sample_of(METRICS["accuracy"], truth, answers, worth=worth), CONFIDENCE, 1000, seed)
        hits.append(ends.low <= said <= ends.high)
    assert np.mean(hits) >= 0.83, "90 % are promised; 3 standard errors of 100 runs below it is 81 %"


def test_few_rows_are_all_chosen() -> None:
    chosen = label_design.choose(np.linspace(0, 1, 12), np.ones(12), 100, 1)
    assert [one.row for one in chosen] == list(range(12))
    assert {one.weight for one in chosen} == {1.0}

"""What a metric would come to on rows without labels, if only the inputs changed.

Assumption, which no row without a label can test: given what the model sees, the truth is what it was on the holdout.
Under a change of concept every estimate of this kind is wrong and its interval does not cover (S. Garg and others,
"Leveraging unlabeled data to predict out-of-distribution performance", ICLR 2022: no method without an assumption).

How: the chance of each truth in each row is what the model states, corrected by a ridge logistic regression on the
row's columns with the stated logit as offset (for a number: a ridge regression of the loss), fitted on holdout rows.
The metric under these chances is the plain estimate. Holdout rows, weighed so that they look like the served ones
(`density_ratio.py`), show how far it is off on such rows, each row by a fit that has not seen it: the doubly robust
correction (J. Robins, A. Rotnitzky, L. Zhao, JASA 89 (1994), 846-866; V. Chernozhukov and others, Econometrics J. 21
(2018), C1-C68, for the cross-fit). As much of it is taken as is more than its own noise (the positive part of
W. James and C. Stein, 1961). The bounds have the noise of both parts: of the labels that would come, and of the weighed
holdout rows with one made-up row more, the worst or the best there could be (as `intervals.py`). They are one-sided,
each at the confidence asked for, and are about the labels of all served inputs.

Valid from `LEAST_HELD` holdout rows and `LEAST_SERVED` served ones; not to be believed where the weighed holdout says
no more than `LEAST_EFFECTIVE` rows would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.stats.density_ratio import logistic, ridge, sigmoid, split, weights
from shared.stats.feature_basis import basis
from shared.stats.intervals import Sample
from shared.stats.metrics import METRICS, Metric, RowSpan
from shared.stats.probability_scores import SUREST

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_HELD, LEAST_SERVED, LEAST_EFFECTIVE = 100, 50, 100
DRAWS = 300
MOST_CLASSES = 20


@dataclass(frozen=True)
class Rows:
    """One sample: what the model sees of each row, and what it answered."""

    columns: Mapping[str, Sequence[object]]
    answers: Ints
    """Number of the class, as many as there are classes for one that is none of them; not used for numbers."""
    stated: Floats
    """rows x classes, each row's probabilities; of a regression rows x 1, the predicted number."""

    def known(self) -> dict[str, Sequence[object]]:
        """The columns, and what the model made of them."""
        said = {f"stated {one}": self.stated[:, one].tolist() for one in range(self.stated.shape[1])}
        return {**self.columns, **said}


@dataclass(frozen=True)
class Estimate:
    value: float
    low: float
    high: float
    stated: float | None
    """What the stated probabilities alone would say; None for a regression."""
    effective: float
    """Equally weighted holdout rows that would say as much."""
    losses: Floats
    """Of each served row: the chance that the answer is wrong, or the loss that is expected."""

    @property
    def believed(self) -> bool:
        return self.effective >= LEAST_EFFECTIVE


@dataclass(frozen=True)
class _Chances:
    """The chance of each possible truth of each row, and what is set against it."""

    of_truth: Floats
    """rows x truths"""
    against: Floats
    """rows x truths: the answer, or the probability that a metric takes where this is the truth."""


@dataclass(frozen=True)
class _Question:
    """The metric as a function of weighted pairs (truth, what is set against it)."""

    metric: Metric
    held: _Chances
    held_truth: Ints
    served: _Chances
    weights: Floats
    of_inputs: int


def classes(
    name: str,
    held: Rows,
    truth: Ints,
    served: Rows,
    *,
    positive: int = -1,
    of_inputs: int = 0,
    confidence: float = 0.95,
    seed: int = 20070101,
) -> Estimate:
    """A classifier's metric on `served`, which is a sample of `of_inputs` rows.

    `positive` is the number of the class that a ranking looks for. Where each row states one probability, that of its
    answer (`stated` has one column), only accuracy can be had.
    """
    metric = METRICS[name]
    terms, folds = basis(held.known(), served.known()), split(len(truth), seed)
    told, chances, stated = _truths(metric, held, truth, served, terms, folds, positive)
    against = [_against(metric, rows, positive) for rows in (held, served)]
    weighed = weights(*terms, seed)
    of = max(of_inputs, len(stated))
    held_side, served_side = (_Chances(p, a) for p, a in zip(chances, against, strict=True))
    asked = _Question(metric, held_side, told, served_side, weighed.values, of)
    value, low, high = _bounds(asked, confidence, seed)
    plain = _score(_sample(metric, _Chances(stated, against[1])), _even(stated))
    losses = _wrong(metric, chances[1], served)
    return Estimate(value, low, high, plain, weighed.effective, losses)


def valued(
    metric: Metric,
    held: Rows,
    truth: Ints,
    served: Rows,
    values: tuple[Floats, Floats],
    *,
    of_inputs: int = 0,
    confidence: float = 0.95,
    seed: int = 20070101,
) -> Estimate:
    """A metric that is the mean of one number a row, such as a cost: `values` are what each row comes to for each class
    that may be the truth, rows x classes, of the holdout and of what is served. Each row states all probabilities.
    """
    assert metric.span is not None
    least, width = metric.span.least, max(metric.span.most - metric.span.least, 1e-12)
    share = replace(metric, of_probabilities=True, span=RowSpan(0.0, 1.0, 1.0))
    terms, folds = basis(held.known(), served.known()), split(len(truth), seed)
    told, chances, stated = _truths(metric, held, truth, served, terms, folds, -1)
    against = [(each - least) / width for each in values]
    weighed = weights(*terms, seed)
    held_side, served_side = (_Chances(p, a) for p, a in zip(chances, against, strict=True))
    of = max(of_inputs, len(stated))
    bounds = _bounds(_Question(share, held_side, told, served_side, weighed.values, of), confidence, seed)
    plain = _score(_sample(share, _Chances(stated, against[1])), _even(stated))
    value, low, high, plain = (least + width * each for each in (*bounds, plain))
    return Estimate(value, low, high, plain, weighed.effective, _wrong(metric, chances[1], served))


def _wrong(metric: Metric, chances: Floats, served: Rows) -> Floats:
    """The chance that each answer is wrong; of a ranking, where the order of a row is least certain."""
    if metric.ranks:
        return np.asarray(chances.min(axis=1))
    if served.stated.shape[1] == 1:
        return chances[:, 0]
    known = served.answers < chances.shape[1]
    right = chances[np.arange(len(chances)), np.where(known, served.answers, 0)]
    return np.asarray(np.where(known, 1 - right, 1.0))


def _truths(
    metric: Metric,
    held: Rows,
    truth: Ints,
    served: Rows,
    terms: tuple[Floats, Floats],
    folds: Ints,
    positive: int,
) -> tuple[Ints, list[Floats], Floats]:
    """The truth of the holdout, the chances of each truth in both samples, and what is stated of the served ones.

    Truths are the classes; for a ranking whether it is the class that is looked for; where a row states only the
    probability of its answer, whether that is right.
    """
    if metric.ranks or held.stated.shape[1] == 1:
        one = positive if metric.ranks else 0
        came_true = (truth == positive) if metric.ranks else (truth == held.answers)
        said = [np.clip(rows.stated[:, one], 1 - SUREST, SUREST) for rows in (held, served)]
        found = _corrected(terms, said, came_true.astype(float), folds)
        two = [np.column_stack([1 - p, p]) for p in (*found, said[1])]
        return came_true.astype(np.int64), two[:2], two[2]
    stated = [np.clip(rows.stated, 1 - SUREST, SUREST) for rows in (held, served)]
    chances = [np.zeros_like(p) for p in stated]
    for one in range(stated[0].shape[1]):
        pair = _corrected(terms, [p[:, one] for p in stated], (truth == one).astype(float), folds)
        chances[0][:, one], chances[1][:, one] = pair
    held_side, served_side, plain = (p / p.sum(axis=1, keepdims=True) for p in (*chances, stated[1]))
    return truth, [held_side, served_side], plain


def _against(metric: Metric, rows: Rows, positive: int) -> Floats:
    if metric.ranks:
        return np.repeat(rows.stated[:, [positive]], 2, axis=1)
    if metric.of_probabilities:
        return rows.stated
    if rows.stated.shape[1] == 1:
        return np.ones((len(rows.stated), 2))
    return np.repeat(rows.answers[:, None].astype(float), rows.stated.shape[1], axis=1)


def _corrected(
    terms: tuple[Floats, Floats], stated: Sequence[Floats], came_true: Floats, folds: Ints
) -> tuple[Floats, Floats]:
    """What is stated, corrected by the columns: of holdout rows by fits that have not seen them."""
    held, served = (np.log(p / (1 - p)) for p in stated)
    found = np.zeros(len(held))
    for fold in np.unique(folds):
        kept, left = folds != fold, folds == fold
        slope = logistic(terms[0][kept], came_true[kept], held[kept])
        found[left] = sigmoid(held[left] + slope[0] + terms[0][left] @ slope[1:])
    slope = logistic(terms[0], came_true, held)
    return found, sigmoid(served + slope[0] + terms[1] @ slope[1:])


def _even(chances: Floats) -> Floats:
    return np.asarray(chances.ravel() / len(chances))


def _sample(metric: Metric, *parts: _Chances) -> Sample:
    """Every pair of a row and a possible truth, of equal ones one cell where the metric is of answers."""
    truths = np.concatenate([np.tile(np.arange(p.of_truth.shape[1]), len(p.of_truth)) for p in parts])
    against = np.concatenate([p.against.ravel() for p in parts])
    return Sample(metric, truths, (against,), np.ones(len(truths)))


def _score(sample: Sample, measure: Floats) -> float:
    """The metric under a measure on the pairs, which the correction may leave below 0 here and there."""
    score = float(sample.score(measure[None, :])[0])
    return max(score, 0.0) if sample.metric.name == "log_loss" else min(max(score, 0.0), 1.0)


class _Cells:
    """Pairs that are equal, put together: an answers' metric then costs no more than its confusion matrix."""

    def __init__(self, sample: Sample) -> None:
        pairs = np.stack([sample.truth.astype(float), sample.predictions[0].astype(float)])
        cells, self._place = np.unique(pairs, axis=1, return_inverse=True)
        self._place = self._place.ravel()
        self.counts = len(cells[0])
        self.sample = Sample(sample.metric, cells[0].astype(np.int64), (cells[1],), np.ones(self.counts))

    def gathered(self, measure: Floats) -> Floats:
        found = np.bincount(self._place, weights=measure, minlength=self.counts).astype(float)
        return found if self.sample.metric.of_probabilities else np.maximum(found, 0.0)


def _bounds(asked: _Question, confidence: float, seed: int) -> tuple[float, float, float]:
    """The estimate and its bounds."""
    rng = np.random.default_rng(seed)
    cells = _Cells(_sample(asked.metric, asked.served, asked.held))
    served = _even(asked.served.of_truth)
    nothing = np.zeros(asked.held.of_truth.size)
    fixed = _correction(asked, np.ones(len(asked.weights)))
    plain = _score(cells.sample, cells.gathered(np.append(served, nothing)))
    full = _score(cells.sample, cells.gathered(np.append(served, fixed)))
    labels = [
        _score(cells.sample, cells.gathered(np.append(drawn, fixed))) - full for drawn in _drawn(asked, rng)
    ]
    worst, best = _held_draws(asked, cells, served, rng)
    noise, off = float(np.std(np.concatenate([worst, best]))), full - plain
    taken = max(0.0, 1 - noise**2 / off**2) if off else 0.0
    value = plain + taken * off
    low = value + float(np.quantile(worst - full + labels, 1 - confidence))
    high = value + float(np.quantile(best - full + labels, confidence))
    top = np.inf if asked.metric.name == "log_loss" else 1.0
    return value, max(0.0, min(value, low)), min(top, max(value, high))


def _drawn(asked: _Question, rng: np.random.Generator) -> list[Floats]:
    """Measures of the served rows with labels drawn; and, where they are a sample, with rows drawn."""
    chances = asked.served.of_truth
    rows, truths = chances.shape
    sampled = np.sqrt(max(0.0, 1 - rows / asked.of_inputs))
    edges, found = np.cumsum(chances, axis=1)[:, :-1], []
    for _ in range(DRAWS):
        truth = (rng.random((rows, 1)) > edges).sum(axis=1)
        measure = np.zeros((rows, truths))
        measure[np.arange(rows), truth] = 1 + sampled * (rng.standard_exponential(rows) - 1)
        found.append(measure.ravel() / measure.sum())
    return found


def _correction(asked: _Question, draws: Floats) -> Floats:
    """What came true less what was expected, of the weighed holdout rows: a measure of total 0."""
    came_true = np.zeros_like(asked.held.of_truth)
    came_true[np.arange(len(asked.held_truth)), asked.held_truth] = 1.0
    weighed = asked.weights * draws
    return np.asarray(((came_true - asked.held.of_truth) * (weighed / weighed.sum())[:, None]).ravel())


def _held_draws(
    asked: _Question, cells: _Cells, served: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """The metric under draws of the holdout rows with one more, the worst that there could be; and with the best."""
    low: list[float] = []
    high: list[float] = []
    counted = Sample(
        cells.sample.metric, cells.sample.truth, cells.sample.predictions, _counts(cells, served)
    )
    good_is_high = asked.metric.sign > 0
    worst, best = (counted.with_unseen_row(good=good) for good in (not good_is_high, good_is_high))
    for _ in range(DRAWS):
        draws = rng.standard_exponential(len(asked.weights))
        unseen = rng.standard_exponential()
        share = unseen / (float(asked.weights @ draws) + unseen)
        measure = cells.gathered(np.append(served, _correction(asked, draws)))
        for sample, found in ((worst, low), (best, high)):
            more = len(sample.counts) - len(measure)
            whole = np.append(measure * (1 - share), np.full(more, share / more))
            found.append(_score(sample, whole))
    return np.array(low), np.array(high)


def _counts(cells: _Cells, served: Floats) -> Floats:
    padded = np.zeros(len(cells._place))
    padded[: len(served)] = served
    return np.maximum(cells.gathered(padded), 0.0)


def numbers(
    name: str,
    held: Rows,
    losses: Floats,
    served: Rows,
    *,
    of_inputs: int = 0,
    confidence: float = 0.95,
    seed: int = 20070101,
) -> Estimate:
    """A regression's mean loss on `served`; `losses` are those of the holdout rows: absolute for `mae`, squared for
    `rmse`, relative for `mape`. A ridge regression says what loss a row is expected to have (direct loss estimation),
    and the whole correction is taken: no line foresees the few rows that rule a mean of squares.
    """
    terms = basis(held.known(), served.known())
    expected, expected_served = ridge(terms, losses, split(len(losses), seed))
    weighed = weights(*terms, seed)
    off, plain = losses - expected, float(expected_served.mean())
    correction = float(weighed.values @ off / weighed.values.sum())
    labels = _loss_draws(expected_served, off - correction, weighed.values, of_inputs, seed) - plain
    worst, best = _loss_corrections(losses, off, weighed.values, seed)
    mean = max(0.0, plain + correction)
    low, high = (
        mean + float(np.quantile(best - correction + labels, 1 - confidence)),
        mean + float(np.quantile(worst - correction + labels, confidence)),
    )
    root = np.sqrt if name == "rmse" else float
    value, low, high = (float(root(max(0.0, end))) for end in (mean, min(mean, low), max(mean, high)))
    return Estimate(value, low, high, None, weighed.effective, np.maximum(expected_served, 0.0))


def _loss_draws(expected: Floats, noise: Floats, weighed: Floats, of_inputs: int, seed: int) -> Floats:
    """Mean losses that labels of the served rows may come to; where those are a sample, of others as well."""
    rng, rows = np.random.default_rng(seed), len(expected)
    sampled = np.sqrt(max(0.0, 1 - rows / max(of_inputs, rows)))
    found = []
    for _ in range(DRAWS):
        draws = 1 + sampled * (rng.standard_exponential(rows) - 1)
        around = rng.choice(noise, rows, p=weighed / weighed.sum())
        found.append(float(draws @ (expected + around) / draws.sum()))
    return np.array(found)


def _loss_corrections(losses: Floats, off: Floats, weighed: Floats, seed: int) -> tuple[Floats, Floats]:
    """The correction under draws of the holdout rows with one more, that of the largest loss; and with one of none."""
    rng = np.random.default_rng([seed, 1])
    most, mean = float(losses.max() - losses.mean()), float(losses.mean())
    worst, best = [], []
    for _ in range(DRAWS):
        draws, unseen = weighed * rng.standard_exponential(len(losses)), rng.standard_exponential()
        total, whole = draws.sum() + unseen, float(draws @ off)
        worst.append((whole + unseen * most) / total)
        best.append((whole - unseen * mean) / total)
    return np.array(worst), np.array(best)

"""One-sided confidence bounds of a metric and of a paired difference, honest on few rows and at perfect
scores.

Accuracy is exact (`exact.py`). Every other metric gets a Dirichlet (Bayesian) bootstrap (D. Rubin, "The
Bayesian bootstrap", Ann. Stat. 9 (1981), 130-134) with one more, made-up row: the worst that could happen
for a lower bound, the best for an upper one. So a perfect score never gets an interval of width 0: for a
share the bound is Clopper-Pearson's, for a mean of bounded numbers, such as costs, Gaffke's (N. Gaffke,
"Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable",
Math. Methods Stat. 14 (2005), 451-467; its validity for every bounded mean is a conjecture without a known
counterexample, and for metrics that are not means it is measured, not proved: docs/statistics.md has the
figures).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.stats.bounds import Bounds
from shared.stats.exact import clopper_pearson, paired_lower_bound
from shared.stats.metrics import Metric, RowSpan, classification_score, encode, regression_score
from shared.stats.probability_scores import probability_score, unseen_rows

Floats = NDArray[np.float64]
Column = NDArray[np.int64] | NDArray[np.float64]

EXACT_AT_MOST = 60_000
"""Rows; beyond, exact sums take seconds and equal what the bootstrap says."""
CELLS_AT_ONCE = 4_000_000
DRAWS_AT_MOST = 50_000_000


@dataclass(frozen=True)
class Sample:
    """Rows, or cells of equal rows with their counts; predictions of the challenger and, if any, the
    champion."""

    metric: Metric
    truth: Column
    predictions: tuple[Column, ...]
    counts: Floats
    worth: Floats | None = None
    """How many rows each stands for, where some were likelier to be drawn than others; None: all alike."""

    @property
    def weights(self) -> Floats:
        return self.counts if self.worth is None else self.counts * self.worth

    @property
    def rows(self) -> int:
        return round(float(self.counts.sum()))

    def times(self, factor: float) -> Sample:
        """The same findings on `factor` times as many rows."""
        return replace(self, counts=self.counts * factor)

    def of(self, model: int) -> Sample:
        return replace(self, predictions=(self.predictions[model],))

    def score(self, weights: Floats) -> Floats:
        """The metric; of two models the difference, positive where the challenger is better. Per resample."""
        scores = [self._score(prediction, weights) for prediction in self.predictions]
        return scores[0] if len(scores) == 1 else self.metric.sign * (scores[0] - scores[1])

    def _score(self, prediction: Column, weights: Floats) -> Floats:
        if self.metric.span:
            return np.asarray(weights @ prediction / weights.sum(axis=-1))
        if self.metric.of_probabilities:
            return probability_score(
                self.metric.name, self.truth.astype(bool), prediction.astype(float), weights
            )
        if self.metric.task == "classification":
            truth, predicted = self.truth.astype(np.int64), prediction.astype(np.int64)
            return classification_score(self.metric.name, truth, predicted, weights)
        return regression_score(self.metric.name, self.truth.astype(float), prediction.astype(float), weights)

    def with_unseen_row(self, *, good: bool) -> Sample:
        """One more row that speaks as strongly as a row can for (against) the first model; of a ranking, one of each
        side."""
        if span := self.metric.span:
            return self._with([self._extreme(span, good=good)])
        if self.metric.of_probabilities:
            return self._with(unseen_rows(self.metric.name, good=good))
        truth, right, wrong = self._rare_class() if self.metric.task == "classification" else self._far_row()
        answers = (right, wrong) if good else (wrong, right)
        return self._with([(truth, *answers)])

    def _with(self, rows: Sequence[tuple[float, float, float]]) -> Sample:
        truth, *answers = map(list, zip(*rows, strict=True))
        return replace(
            self,
            truth=np.append(self.truth, truth),
            predictions=tuple(
                np.append(seen, answer) for seen, answer in zip(self.predictions, answers, strict=False)
            ),
            counts=np.append(self.counts, np.ones(len(rows))),
            worth=None if self.worth is None else np.append(self.worth, np.full(len(rows), self.worth.max())),
        )

    def _extreme(self, span: RowSpan, *, good: bool) -> tuple[float, float, float]:
        best, worst = (span.least, span.most) if self.metric.sign < 0 else (span.most, span.least)
        if len(self.predictions) == 1:
            return 0.0, best if good else worst, 0.0
        behind = best - self.metric.sign * span.apart
        return (0.0, best, behind) if good else (0.0, behind, best)

    def _rare_class(self) -> tuple[float, float, float]:
        seen = np.bincount(self.truth.astype(np.int64), weights=self.counts)
        order = np.argsort(seen, kind="stable")
        rare, next_rare = float(order[0]), float(order[1] if len(order) > 1 else len(seen))
        if self.metric.name == "precision_macro" and len(order) > 1:
            unnamed = [n for n in order if all((answers != n).all() for answers in self.predictions)]
            if unnamed:  # one call of it, right or wrong, is all that its precision would be
                return float(unnamed[0]), float(unnamed[0]), float(order[order != unnamed[0]][0])
            return next_rare, next_rare, rare  # a stray call of the rare class costs precision the most
        return rare, rare, next_rare

    def _far_row(self) -> tuple[float, float, float]:
        """Truth, near and far answer. Squares are ruled by rare great errors, so there champion errs by 0."""
        losses = np.stack([np.abs(prediction - self.truth) for prediction in self.predictions])
        apart = np.abs(losses[0] - losses[-1])
        if self.metric.name in ("rmse", "r2") or not apart.max() > 0:
            model, row = divmod(int(losses.argmax()), losses.shape[1])
            truth = float(self.truth[row])
            return truth, truth, float(self.predictions[model][row])
        row = int(apart.argmax())
        near, far = sorted(self.predictions, key=lambda seen: abs(float(seen[row] - self.truth[row])))
        return float(self.truth[row]), float(near[row]), float(far[row])


def sample_of(
    metric: Metric,
    y_true: Sequence[object],
    *predictions: Sequence[object],
    worth: Sequence[float] | None = None,
) -> Sample:
    """Rows as a sample; classification rows that are alike become one cell, so that size costs nothing.

    Of a metric with a `span`, predictions are each model's number a row. `worth`: one over each row's chance of being
    drawn, in any unit (D. Horvitz, D. Thompson, JASA 47 (1952), 663-685).
    """
    each = None if worth is None else np.asarray(worth, dtype=float)
    if metric.span:
        y_true = [0.0] * len(y_true)
    elif metric.task == "regression":
        columns = [np.asarray(column, dtype=float) for column in (y_true, *predictions)]
        return Sample(metric, columns[0], tuple(columns[1:]), np.ones(len(columns[0])), each)
    numbers = metric.of_probabilities or metric.span is not None
    columns = (
        [np.asarray(c, dtype=float) for c in (y_true, *predictions)]
        if numbers
        else encode(y_true, *predictions)
    )
    stacked = np.stack(columns if each is None else [*columns, each])
    cells, counts = np.unique(stacked, axis=1, return_counts=True)
    *answers, kept = (*cells[1:], None) if each is None else cells[1:]
    return Sample(metric, cells[0], tuple(answers), counts.astype(float), kept)


def _draws(sample: Sample, resamples: int, seed: int) -> Floats:
    """The score under `resamples` draws of Dirichlet weights."""
    rng = np.random.default_rng(seed)
    size = len(sample.counts)
    left, scores = min(resamples, max(1000, DRAWS_AT_MOST // size)), []
    while left > 0:
        batch = min(left, max(1, CELLS_AT_ONCE // size))
        drawn = rng.standard_gamma(sample.counts, (batch, size))
        scores.append(sample.score(drawn if sample.worth is None else drawn * sample.worth))
        left -= batch
    return np.concatenate(scores)


def bounds(sample: Sample, confidence: float, resamples: int, seed: int) -> Bounds:
    """Bounds of one model's metric or, with two predictions, of the difference (positive is better)."""
    value = float(sample.score(sample.weights[None, :])[0])
    exact = _exact(sample, confidence) if _is_exact(sample) else None
    if exact:
        return Bounds(value, *exact)
    good = sample.metric.sign > 0 or len(sample.predictions) == 2
    low = _draws(sample.with_unseen_row(good=not good), resamples, seed)
    high = _draws(sample.with_unseen_row(good=good), resamples, seed)
    # A made-up row may not pull a bound past the value that was seen.
    return Bounds(
        value,
        min(value, float(np.quantile(low, 1 - confidence))),
        max(value, float(np.quantile(high, confidence))),
    )


def _is_exact(sample: Sample) -> bool:
    return sample.metric.name == "accuracy" and sample.worth is None and sample.rows <= EXACT_AT_MOST


def _exact(sample: Sample, confidence: float) -> tuple[float, float]:
    n = sample.rows
    right = [prediction == sample.truth for prediction in sample.predictions]
    if len(right) == 1:
        return clopper_pearson(min(n, round(float(sample.counts[right[0]].sum()))), n, confidence)
    wins = round(float(sample.counts[right[0] & ~right[1]].sum()))
    losses = round(float(sample.counts[right[1] & ~right[0]].sum()))
    low = paired_lower_bound(wins, losses, n, confidence)
    return low, -paired_lower_bound(losses, wins, n, confidence)


def rows_until(settled: Callable[[float], bool], rows: int, most: float = 1024.0) -> int | None:
    """How many rows would settle a question if they were like these; None: not within `most` times."""
    if not settled(most):
        return None
    low, high = 1.0, most
    while high / low > 1.1:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if settled(middle) else (middle, high)
    return int(np.ceil(rows * high))

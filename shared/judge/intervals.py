"""One-sided confidence bounds of a metric and of a paired difference, honest on few rows and at perfect
scores.

Accuracy is exact: Clopper-Pearson for one model; for two, the unconditional test of the trinomial of
discordant rows with the nuisance (how many are discordant) taken from a confidence set (R. Berger, D. Boos,
"P values maximized over a confidence set for the nuisance parameter", JASA 89 (1994), 1012-1016).

Every other metric gets a Dirichlet (Bayesian) bootstrap (D. Rubin, "The Bayesian bootstrap", Ann. Stat. 9
(1981), 130-134) with one more, made-up row: the worst that could happen for a lower bound, the best for an
upper one. So a perfect score never gets an interval of width 0: for a share the bound is Clopper-Pearson's
(N. Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable", Math. Methods Stat. 14 (2005), 451-467; the bound's validity for every bounded mean is a conjecture
without a known counterexample, and for metrics that are not means it is measured, not proved:
docs/statistics.md has the figures).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, gammaln

from shared.judge.metrics import METRICS, Metric, classification_score, encode, regression_score

Floats = NDArray[np.float64]
Column = NDArray[np.int64] | NDArray[np.float64]

NUISANCE_SHARE = 0.02
"""The part of the error rate spent on the confidence set of the share of discordant rows."""
NUISANCE_POINTS = 12
EXACT_AT_MOST = 60_000
"""Rows; beyond, exact sums take seconds and equal what the bootstrap says."""
CELLS_AT_ONCE = 4_000_000
DRAWS_AT_MOST = 50_000_000
CUSTOM_RESAMPLES = 500


@dataclass(frozen=True)
class Bounds:
    value: float
    low: float
    high: float


def clopper_pearson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """Exact lower and upper bounds of a probability, each at `confidence`, from `hits` of `n` trials."""
    miss = 1 - confidence
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, miss))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - miss))
    return low, high


def _score_statistic(wins: Floats, losses: Floats, n: int, difference: float) -> Floats:
    """Tango's z: how far the difference seen lies above `difference`, by the error expected under it."""
    linear = (2 * n - wins + losses) * difference - wins - losses
    constant = -losses * difference * (1 - difference)
    lost = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
    variance = np.maximum(n * (2 * lost + difference * (1 - difference)), 1e-12)
    z: Floats = (wins - losses - n * difference) / np.sqrt(variance)
    return z


def _least_wins(losses: Floats, n: int, difference: float, z: float) -> Floats:
    """For each number of losses the least number of wins that is as extreme as `z`; n + 1 where none is."""
    below, above = np.full_like(losses, -1.0), n - losses + 1
    for _ in range(int(n).bit_length() + 1):
        middle = np.floor((below + above) / 2)
        inside = np.clip(middle, 0, n - losses)
        reached = _score_statistic(inside, losses, n, difference) >= z - 1e-9
        reached |= middle > n - losses
        below, above = np.where(reached, below, middle), np.where(reached, middle, above)
    least: Floats = np.where(above > n - losses, n + 1, above)
    return least


def _tail(n: int, z: float, difference: float, discordant: Floats) -> Floats:
    """P(a table as extreme as `z`) at `difference`, for each probability of a discordant row."""
    lose = np.clip((discordant - difference) / 2, 1e-300, 1 - 1e-16)
    win = np.clip((discordant + difference) / 2, 0, 1)
    spread = 8 * np.sqrt(n * lose.max()) + 8
    losses = np.arange(
        max(0, int(n * lose.min() - spread)), min(n, int(n * lose.max() + spread)) + 1, dtype=float
    )
    least = _least_wins(losses, n, difference, z)
    log_mass = gammaln(n + 1) - gammaln(losses + 1) - gammaln(n - losses + 1)
    mass = np.exp(log_mass + losses * np.log(lose[:, None]) + (n - losses) * np.log1p(-lose[:, None]))
    chance = np.clip(win / (1 - lose), 0, 1)[:, None]
    inside = betainc(np.clip(least, 1, None), np.clip(n - losses - least + 1, 1e-9, None), chance)
    reached = np.where(least <= 0, 1.0, np.where(least > n - losses, 0.0, inside))
    total: Floats = (mass * reached).sum(axis=-1)
    return total


def paired_p_value(wins: int, losses: int, n: int, difference: float, level: float) -> float:
    """P-value of H0: accuracy of the challenger minus the champion's is at most `difference`; exact for
    all n.

    `wins` (`losses`): rows that only the challenger (only the champion) got right. Tables are ordered by
    Tango's z (T. Tango, Stat. Med. 17 (1998), 891-908); its distribution is summed, not
    approximated.
    """
    spent = NUISANCE_SHARE * level
    most = clopper_pearson(wins + losses, n, 1 - spent)[1]
    if abs(difference) >= most:
        return spent
    z = float(_score_statistic(np.array(float(wins)), np.array(float(losses)), n, difference))
    grid = np.linspace(max(abs(difference), 1e-12), most, NUISANCE_POINTS)
    return float(_tail(n, z, difference, grid).max()) + spent


@lru_cache(maxsize=4096)
def paired_lower_bound(wins: int, losses: int, n: int, confidence: float) -> float:
    """The least difference in accuracy that `confidence` leaves possible."""
    level, below, above = 1 - confidence, -1.0, (wins - losses) / n
    for _ in range(22):
        middle = (below + above) / 2
        rejected = paired_p_value(wins, losses, n, middle, level) <= level
        below, above = (middle, above) if rejected else (below, middle)
    return below


@dataclass(frozen=True)
class Sample:
    """Rows, or cells of equal rows with their counts; predictions of the challenger and, if any, the
    champion."""

    metric: Metric
    truth: Column
    predictions: tuple[Column, ...]
    counts: Floats

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
        if self.metric.task == "classification":
            truth, predicted = self.truth.astype(np.int64), prediction.astype(np.int64)
            return classification_score(self.metric.name, truth, predicted, weights)
        return regression_score(self.metric.name, self.truth.astype(float), prediction.astype(float), weights)

    def with_unseen_row(self, *, good: bool) -> Sample:
        """One more row that speaks as strongly as a row can for (against) the first model."""
        truth, right, wrong = self._rare_class() if self.metric.task == "classification" else self._far_row()
        answers = (right, wrong) if good else (wrong, right)
        return replace(
            self,
            truth=np.append(self.truth, truth),
            predictions=tuple(
                np.append(seen, answer) for seen, answer in zip(self.predictions, answers, strict=False)
            ),
            counts=np.append(self.counts, 1.0),
        )

    def _rare_class(self) -> tuple[float, float, float]:
        seen = np.bincount(self.truth.astype(np.int64), weights=self.counts)
        order = np.argsort(seen, kind="stable")
        return float(order[0]), float(order[0]), float(order[1] if len(order) > 1 else len(seen))

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


def sample_of(metric: Metric, y_true: Sequence[object], *predictions: Sequence[object]) -> Sample:
    """Rows as a sample; classification rows that are alike become one cell, so that size costs nothing."""
    if metric.task == "regression":
        columns = [np.asarray(column, dtype=float) for column in (y_true, *predictions)]
        return Sample(metric, columns[0], tuple(columns[1:]), np.ones(len(columns[0])))
    cells, counts = np.unique(np.stack(encode(y_true, *predictions)), axis=1, return_counts=True)
    return Sample(metric, cells[0], tuple(cells[1:]), counts.astype(float))


def _draws(sample: Sample, resamples: int, seed: int) -> Floats:
    """The score under `resamples` draws of Dirichlet weights."""
    rng = np.random.default_rng(seed)
    size = len(sample.counts)
    left, scores = min(resamples, max(1000, DRAWS_AT_MOST // size)), []
    while left > 0:
        batch = min(left, max(1, CELLS_AT_ONCE // size))
        scores.append(sample.score(rng.standard_gamma(sample.counts, (batch, size))))
        left -= batch
    return np.concatenate(scores)


def bounds(sample: Sample, confidence: float, resamples: int, seed: int) -> Bounds:
    """Bounds of one model's metric or, with two predictions, of the difference (positive is better)."""
    value = float(sample.score(sample.counts[None, :])[0])
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
    return sample.metric.name == "accuracy" and sample.rows <= EXACT_AT_MOST


def _exact(sample: Sample, confidence: float) -> tuple[float, float]:
    n = sample.rows
    right = [prediction == sample.truth for prediction in sample.predictions]
    if len(right) == 1:
        return clopper_pearson(min(n, round(float(sample.counts[right[0]].sum()))), n, confidence)
    wins = round(float(sample.counts[right[0] & ~right[1]].sum()))
    losses = round(float(sample.counts[right[1] & ~right[0]].sum()))
    low = paired_lower_bound(wins, losses, n, confidence)
    return low, -paired_lower_bound(losses, wins, n, confidence)


def custom_bounds(
    metric: Metric,
    y_true: Sequence[object],
    predictions: Sequence[Sequence[object]],
    confidence: float,
    seed: int,
) -> Bounds:
    """The same for a user's own metric, which knows no weights: rows are drawn with replacement instead.

    No row is made up, so at a perfect score the width is 0; callers ask for more rows before they trust it.
    """
    rng, n = np.random.default_rng(seed), len(y_true)

    def score(rows: Sequence[int]) -> float:
        truth = [y_true[row] for row in rows]
        scores = [metric.function(truth, [prediction[row] for row in rows]) for prediction in predictions]
        return scores[0] if len(scores) == 1 else metric.sign * (scores[0] - scores[1])

    drawn = [score([int(row) for row in rng.integers(0, n, n)]) for _ in range(CUSTOM_RESAMPLES)]
    low, high = np.quantile(drawn, [1 - confidence, confidence])
    return Bounds(score(range(n)), float(low), float(high))


def is_known(metric: Metric) -> bool:
    return METRICS.get(metric.name) is metric


def rows_until(settled: Callable[[float], bool], rows: int, most: float = 1024.0) -> int | None:
    """How many rows would settle a question if they tell what these tell; None: not within `most` times."""
    if not settled(most):
        return None
    low, high = 1.0, most
    while high / low > 1.1:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if settled(middle) else (middle, high)
    return int(np.ceil(rows * high))

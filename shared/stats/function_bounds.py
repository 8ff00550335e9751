"""One-sided bounds of a metric that is somebody's own function: nothing is known of it but what it answers.

A Dirichlet bootstrap (D. Rubin, Ann. Stat. 9 (1981), 130-134) in which every class of the truth, or for numbers the
sample, has one more, made-up row: of those that might have been seen, the one that moves the function most against
(for) the model, found by asking the function. H0 of a lower bound: the true value is at most the bound. Valid where the
function is smooth in the weights and each class has `LEAST` rows: measured, not proved (docs/statistics.md); a mean of
rows is better given one number a row (`Metric.span`), for which the bounds are Gaffke's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shared.stats.bounds import Bounds

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Column = NDArray[Any]

Function = Callable[[Any, Any, Any, Any], float]
"""truth, predictions, rows, weights -> number."""

LEAST = 30
"""Rows of each class, or of a loop that predicts a number in all."""
MOST_CLASSES = 8
"""The rarest ones get a made-up row each."""
MOST_COLUMNS = 5
"""Columns of numbers whose extreme rows are tried as made-up ones."""


@dataclass(frozen=True)
class Asked:
    """What the function is asked about: one model's answers, or two models' to be compared."""

    truth: Column
    predictions: tuple[Column, ...]
    rows: pd.DataFrame
    kind: Literal["classes", "probabilities", "numbers"]

    def some(self, at: Sequence[int]) -> Asked:
        where = np.asarray(at, dtype=int)
        return Asked(
            self.truth[where],
            tuple(each[where] for each in self.predictions),
            self.rows.iloc[where].reset_index(drop=True),
            self.kind,
        )


@dataclass(frozen=True)
class _MadeUp:
    """Rows that might have been seen: each is like row `at`, answered as `worst` and as `best`, by either model."""

    at: tuple[int, ...]
    worst: tuple[object, ...]
    best: tuple[object, ...]


@dataclass(frozen=True)
class Found:
    """Of each model its value and bounds; of two the difference, positive where the first is better."""

    models: tuple[Bounds, ...]
    difference: Bounds | None


def function_bounds(
    function: Function, asked: Asked, sign: int, confidence: float, resamples: int, seed: int
) -> Found:
    """`sign` times the function: greater is better. Without `resamples` the values alone."""
    ones = np.ones(len(asked.truth))
    values = [float(function(asked.truth, each, asked.rows, ones)) for each in asked.predictions]
    if not resamples:
        return Found(tuple(Bounds(value, value, value) for value in values), None)
    alone = [_made_up(function, asked, (each,), sign) for each in asked.predictions]
    both = _made_up(function, asked, asked.predictions, sign)
    rng, draws = np.random.default_rng(seed), []
    extended = [_extended(asked, made) for made in (*alone, both)]
    for _ in range(resamples):
        weights = rng.standard_gamma(1.0, len(asked.truth) + len(both.at))
        draws.append(list(_one_draw(function, extended, weights, len(asked.predictions))))
    found = np.array(draws)
    models = tuple(
        _between(value, found[:, 2 * n], found[:, 2 * n + 1], confidence) for n, value in enumerate(values)
    )
    if len(values) == 1:
        return Found(models, None)
    of_two = sign * found[:, -2:]
    return Found(models, _between(sign * (values[0] - values[1]), of_two[:, 0], of_two[:, 1], confidence))


_Extended = tuple[Any, Any, Sequence[Any], Sequence[Any]]
"""Truth, rows, and for each model its answers with the worst and with the best ones to the made-up rows."""


def _extended(asked: Asked, made: _MadeUp) -> _Extended:
    at = np.array(made.at, dtype=int)
    rows = asked.rows.iloc[np.append(np.arange(len(asked.truth)), at)].reset_index(drop=True)
    truth = np.append(asked.truth, asked.truth[at])
    worst = [np.append(each, np.array(made.worst, dtype=each.dtype)) for each in asked.predictions]
    best = [np.append(each, np.array(made.best, dtype=each.dtype)) for each in asked.predictions]
    return truth, rows, worst, best


def _one_draw(
    function: Function, extended: Sequence[_Extended], weights: Floats, models: int
) -> Iterator[float]:
    """For each model its value with the worst and the best answers; then the two differences."""
    for model in range(models):
        truth, rows, worst, best = extended[model]
        yield function(truth, worst[model], rows, weights)
        yield function(truth, best[model], rows, weights)
    if models == 2:
        truth, rows, worst, best = extended[-1]
        yield function(truth, worst[0], rows, weights) - function(truth, best[1], rows, weights)
        yield function(truth, best[0], rows, weights) - function(truth, worst[1], rows, weights)


def _between(value: float, one: Floats, other: Floats, confidence: float) -> Bounds:
    """By the lower and the upper of both: which of them is the worst depends on what is better.

    NaN where a draw has no value: nothing is known of how far it would lie.
    """
    low = np.minimum(np.quantile(one, 1 - confidence), np.quantile(other, 1 - confidence))
    high = np.maximum(np.quantile(one, confidence), np.quantile(other, confidence))
    return Bounds(value, float(np.minimum(value, low)), float(np.maximum(value, high)))


def _made_up(function: Function, asked: Asked, models: Sequence[Column], sign: int) -> _MadeUp:
    """Of each class the row and the answers that move the function most, apart where two models are compared."""
    weights = np.ones(len(asked.truth) + 1)
    chosen: list[_Candidate] = []
    for group in _groups(asked):
        found: list[_Candidate] = []
        for at in _sources(asked, group):
            truth = np.append(asked.truth, asked.truth[at])
            rows = asked.rows.iloc[np.append(np.arange(len(asked.truth)), at)].reset_index(drop=True)
            reach = 0.0
            ends: tuple[object, object] = (
                None,
                None,
            )  # the function is one: what is worst of one model is of both
            for seen in models:
                tried: list[tuple[float, object]] = [
                    (sign * function(truth, np.append(seen, np.array([p], seen.dtype)), rows, weights), p)
                    for p in _answers(asked, at)
                ]
                worst, best = min(tried, key=_first), max(tried, key=_first)
                reach, ends = reach + best[0] - worst[0], (worst[1], best[1])
            found.append(_Candidate(reach, at, *ends))
        chosen.append(max(found, key=lambda one: one.reach))
    return _MadeUp(*zip(*((one.at, one.worst, one.best) for one in chosen), strict=True))


@dataclass(frozen=True)
class _Candidate:
    """A made-up row like row `at`, and how far its worst and its best answer are apart."""

    reach: float
    at: int
    worst: object
    best: object


def _first(tried: tuple[float, object]) -> float:
    return tried[0]


def _groups(asked: Asked) -> list[NDArray[np.int64]]:
    if asked.kind == "numbers":
        return [np.arange(len(asked.truth))]
    names, number, counts = np.unique(asked.truth, return_inverse=True, return_counts=True)
    rare = np.argsort(counts, kind="stable")[:MOST_CLASSES]
    return [np.flatnonzero(number == n) for n in rare if len(names)]


def _sources(asked: Asked, group: NDArray[np.int64]) -> list[int]:
    """Rows that a made-up one may be like: the first, those with the greatest and least of each number, and for numbers
    those that a model errs on the most or that the models differ on the most."""
    found = [int(group[0])]
    for name in asked.rows.select_dtypes("number").columns[:MOST_COLUMNS]:
        values = asked.rows[name].to_numpy(dtype=float, na_value=np.nan)[group]
        if np.isfinite(values).any():
            found += [int(group[np.nanargmax(values)]), int(group[np.nanargmin(values)])]
    if asked.kind == "numbers":
        errors = [each - asked.truth for each in asked.predictions]
        for error in (*errors, errors[0] - errors[-1]):
            found += [int(np.argmax(error)), int(np.argmin(error))]
    return list(dict.fromkeys(found))


def _answers(asked: Asked, at: int) -> list[object]:
    """What a model might have answered."""
    if asked.kind == "probabilities":
        return [0.0, 1.0]
    if asked.kind == "classes":
        names, counts = np.unique(asked.truth, return_counts=True)
        return list(names[np.argsort(counts, kind="stable")[:MOST_CLASSES]])
    furthest = max(float(np.abs(each - asked.truth).max()) for each in asked.predictions)
    truth = float(asked.truth[at])
    return [truth, truth - furthest, truth + furthest]

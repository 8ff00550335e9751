"""How often rows like these are in one sample, beside how often in another: weights that make the first look like the
second.

A logistic regression tells the two samples apart, and its odds are the ratio (J. Qin, "Inferences for case-control and
semiparametric two-sample density ratio models", Biometrika 85 (1998), 619-630; M. Sugiyama, T. Suzuki, T. Kanamori,
"Density ratio estimation in machine learning", Cambridge 2012, chapter 4). Each row is weighed by a fit that has not
seen it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FOLDS = 5
RIDGE = 4.0
"""Penalty on the squared coefficients of standardised terms, beside the sum of the log likelihood."""
STEPS = 50
SMALLEST = 1e-7
STEEPEST = 30.0
"""Logits beyond are held: nothing is more certain."""


@dataclass(frozen=True)
class Weights:
    """One weight for each row of the first sample, mean 1."""

    values: Floats

    @property
    def effective(self) -> float:
        """How many equally weighted rows would say as much: (sum w)^2 / sum w^2 (L. Kish, "Survey sampling", 1965)."""
        return float(self.values.sum() ** 2 / (self.values**2).sum())


def weights(first: Floats, second: Floats, seed: int) -> Weights:
    """H0 of none: an estimate. Valid where the second sample has no rows of a kind that the first has none of."""
    rows, fold = len(first), split(len(first), seed)
    logits = np.zeros(rows)
    for one in range(FOLDS):
        kept, left = first[fold != one], first[fold == one]
        slope = logistic(np.vstack([kept, second]), np.repeat([0.0, 1.0], [len(kept), len(second)]))
        logits[fold == one] = slope[0] + left @ slope[1:]
    ratio = np.exp(np.clip(logits - logits.mean(), -STEEPEST, STEEPEST))
    ratio = np.minimum(ratio, np.sqrt(rows) * ratio.mean())
    return Weights(ratio / ratio.mean())


def split(rows: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row."""
    return np.asarray(np.random.default_rng(seed).permutation(rows) % FOLDS)


def ridge(terms: tuple[Floats, Floats], values: Floats, folds: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Values that a ridge regression on the first sample's terms expects of both: of the first by fits that have not
    seen the row."""

    def fitted(kept: NDArray[np.bool_]) -> Floats:
        given = np.column_stack([np.ones(int(kept.sum())), terms[0][kept]])
        penalty = np.diag([0.0, *np.full(terms[0].shape[1], RIDGE)])
        return np.asarray(np.linalg.solve(given.T @ given + penalty, given.T @ values[kept]))

    expected = np.zeros(len(values))
    for fold in np.unique(folds):
        slope = fitted(folds != fold)
        expected[folds == fold] = slope[0] + terms[0][folds == fold] @ slope[1:]
    slope = fitted(np.ones(len(values), dtype=bool))
    return expected, np.asarray(slope[0] + terms[1] @ slope[1:])


def logistic(terms: Floats, truth: Floats, offset: Floats | None = None) -> Floats:
    """Intercept and coefficients of a ridge logistic regression, by Newton's method; `truth` is 0 or 1."""
    with_one = np.column_stack([np.ones(len(terms)), terms])
    penalty = np.append(1e-9, np.full(terms.shape[1], RIDGE))
    base = np.zeros(len(terms)) if offset is None else offset

    def badness(slope: Floats) -> float:
        logits = base + with_one @ slope
        return float((np.logaddexp(0, logits) - truth * logits).sum() + (penalty * slope**2).sum() / 2)

    slope = np.zeros(with_one.shape[1])
    before = badness(slope)
    for _ in range(STEPS):
        said = sigmoid(base + with_one @ slope)
        gradient = with_one.T @ (truth - said) - penalty * slope
        curvature = (with_one * np.maximum(said * (1 - said), 1e-9)[:, None]).T @ with_one
        step = np.linalg.solve(curvature + np.diag(penalty), gradient)
        while badness(slope + step) > before and np.abs(step).max() > SMALLEST:
            step = step / 2
        slope = slope + step
        after = badness(slope)
        if before - after < SMALLEST:
            break
        before = after
    return slope


def sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -STEEPEST, STEEPEST))))

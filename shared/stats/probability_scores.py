"""Metrics of stated probabilities: area under the ROC curve, average precision, log loss; each under row weights.

Sources: T. Fawcett, "An introduction to ROC analysis", Pattern Recognit. Lett. 27 (2006), 861-874 (equal scores count
half); scikit-learn's `average_precision_score` (a sum over the steps, nothing interpolated) and `log_loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SUREST = 0.999
"""A probability nearer to 0 or 1 counts as this one: a model that was sure, and wrong once, would have no mean loss."""


def probability_score(name: str, positive: NDArray[np.bool_], stated: Floats, weights: Floats) -> Floats:
    """One score per row of `weights` (resamples x rows); NaN where the weights leave a class without a row.

    `stated` is the probability of the positive class; for `log_loss` that of the class that came true, `positive` being
    of no account.
    """
    if name == "log_loss":
        return np.asarray(weights @ -np.log(np.clip(stated, 1 - SUREST, SUREST)) / weights.sum(axis=-1))
    order = np.argsort(-stated, kind="stable")
    # Rows that state the same are one step.
    ends = np.flatnonzero(np.append(np.diff(stated[order]) != 0, True))
    ordered = weights[:, order]
    hits = np.cumsum(ordered * positive[order], axis=1)[:, ends]
    called = np.cumsum(ordered, axis=1)[:, ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        if name == "average_precision":
            precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
            return np.asarray((_steps(hits) * precision).sum(axis=1) / hits[:, -1])
        before = hits - _steps(hits)
        area = (_steps(called - hits) * (hits + before) / 2).sum(axis=1)
        return np.asarray(area / (hits[:, -1] * (called - hits)[:, -1]))


def _steps(sums: Floats) -> Floats:
    return np.diff(sums, axis=1, prepend=0.0)


def unseen_rows(name: str, *, good: bool) -> list[tuple[bool, float, float]]:
    """What a sample might have held and did not: positive or not, the first model's probability, the second's.

    As strong as rows can be for (`good`) or against the first model: one that is called last although it is positive
    and first although it is not, by the other model the other way round; for `log_loss` one sure and wrong answer.
    """
    high, low = (2.0, -1.0) if good else (-1.0, 2.0)  # beyond what any model can state
    if name == "log_loss":
        return [(True, SUREST, 1 - SUREST) if good else (True, 1 - SUREST, SUREST)]
    return [(True, high, low), (False, low, high)]

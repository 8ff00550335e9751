"""A champion's metric is called breached only when it is past its threshold by more than chance explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shared.release.document import Document
from shared.release.gate.holdout import LEAST_ROWS, bad_values
from shared.stats.metrics import METRICS, Metric


@dataclass(frozen=True)
class MetricVerdict(Document):
    breached: bool | None
    """None: too few usable rows to say anything."""
    metric: str
    threshold: float
    n: int
    value: float | None
    low: float | None
    high: float | None
    words: str


def judge_metric(
    y_true: Sequence[object],
    y_pred: Sequence[object],
    name: str,
    threshold: float,
    *,
    confidence: float = 0.95,
    seed: int = 20070101,
    metric: Metric | None = None,
) -> MetricVerdict:
    """H0: the metric is on the good side of `threshold`. Breached when H0 is rejected at 1 - confidence."""
    from shared.stats.intervals import bounds, custom_bounds, is_known, sample_of

    chosen, n = metric or METRICS[name], len(y_true)
    unusable = _unusable(y_true, y_pred, chosen)
    if unusable:
        return MetricVerdict(None, chosen.name, threshold, n, None, None, None, unusable)
    found = (
        bounds(sample_of(chosen, y_true, y_pred), confidence, 4000, seed)
        if is_known(chosen)
        else custom_bounds(chosen, y_true, [y_pred], confidence, seed)
    )
    if not all(map(math.isfinite, (found.value, found.low, found.high))):
        words = f"{chosen.name} is not defined on these {n} rows"
        return MetricVerdict(None, chosen.name, threshold, n, None, None, None, words)
    best = found.high if chosen.sign > 0 else found.low
    breached = chosen.sign * best < chosen.sign * threshold
    past = chosen.sign * found.value < chosen.sign * threshold
    seen = f"{chosen.name} is {found.value:.4f} ({found.low:.4f} to {found.high:.4f}) on {n} rows"
    side = "below" if chosen.sign > 0 else "above"
    if breached:
        words = f"{seen}: shown to be {side} the threshold {threshold:g}"
    elif past:
        words = f"{seen}: {side} the threshold {threshold:g}, which may be chance"
    else:
        words = f"{seen}: keeps the threshold {threshold:g}"
    return MetricVerdict(breached, chosen.name, threshold, n, found.value, found.low, found.high, words)


def _unusable(y_true: Sequence[object], y_pred: Sequence[object], metric: Metric) -> str | None:
    n = len(y_true)
    if len(y_pred) != n:
        return f"{len(y_pred)} predictions for {n} labelled rows"
    if n < (1 if metric.name == "accuracy" else LEAST_ROWS):
        return f"{n} labelled rows are too few to judge {metric.name}; it takes {LEAST_ROWS} at least"
    bad = bad_values(y_true, metric.task) + bad_values(y_pred, metric.task)
    if bad:
        return f"{bad} labels or predictions cannot be used"
    if metric.name == "mape" and any(float(str(value)) == 0 for value in y_true):
        return "mape is not defined: the truth has rows that are 0"
    return None

"""A champion's metric is called breached only when it is past its threshold by more than chance explains."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.release.document import Document
from shared.release.gate.holdout import (
    ALL_ROWS,
    OwnFound,
    OwnSeen,
    bad_values,
    few_rows,
    least_of_class,
    least_rows,
    no_positive_class,
    without_probability,
)
from shared.stats.metrics import Costs, Metric, OwnMetric, class_name, metric_of, row_costs, uncosted

if TYPE_CHECKING:
    from shared.stats.intervals import Bounds


@dataclass(frozen=True)
class MetricVerdict(Document):
    breached: bool | None
    """None: too few usable rows to say anything, or no threshold."""
    metric: str
    threshold: float | None
    """None: measured and shown, never breached."""
    n: int
    value: float | None
    low: float | None
    high: float | None
    reason: Reason


def judge_metric(
    y_true: Sequence[object],
    y_pred: Sequence[object],
    name: str,
    threshold: float | None,
    *,
    classes: Collection[str] = (),
    positive: str = "",
    costs: Costs | None = None,
    own: OwnMetric | None = None,
    seen: OwnSeen | None = None,
    confidence: float = 0.95,
    seed: int = 20070101,
    worth: Sequence[float] | None = None,
    spread: float = 0.0,
    because: Sequence[Reason] = (),
) -> MetricVerdict:
    """H0: the metric is on the good side of `threshold`. Breached when H0 is rejected at 1 - confidence.

    Without a threshold there is no H0: value and bounds alone. Where one of `classes`, which the model was trained on,
    has hardly a row, a mean over the classes can be shown to be bad, but not to be good.

    Of a metric of probabilities `y_pred` is what was stated a row: for the `positive` class, or for what came true.
    `seen` is what a metric of the loop's `own` answered.
    `spread` is how far the threshold may itself be off, where it was measured: half of an interval at the same
    `confidence`. Both are joined as G. Zou, A. Donner, Statistics in Medicine 27 (2008), 1693-1702, do for a difference
    (H0: the metric is worse by no more than the margin; 100 rows of each). `because` is told beside the threshold.
    `worth` says how many rows each stands for, where they were chosen by design (`label_design.py`).
    """
    from shared.stats.intervals import bounds, sample_of

    chosen, n = metric_of(name, costs, own), len(y_true)
    unusable = _unusable(y_true, y_pred, chosen)
    if chosen.ranks and not positive:
        unusable = no_positive_class(chosen, len(classes))
    if seen and seen.fault and not unusable:
        unusable = seen.fault
    if unusable:
        return MetricVerdict(None, chosen.name, threshold, n, None, None, None, unusable)
    truth = [class_name(value) == positive for value in y_true] if chosen.of_probabilities else y_true
    if chosen.given:  # nobody has told the function how to weigh rows
        found = _given(None) if worth else _given(seen.found.get(ALL_ROWS) if seen else None)
    else:
        answers = row_costs(chosen.costs, y_true, y_pred) if chosen.costs else y_pred
        if seen and seen.rows:
            answers = seen.rows[0]
        found = bounds(sample_of(chosen, truth, answers, worth=worth), confidence, 4000, seed)
    if not all(map(math.isfinite, (found.value, found.low, found.high))):
        undefined = reason(Code.METRIC_UNDEFINED, metric=chosen.name, rows=n)
        return MetricVerdict(None, chosen.name, threshold, n, None, None, None, undefined)
    code = _compared(found, chosen, threshold, spread)
    few = few_rows(y_true, classes, chosen, positive)
    if few and code is not Code.METRIC_BREACHED:
        why = _without(few, found, chosen, n)
        return MetricVerdict(None, chosen.name, threshold, n, found.value, found.low, found.high, why)
    why = reason(
        code,
        *because,
        metric=chosen.name,
        value=found.value,
        low=found.low,
        high=found.high,
        rows=n,
        side="below" if chosen.sign > 0 else "above",
        threshold=threshold,
    )
    breached = None if threshold is None else code is Code.METRIC_BREACHED
    return MetricVerdict(breached, chosen.name, threshold, n, found.value, found.low, found.high, why)


def _given(found: OwnFound | None) -> Bounds:
    from shared.stats.intervals import Bounds

    ends = (found.challenger.value, found.challenger.low, found.challenger.high) if found else (None,) * 3
    return Bounds(*(math.nan if end is None else end for end in ends))


def _without(few: list[tuple[str, int]], found: Bounds, metric: Metric, rows: int) -> Reason:
    (name, have), others = few[0], len(few) - 1
    return reason(
        Code.METRIC_CLASS_TOO_RARE,
        metric=metric.name,
        value=found.value,
        rows=rows,
        name=name,
        have=have,
        others=others,
        least=least_of_class(metric),
    )


def _compared(found: Bounds, metric: Metric, threshold: float | None, spread: float) -> Code:
    if threshold is None:
        return Code.METRIC_MEASURED
    reach = math.hypot((found.high if metric.sign > 0 else found.low) - found.value, spread)
    if metric.sign * found.value + reach < metric.sign * threshold:
        return Code.METRIC_BREACHED
    past = metric.sign * found.value < metric.sign * threshold
    return Code.METRIC_PAST_BY_CHANCE if past else Code.METRIC_MET


def _unusable(y_true: Sequence[object], y_pred: Sequence[object], metric: Metric) -> Reason | None:
    n = len(y_true)
    if len(y_pred) != n:
        return reason(Code.METRIC_MISMATCH, predictions=len(y_pred), rows=n)
    if n < (least := least_rows(metric)):
        return reason(Code.METRIC_TOO_FEW_ROWS, rows=n, metric=metric.name, least=least)
    unstated = without_probability(y_pred, n) if metric.of_probabilities else 0
    if unstated:
        return reason(Code.METRIC_PROBABILITIES_UNSTATED, metric=metric.name, unstated=unstated, rows=n)
    bad = bad_values(y_true, metric.task) + (
        0 if metric.of_probabilities else bad_values(y_pred, metric.task)
    )
    if bad:
        return reason(Code.METRIC_BAD_VALUES, bad=bad)
    if metric.costs and (pair := uncosted(metric.costs, y_true, y_pred)):
        return reason(Code.COST_UNSTATED, truth=pair[0], answer=pair[1])
    if metric.name == "mape" and any(float(str(value)) == 0 for value in y_true):
        return reason(Code.METRIC_UNDEFINED, metric="mape", rows=n)
    return None

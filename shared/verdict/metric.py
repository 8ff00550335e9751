"""A champion's metric is called breached only when it is past its threshold by more than chance explains."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.gate.gate_record import (
    ALL_ROWS,
    OwnFound,
    OwnSeen,
    bad_values,
    few_rows,
    least_of_class,
    least_rows,
    no_positive_class,
    spelt_otherwise,
    without_probability,
)
from shared.release.document import Document
from shared.stats.metrics import Metric, class_name, row_costs, uncosted

if TYPE_CHECKING:
    from shared.stats.bounds import Bounds

RESAMPLES, SEED = 4000, 20070101


@dataclass(frozen=True)
class Threshold:
    """What a metric may not be past."""

    value: float | None
    """None: the metric is measured, and never breached."""
    spread: float = 0.0
    """How far it may itself be off, where it was measured: half of an interval at the metric's confidence."""
    because: tuple[Reason, ...] = ()

    def breached(self, sign: int, value: float, worst: float) -> bool:
        """H0: the metric is on the good side, whose interval's half towards it ends at `worst`.

        Of a measured threshold the chances of both are joined as G. Zou, A. Donner, Statistics in Medicine 27 (2008),
        1693-1702, do for a difference (H0: worse by no more than the margin; 100 rows of each).
        """
        return (
            self.value is not None
            and sign * value + math.hypot(worst - value, self.spread) < sign * self.value
        )


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
    metric: Metric,
    limit: Threshold,
    *,
    classes: Collection[str] = (),
    positive: str = "",
    seen: OwnSeen | None = None,
    confidence: float = 0.95,
    worth: Sequence[float] | None = None,
    whole: bool = True,
) -> MetricVerdict:
    """H0: the metric is on the good side of `limit`. Breached when H0 is rejected at 1 - confidence.

    Without a threshold there is no H0: value and bounds alone. Where one of `classes`, which the model was trained on,
    has hardly a row, a mean over the classes can be shown to be bad, but not to be good.

    Of a metric of probabilities `y_pred` is what was stated a row: for the `positive` class, or for what came true.
    `seen` is what a metric of the loop's own answered. `worth` says how many rows each stands for, where they were
    chosen by design (`label_design.py`). Of rows that are not the `whole`, but a slice, it is no wonder that they lack
    every class that was answered.
    """
    n = len(y_true)
    unusable = _unusable(y_true, y_pred, metric, positive, classes, whole) or (seen.fault if seen else None)
    if unusable:
        return MetricVerdict(None, metric.name, limit.value, n, None, None, None, unusable)
    found = _bounds(y_true, y_pred, metric, positive, seen, confidence, worth)
    if not all(map(math.isfinite, (found.value, found.low, found.high))):
        undefined = reason(Code.METRIC_UNDEFINED, metric=metric.name, rows=n)
        return MetricVerdict(None, metric.name, limit.value, n, None, None, None, undefined)
    breached = limit.breached(metric.sign, found.value, found.high if metric.sign > 0 else found.low)
    few = few_rows(y_true, classes, metric, positive)
    rare = bool(few) and not breached
    judged = None if rare or limit.value is None else breached
    why = _without(few, found, metric, n) if rare else _told(found, metric, limit, n, breached=breached)
    return MetricVerdict(judged, metric.name, limit.value, n, found.value, found.low, found.high, why)


def _bounds(
    y_true: Sequence[object],
    y_pred: Sequence[object],
    metric: Metric,
    positive: str,
    seen: OwnSeen | None,
    confidence: float,
    worth: Sequence[float] | None,
) -> Bounds:
    from shared.stats.intervals import bounds, sample_of

    if metric.given:  # nobody has told the function how to weigh rows
        return _given(seen.found.get(ALL_ROWS) if seen and not worth else None)
    truth = [class_name(value) == positive for value in y_true] if metric.of_probabilities else y_true
    answers = row_costs(metric.costs, y_true, y_pred) if metric.costs else y_pred
    if seen and seen.rows:
        answers = seen.rows[0]
    return bounds(sample_of(metric, truth, answers, worth=worth), confidence, RESAMPLES, SEED)


def _given(found: OwnFound | None) -> Bounds:
    from shared.stats.bounds import Bounds

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


def _told(found: Bounds, metric: Metric, limit: Threshold, rows: int, *, breached: bool) -> Reason:
    code = Code.METRIC_MEASURED
    if limit.value is not None:
        past = metric.sign * found.value < metric.sign * limit.value
        code = Code.METRIC_BREACHED if breached else Code.METRIC_PAST_BY_CHANCE if past else Code.METRIC_MET
    return reason(
        code,
        *limit.because,
        metric=metric.name,
        value=found.value,
        low=found.low,
        high=found.high,
        rows=rows,
        side="below" if metric.sign > 0 else "above",
        threshold=limit.value,
    )


def _unusable(
    y_true: Sequence[object],
    y_pred: Sequence[object],
    metric: Metric,
    positive: str,
    classes: Collection[str],
    whole: bool,
) -> Reason | None:
    if metric.ranks and not positive:
        return no_positive_class(metric, len(classes))
    n = len(y_true)
    if len(y_pred) != n:
        return reason(Code.METRIC_MISMATCH, predictions=len(y_pred), rows=n)
    if n < (least := least_rows(metric)):
        return reason(Code.METRIC_TOO_FEW_ROWS, rows=n, metric=metric.name, least=least)
    unstated = without_probability(y_pred, n) if metric.of_probabilities else 0
    if unstated:
        return reason(Code.METRIC_PROBABILITIES_UNSTATED, metric=metric.name, unstated=unstated, rows=n)
    bad = bad_values(y_true, metric.task)
    if not metric.of_probabilities:
        bad += bad_values(y_pred, metric.task)
        if whole and metric.task == "classification" and spelt_otherwise(y_pred, y_true, classes):
            bad = n
    if bad:
        return reason(Code.METRIC_BAD_VALUES, bad=bad)
    if metric.costs and (pair := uncosted(metric.costs, y_true, y_pred)):
        return reason(Code.COST_UNSTATED, truth=pair[0], answer=pair[1])
    if metric.name == "mape" and any(float(str(value)) == 0 for value in y_true):
        return reason(Code.METRIC_UNDEFINED, metric="mape", rows=n)
    return None

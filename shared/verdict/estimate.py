"""An estimate of a metric before labels, as it is kept with its window; and what labels then say of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.domain.reason import Code, Reason, reason
from shared.ports import Documents
from shared.verdict.metric import RESAMPLES, SEED, Threshold, judge_metric
from shared.verdict.predictions import Predictions
from shared.verdict.task import scored_classes

LEAST_LABELS = 30
"""Labelled rows of a window from which they check its estimate."""

LEAST_PAST = 9
"""Checked estimates of the champion from which intervals are widened by how far those were off: of 9 errors the
largest is passed by one in ten (conformal rank; `drift.history` says what it promises)."""


@dataclass(frozen=True)
class Estimated:
    """An estimate, as it is kept with its window."""

    metric: str
    value: float
    low: float
    high: float
    effective: float
    rows: str
    """Document hash of `Asked`."""
    past_threshold: bool | None
    """Whether the threshold lies beyond the bounds; None without one."""
    widened: float = 1.0
    """Times the interval that the statistics alone gave."""
    labels: int = 0
    """How many labels have checked it; and what they say."""
    said: float | None = None
    said_low: float | None = None
    said_high: float | None = None

    @property
    def error(self) -> float | None:
        """The estimate less what labels say; None before they do."""
        return None if self.said is None else self.value - self.said

    @property
    def holds(self) -> bool:
        return self.said is not None and self.low <= self.said <= self.high


@dataclass(frozen=True)
class Asked:
    """The rows that an estimate is about: enough to check it, and to choose which of them to label."""

    ids: tuple[str, ...]
    """By which labels come: the loop's id where the request brought one, else the collector's."""
    rows: tuple[str, ...]
    """The collector's ids."""
    answers: tuple[object, ...]
    probabilities: tuple[object, ...]
    losses: tuple[float, ...]
    """The chance that each answer is wrong; of a number the loss that is expected."""
    positive: str
    classes: tuple[str, ...]
    values: tuple[tuple[float, ...], ...] = ()
    """What each row comes to for each class that may be its truth, of a metric that is the mean of that."""

    def predictions(self) -> Predictions:
        return Predictions(self.answers, (), (), self.probabilities)


def asked(documents: Documents, estimate: Estimated) -> Asked:
    kept: dict[str, Any] = json.loads(documents.get(estimate.rows))
    plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in kept.items()}
    return Asked(**plain)


def widening(past: Sequence[Estimated], confidence: float) -> float:
    """By how much an interval is stretched, so that it would have held what labels said of past windows: the rank of
    the errors in half-widths. 1 where too few are checked, and never less."""
    ratios = sorted(
        abs(one.error)
        / max((one.high - one.value if one.error < 0 else one.value - one.low) / one.widened, 1e-9)
        for one in past
        if one.error is not None
    )
    place = math.ceil((2 * confidence - 1) * (len(ratios) + 1))
    if len(ratios) < LEAST_PAST or place > len(ratios):
        return 1.0
    return max(1.0, min(ratios[place - 1], 10.0))


def checks(past: Sequence[Estimated]) -> Reason:
    """How estimates of this champion have fared."""
    errors = [abs(one.error) for one in past if one.error is not None]
    if not errors:
        return reason(Code.ESTIMATES_UNCHECKED)
    held, off = sum(one.holds for one in past), sum(errors) / len(errors)
    return reason(Code.ESTIMATES_CHECKED, checked=len(errors), held=held, off=off)


def checked(
    estimate: Estimated, about: Asked, labels: Mapping[str, object], worth: Mapping[str, float]
) -> Estimated | None:
    """The estimate beside what these labels say, weighed where they were chosen; None where they are too few, or fewer
    than have checked it."""
    from shared.stats.metrics import METRICS

    rows = [n for n, name in enumerate(about.ids) if name in labels]
    if len(rows) < max(LEAST_LABELS, estimate.labels):
        return None
    if about.values:
        return _checked_values(estimate, about, labels, worth, rows)
    metric, said = METRICS[estimate.metric], about.predictions().some(rows)
    truth = [labels[about.ids[n]] for n in rows]
    scored = scored_classes(metric.name, truth, about.positive)
    answers = said.values if scored is None else said.of(scored, two=len(about.classes) == 2)
    weights = [worth.get(about.ids[n], 1.0) for n in rows] if worth else None
    found = judge_metric(truth, answers, metric, Threshold(None), positive=about.positive, worth=weights)
    if found.value is None:
        return None
    return replace(estimate, labels=len(rows), said=found.value, said_low=found.low, said_high=found.high)


def _checked_values(
    estimate: Estimated,
    about: Asked,
    labels: Mapping[str, object],
    worth: Mapping[str, float],
    rows: Sequence[int],
) -> Estimated | None:
    """The same of a mean of one number a row; labels of a class that the model was not trained on are left out."""
    from shared.stats.intervals import bounds, sample_of
    from shared.stats.metrics import Metric, RowSpan, class_name

    place = {name: at for at, name in enumerate(about.classes)}
    known = [n for n in rows if class_name(labels[about.ids[n]]) in place]
    if len(known) < max(LEAST_LABELS, estimate.labels):
        return None
    found = [float(about.values[n][place[class_name(labels[about.ids[n]])]]) for n in known]
    ends = [float(value) for row in about.values for value in row]
    span = RowSpan(min(ends), max(ends), max(ends) - min(ends))
    mean = Metric(estimate.metric, "higher", "classification", lambda *_: 0.0, span=span)
    weights = [worth.get(about.ids[n], 1.0) for n in known] if worth else None
    seen = bounds(sample_of(mean, found, found, worth=weights), 0.95, RESAMPLES, SEED)
    return replace(estimate, labels=len(known), said=seen.value, said_low=seen.low, said_high=seen.high)

"""A champion's metric is called breached only when it is past its threshold by more than chance explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.judge.document import Document
from shared.judge.metrics import Metric


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
    raise NotImplementedError

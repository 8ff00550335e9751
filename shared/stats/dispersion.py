"""Whether hits that fall on two arms come one by one, or in clumps that keep to one arm.

Where the router draws an arm for each request, the canary's hits of a span of time are hypergeometric given the
span's totals, however bursty the hits are: a burst that strikes both arms is divided between them as other requests
are. Where a caller keeps to one arm and its requests fail together, or an instance has bad moments of its own, whole
clumps fall on one side, and the canary's hits differ from what is expected by more than that. The difference that all
spans have in common, a canary that is simply worse, is taken out first: each span has Fisher's noncentral
hypergeometric distribution at the common odds ratio.

Null hypothesis: within each span the hits fall independently, at one odds ratio for all. The sum of squared
deviations is compared with a gamma distribution of its exact mean and variance. Valid n: two spans with hits in both
kinds; the error rate is measured, not proven (`tests/judge/test_callers.py`). Source: N. Breslow, N. Day,
"Statistical methods in cancer research I", IARC (1980), 142-146 (homogeneity of odds ratios; here with exact moments,
as hits are rare).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from drift.hypergeometric import log_choose
from shared.stats.group_sequential import Window

Floats = NDArray[np.float64]

WIDEST = 12.0
"""Of the logarithm of the common odds ratio."""


@dataclass(frozen=True)
class Dispersion:
    """`ratio`: the squared deviations, as many times as hits that fall one by one make them on average."""

    ratio: float
    p_value: float


@dataclass(frozen=True)
class _Span:
    """What the canary's hits of one span may be, and how many there were."""

    hits: int
    at: Floats
    log: Floats

    def chances(self, log_odds: float) -> Floats:
        log = self.log + log_odds * self.at
        weights = np.exp(log - log.max())
        return np.asarray(weights / weights.sum())

    def mean(self, log_odds: float) -> float:
        return float(self.at @ self.chances(log_odds))


def _span(window: Window) -> _Span:
    (canary, champion), hits = window.requests, sum(window.hits)
    at = np.arange(max(0, hits - champion), min(hits, canary) + 1, dtype=np.float64)
    return _Span(window.hits[0], at, log_choose(canary, at) + log_choose(champion, hits - at))


def dispersion(windows: Sequence[Window]) -> Dispersion | None:
    """None: fewer than two spans could have come out otherwise, or all hits fell on one side: nothing can be said."""
    spans = [span for span in map(_span, windows) if len(span.at) > 1]
    hits = sum(span.hits for span in spans)
    least, most = (sum(int(span.at[end]) for span in spans) for end in (0, -1))
    if len(spans) < 2 or not least < hits < most:
        return None
    log_odds = _common(spans, hits)
    mean = variance = found = 0.0
    for span in spans:
        chances = span.chances(log_odds)
        squares = (span.at - span.mean(log_odds)) ** 2
        expected = float(chances @ squares)
        mean += expected
        variance += float(chances @ squares**2) - expected**2
        found += (span.hits - span.mean(log_odds)) ** 2
    if not variance > 0:
        return None
    return Dispersion(found / mean, float(gammaincc(mean**2 / variance, found * mean / variance)))


def _common(spans: Sequence[_Span], hits: int) -> float:
    """The logarithm of the odds ratio at which as many hits are expected on the canary as there were."""
    low, high = -WIDEST, WIDEST
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(span.mean(middle) for span in spans) < hits else (low, middle)
    return (low + high) / 2

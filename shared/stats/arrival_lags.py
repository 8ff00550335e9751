"""How long after their predictions labels come: a histogram that grows, and the lag by which most of them are there.

Not a test: an estimate of a quantile of the lags that were seen. The upper edge of its bin is given, at most half as
long again as the sample's own quantile. Lags are censored: a label that comes later than predictions are looked back
for is never seen, so the quantile is of those that come at all. Valid from `LEAST` lags on; below, nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import accumulate

FIRST_S = 60.0
RATIO = 1.5
BINS = 32
"""The last one begins at 60 s * 1.5^30: 133 days."""
LEAST = 20
MATURE = 0.95
"""The share of labels that have come when their verdict is called final."""


def added(counts: Sequence[int], lags: Iterable[timedelta]) -> tuple[int, ...]:
    """The histogram with these lags; one that is below zero (clocks differ) counts as none."""
    found = list(counts) or [0] * BINS
    for lag in lags:
        seconds = max(lag.total_seconds(), 0.0)
        at = 0 if seconds <= FIRST_S else math.ceil(math.log(seconds / FIRST_S, RATIO) - 1e-9)
        found[min(at, BINS - 1)] += 1
    return tuple(found)


def mature_after(counts: Sequence[int]) -> timedelta | None:
    """The lag by which `MATURE` of the labels were there; None while too few are known."""
    total = sum(counts)
    if total < LEAST:
        return None
    at = next(index for index, n in enumerate(accumulate(counts)) if n >= MATURE * total)
    return timedelta(seconds=FIRST_S * RATIO**at)

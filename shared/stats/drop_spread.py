"""How much a metric varies from drop to drop, and what a model has shown over several of them.

Rows of one drop have more in common than rows of two (a week's weather, a campaign), so that a metric varies between
drops by more than the rows of each explain. A threshold that leaves that out calls quiet drops breached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

FEWEST_PAIRS = 2
"""Pairs of drops in a row below which nothing can be said of how much the metric varies."""
EFFICIENCY = 2 / 3
"""What a pair in a row is worth, as degrees of freedom: neighbouring differences share a drop."""


@dataclass(frozen=True)
class Sample:
    """What a metric came to on some rows, and its standard error as the rows of that sample give it."""

    value: float
    error: float


@dataclass(frozen=True)
class Shown:
    """What a model has come to over its samples; a drop of the same kind may be off by `spread` besides its own error.

    `spread` is half of an interval at the confidence asked for; `between` the standard deviation between drops.
    """

    value: float
    spread: float
    between: float


def sample_of(value: float, low: float, high: float, confidence: float) -> Sample:
    """From an interval each of whose ends is one-sided at `confidence`; at one half its width says nothing."""
    wide = NormalDist().inv_cdf(confidence)
    return Sample(value, (high - low) / 2 / wide if wide else 0.0)


def variance_between(pairs: Sequence[tuple[Sample, Sample]]) -> float:
    """The variance between drops, from pairs in a row under one model: never below 0.

    Half of the mean squared difference, less what the rows explain. A level that moves once or slowly is in few of the
    differences, so that it hides itself little (J. von Neumann, Ann. Math. Statist. 12 (1941) 367-395).
    """
    if not pairs:
        return 0.0
    apart = sum((a.value - b.value) ** 2 for a, b in pairs) / 2
    of_rows = sum(a.error**2 + b.error**2 for a, b in pairs) / 2
    return max(0.0, (apart - of_rows) / len(pairs))


def shown(samples: Sequence[Sample], pairs: Sequence[tuple[Sample, Sample]], confidence: float) -> Shown:
    """The mean of the samples, each weighted by its variance, and how far off a further drop may be.

    A one-sided prediction limit under a normal random effect of the drop (J. Higgins, S. Thompson, D. Spiegelhalter,
    J. R. Statist. Soc. A 172 (2009) 137-159), with Student's t, for the variance is estimated. Valid from
    `FEWEST_PAIRS` pairs on.
    """
    from scipy.special import stdtrit

    between = variance_between(pairs)
    weights = [1 / max(one.error**2 + between, 1e-12) for one in samples]
    mean = sum(w * one.value for w, one in zip(weights, samples, strict=True)) / sum(weights)
    wide = (
        float(stdtrit(EFFICIENCY * len(pairs), confidence)) if between else NormalDist().inv_cdf(confidence)
    )
    return Shown(mean, wide * math.sqrt(between + 1 / sum(weights)), math.sqrt(between))

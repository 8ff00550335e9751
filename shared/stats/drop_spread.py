"""How much a metric varies from drop to drop, and what a model has shown over several of them.

Rows of one drop have more in common than rows of two (a week's weather, a campaign), so that a metric varies between
drops by more than the rows of each explain. A threshold that leaves that out calls quiet drops breached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

FEWEST_LATER = 2
"""Drops with one before them in their run, below which nothing can be said of how much the metric varies."""


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


Run = Sequence[Sample]
"""Drops in a row under one model; oldest first."""


def later(runs: Sequence[Run]) -> int:
    """Drops with one before them in their run."""
    return sum(max(0, len(run) - 1) for run in runs)


def variance_between(runs: Sequence[Run]) -> float:
    """The variance between drops, from runs under one model each: never below 0.

    Each drop is set against the mean of those before it in its run, which is what will be asked of the next one
    (recursive residuals: R. Brown, J. Durbin, J. Evans, J. R. Statist. Soc. B 37 (1975) 149-163), less what the rows
    explain. So a level that wanders, or has its season, shows how far it gets from what was shown before; neighbours
    alone would hide that. Where levels are independent the residuals are, too, and none is lost as a degree of freedom.
    """
    squares = 0.0
    for run in runs:
        before, errors = 0.0, 0.0
        for number, one in enumerate(run):
            if number:
                apart, of_rows = one.value - before / number, one.error**2 + errors / number**2
                squares += (apart**2 - of_rows) / (1 + 1 / number)
            before, errors = before + one.value, errors + one.error**2
    return max(0.0, squares / later(runs)) if later(runs) else 0.0


def shown(samples: Sequence[Sample], runs: Sequence[Run], confidence: float) -> Shown:
    """The mean of the samples, each weighted by its variance, and how far off a further drop may be.

    A one-sided prediction limit under a normal random effect of the drop (J. Higgins, S. Thompson, D. Spiegelhalter,
    J. R. Statist. Soc. A 172 (2009) 137-159), with Student's t, for the variance is estimated. Valid from
    `FEWEST_LATER` drops on that have one before them.
    """
    from scipy.special import stdtrit

    between = variance_between(runs)
    weights = [1 / max(one.error**2 + between, 1e-12) for one in samples]
    mean = sum(w * one.value for w, one in zip(weights, samples, strict=True)) / sum(weights)
    wide = float(stdtrit(later(runs), confidence)) if between else NormalDist().inv_cdf(confidence)
    return Shown(mean, wide * math.sqrt(between + 1 / sum(weights)), math.sqrt(between))

"""Canaries by the thousand: counts per tick for both arms, and how often each way of judging takes them back.

Everything is seeded and vectorised (canaries x looks); the statistics are those of `shared.stats`, not
copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.stats.sequential import log_e_more

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """Cumulative counts at each look: canaries x looks."""

    canary: Counts
    champion: Counts
    canary_errors: Counts
    champion_errors: Counts
    weight: float

    def log_e(self) -> Floats:
        """The judge's evidence from errors, at each look."""
        others = self.canary - self.canary_errors, self.champion - self.champion_errors
        return log_e_more(self.canary_errors, self.champion_errors, *others, self.weight)

    def increase(self) -> Floats:
        """How much higher the canary's error rate is, as estimated at each look."""
        canary = self.canary_errors / np.maximum(self.canary, 1)
        return canary - self.champion_errors / np.maximum(self.champion, 1)


def rates(canaries: int, looks: int, rate: float, kind: str, rng: np.random.Generator) -> Floats:
    """The error rate that both arms share, tick by tick: steady, in bursts, or an outage for two ticks."""
    if kind == "steady":
        return np.full((canaries, looks), rate)
    if kind == "bursts":  # a tick in ten has nearly half of its requests fail, whoever serves them
        return np.where(rng.random((canaries, looks)) < 0.1, 0.45, rate)
    outage = rng.integers(0, max(1, looks - 2), (canaries, 1))
    ticks = np.arange(looks)
    return np.where((ticks >= outage) & (ticks < outage + 2), 0.95, rate)


def run(
    *,
    canaries: int,
    looks: int,
    per_look: float,
    weight: float,
    rate: float,
    harm: float = 0.0,
    kind: str = "steady",
    seed: int = 1,
    cold: int = 0,
    own_bursts: float = 0.0,
) -> Run:
    """Poisson traffic, an independent draw of the arm for each request.

    `harm` is added to the canary's error rate; its first `cold` requests fail; `own_bursts` is the chance
    that an arm has a bad tick (30 % errors) on its own, the same for both arms.
    """
    rng = np.random.default_rng(seed)
    shape = (canaries, looks)
    requests = rng.poisson(per_look, shape)
    to_canary = rng.binomial(requests, weight)
    shared = rates(canaries, looks, rate, kind, rng)
    bad_c, bad_b = (np.where(rng.random(shape) < own_bursts, 0.3, 0.0) for _ in range(2))
    errors_c = rng.binomial(to_canary, np.minimum(np.maximum(shared, bad_c) + harm, 1))
    errors_b = rng.binomial(requests - to_canary, np.maximum(shared, bad_b))
    canary, champion = to_canary.cumsum(1), (requests - to_canary).cumsum(1)
    warm = np.minimum(canary, cold)
    canary_errors = np.minimum(canary, errors_c.cumsum(1) + warm)
    return Run(canary, champion, canary_errors, errors_b.cumsum(1), weight)


def ever(hits: NDArray[np.bool_]) -> float:
    """The share of canaries for which a rule fires at any look."""
    return float(hits.any(axis=1).mean())


def upper(rate: float, n: int, cells: int = 1) -> float:
    """Clopper-Pearson's upper bound of a simulated rate, at 95 % over `cells` such rates together."""
    from shared.stats.exact import clopper_pearson

    return clopper_pearson(round(rate * n), n, 1 - 0.05 / cells)[1]


def lower(rate: float, n: int, cells: int = 1) -> float:
    """The lower bound: above the promised rate, the promise is broken for sure."""
    from shared.stats.exact import clopper_pearson

    return clopper_pearson(round(rate * n), n, 1 - 0.05 / cells)[0]

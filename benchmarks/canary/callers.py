"""Canaries whose requests come from callers of very unequal activity, each of whom fails in bursts.

One request in ten of a caller begins anew with the error rate, the others fare as the one before did: errors come in
bursts of ten requests on average. The router draws an arm for each request, as Azure's does, or a caller keeps to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.stats.group_sequential import Window

QUARTERS = 96
BURST = 10
"""Requests of a caller that fare alike, on average."""


@dataclass(frozen=True)
class Log:
    """One day's requests in the order of their coming."""

    at: NDArray[np.float64]
    """The part of the day that has passed."""
    caller: NDArray[np.int64]
    canary: NDArray[np.bool_]
    failed: NDArray[np.bool_]

    def windows(self, *, by_caller: bool) -> list[Window]:
        """By quarters of an hour, of all requests or of the first one of each caller."""
        counted = np.unique(self.caller, return_index=True)[1] if by_caller else np.arange(len(self.caller))
        cell = (
            (self.at[counted] * QUARTERS).astype(np.int64) * 4
            + 2 * self.failed[counted]
            + ~self.canary[counted]
        )
        counts = np.bincount(cell, minlength=QUARTERS * 4).reshape(QUARTERS, 2, 2)
        return [
            Window(
                (int(arms[:, 0].sum()), int(arms[:, 1].sum())),
                (int(arms[1, 0]), int(arms[1, 1])),
                (quarter + 1) / QUARTERS,
            )
            for quarter, arms in enumerate(counts)
        ]


def activity(rng: np.random.Generator, callers: int) -> NDArray[np.int64]:
    """Requests of each caller: about 12, in a lognormal way; one caller in a hundred sends a quarter of them all."""
    return np.maximum(1, rng.lognormal(1.0, 1.7, callers)).astype(np.int64)


def day(
    rng: np.random.Generator, *, callers: int, weight: float, rates: tuple[float, float], sticky: bool
) -> Log:
    """`rates`: the champion's and the canary's. A sticky caller draws its arm."""
    drawn = rng.random(callers) < weight if sticky else None
    each = tuple(np.full(callers, rate) for rate in rates)
    return day_of(rng, activity(rng, callers), each, drawn if drawn is not None else weight)


def day_of(
    rng: np.random.Generator,
    sent: NDArray[np.int64],
    rates: tuple[NDArray[np.float64], ...],
    canary_of: NDArray[np.bool_] | float,
) -> Log:
    """The day of these callers, each with its own error rates. `canary_of`: who keeps to the canary, or the share of
    requests that a router draws for it."""
    callers = len(sent)
    caller = np.repeat(np.arange(callers), sent)
    begins = np.repeat(rng.random(callers), sent)
    at = begins + (1 - begins) * rng.random(len(caller))
    order = np.lexsort((at, caller))
    caller, at = caller[order], at[order]
    canary = rng.random(len(caller)) < canary_of if isinstance(canary_of, float) else canary_of[caller]
    failed = _fortune(rng, caller) < np.where(canary, rates[1][caller], rates[0][caller])
    order = np.argsort(at)
    return Log(at[order], caller[order], canary[order], failed[order])


def _fortune(rng: np.random.Generator, caller: NDArray[np.int64]) -> NDArray[np.float64]:
    """One uniform number for each burst: a request fails where it lies below the error rate."""
    anew = rng.random(len(caller)) < 1 / BURST
    anew[np.flatnonzero(np.diff(caller, prepend=-1))] = True
    last = np.maximum.accumulate(np.where(anew, np.arange(len(caller)), 0))
    return np.asarray(rng.random(len(caller))[last])

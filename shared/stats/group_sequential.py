"""An exact group-sequential test of two arms, window by window, for a canary whose end is known beforehand.

The router draws the arm of each request at random, so within a short window the hits (errors, slow answers) fall on
the canary as a draw without replacement does: given how many requests each arm had and how many of them hit, the
canary's hits are hypergeometric, whatever the rate of hits does from window to window. The sum over windows has an
exact distribution; at each look as much of its upper tail is cut off as the error budget, spent in proportion to the
time, allows. Drift and outages that strike both arms cancel, and neither the router's weight nor a rate is assumed.

Null hypothesis: in each window a request's arm says nothing about whether it hits, or the canary hits less often.
Valid n: any; windows without hits cost nothing. The chance that a harmless canary is ever stopped within the horizon
is at most `alpha`, by construction (`Boundary.spent` is that chance, summed). Two limits: the horizon and `alpha` are
fixed before the first request, and what is counted must be what the router assigns. A caller who always meets the same
arm and fails in bursts is one unit, not many.

Sources: K. K. G. Lan, D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983), 659-663
(spending); I. Silva, M. Kulldorff, "Continuous versus group sequential analysis for post-market drug and vaccine
safety surveillance", Biometrics 71 (2015), 851-858 (exact boundaries for counts, given a horizon).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.hypergeometric import log_choose

Floats = NDArray[np.float64]

NEGLIGIBLE = 1e-16
"""Probabilities below it are cut off at both ends; at the upper end they count as spent."""


@dataclass(frozen=True)
class Window:
    """Requests of one window and how many of them hit, canary first; `elapsed`: the share of the horizon at its end."""

    requests: tuple[int, int]
    hits: tuple[int, int]
    elapsed: float


@dataclass(frozen=True)
class Boundary:
    """Where the test stands after a window."""

    hits: int
    """The canary's hits so far."""
    needed: int | None
    """So many would have stopped it here; None: no number that was possible."""
    spent: float
    """The chance that a harmless canary had been stopped by now, given each window's requests and hits."""

    @property
    def crossed(self) -> bool:
        return self.needed is not None and self.hits >= self.needed


@dataclass(frozen=True)
class _Mass:
    """Probabilities of the canary's hits so far, of the paths that were not stopped, from `first` on."""

    first: int
    chance: Floats

    def plus(self, window: Window) -> _Mass:
        (canary, champion), hits = window.requests, sum(window.hits)
        low, chance = _hypergeometric(canary, champion, hits)
        return _Mass(self.first + low, np.convolve(self.chance, chance))

    def cut(self, allowed: float) -> tuple[_Mass, int | None, float]:
        """Without the largest upper part that is at most `allowed` likely; where that begins, and how likely it is."""
        above = np.cumsum(self.chance[::-1])[::-1]
        fits = np.flatnonzero(above <= allowed)
        if not len(fits):
            return self._trimmed(), None, 0.0
        at = int(fits[0])
        return _Mass(self.first, self.chance[:at])._trimmed(), self.first + at, float(above[at])

    def _trimmed(self) -> _Mass:
        kept = np.flatnonzero(self.chance > NEGLIGIBLE)
        if not len(kept):
            return self
        return _Mass(self.first + int(kept[0]), self.chance[kept[0] : kept[-1] + 1])


def _hypergeometric(canary: int, champion: int, hits: int) -> tuple[int, Floats]:
    """The least number of the canary's hits that is possible, and the probabilities from there on."""
    low, high = max(0, hits - champion), min(hits, canary)
    at = np.arange(low, high + 1, dtype=np.float64)
    log = log_choose(canary, at) + log_choose(champion, hits - at) - log_choose(canary + champion, hits)
    return low, np.exp(log)


def boundaries(windows: Sequence[Window], alpha: float) -> list[Boundary]:
    """The test after each window; it ends with the first that is crossed.

    ValueError: a window in which more hit than were asked, or time that runs backwards.
    """
    mass, spent, seen, elapsed = _Mass(0, np.ones(1)), 0.0, 0, 0.0
    found: list[Boundary] = []
    for window in windows:
        _check(window, elapsed)
        elapsed = min(window.elapsed, 1.0)
        seen += window.hits[0]
        mass, needed, cut = mass.plus(window).cut(alpha * elapsed - spent)
        spent += cut
        found.append(Boundary(seen, needed, spent))
        if found[-1].crossed:
            break
    return found


def crossed(windows: Sequence[Window], alpha: float) -> int | None:
    """The index of the window after which the canary is stopped; None: not within these."""
    found = boundaries(windows, alpha)
    return len(found) - 1 if found and found[-1].crossed else None


def _check(window: Window, elapsed: float) -> None:
    if any(not 0 <= hits <= requests for hits, requests in zip(window.hits, window.requests, strict=True)):
        raise ValueError(f"a window has {window.hits} hits in {window.requests} requests")
    if window.elapsed < elapsed:
        raise ValueError(
            f"a window ends at {window.elapsed} of the horizon, after one that ended at {elapsed}"
        )


def hits_needed(hits: int, weight: float, alpha: float) -> int | None:
    """How many of `hits` in both arms together must be the canary's at one look at level `alpha`, where it gets the
    share `weight` of the requests and hits are rare; None: even all of them would not do."""
    at = np.arange(hits + 1, dtype=np.float64)
    chance = np.exp(log_choose(hits, at) + at * np.log(weight) + (hits - at) * np.log1p(-weight))
    fits = np.flatnonzero(np.cumsum(chance[::-1])[::-1] <= alpha)
    return int(fits[0]) if len(fits) else None

"""Bounds that hold for every number of rows: one share, and the difference of two paired accuracies.

One share: C. Clopper, E. Pearson, Biometrika 26 (1934), 404-413. Two models on the same rows: only the
rows on which just one of them is right count, a trinomial; how many of those there are is a nuisance,
over a confidence set of which the p-value is maximised (R. Berger, D. Boos, "P values maximized over a
confidence set for the nuisance parameter", JASA 89 (1994), 1012-1016).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, gammaln

Floats = NDArray[np.float64]

NUISANCE_SHARE = 0.02
"""The part of the error rate spent on the confidence set of the share of discordant rows."""
NUISANCE_POINTS = 12


def clopper_pearson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """Exact lower and upper bounds of a probability, each at `confidence`, from `hits` of `n` trials."""
    miss = 1 - confidence
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, miss))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - miss))
    return low, high


def _score_statistic(wins: Floats, losses: Floats, n: int, difference: float) -> Floats:
    """Tango's z: how far the difference seen lies above `difference`, by the error expected under it."""
    linear = (2 * n - wins + losses) * difference - wins - losses
    constant = -losses * difference * (1 - difference)
    lost = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
    variance = np.maximum(n * (2 * lost + difference * (1 - difference)), 1e-12)
    z: Floats = (wins - losses - n * difference) / np.sqrt(variance)
    return z


def _least_wins(losses: Floats, n: int, difference: float, z: float) -> Floats:
    """For each number of losses the least number of wins that is as extreme as `z`; n + 1 where none is."""
    below, above = np.full_like(losses, -1.0), n - losses + 1
    for _ in range(int(n).bit_length() + 1):
        middle = np.floor((below + above) / 2)
        inside = np.clip(middle, 0, n - losses)
        reached = _score_statistic(inside, losses, n, difference) >= z - 1e-9
        reached |= middle > n - losses
        below, above = np.where(reached, below, middle), np.where(reached, middle, above)
    least: Floats = np.where(above > n - losses, n + 1, above)
    return least


def _tail(n: int, z: float, difference: float, discordant: Floats) -> Floats:
    """P(a table as extreme as `z`) at `difference`, for each probability of a discordant row."""
    lose = np.clip((discordant - difference) / 2, 1e-300, 1 - 1e-16)
    win = np.clip((discordant + difference) / 2, 0, 1)
    spread = 8 * np.sqrt(n * lose.max()) + 8
    losses = np.arange(
        max(0, int(n * lose.min() - spread)), min(n, int(n * lose.max() + spread)) + 1, dtype=float
    )
    least = _least_wins(losses, n, difference, z)
    log_mass = gammaln(n + 1) - gammaln(losses + 1) - gammaln(n - losses + 1)
    mass = np.exp(log_mass + losses * np.log(lose[:, None]) + (n - losses) * np.log1p(-lose[:, None]))
    chance = np.clip(win / (1 - lose), 0, 1)[:, None]
    inside = betainc(np.clip(least, 1, None), np.clip(n - losses - least + 1, 1e-9, None), chance)
    reached = np.where(least <= 0, 1.0, np.where(least > n - losses, 0.0, inside))
    total: Floats = (mass * reached).sum(axis=-1)
    return total


def paired_p_value(wins: int, losses: int, n: int, difference: float, level: float) -> float:
    """P-value of H0: accuracy of the challenger minus the champion's is at most `difference`; exact for
    all n.

    `wins` (`losses`): rows that only the challenger (only the champion) got right. Tables are ordered by
    Tango's z (T. Tango, Stat. Med. 17 (1998), 891-908); its distribution is summed, not
    approximated.
    """
    spent = NUISANCE_SHARE * level
    most = clopper_pearson(wins + losses, n, 1 - spent)[1]
    if abs(difference) >= most:
        return spent
    z = float(_score_statistic(np.array(float(wins)), np.array(float(losses)), n, difference))
    grid = np.linspace(max(abs(difference), 1e-12), most, NUISANCE_POINTS)
    return float(_tail(n, z, difference, grid).max()) + spent


@lru_cache(maxsize=4096)
def paired_lower_bound(wins: int, losses: int, n: int, confidence: float) -> float:
    """The least difference in accuracy that `confidence` leaves possible."""
    level, below, above = 1 - confidence, -1.0, (wins - losses) / n
    for _ in range(22):
        middle = (below + above) / 2
        rejected = paired_p_value(wins, losses, n, middle, level) <= level
        below, above = (middle, above) if rejected else (below, middle)
    return below

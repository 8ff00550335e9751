"""Evidence that stays valid however often it is observed, computed from cumulative counts alone.

The unit of chance is the router: it draws an arm for every request, independently, the canary with a
constant probability w within a step. If the arms do not differ, who got a request says nothing about its
outcome, so among the requests with an outcome (an error, a slow answer, class A) the canary's share is w
as well - whatever the outcomes' own pattern: an outage or a burst that hits both arms hits both in
proportion. Each function tests that, with w unknown: numerator a mixture over alternatives, denominator
the null's greatest likelihood. For every w the ratio is at most a martingale of mean 1, so P(it ever
reaches 1/a) <= a (Ville).

Sources: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (outcomes
whose probability changes in time, compared by who got them; sample ratio); H. Robbins, "Statistical
methods related to the law of the iterated logarithm", Ann. Math. Stat. 41 (1970), 1397-1409 (mixtures);
L. Wasserman, A. Ramdas, S. Balakrishnan, "Universal inference", PNAS 117 (2020), 16880-16890 (the null's
greatest likelihood below); A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic statistics and
safe anytime-valid inference", Stat. Sci. 38 (2023), 576-601 (e-processes, Ville); I. Waudby-Smith, A.
Ramdas, "Confidence sequences for sampling without replacement", NeurIPS 2020 (prior-posterior ratio).

Every function takes arrays that broadcast, so simulations run the code that judges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, logsumexp, xlog1py, xlogy

Floats = NDArray[np.float64]

ODDS = (1.15, 1.4, 2.0, 3.5, 8.0, 30.0, 300.0)
"""How many times more an outcome's odds may fall on the canary: the mixture's points, equally weighted."""
ROUTER_TRUST = 2000.0
"""The prior on w among the other requests is worth this many requests at the set weight. Power, not
validity."""
SHIFT_TRUST = (2.0, 10.0, 50.0, 250.0, 1250.0)
"""Spreads of the mixture over per-class shares of the canary, from wild to nearly equal."""


def _array(value: ArrayLike) -> Floats:
    return np.asarray(value, dtype=np.float64)


def _binomial(hits: Floats, misses: Floats, share: Floats) -> Floats:
    likelihood: Floats = xlogy(hits, share) + xlog1py(misses, -share)
    return likelihood


def _share(part: Floats, rest: Floats) -> Floats:
    whole = part + rest
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def log_e_more(
    canary_hits: ArrayLike,
    champion_hits: ArrayLike,
    canary_others: ArrayLike,
    champion_others: ArrayLike,
    weight: float,
) -> Floats:
    """Log e-value of H0: a hit (an error, a slow answer) falls on the canary no more often than other
    requests.

    Any counts from 0; 0 requests give log e = 0. One-sided: a canary with fewer hits never gives evidence.
    """
    hit_c, hit_b, rest_c, rest_b = np.broadcast_arrays(
        _array(canary_hits), _array(champion_hits), _array(canary_others), _array(champion_others)
    )
    odds = np.array(ODDS) * weight / (1 - weight)
    points = odds / (1 + odds)
    hits = logsumexp(_binomial(hit_c[..., None], hit_b[..., None], points), axis=-1) - np.log(len(ODDS))
    prior_c, prior_b = ROUTER_TRUST * weight, ROUTER_TRUST * (1 - weight)
    others = betaln(rest_c + prior_c, rest_b + prior_b) - betaln(prior_c, prior_b)
    share_hit, share_rest = _share(hit_c, hit_b), _share(rest_c, rest_b)
    pooled = _share(hit_c + rest_c, hit_b + rest_b)
    free = (share_hit <= share_rest) | (hit_c + hit_b == 0) | (rest_c + rest_b == 0)
    # With one of the two kinds empty H0 does not bind, and the pooled share is that of the other kind.
    null = _binomial(hit_c, hit_b, np.where(free & (hit_c + hit_b > 0), share_hit, pooled)) + _binomial(
        rest_c, rest_b, np.where(free & (rest_c + rest_b > 0), share_rest, pooled)
    )
    evidence: Floats = hits + others - null
    return evidence


def log_e_slower(
    canary: ArrayLike, champion: ArrayLike, weight: float, *, shift: ArrayLike, edges: ArrayLike
) -> Floats:
    """Log e-value of H0: the canary's values are at most `shift` bins above the champion's, at every edge.

    `canary`, `champion`: histograms over the same bins (last axis). A value is high from an edge upwards
    for the champion, from that edge plus the shift for the canary. The mean over the edges is an e-value
    again. With several shifts the result has one more axis at the end.
    """
    above_c, above_b = _from_above(_array(canary)), _from_above(_array(champion))
    at = np.asarray(edges, dtype=np.int64)
    moved = np.clip(np.asarray(shift, dtype=np.int64)[..., None] + at, 0, above_c.shape[-1] - 1)
    high_c, high_b = above_c[..., moved], np.take(above_b, at, axis=-1)
    if np.ndim(shift):
        high_b = high_b[..., None, :]
    total_c, total_b = above_c[..., 0], above_b[..., 0]
    grow = (..., None, None) if np.ndim(shift) else (..., None)
    per_edge = log_e_more(high_c, high_b, total_c[grow] - high_c, total_b[grow] - high_b, weight)
    mean: Floats = logsumexp(per_edge, axis=-1) - np.log(len(at))
    return mean


def _from_above(histogram: Floats) -> Floats:
    """How many lie in each bin or a higher one; one more entry, 0, for beyond the last."""
    sums = np.cumsum(histogram[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([sums, np.zeros_like(sums[..., :1])], axis=-1)


def log_e_shifted(canary: ArrayLike, champion: ArrayLike, weight: float) -> Floats:
    """Log e-value of H0: every class (last axis) falls on the canary with the same probability.

    Classes seen once cost nothing, so thousands of rare classes do no harm.
    """
    of_c, of_b = np.broadcast_arrays(_array(canary), _array(champion))
    total_c, total_b = of_c.sum(-1), of_b.sum(-1)
    null = _binomial(total_c, total_b, _share(total_c, total_b))
    evidence: Floats = _spread(of_c, of_b, weight) - null
    return evidence


def _spread(canary: Floats, champion: Floats, weight: float) -> Floats:
    """Log likelihood of who got what (classes on the last axis), shares drawn around `weight`, mixed."""
    spreads = []
    for trust in SHIFT_TRUST:
        prior_c, prior_b = trust * weight, trust * (1 - weight)
        spreads.append((betaln(canary + prior_c, champion + prior_b) - betaln(prior_c, prior_b)).sum(-1))
    mixed: Floats = logsumexp(np.stack(spreads), axis=0) - np.log(len(SHIFT_TRUST))
    return mixed


def log_e_split(canary: ArrayLike, champion: ArrayLike, weight: float) -> Floats:
    """Log e-value of H0: the router sends the canary exactly `weight` of the requests."""
    of_c, of_b = _array(canary), _array(champion)
    known = _binomial(of_c, of_b, _array(weight))
    evidence: Floats = _spread(of_c[..., None], of_b[..., None], weight) - known
    return evidence


def log_e_above(hits: ArrayLike, misses: ArrayLike, limit: float) -> Floats:
    """Log e-value of H0: independent trials hit with a probability of at most `limit`."""
    hit, miss = _array(hits), _array(misses)
    null = _binomial(hit, miss, np.minimum(_share(hit, miss), limit))
    evidence: Floats = betaln(hit + 0.5, miss + 0.5) - betaln(0.5, 0.5) - null
    return evidence


def share_sequence(hits: float, total: float, alpha: float) -> tuple[float, float]:
    """Confidence sequence of a probability: at any number of observations it misses the truth with at most `alpha`.

    The prior-posterior ratio of Beta(1/2, 1/2); assumes independent trials with one probability.
    """
    if total <= 0:
        return 0.0, 1.0
    mixed = float(betaln(hits + 0.5, total - hits + 0.5) - betaln(0.5, 0.5)) + float(np.log(alpha))

    hit, miss = _array(hits), _array(total - hits)

    def inside(share: float) -> bool:
        return bool(mixed < _binomial(hit, miss, _array(share)))

    def edge(within: float, without: float) -> float:
        for _ in range(50):
            middle = (within + without) / 2
            within, without = (middle, without) if inside(middle) else (within, middle)
        return without

    estimate = hits / total
    return (0.0 if hits == 0 else edge(estimate, 0.0)), (1.0 if hits == total else edge(estimate, 1.0))


def difference_sequence(
    hits: tuple[float, float], totals: tuple[float, float], alpha: float
) -> tuple[float, float]:
    """Confidence sequence of canary minus champion: two sequences at alpha / 2 each, canary first."""
    low_c, high_c = share_sequence(hits[0], totals[0], alpha / 2)
    low_b, high_b = share_sequence(hits[1], totals[1], alpha / 2)
    return low_c - high_b, high_c - low_b

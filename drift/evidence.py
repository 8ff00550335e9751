"""Many tests become one p-value whose false-alarm rate holds for all of them together.

Within a column: a weighted harmonic mean of p-values; small samples replace its null distribution by that of
random relabellings of the pooled rows. Over the columns: Benjamini and Hochberg's adjustment.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift.grid import Floats, Ints

SMALL_ROWS = 500
"""Pooled rows up to which p-values come from random relabellings."""

_WORTH_A_LOOK = 0.1
_STAGES = (200, 2_000, 20_000)
_ENOUGH = 12
_CHUNK = 100_000  # labels at once: what fits the cache is three times as fast as what does not

Evaluated = Mapping[str, tuple[Floats, Floats]]
"""By test: statistics and p-values, one of each per labelling."""


@dataclass(frozen=True)
class Evidence:
    """What one part of a column says: its tests and the p-value of all of them together."""

    p_value: float
    tests: Mapping[str, tuple[float, float]]


def harmonic(p_values: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Weighted harmonic mean p-value, corrected upwards.

    Null hypothesis: all of the tests' null hypotheses hold. The plain harmonic mean is slightly too small;
    the correction ``h (1 + 7 h)`` covers table 1 of the source (10 tests: .0402 for .05, .00924 for .01,
    .00099 for .001), and 7 or fewer tests are used here. Dependence makes it conservative, not liberal,
    in the range of small p-values that an alarm needs.

    References
    ----------
    D. J. Wilson, "The harmonic mean p-value for combining dependent tests", PNAS 116 (2019) 1195-1200.
    """
    names = [name for name in weights if name in p_values]
    total = sum(weights[name] for name in names)
    if not names or total <= 0:
        return np.ones(1)
    inverse = sum(weights[name] / np.maximum(p_values[name], 1e-300) for name in names)
    mean = total / inverse
    return np.minimum(mean * (1 + 7 * mean), 1.0)


def weigh(
    evaluate: Callable[[Ints, Ints], Evaluated], first: Ints, second: Ints, weights: Mapping[str, float]
) -> Evidence:
    """All tests of one part, and their joint p-value.

    Parameters
    ----------
    evaluate
        Tests of labellings: pooled rows by cell, shape (K,), and the current side's, shape (R, K).
    first, second
        Rows by cell of the reference and of the current data; the last cell holds the nulls.
    weights
        The tests' weights.

    Notes
    -----
    Up to `SMALL_ROWS` pooled rows the joint p-value is that of a permutation test: under the null
    hypothesis that the rows are exchangeable, every relabelling is equally likely, whatever the ties. The
    number of relabellings is sequential: J. Besag and P. Clifford, "Sequential Monte Carlo p-values",
    Biometrika 78 (1991) 301-304. The seed is made from the
    counts: the same data give the same report, and no one set of relabellings decides for all.
    """
    pooled = first + second
    seen = evaluate(pooled, second[None, :])
    joint = float(harmonic({k: v[1] for k, v in seen.items()}, weights)[0]) if seen else 1.0
    tests = {name: (float(s[0]), float(p[0])) for name, (s, p) in seen.items()}
    if joint <= _WORTH_A_LOOK and pooled.sum() <= SMALL_ROWS:
        joint = _relabelled(evaluate, pooled, second, joint, weights)
    return Evidence(joint, tests)


def _relabelled(
    evaluate: Callable[[Ints, Ints], Evaluated],
    pooled: Ints,
    current: Ints,
    seen: float,
    weights: Mapping[str, float],
) -> float:
    rng = np.random.default_rng(zlib.crc32(current.tobytes()))
    rows = int(pooled.sum())
    starts = np.concatenate([[0], np.cumsum(pooled)[:-1]])
    filled = np.flatnonzero(pooled)
    labels = np.zeros(rows, np.int8)
    labels[: int(current.sum())] = 1
    drawn = extreme = 0
    for stage in _STAGES:
        while drawn < stage:
            number = min(stage - drawn, max(_CHUNK // rows, 50))
            shuffled = rng.permuted(np.broadcast_to(labels, (number, rows)), axis=1)
            counts = np.zeros((number, len(pooled)), np.int64)
            counts[:, filled] = np.add.reduceat(shuffled, starts[filled], axis=1, dtype=np.int64)
            found = harmonic({k: v[1] for k, v in evaluate(pooled, counts).items()}, weights)
            extreme += int((found <= seen * (1 + 1e-9)).sum())
            drawn += number
        if extreme >= _ENOUGH or (not extreme and stage > _STAGES[0] and seen < 0.01 / drawn):
            break
    floor = 1 / (drawn + 1)
    return min(floor, 10 * seen) if not extreme else (extreme + 1) / (drawn + 1)


def adjusted(p_values: npt.ArrayLike) -> Floats:
    """Benjamini and Hochberg's adjusted p-values.

    An adjusted value at or below q rejects at false-discovery rate q; when nothing changed anywhere, the
    probability that anything is rejected is at most q.

    References
    ----------
    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57 (1995)
    289-300, theorem 1, and for positively dependent tests Y. Benjamini and D. Yekutieli, Ann. Statist. 29
    (2001) 1165-1188, theorem 1.2.
    """
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return p
    order = np.argsort(p)[::-1]
    scaled = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(scaled, 1.0)
    return out

"""Many tests become one p-value whose false-alarm rate holds for all of them together.

Within a column: a weighted harmonic mean of p-values; small samples replace its null distribution by that of
random relabellings of the pooled rows, rare values an exact one. Over the columns: Benjamini and Hochberg's
adjustment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import permutation
from .arrays import Floats, Ints
from .combination import Battery, harmonic
from .hypergeometric import Split, log_choose

SMALL_SIDE = 1_000
"""Rows of the smaller side up to which p-values come from random relabellings."""

FEW_CELLS = 256
"""Filled cells up to which they do at any size."""

FEW_ROWS = 500
"""Rows off the heaviest value, as expected on the smaller side, below which they are tested by themselves."""

_WORTH_A_LOOK = 0.1


@dataclass(frozen=True)
class Evidence:
    """What one part of a column says: its tests and the p-value of all of them together."""

    p_value: float
    tests: Mapping[str, tuple[float, float]]
    floor: float = 0.0
    """No arrangement of these rows has a smaller p-value."""


def weigh(battery: Battery, first: Ints, second: Ints) -> Evidence:
    """All tests of one part, and their joint p-value.

    Parameters
    ----------
    battery
        The tests, and what joins them.
    first, second
        Rows by cell of the reference and of the current data; the last cell holds the nulls.

    Notes
    -----
    Null hypothesis: the rows are exchangeable between the sides. Three ways, all of them valid at every n:

    1. One value holds most rows and the smaller side expects under `FEW_ROWS` others: the others' number is
       tested exactly, the others among themselves by this function again, and both are joined by a discrete
       Bonferroni inequality.
    2. A side has up to `SMALL_SIDE` rows, or there are few cells: random relabellings (`drift.permutation`).
    3. Else the tests' limiting distributions, joined by `harmonic`.

    References
    ----------
    P. H. Westfall and R. D. Wolfinger, Am. Stat. 51 (1997) 3-8 (discrete Bonferroni).
    """
    pooled = first + second
    rows, size = int(pooled.sum()), int(second.sum())
    heaviest = int(pooled.argmax())
    if not 0 < size < rows or np.count_nonzero(pooled) < 2:
        return Evidence(1.0, {}, 1.0)
    if rare(pooled, size):
        return _split_off(battery, first, second, heaviest)
    seen = battery.evaluate(pooled, second[None, :])
    joint = float(harmonic({k: v[1] for k, v in seen.items()}, battery.weights)[0]) if seen else 1.0
    tests = {name: (float(s[0]), float(p[0])) for name, (s, p) in seen.items()}
    small = min(size, rows - size) <= SMALL_SIDE or np.count_nonzero(pooled) <= FEW_CELLS
    if joint <= _WORTH_A_LOOK and small:
        joint = permutation.p_value(battery, pooled, second, joint)
    return Evidence(joint, tests, float(np.exp(-log_choose(rows, size))))


def rare(pooled: Ints, size: int) -> bool:
    """Whether one cell holds most rows, and the smaller side expects few others; the sides are not looked at."""
    rows = int(pooled.sum())
    others = rows - int(pooled.max())
    return 2 * others < rows and others * min(size, rows - size) < FEW_ROWS * rows


def off_usual(first: Ints, second: Ints) -> int:
    """The reference's rows off the usual value where others are rare; else 0, those of a value never seen."""
    pooled = first + second
    if not rare(pooled, int(second.sum())):
        return 0
    return int(first.sum() - first[int(pooled.argmax())])


def _split_off(battery: Battery, first: Ints, second: Ints, heaviest: int) -> Evidence:
    """The exact test of how many rows lie off the heaviest value, and the tests of those rows alone."""
    pooled = first + second
    rows, size = int(pooled.sum()), int(second.sum())
    split = Split.of(rows - int(pooled[heaviest]), size, rows)
    off = size - int(second[heaviest])
    p = split.p_value(off)
    ours, theirs = (np.where(np.arange(len(pooled)) == heaviest, 0, side) for side in (first, second))
    rest = weigh(battery, ours, theirs)
    least = min(p, rest.p_value)
    joint = split.attained(least) + (least if rest.tests else 0.0)
    # A p-value of the rest may be smaller than any that the split attains: it is paid for by itself then.
    inner = {f"rest {name}": value for name, value in rest.tests.items()}
    floor = min(split.smallest, rest.floor) if rest.tests else split.smallest
    return Evidence(min(joint, 1.0), {"usual": (float(off), p), **inner}, floor)


def adjusted(p_values: npt.ArrayLike, floors: npt.ArrayLike = 0.0, rate: float = 1.0) -> Floats:
    """Benjamini and Hochberg's adjusted p-values, over what can be judged at all.

    An adjusted value at or below the rate rejects at that false-discovery rate; when nothing changed anywhere,
    the probability that anything is rejected is at most the rate. A part whose smallest attainable p-value
    (`floors`) is above the rate over the number of parts that are left cannot reject: it gets 1 and is not paid for.

    References
    ----------
    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57 (1995)
    289-300, theorem 1, and for positively dependent tests Y. Benjamini and D. Yekutieli, Ann. Statist. 29
    (2001) 1165-1188, theorem 1.2. R. E. Tarone, Biometrics 46 (1990) 515-522 (testable parts).
    """
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return p
    out = np.ones_like(p)
    left = np.flatnonzero(testable(np.broadcast_to(np.asarray(floors, np.float64), p.shape), rate))
    order = left[np.argsort(p[left])[::-1]]
    scaled = np.minimum.accumulate(p[order] * len(order) / np.arange(len(order), 0, -1))
    out[order] = np.minimum(scaled, 1.0)
    return out


def testable(floors: Floats, rate: float) -> npt.NDArray[np.bool_]:
    """Which parts could reject at all; depends on the pooled rows alone."""
    number = next(k for k in range(1, len(floors) + 2) if (floors <= rate / k).sum() <= k)
    return np.asarray(floors <= rate / number)

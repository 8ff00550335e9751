"""Tests of categories from counts: the whole table, the category that moved most, unseen ones, nulls."""

import numpy as np
from scipy.special import ndtr, pdtrc

from .arrays import Floats, Ints
from .combination import Battery, Evaluated
from .hypergeometric import Split, never_seen
from .numeric import chi_square, split, with_nulls

WEIGHTS = {
    "chi_square": 0.35,
    "category": 0.20,
    "new": 0.25,
    "new_closed": 6.0,
    "unseen": 0.10,
    "nulls": 0.10,
}
"""Where all but a few categories are frequent, only a new one can be new: it costs the others nothing to hear it."""

_EXPECTED = 5
_CANDIDATES = 32
_RARE = 8
_FREQUENT = 20
_FEW = 2
_POISSON_BELOW = 5.0


def evaluate(pooled: Ints, current: Ints) -> Evaluated:
    """All tests of categories; the last cell holds the nulls."""
    return with_nulls(pooled, current, _of_values)


def _of_values(t: Ints, b: Ints) -> dict[str, tuple[Floats, Floats]]:
    new = "new_closed" if (t < _FREQUENT).sum() <= _FEW else "new"
    found = {"chi_square": table(t, b), "category": category(t, b), new: never_seen(t, b)}
    return found | ({"unseen": unseen(t, b)} if (t <= _RARE).any() else {})


def bound(pooled: Ints, current: Ints) -> float:
    """An exact p-value at every size: a category no reference row has, or any category's or the nulls' share.

    Null hypothesis: as for `table`. Half goes to `never_seen`; half to the `_CANDIDATES` likeliest of the exact
    conditional tests of single categories, all of them paid for.
    """
    rows, size = int(pooled.sum()), int(current.sum())
    new = float(never_seen(pooled[:-1], current[None, :-1])[1][0])
    gap = np.abs(current - pooled * (size / rows)) / np.sqrt(np.maximum(pooled, 1))
    likely = np.argsort(gap)[-_CANDIDATES:]
    single = min(Split.of(int(pooled[k]), size, rows).p_value(int(current[k])) for k in likely)
    return min(1.0, 2 * min(new, single * int((pooled > 0).sum())))


def table(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """Two-sample chi-square test; categories with under 5 expected rows on a side are taken together.

    Null hypothesis: both sides draw from the same categories with the same probabilities. Which
    categories are taken together depends on the pooled counts alone.

    References
    ----------
    K. Pearson, Biometrika 8 (1911) 250-254; W. G. Cochran, Biometrics 10 (1954) 417-451 (expected counts).
    """
    rows = int(t.sum())
    fewer = min(int(b[0].sum()), rows - int(b[0].sum()))
    rare = t * (fewer / rows) < _EXPECTED
    if rare.sum() > 1:
        t = np.append(t[~rare], t[rare].sum())
        b = np.concatenate([b[:, ~rare], b[:, rare].sum(axis=1, keepdims=True)], axis=1)
    return chi_square(t, b)


def category(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """The single category whose share changed most, paid for by the number of categories.

    Null hypothesis: as for `table`. For each category the conditional test of its split between the sides;
    the smallest p-value times the number of categories that could reach significance at all.

    References
    ----------
    C. E. Bonferroni (1936); R. E. Tarone, Biometrics 46 (1990) 515-522 (only testable hypotheses count).
    """
    rows, size = int(t.sum()), b.sum(axis=1)
    share = max(min(int(size[0]), rows - int(size[0])), 1) / rows
    testable = t >= np.log(0.001) / np.log(max(share, 1 - share)) if 0 < share < 1 else t > 0
    if not testable.any():
        return np.zeros(len(b)), np.ones(len(b))
    t, b = t[testable], b[:, testable]
    number = len(t)
    if len(b) == 1 and number > _CANDIDATES:  # one labelling: only its most different ones can win
        expected = t * (size[0] / rows)
        z = np.abs(b[0] - expected) / np.sqrt(t)
        likely = np.argpartition(z, -_CANDIDATES)[-_CANDIDATES:]
        t, b = t[likely], b[:, likely]
    z, p = split(t, b, size, rows)
    return z, np.minimum(p * number, 1.0)


def unseen(t: Ints, b: Ints) -> tuple[Floats, Floats]:
    """Whether more of the rare categories lie wholly on one side than chance would put there.

    Fewer than that is no drift: rows compared with themselves have none.

    Null hypothesis: as for `table`. A category of t pooled rows lies wholly on the current side with
    probability C(m, t) / C(N, t), close to (m/N)^t, and likewise on the reference's; the numbers of such
    categories among those with 1 to 8 rows are compared with their mean and variance over the
    relabellings, each side's total being fixed. Asymptotically normal from a variance of 5; below it the tail of
    the Poisson distribution of the same mean, which is larger.

    Notes
    -----
    Plain Good-Turing estimates of the unseen mass raise false alarms with a thousand categories and more;
    permutation moments do not.
    """
    rows, size = int(t.sum()), b.sum(axis=1)
    rare = t <= _RARE
    share = (size / rows)[:, None]
    sizes, inverse = np.unique(t[rare], return_inverse=True)
    if not len(sizes):
        return np.zeros(len(b)), np.ones(len(b))
    number = np.bincount(inverse)
    worst = np.ones(len(b))
    largest = np.zeros(len(b))
    for mine in (True, False):
        chance = share**sizes if mine else (1 - share) ** sizes
        whole = (b[:, rare] == t[rare]) if mine else (b[:, rare] == 0)
        mean = (number * chance).sum(axis=1)
        # Both sides' totals are fixed: less the part that the current side's total explains.
        tied = (number * sizes * chance).sum(axis=1) * np.where(mine, 1 - share, share)[:, 0]
        free = (number * chance * (1 - chance)).sum(axis=1)
        variance = free - tied**2 / (rows * share * (1 - share))[:, 0]
        seen = whole.sum(axis=1)
        z = np.maximum((seen - mean - 0.5) / np.sqrt(np.maximum(variance, 1e-9)), 0.0)
        many = variance >= _POISSON_BELOW
        largest = np.maximum(largest, np.where(many, z, 0.0))
        few = np.where((seen > mean + 1), pdtrc(np.maximum(seen - 1, 0), np.maximum(mean, 1e-12)), 1.0)
        worst = np.minimum(worst, np.where(many, np.where(z > 0, ndtr(-z), 1.0), few))
    return largest, np.minimum(2 * worst, 1.0)


BATTERY = Battery(evaluate, WEIGHTS, bound)

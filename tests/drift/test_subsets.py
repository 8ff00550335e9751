"""Random subsets are of the size that is asked for, and each is as likely as every other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare

from drift.shuffles import subsets


@pytest.mark.parametrize(("rows", "size"), [(5, 2), (6, 1), (6, 5), (4, 4), (7, 3)])
def test_every_subset_is_equally_likely(rows: int, size: int) -> None:
    number = 40_000
    chosen = subsets(np.random.default_rng(5), rows, size, number)
    found = chosen @ (1 << np.arange(rows))
    codes = [sum(1 << one for one in some) for some in combinations(range(rows), size)]
    counts = [int((found == code).sum()) for code in codes]
    assert sum(counts) == number, "of that size, all of them"
    assert len(codes) == 1 or chisquare(counts).pvalue > 1e-4


def test_one_row_of_thousands_and_all_but_one() -> None:
    for size in (1, 4_999):
        chosen = subsets(np.random.default_rng(5), 5_000, size, 300)
        assert (chosen.sum(axis=1) == size).all()
        assert len(np.unique((chosen if size == 1 else ~chosen).argmax(axis=1))) > 250

"""Relabelled rows are drawn without replacement, whichever way is the faster."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, hypergeom

from drift.permutation import relabelled


@pytest.mark.parametrize("size", [30, 300, 700, 970])
@pytest.mark.parametrize("cells", [2, 250])
def test_each_cell_gets_as_many_rows_as_chance_gives_it(cells: int, size: int) -> None:
    number, rows = 4_000, 1_000
    pooled = np.full(cells, rows // cells)
    counts = relabelled(np.random.default_rng(5), pooled, size, number)
    assert counts.shape == (number, cells)
    assert (counts.sum(axis=1) == size).all() and (counts <= pooled).all()
    for cell in (0, cells - 1):
        seen, often = np.unique(counts[:, cell], return_counts=True)
        expected = number * hypergeom.pmf(seen, rows, pooled[0], size)
        some = expected >= 5
        others = number - expected[some].sum(), number - often[some].sum()
        assert chisquare([*often[some], others[1]], [*expected[some], others[0]]).pvalue > 1e-4

"""Relabelled rows are drawn without replacement, whichever way is the faster."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, hypergeom

from drift import permutation
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


SHAPES = {
    "few cells": [30, 300, 70, 600],
    "a heavy one": [1, 2, 3, 980, 14],
    "with empty ones": [0, 400, 0, 600, 0],
    "hundreds": [4] * 250,
}


@pytest.mark.parametrize("size", [1, 30, 500, 970])
@pytest.mark.parametrize("shape", SHAPES)
def test_more_rows_than_numpy_draws_from_are_drawn_alike(
    shape: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a size that numpy knows, where a variance of 20 is wide: mean, variance and range of each cell."""
    pooled, number = np.array(SHAPES[shape]), 20_000
    wanted = relabelled(np.random.default_rng(1), pooled, size, number)
    monkeypatch.setattr(permutation, "_MOST_ROWS", 200)
    monkeypatch.setattr(permutation, "_WIDE", 20.0)
    counts = relabelled(np.random.default_rng(2), pooled, size, number)
    assert (counts.sum(axis=1) == size).all() and (counts >= 0).all() and (counts <= pooled).all()
    share, spread = size / pooled.sum(), wanted.var(axis=0)
    error = np.sqrt(np.maximum(spread, 0.01) / number)
    assert (np.abs(counts.mean(axis=0) - pooled * share) <= 5 * error).all()
    assert counts.var(axis=0) == pytest.approx(spread, rel=0.15, abs=0.05)

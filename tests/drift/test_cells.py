"""Counting without sorting gives what sorting gives, whatever the values."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift import grid, tally
from drift.arrays import Floats
from drift.cells import Cells
from drift.grid import Grid, GridBuilder
from drift.tally import Tally

FINITE = st.floats(-1e300, 1e300, allow_nan=False)
Rng = np.random.Generator


@given(st.lists(FINITE, min_size=1, max_size=60), st.lists(FINITE, max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_values_on_any_edges(edges: list[float], values: list[float]) -> None:
    kept = np.unique(edges)
    cells, x = Cells(kept, np.ones(len(kept), np.int64)), np.array([*values, *edges])
    counts, _ = cells.count(x)
    wanted, _ = grid.count(np.sort(x), kept)
    assert counts.tolist() == wanted.tolist()
    also, sums, equal, rest = cells.match(x)
    assert (also.tolist(), sums.tolist()) == (counts.tolist(), cells.count(x)[1].tolist())
    assert equal.tolist() == [int((x == e).sum()) for e in kept]
    assert sorted(rest) == sorted(v for v in x if v not in kept)


def _wide(rng: Rng, rows: int) -> Floats:
    return np.sign(rng.normal(size=rows)) * np.exp(rng.normal(0, 100, rows))


VALUES: dict[str, Callable[[Rng, int], Floats]] = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "far from zero": lambda rng, rows: 1e9 + rng.normal(size=rows),
    "lognormal": lambda rng, rows: rng.lognormal(0, 2, rows),
    "wide": _wide,
    "two heaps": lambda rng, rows: np.where(rng.random(rows) < 0.5, 0, 1e6) + rng.normal(size=rows),
    "prices": lambda rng, rows: np.round(rng.lognormal(3, 1, rows), 2),
    "ratings": lambda rng, rows: rng.integers(1, 6, rows).astype(float),
    "constant": lambda rng, rows: np.full(rows, 3.0),
    "zeros": lambda rng, rows: np.where(rng.random(rows) < 0.9, 0.0, rng.normal(size=rows)),
}


def _holes(rng: Rng, values: Floats) -> Floats:
    values[rng.random(len(values)) < 0.01] = np.nan
    values[:3] = np.inf, -np.inf, 2e300
    return values


def _kept(template: Grid, values: Floats, unsorted: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Grid, int]:
    monkeypatch.setattr(tally, "_UNSORTED_ROWS", unsorted)
    builder = Tally(template)
    missing = sum(builder.add(part.copy()) for part in np.array_split(values, 3))
    return builder.finish(), missing


@pytest.mark.parametrize("shift", [0.0, 0.37])
@pytest.mark.parametrize("name", VALUES)
def test_a_column_is_counted_as_by_sorting(name: str, shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    first = GridBuilder()
    first.add(VALUES[name](rng, 20_000))
    values = _holes(rng, VALUES[name](rng, 30_000) + shift)
    fast, missing = _kept(first.finish(), values, 1, monkeypatch)
    slow, missed = _kept(first.finish(), values, 10**9, monkeypatch)
    assert (missing, fast.infinite) == (missed, slow.infinite)
    assert fast.edges.tolist() == slow.edges.tolist()
    assert fast.counts.tolist() == slow.counts.tolist()
    assert (fast.exact, fast.low, fast.high, fast.error) == (slow.exact, slow.low, slow.high, slow.error)
    size = np.abs(values[np.isfinite(values) & (np.abs(values) < 1e300)]).max() * len(values)
    assert fast.sums == pytest.approx(slow.sums, rel=1e-12, abs=1e-15 * size)


@pytest.mark.parametrize("template", [0, 5, 3_000, 50_000])
@pytest.mark.parametrize("spread", [2, 900, 5_000, 60_000, 10**6])
def test_integers_are_counted_as_numbers_are(template: int, spread: int) -> None:
    rng = np.random.default_rng(spread)
    first = GridBuilder()
    first.add(rng.integers(-template, template + 1, 20_000).astype(float))
    known = first.finish()
    parts = [rng.integers(-spread, spread, 20_000).astype(float) for _ in range(2)]
    plain, whole = Tally(known), Tally(known)
    for part in parts:
        plain.add(part.copy())
        whole.add(part.copy(), whole=True)
    ours, theirs = whole.finish(), plain.finish()
    for name in ("edges", "counts", "sums"):
        assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes(), name
    assert (ours.exact, ours.low, ours.high) == (theirs.exact, theirs.low, theirs.high)


def test_values_that_were_joined_are_not_taken_for_all_values() -> None:
    first, heap = GridBuilder(), np.zeros(10**6)
    first.add(np.arange(2_048.0))
    counted = Tally(first.finish())
    counted.add(10_000 + np.arange(20_000.0) // 10)
    counted.add(np.concatenate([heap, np.arange(2_048.0), 20_000 + np.arange(2_048.0)]))
    assert not counted.finish().exact  # 6,096 values differ; joined at even ranks, few were left


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("edges", [[-1.7e308, 1.7e308], [1.7e308], [-1.7e308, 0.0, 1.0, 1.7e308]])
def test_edges_that_no_float_measures_from_end_to_end(edges: list[float]) -> None:
    values = np.array([-1.79e308, *edges, 0.5, 1.79e308])
    cells = Cells(np.array(edges), np.ones(len(edges), np.int64))
    wanted = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    assert cells.count(values)[0].tolist() == wanted.tolist()

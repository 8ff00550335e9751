"""What a column adds: the definition, over all orders, is what the estimate comes to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.stats import shapley

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]
RNG = np.random.default_rng(7)
REFERENCE = RNG.normal(size=(60, 4))
ROW = np.array([1.5, -1.0, 0.5, 2.0])


def crossed(x: Floats) -> Floats:
    """Interactions, a threshold, and a column that it does not go by."""
    return np.asarray(x[:, 0] * x[:, 1] + (x[:, 2] > x[:, 0]) * 2.0)


def mixed_rows(mixed: shapley.Mixing, row: Floats, reference: Floats) -> Floats:
    made = [np.where(mixed.masks(n), row, reference[z]) for n, z in enumerate(mixed.references)]
    return np.concatenate(made)


def estimate(model: Model, row: Floats, reference: Floats, seed: int) -> shapley.Added:
    mixed = shapley.mixing(len(row), len(reference), seed)
    return shapley.added(mixed, model(mixed_rows(mixed, row, reference)), float(model(row[None])[0]))


def exact(model: Model, row: Floats, reference: Floats) -> Floats:
    """By the definition: every order of the columns, every reference row."""
    total = np.zeros(len(row))
    orders = list(permutations(range(len(row))))
    for order in orders:
        rows = reference.copy()
        before = model(rows)
        for column in order:
            rows[:, column] = row[column]
            after = model(rows)
            total[column] += (after - before).mean()
            before = after
    return np.asarray(total / len(orders))


def test_of_a_sum_each_column_adds_its_own_term_exactly() -> None:
    weights = np.array([2.0, -1.0, 0.0, 0.5])
    found = estimate(lambda x: x @ weights, ROW, REFERENCE[:50], 1)
    drawn = REFERENCE[:50].mean(axis=0)  # 100 pairs take each of 50 rows twice
    assert found.values == pytest.approx(weights * (ROW - drawn))
    assert found.values[2] == 0 and found.errors[2] == 0


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_what_the_columns_add_is_the_answer_less_the_base(columns: int) -> None:
    model: Model = lambda x: np.tanh(x).prod(axis=1)  # noqa: E731
    row, reference = ROW[:columns], REFERENCE[:, :columns]
    found = estimate(model, row, reference, 3)
    assert found.base + sum(found.values) == pytest.approx(float(model(row[None])[0]))


def test_two_standard_errors_cover_what_all_orders_come_to() -> None:
    """19 of 20 times; with 200 seeds and three columns that count, fewer than 90 % would be another interval."""
    truth, inside = exact(crossed, ROW, REFERENCE), []
    for seed in range(200):
        found = estimate(crossed, ROW, REFERENCE, seed)
        inside += [abs(found.values[n] - truth[n]) <= 2 * found.errors[n] for n in range(3)]
        assert found.values[3] == 0
    assert 0.9 < np.mean(inside) <= 1


def test_what_is_asked_is_bounded() -> None:
    for columns in (1, 4, 13, 100, shapley.MOST_COLUMNS):
        mixed = shapley.mixing(columns, 7, 0)
        pairs = len(mixed.orders)
        assert shapley.LEAST_PAIRS <= pairs <= shapley.MOST_PAIRS
        asked = pairs * mixed.rows_of_pair
        assert asked <= max(shapley.MOST_ROWS, shapley.LEAST_PAIRS * 2 * columns)
        assert mixed.masks(0).shape == (mixed.rows_of_pair, columns)
        assert set(mixed.references.tolist()) <= set(range(7))

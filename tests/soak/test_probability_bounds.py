"""The bounds of probability metrics over the whole matrix; `make test` samples it (tests/judge)."""

from __future__ import annotations

import math

import pytest

from tests.judge.test_probability_metrics import PROMISED, of_false

MANY = 10_000
"""Rows at which a sample costs so much that fewer are drawn."""


@pytest.mark.soak
@pytest.mark.parametrize("difference", [False, True], ids=["floor", "margin"])
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("n", [100, 300, 1000, 3000, MANY])
def test_false_passes(n: int, share: float, metric: str, difference: bool) -> None:
    reps = 400 if n < MANY else 130
    found = of_false(metric, n, share, reps=reps, resamples=400, difference=difference)
    print(f"\n{metric} n={n} positives={share:.0%} {'margin' if difference else 'floor'}: {found:.1%}")
    assert found <= PROMISED + 3 * math.sqrt(PROMISED * (1 - PROMISED) / reps)

"""A metric that is worse than at the gate: both samples' chance is in the verdict, which errs as seldom as promised."""

from __future__ import annotations

import numpy as np
import pytest

from shared.stats.intervals import bounds, sample_of
from shared.stats.metrics import METRICS
from shared.verdict.metric import Threshold, judge_metric

PROMISED, MARGIN = 0.05, 0.05


def answers(rng: np.random.Generator, rows: int, right: float) -> tuple[list[object], list[object]]:
    truth = rng.integers(0, 2, rows)
    said = np.where(rng.random(rows) < right, truth, 1 - truth)
    return [str(t) for t in truth], [str(s) for s in said]


def breached(
    rng: np.random.Generator, metric: str, rows: tuple[int, int], right: tuple[float, float]
) -> bool:
    """The gate's rows, then a drop's; as `threshold.of_champion` joins them."""
    truth, said = answers(rng, rows[0], right[0])
    gate = bounds(sample_of(METRICS[metric], truth, said), 0.95, 1000, 1)
    threshold, spread = gate.value - MARGIN, gate.value - gate.low
    found = judge_metric(*answers(rng, rows[1], right[1]), METRICS[metric], Threshold(threshold, spread))
    return bool(found.breached)


def often(metric: str, rows: tuple[int, int], right: tuple[float, float], times: int) -> float:
    rng = np.random.default_rng(20070101)
    return sum(breached(rng, metric, rows, right) for _ in range(times)) / times


@pytest.mark.parametrize(
    ("metric", "rows"),
    [("accuracy", (400, 100)), ("balanced_accuracy", (100, 100)), ("balanced_accuracy", (100, 1000))],
)
def test_worse_by_the_margin_is_called_breached_at_most_as_promised(
    metric: str, rows: tuple[int, int]
) -> None:
    times = 200
    slack = 3 * (PROMISED * (1 - PROMISED) / times) ** 0.5
    assert often(metric, rows, (0.85, 0.85 - MARGIN), times) <= PROMISED + slack


def test_the_gates_own_chance_counts() -> None:
    """Taken for a number that a person gave, the gate's value would call three times as many as promised."""
    rng, times = np.random.default_rng(3), 300
    called = 0
    for _ in range(times):
        truth, said = answers(rng, 100, 0.85)
        gate = bounds(sample_of(METRICS["accuracy"], truth, said), 0.95, 1000, 1)
        called += bool(
            judge_metric(
                *answers(rng, 1000, 0.85 - MARGIN), METRICS["accuracy"], Threshold(gate.value - MARGIN)
            ).breached
        )
    assert called / times > 3 * PROMISED


def test_what_is_much_worse_is_seen() -> None:
    assert often("balanced_accuracy", (400, 400), (0.85, 0.65), 50) >= 0.98


@pytest.mark.soak
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro"])
@pytest.mark.parametrize("rows", [(100, 100), (100, 1000), (1000, 100), (1000, 1000)])
def test_in_full(metric: str, rows: tuple[int, int]) -> None:
    times = 4000
    rate = often(metric, rows, (0.85, 0.85 - MARGIN), times)
    print(f"{metric} {rows}: {rate:.2%} called breached, 5 % promised")
    assert rate <= PROMISED + 3 * (PROMISED * (1 - PROMISED) / times) ** 0.5

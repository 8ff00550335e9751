"""Both models of a batch loop score the same rows: the canary's rate holds for pairs as it does for arms."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from shared.canary.arms import ArmEvidence, CanaryEvidence, LabelCounts, ShadowPairs
from shared.canary.canary_judge import CanaryPolicy, CanaryState, Outcome, judge_canary
from shared.canary.drop_evidence import _inputs
from shared.canary.live_counts import Scale
from shared.gate.slice_names import slice_edges, slice_names

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = CanaryPolicy(
    alpha=0.05,
    steps=1,
    min_requests=1,
    max_error_rate_increase=0.0,
    max_latency_increase_ratio=None,
    max_label_error_increase=0.001,
    required=("errors",),
    unit="row",
)


def drop(rows: int, both: int, champion: int, canary: int) -> CanaryEvidence:
    """Rows of which `both` are answered wrong by both models, and so many more by one alone."""

    def arm(wrong: int) -> ArmEvidence:
        return ArmEvidence(rows, 0, labels=LabelCounts(rows, wrong, collected=rows))

    pairs = ShadowPairs(rows - champion - canary, champion + canary)
    return CanaryEvidence(arm(both + champion), arm(both + canary), 50, NOW, NOW, shadow=pairs)


def outcome(evidence: CanaryEvidence) -> Outcome:
    times = {"step_elapsed_s": 1.0, "step_min_s": 0.0, "step_max_s": 0.0}
    return judge_canary(evidence, POLICY, CanaryState(), **times)[0].outcome


def rolled_back(of: int, rows: int, wrong: float, shared: float, seed: int) -> int:
    """Of so many equally good challengers; `shared` is the part of the errors that both make on the same rows."""
    rng, found = np.random.default_rng(seed), 0
    for _ in range(of):
        both = rng.binomial(rows, wrong * shared)
        alone = rng.binomial(rows - both, min(1.0, 2 * wrong * (1 - shared)))
        canary = int(rng.binomial(alone, 0.5))
        found += outcome(drop(rows, int(both), int(alone) - canary, canary)) is Outcome.ROLL_BACK
    return found


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_a_challenger_that_is_as_good_is_rolled_back_at_most_at_the_rate(shared: float) -> None:
    """H0: both are wrong equally often. 150 drops a case: one in 1,000 runs of a judge at its rate would fail."""
    found = rolled_back(150, 500, 0.1, shared, seed=40)
    assert found <= binom.ppf(0.999, 150, POLICY.alpha)


@pytest.mark.soak
@pytest.mark.parametrize("shared", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("rows", [50, 500, 2000])
def test_the_rate_at_full_size(rows: int, shared: float) -> None:
    found = rolled_back(4000, rows, 0.1, shared, seed=41)
    assert found <= binom.ppf(0.9999, 4000, POLICY.alpha)


def test_a_challenger_that_is_worse_is_rolled_back() -> None:
    assert outcome(drop(500, both=30, champion=5, canary=60)) is Outcome.ROLL_BACK
    assert outcome(drop(500, both=30, champion=5, canary=5)) is Outcome.ADVANCE


def test_a_row_without_a_value_is_in_the_slice_that_the_gate_gave_it() -> None:
    rows = pd.DataFrame({"size": [1.0, None, 2.0], "isle": ["Dream", "Biscoe", None], "year": [1, 2, None]})
    rows = rows.astype({"year": "Int64"})
    edges = {str(column): slice_edges(rows[column]) for column in rows}
    named = {column: slice_names(rows[column], edges[str(column)]) for column in rows}
    scale = Scale(
        slices={str(column): frozenset(names) for column, names in named.items()}, slice_edges=edges
    )
    found = [list(scale.slice_names(row)) for row in _inputs(rows)]
    assert found == [[f"{column}={names[n]}" for column, names in named.items()] for n in range(3)]

"""Columns that are one thing together are one member of the family, with one multivariate test, and hold its rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import binom

import drift
from drift import history, vectors
from drift.judge import Judged

Rows = npt.NDArray[np.float64]
DIMS = 12
NAMES = tuple(f"e_{i}" for i in range(DIMS))
POLICY = drift.Policy(vectors={"embedding": NAMES})
MIXED = np.random.default_rng(0).normal(size=(3, DIMS))


def drawn(rng: np.random.Generator, rows: int, kind: str = "smooth") -> Rows:
    """Rows whose columns hang together, as those of an embedding do."""
    found: Rows = rng.normal(size=(rows, 3)) @ MIXED + rng.normal(size=(rows, DIMS))
    if kind == "heavy":
        return found * rng.standard_t(1.5, (rows, 1))
    return np.sign(found) if kind == "ties" else found


def judged(first: Rows, second: Rows, policy: drift.Policy = POLICY) -> Judged:
    sides = [dict(zip(NAMES, rows.T.astype(np.float32), strict=True)) for rows in (first, second)]
    found = vectors.judge("embedding", NAMES, (sides[0], sides[1]), policy)
    assert isinstance(found, Judged)
    return found


def alarms(kind: str, sizes: tuple[int, int], repeats: int, rate: float) -> int:
    rng = np.random.default_rng([len(kind), *sizes])
    found = (judged(*(drawn(rng, size, kind) for size in sizes)) for _ in range(repeats))
    return sum(one.evidence.p_value <= rate for one in found)


@pytest.mark.parametrize("kind", ["smooth", "heavy", "ties"])
def test_a_vector_that_did_not_change_alarms_at_its_rate(kind: str) -> None:
    """A sound test fails here in one run of 10,000; one with three times its rate in nineteen of twenty."""
    found = alarms(kind, (320, 160), 100, 0.1)
    assert found <= binom.isf(1e-4, 100, 0.1)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["smooth", "heavy", "ties"])
@pytest.mark.parametrize("sizes", [(320, 60), (1_500, 1_200), (8_000, 500)])
def test_a_vector_that_did_not_change_in_full(kind: str, sizes: tuple[int, int]) -> None:
    for rate in (0.05, 0.01):
        found = alarms(kind, sizes, 1_000, rate)
        print(f"\nvectors {kind} {sizes}: {found} of 1,000 at {rate}")
        assert found <= binom.isf(1e-3 / 18, 1_000, rate)


def test_a_small_shift_of_all_its_columns_is_found_and_measured() -> None:
    rng = np.random.default_rng(1)
    found = judged(drawn(rng, 1_000), drawn(rng, 500) + 0.5)
    moved = found.effects[0]
    assert found.evidence.p_value < 0.001
    assert moved.material and 0.3 < moved.value < 1.5


def test_what_no_single_column_shows_is_found() -> None:
    """Each column keeps its distribution; how they hang together does not."""
    rng = np.random.default_rng(2)
    torn = np.column_stack([rng.permutation(column) for column in drawn(rng, 500).T])
    assert judged(drawn(rng, 1_000), torn).evidence.p_value < 0.001
    wide = judged(drawn(rng, 1_000), 1.6 * drawn(rng, 500))
    assert wide.effects[1].material
    assert "spread wider" in wide.effects[1].words


def test_the_direction_is_not_flattered_by_the_rows_that_chose_it() -> None:
    """With no change the measured move is 0 on average; on the rows that chose the direction it would be half an sd."""
    rng = np.random.default_rng(3)
    found = [judged(drawn(rng, 200), drawn(rng, 160)).effects[0].value for _ in range(40)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(40)
    assert np.mean(np.abs(found)) < 0.25


def test_a_drop_is_ranked_among_past_ones_by_how_far_its_vector_lies() -> None:
    """Where rows depend on each other that is the verdict: a vector of distance 0 would never alarm."""
    rng = np.random.default_rng(6)
    still, moved = (
        history.distances(drift.compare(frame(rng, 800), frame(rng, 400, shift), POLICY))["embedding"]
        for shift in (0.0, 0.7)
    )
    assert still < 0.15 < 0.2 < moved <= 1


def frame(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pd.DataFrame:
    columns = dict(zip(NAMES, (drawn(rng, rows) + shift).T, strict=True))
    return pd.DataFrame({**columns, "age": rng.normal(size=rows)})


def test_a_report_has_the_vector_in_the_place_of_its_columns() -> None:
    rng = np.random.default_rng(4)
    report = drift.compare(frame(rng, 800), frame(rng, 400, 0.7), POLICY)
    assert {one.name for one in report.columns} == {"age", "embedding"}
    assert report["embedding"].material and not report["age"].detected
    assert report.columns[0].words.startswith("embedding moved by")
    assert drift.Report.from_dict(report.to_dict()) == report
    lenient = drift.Policy(
        vectors={"embedding": NAMES},
        columns={"embedding": drift.ColumnPolicy(tolerance=5)},
    )
    report = drift.compare(frame(rng, 800), frame(rng, 400, 0.7), lenient)
    assert (report["embedding"].detected, report["embedding"].material) == (True, False)


def test_few_rows_are_not_judged_and_columns_that_are_not_there_are_told() -> None:
    rng = np.random.default_rng(5)
    report = drift.compare(frame(rng, 150), frame(rng, 60, 5.0), POLICY)
    assert not report["embedding"].judgeable
    assert not report.material
    with pytest.raises(KeyError, match="fewer than two columns"):
        drift.compare(frame(rng, 400), frame(rng, 400), drift.Policy(vectors={"x": ("e_1", "no")}))["x"]

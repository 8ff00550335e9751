"""When nothing changed, a report alarms at most at the configured rate; what changed is found.

Sized for every run; the full sizes are `soak`. Seeds are fixed. A cell fails when its alarms are more than
chance explains at one in a thousand over all cells together.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

import drift
from drift import categorical, numeric, significance
from drift.arrays import Ints
from drift.combination import Evaluated
from tests.drift.families import FAMILIES, found, quiet_report, table

RATE = 0.05
Evaluate = Callable[[Ints, Ints], Evaluated]
SIZED = [
    *[(family, (50, 1_000, 200)[n % 3], 5, 12) for n, family in enumerate(FAMILIES)],
    *[("correlated", rows, 4, 12) for rows in (60, 1_000)],
]
LARGE = [
    *[(family, 10_000, 1, 12) for family in FAMILIES],
    ("smooth", 100, 2, 100),
    ("smooth", 100_000, 1, 12),
]
"""Judged together: were all reports of such a cell alarms, chance alone could explain it."""
FULL = [
    *[(f, rows, 1_000, 40) for f in (*FAMILIES, "correlated") for rows in (50, 200, 1_000)],
    *[(f, 10_000, 400, 40) for f in (*FAMILIES, "correlated")],
    *[(f, 100_000, 100, 40) for f in (*FAMILIES, "correlated")],
    *[(f, rows, 300, 100) for f in ("smooth", "ties", "heavy", "nulls") for rows in (50, 1_000)],
]


LOPSIDED = [(5_000, 50), (50, 5_000), (20_000, 20), (20, 20_000), (300, 3_000), (2_000, 150)]
LOPSIDED_FULL = [
    *LOPSIDED,
    (100_000, 100),
    (100, 100_000),
    (100_000, 2_000),
    (2_000, 100_000),
    (40, 400),
    (20, 20),
]


def _alarms(family: str, rows: int, repeats: int, columns: int) -> int:
    seeds = range(repeats)
    return sum(quiet_report([s, rows, columns], family, (rows, rows), columns, RATE).detected for s in seeds)


def _alarms_of_sizes(family: str, rows: tuple[int, int], repeats: int, columns: int = 20) -> int:
    return sum(quiet_report([s, *rows], family, rows, columns, RATE).detected for s in range(repeats))


def _bearable(repeats: int, cells: int) -> int:
    """The most alarms that a true rate of RATE explains, at 0.001 over all cells."""
    return int(binom.isf(0.001 / cells, repeats, RATE))


@pytest.mark.parametrize(("family", "rows", "repeats", "columns"), SIZED)
def test_nothing_changed(family: str, rows: int, repeats: int, columns: int) -> None:
    alarms = _alarms(family, rows, repeats, columns)
    print(f"calibration {family} n={rows}: {alarms} alarms in {repeats} reports of {columns} columns")
    assert alarms <= _bearable(repeats, len(SIZED))


def test_nothing_changed_in_many_rows_or_many_columns() -> None:
    alarms = {cell: _alarms(*cell) for cell in LARGE}
    print(f"calibration of the large: {alarms}")
    assert sum(alarms.values()) <= _bearable(sum(repeats for _, _, repeats, _ in LARGE), len(SIZED))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("family", "rows", "repeats", "columns"), FULL)
def test_nothing_changed_at_full_size(family: str, rows: int, repeats: int, columns: int) -> None:
    alarms = _alarms(family, rows, repeats, columns)
    print(f"calibration {family} n={rows}: {alarms} alarms in {repeats} reports of {columns} columns")
    assert alarms <= _bearable(repeats, len(FULL))


def _pooled(family: str, rows: int) -> tuple[Evaluate, Mapping[str, float], Ints]:
    """Pooled rows by cell of one draw of a family, the last cell the nulls."""
    rng = np.random.default_rng([rows, *map(ord, family)])
    kind = "category" if family == "categories" else "numeric"
    made = table(rng, family, rows, 6)
    name = f"c{rng.integers(6)}"
    part = drift.profile(made, columns={f"c{j}": kind for j in range(6)}).columns[name].parts["values"]
    rows_by_cell = np.append(part.counts, rows - part.counts.sum())
    if kind == "category":
        return categorical.evaluate, categorical.WEIGHTS, rows_by_cell
    return numeric.evaluate, numeric.WEIGHTS, rows_by_cell


@pytest.mark.parametrize("relabellings", [1_200, pytest.param(4_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("rows", [502, 1_200])
@pytest.mark.parametrize("family", ["smooth", "ties", "heavy", "categories", "nulls"])
def test_a_column_s_joint_p_value_holds_over_relabellings(
    family: str, rows: int, share: float, relabellings: int
) -> None:
    """The exact null distribution given the pooled rows, where the asymptotic p-value is used.

    At most the level's share of the relabellings are at or below it (one in 100,000 by chance).
    """
    evaluate, weights, pooled = _pooled(family, rows)
    rng = np.random.default_rng(rows)
    current = rng.multivariate_hypergeometric(pooled, int(share * rows), size=relabellings)
    p = np.concatenate(
        [
            significance.harmonic({k: v[1] for k, v in evaluate(pooled, part).items()}, weights)
            for part in np.array_split(current, 8)
        ]
    )
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).sum() <= binom.isf(1e-5, len(p), level)


@pytest.mark.parametrize("rows", [LOPSIDED[0], LOPSIDED[3], LOPSIDED[4]])
def test_sides_of_different_size(rows: tuple[int, int]) -> None:
    alarms = sum(_alarms_of_sizes(family, rows, 2, columns=8) for family in FAMILIES)
    assert alarms <= _bearable(2 * len(FAMILIES), 3)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("rows", LOPSIDED_FULL)
@pytest.mark.parametrize("family", [*FAMILIES, "correlated"])
def test_sides_of_different_size_at_full_size(family: str, rows: tuple[int, int]) -> None:
    repeats = 200 if max(rows) <= 5_000 else 60
    alarms = _alarms_of_sizes(family, rows, repeats)
    print(f"calibration {family} {rows[0]}:{rows[1]}: {alarms} alarms in {repeats} reports of 20 columns")
    assert alarms <= _bearable(repeats, len(LOPSIDED_FULL) * (len(FAMILIES) + 1))


@pytest.mark.parametrize("rows", [(5_000, 50), (50, 5_000)])
def test_rare_columns_do_not_alarm_by_themselves(rows: tuple[int, int]) -> None:
    """Where single rows decide: at 1 % hardly ever (asymptotic p-values: a quarter to a half of the reports)."""
    alarms = sum(
        quiet_report([s, *rows], family, rows, 20, 0.01).detected
        for s in range(15)
        for family in ("flags", "inflated")
    )
    assert alarms <= binom.isf(0.0005, 30, 0.01)


FLOORS = [
    ("mean 0.1", 10_000),
    ("sd 1.1", 10_000),
    ("mass 0.05", 10_000),
    ("nulls", 10_000),
    ("correlation", 10_000),
    ("new category", 10_000),
]
FLOORS_LARGE = [("mean 0.05", 100_000), ("mass 0.02", 100_000), ("unit", 100_000)]


@pytest.mark.parametrize(("change", "rows"), FLOORS)
def test_what_changed_is_found(change: str, rows: int) -> None:
    assert all(found([seed, rows], rows, change, 0.01) for seed in range(2))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("change", "rows"), [*FLOORS, *FLOORS_LARGE])
def test_what_changed_is_found_with_power(change: str, rows: int) -> None:
    """At least .95: fails when the hits are fewer than .95 explains at one in a thousand."""
    repeats = 200
    hits = sum(found([seed, rows], rows, change, 0.01) for seed in range(repeats))
    print(f"power {change} n={rows}: {hits} of {repeats}")
    assert hits >= binom.ppf(0.001, repeats, 0.95)


def test_a_penguin_sized_sample_finds_a_scale_out_of_calibration() -> None:
    rng = np.random.default_rng(7)
    reference, current = rng.normal(17, 2, (2, 110))
    report = drift.compare(pa.table({"depth": reference}), pa.table({"depth": current * 1.08}))
    assert report.material
    assert "depth moved up by" in report.columns[0].words

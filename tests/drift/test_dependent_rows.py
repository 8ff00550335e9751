"""Rows that depend on each other are recognised, and the report says that its rate does not hold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import drift
from drift import Code, identifiers, order

ROWS = 2_000


def plain(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "flag": rng.random(rows) < 0.02,
            "count": rng.poisson(0.05, rows),
            "word": rng.choice(["a", "b", "c"], rows),
        }
    )


def series(seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng([seed, 1]).normal(size=ROWS)
    for i in range(1, ROWS):
        noise[i] += 0.9 * noise[i - 1]
    return plain(seed).assign(x=noise)


def codes(report: drift.Report) -> set[Code]:
    return {f.code for f in report.findings}


def test_independent_rows_have_no_finding_however_rare_their_values() -> None:
    for seed in range(20):
        report = drift.compare(plain(seed), plain(seed + 100))
        assert report.findings == ()
        assert report.independent


def test_a_series_is_recognised_and_stated_beside_the_rate() -> None:
    report = drift.compare(plain(), series())
    assert codes(report) == {Code.DEPENDENT_ROWS}
    assert not report.independent
    assert "the stated rate does not hold" in report.findings[0].words
    assert report.findings[0].column == "x"


def test_a_sorted_file_is_no_series() -> None:
    """Neighbours in a file sorted by a feature are alike because of that; rows are as independent as before."""
    frame = plain(3)
    frame = frame.assign(y=frame["x"] + np.random.default_rng(0).normal(size=ROWS)).sort_values("x")
    reference = plain(4)
    reference["y"] = reference["x"] + np.random.default_rng(1).normal(size=ROWS)
    report = drift.compare(reference, frame)
    assert codes(report) == {Code.SORTED_ROWS} and report.independent
    assert report.findings[0].words.startswith("rows are sorted by x, and y resembles the row before it (0.")
    by_target = frame.assign(label=(frame["x"] > 0).astype(str))
    given = drift.profile(reference.assign(label=(reference["x"] > 0).astype(str)), target="label")
    by_target = by_target.drop(columns="x").sample(frac=1, random_state=0).sort_values("label")
    assert codes(drift.compare(given, by_target)) <= {Code.DROPPED}, "of a target nothing need be said"


def test_runs_of_one_category_are_recognised() -> None:
    runs = np.repeat(np.random.default_rng(2).choice(["a", "b", "c"], ROWS // 10), 10)
    assert Code.DEPENDENT_ROWS in codes(drift.compare(plain(), plain(1).assign(word=runs)))


def test_copied_rows_are_recognised_also_under_new_numbers(tmp_path: Path) -> None:
    frame = plain(5)
    twice = pd.concat([frame, frame.iloc[:200]]).assign(row_id=np.arange(ROWS + 200))
    reference = plain(6).assign(row_id=np.arange(ROWS))
    pq.write_table(pa.Table.from_pandas(twice, preserve_index=False), tmp_path / "twice.parquet")
    for current in (twice, tmp_path / "twice.parquet"):
        report = drift.compare(reference, current)
        told = next(f for f in report.findings if f.code is Code.DUPLICATE_ROWS)
        assert told.words.startswith("9.1% of rows")
    few = plain(7).drop(columns="x")
    assert Code.DUPLICATE_ROWS not in codes(drift.compare(few, few)), "few values make equal rows by chance"


def test_a_key_of_several_rows_is_recognised() -> None:
    customers = np.random.default_rng(3).integers(0, 500, ROWS)
    reference, current = (plain(s).assign(customer_id=customers + s) for s in (8, 9))
    report = drift.compare(reference, current)
    assert dict(report.skipped)["customer_id"].startswith("an id")
    told = next(f for f in report.findings if f.code is Code.REPEATED_KEY)
    assert told.column == "customer_id"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("counter", lambda start: np.arange(start, start + ROWS)),
        ("order_no", lambda start: np.sort(start + np.random.default_rng(1).integers(0, ROWS, ROWS))),
        ("orders", lambda start: start + np.cumsum(np.random.default_rng(2).integers(1, 9, ROWS))),
        (
            "seen_at",
            lambda start: 1_700_000_000 + start + np.sort(np.random.default_rng(3).integers(0, 10**7, ROWS)),
        ),
        ("customerId", lambda start: 10**6 + np.random.default_rng(start).integers(0, 900, ROWS)),
    ],
)
def test_numbers_that_name_rows_are_no_features_unless_asked(name: str, make: object) -> None:
    reference, current = (plain(s).assign(**{name: make(s * 10**6)}) for s in (1, 2))  # type: ignore[operator]
    report = drift.compare(reference, current)
    assert not report.detected
    assert name in {f.column for f in report.findings if f.code is Code.RUNNING_NUMBER}
    asked = drift.profile(reference, columns={name: "numeric"})
    assert drift.compare(asked, drift.profile(current, grid=asked))[name].kind == "numeric"


def test_features_are_not_taken_for_keys() -> None:
    rng = np.random.default_rng(4)
    amounts = np.sort(rng.integers(100, 100_000, 200))
    frame = pd.DataFrame(
        {
            "amount": np.unique(amounts)[:180],
            "education_number": rng.integers(1, 17, 180),
            "age": rng.integers(17, 90, 180),
        }
    )
    kinds = {n: c.kind for n, c in drift.profile(frame).columns.items()}
    assert kinds == {"amount": "numeric", "education_number": "numeric", "age": "numeric"}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("id", True),
        ("customerID", True),
        ("order_no", True),
        ("x.uuid", True),
        ("grid", False),
        ("casino", False),
        ("number_of_rooms", False),
        ("price", False),
    ],
)
def test_a_key_is_named_by_its_last_word(name: str, key: bool) -> None:
    assert identifiers.named(name) is key


def test_signs_merge_and_survive_storage() -> None:
    frame = series(1).assign(customer_id=np.random.default_rng(5).integers(0, 400, ROWS))
    whole = drift.profile(frame)
    parts = [drift.profile(frame.iloc[s : s + 1_000], grid=whole) for s in (0, 1_000)]
    merged = drift.Profile.from_bytes(drift.merge(parts).to_bytes())
    assert merged.columns["x"].order.correlation == pytest.approx(
        whole.columns["x"].order.correlation, abs=0.05
    )
    assert merged.columns["x"].order.dependent
    assert merged.columns["customer_id"].keys[0] == ROWS
    assert merged.copies.rows == ROWS


def test_the_autocorrelation_is_that_of_ranks() -> None:
    x = np.random.default_rng(6).normal(size=500).cumsum()
    ranks = pd.Series(x).rank()
    assert order.of_numbers(x).correlation == pytest.approx(
        np.corrcoef(ranks[1:], ranks[:-1])[0, 1], abs=0.02
    )
    assert order.of_numbers(np.exp(x / 10)).alike == pytest.approx(order.of_numbers(x).alike)

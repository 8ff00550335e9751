"""What a report says of itself: what was not compared, what could not be judged, and every way to read it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import drift
from drift import Code


def frame(seed: int = 0, rows: int = 1_000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"carat": rng.gamma(2, 0.4, rows), "cut": rng.choice(["Fair", "Good", "Ideal"], rows)}
    )


def codes(report: drift.Report) -> dict[Code, bool]:
    return {f.code: f.breaking for f in report.findings}


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (frame(), frame().rename(columns={"carat": "price", "cut": "shop"}).assign(price="x", shop=1.5)),
        (frame().iloc[:0], frame()),
        (frame(), frame().iloc[:0]),
        (frame().assign(carat=None, cut=None), frame().assign(carat=None, cut=None)),
    ],
)
def test_a_report_that_compared_nothing_does_not_say_no_drift(
    reference: pd.DataFrame, current: pd.DataFrame
) -> None:
    report = drift.compare(reference, current)
    assert codes(report)[Code.NOTHING_COMPARED]
    assert report.broken
    assert "no drift" not in report.headline
    assert "nothing was compared" in report.headline
    assert "nothing was compared" in drift.report_html(report)


def test_a_missing_column_breaks_and_is_not_skipped() -> None:
    report = drift.compare(frame(), frame(1).drop(columns="carat"))
    assert codes(report) == {Code.DROPPED: True}
    assert report.broken
    assert report.headline.startswith("broken: carat is missing")
    assert "carat" not in dict(report.skipped)
    left_out = drift.compare(frame(), frame(1).drop(columns="carat"), ignore=["carat"])
    assert not left_out.findings


def test_the_columns_that_are_counted_are_the_tables() -> None:
    """The test for dependence between columns is one of the report's, and no column."""
    before, after = (frame(seed).assign(depth=frame(seed + 9)["carat"]) for seed in (0, 1))
    report = drift.compare(before, after)
    assert any(column.kind == "dependence" for column in report.columns)
    assert report.headline == "no drift: 1000 rows in 3 columns look like the reference"


def test_a_missing_target_is_no_break() -> None:
    report = drift.compare(drift.profile(frame(), target="cut"), frame(1).drop(columns="cut"))
    assert codes(report) == {Code.DROPPED: False}
    assert not report.broken


def test_what_cannot_be_judged_at_these_sizes_is_said() -> None:
    rng = np.random.default_rng(0)
    reference = pd.DataFrame({"flag": rng.random(5_000) < 0.01, "x": rng.normal(size=5_000)})
    report = drift.compare(reference, reference.iloc[:1].assign(x=0.0))
    assert codes(report) == {Code.NOT_JUDGEABLE: False}
    assert not report["flag"].judgeable
    assert report["flag"].words == "cannot be judged at these sizes"
    assert report["flag"].verdict == "cannot be judged"


def test_the_smallest_count_that_could_alarm_is_the_least_that_does() -> None:
    """A single rare flag: that many rows alarm, one fewer does not."""
    reference = pd.DataFrame({"flag": np.arange(5_000) < 25})
    smallest = drift.compare(reference, pd.DataFrame({"flag": np.zeros(50, bool)}))["flag"].smallest
    assert smallest is not None
    found = [
        drift.compare(reference, pd.DataFrame({"flag": np.arange(50) < k})).detected
        for k in (smallest - 1, smallest)
    ]
    assert found == [False, True]


def test_rare_things_are_material_by_their_odds() -> None:
    rng = np.random.default_rng(1)
    for rows in ((1_000, 1_000), (5_000, 500)):
        before, after = (rng.random(n) < p for n, p in zip(rows, (0.01, 0.1), strict=True))
        for kind in (bool, float):
            report = drift.compare({"y": before.astype(kind)}, {"y": after.astype(kind)})
            assert report["y"].material
    words, new = rng.choice(["a", "b", "c"], (2, 1_000)).astype(object)
    new[:50] = "d"
    report = drift.compare({"word": words}, {"word": new})
    assert report["word"].material
    assert "'d' (new)" in report["word"].words
    strict = drift.Policy(columns={"word": drift.ColumnPolicy(ratio=1_000)})
    assert not drift.compare({"word": words}, {"word": new}, strict)["word"].material


@pytest.mark.parametrize(("rows", "new"), [(1_000, 10), (10_000, 10)])
def test_a_category_never_seen_is_detected(rows: int, new: int) -> None:
    rng = np.random.default_rng(2)
    words, other = rng.choice([f"w{k}" for k in range(20)], (2, rows)).astype(object)
    other[:new] = "never"
    assert drift.compare({"word": words}, {"word": other}).detected


@pytest.mark.parametrize("current", [np.zeros(50), np.ones(50), np.r_[np.ones(25), np.zeros(25)]])
def test_no_interval_has_width_zero(current: np.ndarray) -> None:
    reference = (np.arange(2_000) < 20).astype(float)
    for cast in (float, bool):
        report = drift.compare({"x": reference.astype(cast)}, {"x": current.astype(cast)})
        for effect in report["x"].effects:
            assert effect.low < effect.high, effect
        for low, high in report["x"].bounds.values():
            assert low < high


def test_a_report_is_read_by_name_as_a_frame_and_in_a_notebook() -> None:
    report = drift.compare(frame(), frame(1).assign(carat=frame(1)["carat"] * 2))
    assert report["carat"].material
    with pytest.raises(KeyError, match="price"):
        report["price"]
    table = report.to_frame()
    assert table.loc["carat", "verdict"] == "material"
    assert table.loc["cut", "verdict"] == "quiet"
    assert repr(report).startswith("<drift.Report: material drift in carat")
    assert len(repr(report)) < 300
    assert "carat" in report._repr_html_()
    assert drift.report_html(report).startswith("<!doctype html>")
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert drift.Report.from_dict(document).to_dict() == report.to_dict()


def test_a_report_stored_before_there_were_findings_is_read() -> None:
    document = drift.compare(frame(), frame(1)).to_dict()
    del document["findings"]
    for column in document["columns"]:
        del column["smallest"], column["judgeable"]
    assert drift.Report.from_dict(document).findings == ()


def test_rows_come_in_whatever_people_hold_them_in(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    pq.write_table(table, tmp_path / "a.parquet")
    wanted = drift.profile(frame()).to_bytes()
    for source in (table, tmp_path / "a.parquet", str(tmp_path / "a.parquet"), table.to_batches()):
        assert drift.profile(source).rows == 1_000
    assert drift.profile(table).to_bytes() == wanted
    series = frame()["carat"]
    assert not drift.compare(series, series.rename("carat").to_frame()).detected
    assert drift.compare(series, series + 5)["carat"].material
    assert drift.compare(series.rename(None), pa.array(series + 5))["value"].material


def test_polars_frames_are_read() -> None:
    polars = pytest.importorskip("polars")
    held = polars.from_arrow(pa.Table.from_pandas(frame(), preserve_index=False))
    for source in (held, held.lazy()):
        assert drift.compare(frame(), source).findings == ()
    assert drift.compare(held["carat"], held["carat"] + 5)["carat"].material

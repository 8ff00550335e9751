"""By segment: each value's rows are judged by themselves, under one false-alarm rate for everything."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import drift
from drift import segments


def frame(seed: int, rows: int = 1_500, towns: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = rng.choice([f"town_{i}" for i in range(towns)], rows)
    return pd.DataFrame({"town": names, "x": rng.normal(size=rows), "y": rng.choice(list("abc"), rows)})


def test_what_the_whole_hides_a_segment_shows() -> None:
    """Up in one town and down in another: the whole keeps its mean."""
    before, after = frame(0, 6_000), frame(1, 6_000)
    after["x"] += after["town"].map({"town_0": 0.5, "town_1": -0.5, "town_2": 0.0})
    report = drift.compare(drift.profile(before, by="town"), after)
    assert report.material
    assert report.segments["town_0"].columns[0].words.startswith("x moved up by 0.")
    assert report.segments["town_1"].columns[0].words.startswith("x moved down by 0.")
    assert not report.segments["town_2"].detected
    assert "in town town_0, town_1" in report.headline


def test_a_quiet_report_alarms_at_its_rate_over_all_segments() -> None:
    """20 reports of 4 segments at 10 %: more than chance explains at one in a thousand is a failure."""
    repeats, rate = 20, 0.1
    policy = drift.Policy(false_alarm_rate=rate)
    alarms = sum(
        drift.compare(
            drift.profile(frame(2 * s, 1_000, 4), by="town"), frame(2 * s + 1, 1_000, 4), policy
        ).detected
        for s in range(repeats)
    )
    assert alarms <= binom.isf(0.001, repeats, rate)


def test_new_and_vanished_segments_are_told() -> None:
    before, after = frame(0), frame(1)
    after = after[after["town"] != "town_1"].replace({"town": {"town_2": "elsewhere"}})
    report = drift.compare(drift.profile(before, by="town"), after)
    assert set(report.notes) == {"town 'elsewhere' is new", "town 'town_1' is gone", "town 'town_2' is gone"}
    assert list(report.segments) == ["town_0"]


def test_segments_come_back_from_bytes_files_and_parts(tmp_path: Path) -> None:
    whole = frame(2)
    kept = drift.profile(whole, by="town")
    back = drift.Profile.from_bytes(kept.to_bytes())
    assert back.to_bytes() == kept.to_bytes()
    whole.to_parquet(tmp_path / "rows.parquet", row_group_size=200)
    from_file = drift.profile(tmp_path / "rows.parquet", by="town")
    assert drift.compare(from_file, frame(3)) == drift.compare(kept, frame(3))
    merged = drift.merge([drift.profile(whole[i : i + 500], grid=kept) for i in (0, 500, 1_000)])
    assert {n: p.rows for n, p in merged.segments.items()} == whole["town"].value_counts().to_dict()
    report = drift.compare(kept, frame(3))
    assert drift.Report.from_dict(report.to_dict()) == report


def test_many_values_do_not_mean_many_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST", 4)
    data = frame(4, 900, 9)
    data.loc[:4, "town"] = None
    kept = drift.profile(data, by="town")
    assert len(kept.segments) == 5
    assert segments.OTHERS in kept.segments
    assert sum(p.rows for p in kept.segments.values()) == 900
    assert drift.profile(frame(5, 900, 9), grid=kept).segments.keys() <= kept.segments.keys()


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(drift.DataError, match="no such column"):
        drift.profile(frame(0), by="country")

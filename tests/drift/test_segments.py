"""By segment: each value's rows are judged by themselves, under one false-alarm rate for everything."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import binom

import drift
from drift import profiles, segment_names, segments


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
    assert report.segments["town=town_0"].columns[0].words.startswith("x moved up by 0.")
    assert report.segments["town=town_1"].columns[0].words.startswith("x moved down by 0.")
    assert not report.segments["town=town_2"].detected
    assert "in town=town_0, town=town_1" in report.headline


@pytest.mark.parametrize("repeats", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_a_quiet_report_alarms_at_its_rate_over_all_segments(repeats: int) -> None:
    """Reports of 7 segments, which overlap, at 10 %: more than chance explains at one in a thousand is a failure."""
    rate = 0.1
    policy, alarms = drift.Policy(false_alarm_rate=rate), 0
    for seed in range(repeats):
        before = drift.profile(frame(2 * seed, 1_000, 4), by=["town", "y"])
        after = drift.profile(frame(2 * seed + 1, 1_000, 4), grid=before)
        alarms += drift.compare(before, after, policy).detected
    assert alarms <= binom.isf(0.001, repeats, rate)


def test_of_many_rows_of_a_segment_a_sample_is_counted_whatever_their_batches() -> None:
    rows = pa.Table.from_pandas(frame(3, 60_000, 2), preserve_index=False)
    rare = pa.Table.from_pandas(frame(4, 70, 1).assign(town="rare"), preserve_index=False)
    made = []
    for size in (60_070, 9_999):
        profiler = drift.Profiler(by="town")
        for batch in pa.concat_tables([rows, rare]).to_batches(max_chunksize=size):
            profiler.update(batch)
        made.append(profiler.finish().segments)
    for name, part in made[0].items():
        assert part.rows == made[1][name].rows
        assert part.rows == 70 if name == "town=rare" else abs(part.rows - segments.MOST_ROWS) < 400
    moved = frame(5, 60_000, 2)
    moved.loc[moved["town"] == "town_0", "x"] += 0.3
    report = drift.compare(drift.profile(rows, by="town"), moved)
    assert report.segments["town=town_0"].material and not report.segments["town=town_1"].detected


def test_new_and_vanished_segments_are_told() -> None:
    before, after = frame(0), frame(1)
    after = after[after["town"] != "town_1"].replace({"town": {"town_2": "elsewhere"}})
    report = drift.compare(drift.profile(before, by="town"), after)
    assert set(report.notes) == {"town=elsewhere is new", "town=town_1 is gone", "town=town_2 is gone"}
    assert list(report.segments) == ["town=town_0"]


def test_segments_come_back_from_bytes_files_and_parts(tmp_path: Path) -> None:
    whole = frame(2)
    kept = drift.profile(whole, by="town")
    back = drift.Profile.from_bytes(kept.to_bytes())
    assert back.to_bytes() == kept.to_bytes()
    whole.to_parquet(tmp_path / "rows.parquet", row_group_size=200)
    from_file = drift.profile(tmp_path / "rows.parquet", by="town")
    assert drift.compare(from_file, frame(3)) == drift.compare(kept, frame(3))
    merged = drift.merge([drift.profile(whole[i : i + 500], grid=kept) for i in (0, 500, 1_000)])
    assert {n: p.rows for n, p in merged.segments.items()} == {
        f"town={n}": rows for n, rows in whole["town"].value_counts().items()
    }
    report = drift.compare(kept, frame(3))
    assert drift.Report.from_dict(report.to_dict()) == report


def test_many_values_do_not_mean_many_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST", 4)
    data = frame(4, 900, 9)
    data.loc[:4, "town"] = None
    kept = drift.profile(data, by="town")
    assert len(kept.segments) == 5
    assert f"town={segments.OTHERS}" in kept.segments
    assert sum(p.rows for p in kept.segments.values()) == 900
    assert drift.profile(frame(5, 900, 9), grid=kept).segments.keys() <= kept.segments.keys()


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(drift.DataError, match="no such column"):
        drift.profile(frame(0), by="country")


def people(seed: int, rows: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], rows),
            "age": rng.integers(18, 80, rows),
            "flag": rng.random(rows) < 0.5,
            "x": rng.normal(size=rows),
        }
    )


def test_several_columns_make_segments_each_and_many_numbers_make_bands() -> None:
    kept = drift.profile(people(0), by=["sex", "age", "flag"])
    bands = [name for name in kept.segments if name.startswith("age=")]
    assert [one.column for one in kept.by] == ["sex", "age", "flag"] and len(kept.by[1].edges) == 3
    assert len(bands) == 4 and {"sex=f", "sex=m", "flag=true", "flag=false"} < set(kept.segments)
    assert all(
        sum(kept.segments[n].rows for n in kept.segments if n.startswith(f"{c}=")) == 2_000
        for c in ("sex", "age")
    )
    after = people(1)
    after.loc[after["age"] > 64, "x"] += 1
    report = drift.compare(kept, after)
    moved = [n for n, part in report.segments.items() if part.material and n.startswith("age=")]
    assert moved == [f"age=over {kept.by[1].edges[2]:g}"]


def test_a_whole_number_names_one_segment_whether_a_row_is_null_or_not() -> None:
    data = people(0).assign(grade=np.arange(2_000) % 3)
    holes = data.assign(grade=data["grade"].where(data.index > 99).astype(float))
    kept = drift.profile(data, by="grade")
    assert set(drift.profile(holes, grid=kept).segments) == {*kept.segments, f"grade={segment_names.MISSING}"}


def test_small_segments_are_named_and_not_judged() -> None:
    before, after = people(0), people(1)
    after.loc[after.index[20:], "sex"] = "m"
    report = drift.compare(drift.profile(before, by="sex"), after)
    assert list(report.segments) == ["sex=m"] and report.small == ("sex=f",)
    assert not drift.compare(drift.profile(before, by="sex"), after, drift.Policy(segment_rows=5)).small
    assert drift.Report.from_dict(report.to_dict()) == report


def test_nothing_by_segment_where_it_is_not_wanted() -> None:
    kept = drift.profile(people(0), by="sex")
    assert drift.profile(people(1), grid=kept, by=()).segments == {}


def test_parts_with_other_segments_become_one_with_those_that_there_are() -> None:
    parts = [
        drift.profile(people(0)),
        drift.profile(people(1), by="sex"),
        drift.profile(people(2), by=["sex", "age"]),
    ]
    merged = drift.merge(parts)
    assert merged.rows == 6_000 and merged.segments["sex=f"].rows > 1_900
    assert [one.column for one in merged.by] == ["sex", "age"]
    other = drift.profile(people(3).assign(age=lambda t: t["age"] + 0.5), by="age")
    assert sum(p.rows for n, p in drift.merge([parts[2], other]).segments.items() if n[0] == "a") == 2_000


def test_many_parts_have_no_more_segments_than_one_may_have() -> None:
    parts = [
        drift.profile(people(seed).assign(sex=[f"{seed}-{n % 40}" for n in range(2_000)]), by=["sex", "flag"])
        for seed in range(4)
    ]
    merged = drift.merge(parts)
    assert len(merged.segments) <= segments.MOST + 2
    assert sum(p.rows for n, p in merged.segments.items() if n.startswith("sex=")) == 8_000


def test_a_few_rows_settle_no_columns_kind() -> None:
    """Words of which no two of a segment are alike would be an id there."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {"part": rng.choice(list("abcdefghij"), 400), "word": [f"w{n % 60}" for n in range(400)]}
    )
    kept = drift.profile(data, by="part")
    assert {part.columns["word"].kind for part in kept.segments.values()} == {"category"}


def test_what_was_stored_by_one_column_is_read_still() -> None:
    kept = drift.profile(people(0), by="sex")
    old = _stored_by_one_column(kept)
    back = drift.Profile.from_bytes(old)
    assert back.by == kept.by and list(back.segments) == ["sex=f", "sex=m"]
    assert drift.compare(back, people(1)) == drift.compare(kept, people(1))


def _stored_by_one_column(kept: drift.Profile) -> bytes:
    """As schema version 2 had it: `by` is a name, and segments are named by their values alone."""
    arrays: list[Any] = []
    header = profiles._header(kept, arrays)
    header["by"] = "sex"
    header["segments"] = {name.removeprefix("sex="): part for name, part in header["segments"].items()}
    header["arrays"] = [[a.dtype.str, len(a)] for a in arrays]
    text = json.dumps(header).encode()
    body = b"".join(
        [struct.pack("<Q", len(text)), text, *(np.ascontiguousarray(a).tobytes() for a in arrays)]
    )
    packed: bytes = pa.Codec("zstd").compress(body, asbytes=True)
    return struct.pack("<8sIQ", b"DRIFTPRF", 2, len(body)) + packed


@pytest.mark.parametrize(
    ("kind", "far", "told"),
    [
        (pa.timestamp("us", "UTC"), 10**18, "1000000000000"),
        (pa.timestamp("us"), 10**18 + 5, "1000000000000.000005"),
        (pa.timestamp("s"), 10**12, "1000000000000"),
        (pa.date32(), 10**7, "864000000000"),
        (pa.date64(), 864 * 10**12, "864000000000"),
    ],
)
def test_a_time_of_a_year_that_python_does_not_have_renames_no_other(
    kind: pa.DataType, far: int, told: str
) -> None:
    """The days that both have are compared as before."""
    width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    one = {"s": 86_400, "us": 86_400_000_000}.get(getattr(kind, "unit", ""), 86_400_000)
    days = [0, 1 if pa.types.is_date32(kind) else one] * 60

    def table(times: list[int]) -> pa.Table:
        return pa.table({"t": pa.array(times, width).cast(kind), "x": np.arange(len(times)) % 7.0})

    before = drift.profile(table(days), by="t")
    after = table([*days, far])
    report = drift.compare(before, after)
    assert {*report.segments} == {*before.segments} and len(before.segments) == 2
    assert f"t={told} seconds since 1970" in drift.profile(after, by="t").segments

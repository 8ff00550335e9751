"""A stored profile is compact, safe to read, and parts of it merge into the whole."""

import struct
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drift
from drift import categories, grid
from drift.categories import Counts, CountsBuilder
from drift.grid import CELLS, Grid, GridBuilder
from drift.tally import Tally
from tests.drift.families import mixed
from tests.drift.test_surface import strange


def _build(parts: Sequence[np.ndarray], template: Grid | None = None) -> Grid:
    builder = Tally(template) if template is not None and len(template.edges) else GridBuilder()
    for part in parts:
        builder.add(np.array(part, np.float64))
    return builder.finish()


values = st.lists(st.floats(-100, 100, width=16), max_size=50)


@given(st.lists(values, min_size=1, max_size=5), values)
@settings(deadline=None)
def test_counts_on_one_grid_add_exactly(parts: list[list[float]], reference: list[float]) -> None:
    template = _build([reference])
    apart = _build([], template)
    for part in parts:
        apart = grid.add(apart, _build([part], template))
    whole = _build([np.concatenate(parts)], template)
    assert apart.rows == whole.rows
    a, b = grid.union(apart, whole)
    assert a.counts.tolist() == b.counts.tolist()
    assert a.sums == pytest.approx(b.sums, abs=1e-9)


def test_a_small_column_is_kept_exactly() -> None:
    kept = _build([np.arange(CELLS) % 500])
    assert kept.exact
    assert kept.mean() == pytest.approx(np.mean(np.arange(CELLS) % 500))
    assert kept.sd() == pytest.approx(np.std(np.arange(CELLS) % 500, ddof=1))


def test_a_large_column_keeps_its_distribution_to_a_cell() -> None:
    x = np.random.default_rng(0).lognormal(size=300_000)
    kept = _build(np.array_split(x, 3))
    shares = np.cumsum(kept.counts)[:-1] / len(x)
    assert shares == pytest.approx(np.searchsorted(np.sort(x), kept.edges, side="right") / len(x), abs=1e-12)
    assert np.diff(shares).max() < 4 / CELLS
    assert kept.mean() == pytest.approx(x.mean())


def test_a_grid_follows_data_that_wander_and_tells_its_error() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.normal(place, 1, 50_000) for place in range(0, 40, 4)]
    kept = _build(parts)
    x = np.sort(np.concatenate(parts))
    off = np.abs(np.cumsum(kept.counts)[:-1] - np.searchsorted(x, kept.edges, side="right")).max()
    assert off <= kept.error < len(x) / 100
    assert kept.counts.max() < len(x) / 100
    assert kept.rows == len(x)


def test_merging_grids_of_their_own_keeps_to_the_stated_error() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.normal(place / 4, 1, 20_000) for place in range(8)]
    merged = _build([parts[0]])
    for part in parts[1:]:
        merged = grid.add(merged, _build([part]))
    x = np.sort(np.concatenate(parts))
    off = np.abs(np.cumsum(merged.counts)[:-1] - np.searchsorted(x, merged.edges, side="right")).max()
    assert off <= merged.error
    assert merged.rows == len(x)


def _counted(words: list[str]) -> Counts:
    builder = CountsBuilder()
    keys, numbers = np.unique(words, return_counts=True)
    builder.add(keys.tolist(), numbers.tolist())
    return builder.finish()


def test_many_categories_keep_the_heavy_ones_and_lose_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "KEEP", 50)
    rng = np.random.default_rng(3)
    x, y = ([f"w{i}" for i in rng.zipf(1.2, 20_000)] for _ in range(2))
    a, b = _counted(x), _counted(y)
    assert not a.closed
    assert a.rows == 20_000
    names, ours, theirs = categories.union(a, b)
    assert ours.sum() == theirs.sum() == 20_000
    assert ours[names.index("w1")] == x.count("w1")


def test_bytes_come_back_as_they_were() -> None:
    kept = drift.profile(strange(), target="few", ignore=["words"])
    data = kept.to_bytes()
    back = drift.Profile.from_bytes(data)
    assert back.to_bytes() == data
    assert (back.rows, back.target, back.ignored) == (60, "few", ("words",))
    assert drift.compare(kept, strange()).to_dict() == drift.compare(back, strange()).to_dict()


def test_another_schema_version_is_refused_by_name() -> None:
    data = bytearray(drift.profile(strange()).to_bytes())
    struct.pack_into("<I", data, 8, 99)
    with pytest.raises(drift.UnknownSchemaError, match="schema version 99"):
        drift.Profile.from_bytes(bytes(data))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_damaged_bytes_are_refused_or_read_as_a_whole_profile(data: st.DataObject) -> None:
    good = drift.profile(pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})).to_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    try:
        read = drift.Profile.from_bytes(bytes(bad))
    except drift.DataError:
        return
    again = drift.Profile.from_bytes(read.to_bytes())
    assert again.to_bytes() == read.to_bytes(), "what is accepted is a whole profile"


def test_garbage_and_forged_sizes_are_refused() -> None:
    good = drift.profile(strange()).to_bytes()
    for bad in (b"", b"PAR1", good[:30], good[:-5], good[:12] + struct.pack("<Q", 1 << 60) + good[20:]):
        with pytest.raises(drift.DataError):
            drift.Profile.from_bytes(bad)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b'"arrays":[', b'"arrays":[],"others":['),
        (b'"arrays":[', b'"arrays":' + b"[" * 100_000),
    ],
)
def test_a_head_that_was_forged_is_refused(said: bytes, instead: bytes) -> None:
    """As whatever lies where a job leaves the profile of a drop: any other error would be met again and again."""
    good = drift.profile(strange()).to_bytes()
    magic, version, size = struct.unpack_from("<8sIQ", good)
    body = pa.Codec("zstd").decompress(good[20:], size, asbytes=True)
    length = struct.unpack_from("<Q", body)[0]
    head = body[8 : 8 + length].replace(said, instead, 1)
    assert head != body[8 : 8 + length], body[8 : 8 + length]
    body = struct.pack("<Q", len(head)) + head + body[8 + length :]
    forged = struct.pack("<8sIQ", magic, version, len(body)) + pa.Codec("zstd").compress(body, asbytes=True)
    with pytest.raises(drift.DataError):
        drift.Profile.from_bytes(forged)


def test_parts_merge_into_the_whole() -> None:
    whole = mixed(np.random.default_rng(4), 3_000)
    reference = drift.profile(mixed(np.random.default_rng(5), 3_000))
    parts = [drift.profile(whole.slice(start, 1_000), grid=reference) for start in (0, 1_000, 2_000)]
    merged, single = drift.merge(parts), drift.profile(whole, grid=reference)
    assert merged.rows == single.rows
    for name, column in single.columns.items():
        other = merged.columns[name]
        assert other.nulls == column.nulls
        mine, theirs = other.parts["values"], column.parts["values"]
        assert mine.counts.tolist() == theirs.counts.tolist()
    ours, theirs_ = (
        {c.name: (c.detected, c.material) for c in drift.compare(reference, p).columns}
        for p in (merged, single)
    )
    assert ours == theirs_


def test_merging_nothing_or_two_kinds_is_refused() -> None:
    with pytest.raises(drift.DataError, match="nothing to merge"):
        drift.merge([])
    a, b = drift.profile({"x": [1.0, 2.0]}), drift.profile({"x": ["a", "b"]})
    with pytest.raises(drift.DataError, match="x: it is"):
        drift.merge([a, b])


def test_small_batches_give_the_same_profile_as_one_table() -> None:
    whole = mixed(np.random.default_rng(6), 2_000)
    profiler = drift.Profiler()
    for batch in whole.to_batches(max_chunksize=97):
        profiler.update(batch)
    assert profiler.finish().to_bytes() == drift.profile(whole).to_bytes()


def test_kinds_are_recognised_and_can_be_settled() -> None:
    frame = strange()
    kinds = {name: c.kind for name, c in drift.profile(frame).columns.items()}
    assert kinds["key"] == "id"
    assert kinds["text"] == "text"
    assert kinds["day"] == "datetime"
    assert kinds["flag"] == "boolean"
    assert kinds["list"] == "other"
    settled = drift.profile(frame, columns={"few": "category", "key": "text"}).columns
    assert settled["few"].kind == "category"
    assert settled["key"].kind == "text"
    with pytest.raises(drift.DataError, match="not a kind"):
        drift.profile(frame, columns={"few": "colour"})


def test_running_numbers_are_ids_and_are_not_judged() -> None:
    a = pa.table({"row": np.arange(1000), "x": np.random.default_rng(8).normal(size=1000)})
    b = pa.table({"row": np.arange(1000) + 1000, "x": np.random.default_rng(9).normal(size=1000)})
    report = drift.compare(a, b)
    assert not report.detected
    assert dict(report.skipped)["row"].startswith("an id")


def test_later_dates_are_no_drift_but_another_time_of_day_is() -> None:
    rng = np.random.default_rng(10)

    def at(start: str, hours: tuple[int, int]) -> pd.DataFrame:
        days = pd.to_timedelta(rng.integers(0, 60, 2000), unit="D")
        return pd.DataFrame(
            {"at": pd.Timestamp(start) + days + pd.to_timedelta(rng.integers(*hours, 2000), unit="h")}
        )

    reference = drift.profile(at("2024-01-01", (8, 18)))
    assert not drift.compare(reference, at("2024-03-04", (8, 18))).detected
    report = drift.compare(reference, at("2024-03-04", (0, 10)))
    assert report.material
    assert "by hour" in report.columns[0].words


def test_a_profile_of_forty_three_columns_is_small() -> None:
    kept = drift.profile(mixed(np.random.default_rng(11), 50_000))
    assert len(kept.to_bytes()) < 4_000_000

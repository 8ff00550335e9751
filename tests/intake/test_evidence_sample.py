"""P18: a sample is as good from a sorted file as from a shuffled one, and a first part of it is a sample too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from shared.reader.evidence_sample import ROWS, RowSample, chances, shares

SCHEMA = pa.schema([("place", pa.int64())])


def batch(first: int, rows: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(first, first + rows))], schema=SCHEMA)


def sampled(rows: int, size: int, cut: int) -> RowSample:
    """A drop of so many rows, read in batches of `cut`."""
    sample = RowSample(SCHEMA, size)
    for first in range(0, rows, cut):
        n = min(cut, rows - first)
        sample.add(batch(first, n), chances(np.arange(first, first + n)))
    return sample


def places(sample: RowSample) -> list[int]:
    return list(sample.table().column("place").to_pylist())


@settings(deadline=None)
@given(
    rows=st.integers(0, 500), size=st.integers(1, 60), cuts=st.tuples(st.integers(1, 90), st.integers(1, 90))
)
def test_it_is_the_same_however_the_batches_are_cut(rows: int, size: int, cuts: tuple[int, int]) -> None:
    one, other = (sampled(rows, size, cut) for cut in cuts)
    assert places(one) == places(other)
    assert len(places(one)) == min(rows, size)
    assert len(set(places(one))) == len(places(one))


@pytest.mark.parametrize("first", [1.0, 0.1])
def test_every_place_of_a_file_is_as_likely(first: float) -> None:
    """The places of the rows that were kept are uniform over the file; so are those of its first tenth."""
    found = np.array(places(sampled(200_000, 2000, 8192)))
    part = found[: int(len(found) * first)]
    assert kstest(part / 200_000, "uniform").pvalue > 0.001


def test_a_file_sorted_by_class_gives_each_class_its_share() -> None:
    """Of 100,000 rows the last 500 are the rare class: the sample has about 10 of its 2,000."""
    found = np.array(places(sampled(100_000, 2000, 5000)))
    assert 2 <= (found >= 99_500).sum() <= 24


def test_the_file_says_what_it_was_drawn_from(tmp_path: Path) -> None:
    sampled(5000, 100, 640).write(tmp_path / "sample", "all.parquet")
    read = pq.read_table(tmp_path / "sample" / "all.parquet")
    assert read.num_rows == 100
    assert read.schema.metadata[ROWS] == b"5000"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 2000)), min_size=1, max_size=6),
    st.integers(1, 2000),
)
def test_several_samples_are_taken_in_proportion(drops: list[tuple[int, int]], wanted: int) -> None:
    rows = [n for n, _ in drops]
    there = [min(n, has) for n, has in drops]
    taken = shares(rows, there, wanted)
    total, got = sum(rows), sum(taken)
    assert got <= min(wanted, total)
    for n, has, took in zip(rows, there, taken, strict=True):
        assert took <= has
        assert total == 0 or abs(took - got * n / total) <= 1 + len(drops)


def test_all_rows_are_taken_where_all_are_there() -> None:
    assert shares([120, 80], [120, 80], 2000) == [120, 80]
    assert shares([10_000, 100], [2000, 100], 2000) == [1980, 20]
    assert shares([], [], 10) == []

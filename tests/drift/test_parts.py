"""Parts of rows, counted by one template, merge into what one process counts: the same bytes in any order."""

import pickle
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drift
from drift import categories, grid, order, profiler, row_sample, tally
from drift.categories import Counts, CountsBuilder
from drift.sums import Sums
from drift.template import template, unsettled

STRETCH = 32
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def shrunk(small: pytest.MonkeyPatch) -> None:
    """Bounds so small that a few hundred rows cross all of them."""
    small.setattr(profiler, "STRETCH_ROWS", STRETCH)
    small.setattr(order, "BLOCK_ROWS", 8)
    small.setattr(order, "STARTS", (0, 8, 16))
    small.setattr(order, "HEAD_ROWS", 20)
    small.setattr(row_sample, "SIZE", 16)
    small.setattr(categories, "KEEP", 4)
    for module in (grid, tally):
        small.setattr(module, "CELLS", 12)
    small.setattr(tally, "_UNSORTED_ROWS", 20)


def rows(count: int, seed: int) -> pa.Table:
    """A column of every kind, with nulls, values that no sum holds, and columns that begin late or never."""
    rng = np.random.default_rng(seed)

    def some(values: Any, share: float = 0.1) -> pa.Array:
        return pa.array(values, mask=rng.random(count) < share)

    wild = rng.choice([0.0, -0.0, np.nan, np.inf, 1e300, -1e300, 1e-310, 3.3, 0.1], count)
    moments = rng.integers(1_600_000_000, 1_700_000_000, count) * 1_000_000
    return pa.table(
        {
            "gauss": some(1e6 + rng.normal(size=count)),
            "wild": pa.array(wild),
            "small": some(rng.integers(0, 5, count)),
            "rising": some(rng.integers(0, 5 + np.arange(count) // 4)),
            "decimal": some([Decimal(int(one)) / 100 for one in rng.integers(0, 10_000, count)]),
            "flag": some(rng.random(count) < 0.2),
            "word": some([f"w{one}" for one in rng.zipf(1.5, count) % 100]),
            "text": some([f"some {one} words" for one in rng.integers(0, 1000, count)]),
            "at": some(pa.array(moments, pa.timestamp("us", "UTC")).to_numpy(zero_copy_only=False)),
            "order_id": pa.array(rng.integers(0, 10 * count, count)),
            "late": pa.array([None] * (count - 2) + [1.5, 2.5], pa.float64())[:count],
            "never": pa.nulls(count, pa.string()),
            "void": pa.nulls(count),
        }
    )


def counted(table: pa.Table, numbers: np.ndarray, by: drift.Profile, batch: int) -> drift.Profiler:
    made = drift.Profiler(by)
    for start in range(0, table.num_rows, batch):
        made.update(table.slice(start, batch), numbers[start : start + batch])
    return made


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 999),
    cuts=st.lists(st.integers(0, 6), max_size=4),
    batch=st.integers(5, 90),
    known=st.sampled_from(["nothing", "some columns", "few values", "everything"]),
    data=st.data(),
)
def test_any_parts_merge_in_any_order(
    seed: int, cuts: list[int], batch: int, known: str, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as small:
        shrunk(small)
        table = rows(200, seed)
        kept = np.flatnonzero(np.random.default_rng(seed).random(200) < 0.9)  # a contract rejects the others
        looked = table.slice(0, 20) if known == "few values" else table.take(np.arange(0, 200, 3))
        reference = {
            "nothing": None,
            "some columns": drift.profile(rows(100, seed + 1).select(["gauss", "word"])),
        }.get(known, drift.profile(rows(100, seed + 1)))
        columns = unsettled(table.schema, reference)
        shown = drift.profile(looked.select(columns)) if columns else None
        by = template(table.schema, reference, shown)
        whole = counted(table.take(kept), kept, by, 200)
        ends = [0, *sorted(cut * STRETCH for cut in cuts), 224]
        parts = []
        for start, end in pairwise(ends):
            mine = kept[(kept >= start) & (kept < end)]
            parts.append(pickle.loads(pickle.dumps(counted(table.take(mine), mine, by, batch))))  # noqa: S301 - our own
        first, *others = data.draw(st.permutations(parts))
        for other in others:
            first.merge(other)
        assert first.finish().to_bytes() == whole.finish().to_bytes()


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), max_size=20), st.randoms())
def test_sums_are_exact_in_any_order(arrays: list[list[float]], random: Any) -> None:
    """But for the last rounding: beside it stands what whole numbers of 2^-1074 come to."""
    small = [np.array(one) / 32 for one in arrays]  # what floats hold when twenty of them are added
    there, back, apart = Sums(3), Sums(3), Sums(3)
    for one in small:
        there.add(one)
    random.shuffle(small)
    for place, one in enumerate(small):
        (back if place % 2 else apart).add(one)
    back.merge(apart)
    assert back.total().tolist() == there.total().tolist()
    values = [list(map(whole, place)) for place in zip(*small, strict=True)]
    for found, exact in zip(there.total(), values, strict=False):
        assert abs(whole(found) - sum(exact)) * 2**50 <= sum(map(abs, exact))


def whole(x: float) -> int:
    above, below = float(x).as_integer_ratio()
    return above * (2**1074 // below)


def test_of_too_many_categories_those_of_the_template_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "KEEP", 4)
    known = Counts(("a", "b"), np.array([2, 1]), np.zeros(0, np.int64))
    new = [f"n{place}" for place in range(20)]
    came = []
    for keys in (["a", *new], [*new, "a"]):
        builder = CountsBuilder(known)
        for key in keys:
            builder.add([key], [1])
        came.append(builder.finish())
    assert came[0].keys == came[1].keys == ("a",)
    assert came[0].buckets.tolist() == came[1].buckets.tolist()
    assert (came[0].rows, came[0].error) == (21, 0)
    few = CountsBuilder(known)
    few.add(new[:16], [1] * 16)
    assert few.finish().rows == 16


def test_what_was_not_counted_by_a_template_does_not_merge() -> None:
    one, other = drift.Profiler(), drift.Profiler()
    for each in (one, other):
        each.update(pa.table({"x": [1.0, 2.0]}))
    with pytest.raises(drift.DataError, match="x: its edges are each part's own"):
        one.merge(other)
    with pytest.raises(drift.DataError, match="segments"):
        drift.Profiler(by="x").merge(drift.Profiler(by="x"))


def test_a_template_knows_every_column() -> None:
    """What rows that were looked at do not show goes by the type, so that no part settles it by its own rows."""
    table = rows(200, 1)
    reference = drift.profile(rows(100, 2).select(["gauss", "void"]))
    assert "gauss" not in unsettled(table.schema, reference)
    assert "word" in unsettled(table.schema, reference)
    made = template(table.schema, reference, drift.profile(table.slice(0, 50).drop(["gauss"])))
    assert (made.columns["late"].kind, made.columns["never"].kind) == ("numeric", "category")
    assert not unsettled(table.schema, made)
    assert "gauss" in unsettled(table.schema, reference, columns={"gauss": "category"})
    assert "gauss" not in unsettled(table.schema, None, ignore=["gauss"])

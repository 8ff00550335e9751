"""Footers as the Arrow of Azure ML's Spark runtime reads them (arrow#45283); what it reads then, tests/local shows."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.spark.footers import patches

TABLES = {
    "plain": pa.table({f"c{n}": np.arange(60) for n in range(20)}),
    "nested": pa.table(
        {"a": [[1, 2], None, []] * 20, "b": [{"x": 1, "y": "z"}] * 60, "t": ["a", None, "c"] * 20}
    ),
    "maps": pa.table(
        {"m": pa.array([[("k", 1)], []] * 30, pa.map_(pa.string(), pa.int64())), "b": [True, None] * 30}
    ),
}
BLOOM = {"metadata": {"author": "ann", "long": "x" * 300}}


def found(content: bytes) -> dict[int, int]:
    return dict(patches(lambda begin, size: content[begin : begin + size], len(content)))


@pytest.mark.parametrize("name", TABLES)
def test_each_columns_size_statistics_are_passed_over_and_all_else_is_read(name: str, tmp_path: Path) -> None:
    table = TABLES[name].replace_schema_metadata(BLOOM["metadata"])
    pq.write_table(table, tmp_path / "a", row_group_size=3)
    content = bytearray((tmp_path / "a").read_bytes())
    meta = pq.read_metadata(tmp_path / "a")
    places = found(bytes(content))
    assert len(places) == meta.num_row_groups * meta.num_columns == 20 * meta.num_columns
    for place, byte in places.items():
        content[place] = byte
    assert found(bytes(content)) == {}
    again = pq.ParquetFile(io.BytesIO(bytes(content)))
    assert again.read().equals(table)
    assert again.metadata.row_group(7).column(0).statistics == meta.row_group(7).column(0).statistics


def framed(footer: bytes) -> bytes:
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1PAR1",
        b"a,b\n1,2\nPAR1....",
        framed(b""),
        framed(b"\x19\xf1" + b"\xff" * 9 + b"\x7f"),
        framed(b"\x19\xf7\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64),
        framed(b"\x80" * 5000),
        framed(b"\x1c" * 5000),
        framed(b"\x1b\xff\xff\xff\xff\xff\xff\x7f\x11"),
    ],
    ids=["nothing", "no footer", "text", "empty", "booleans", "doubles", "a number", "depth", "a map"],
)
def test_a_footer_that_cannot_be_followed_is_left_as_it_is(content: bytes) -> None:
    assert found(content) == {}


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_no_footer_takes_long_or_raises(footer: bytes) -> None:
    assert all(4 <= place < 4 + len(footer) for place in found(framed(footer)))

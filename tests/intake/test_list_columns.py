"""Parquet columns of lists of numbers are read as a column for each number; other lists are refused by name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.intake.test_reading import Read, read, rejection

__all__ = ["read"]

RNG = np.random.default_rng(5)
WIDE = RNG.normal(size=(60, 3)).round(4)
LABELS = ["a", "b"] * 30


def of(lists: object, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"x": range(60), "e": pa.array(lists, kind), "target": LABELS})


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 3)], ids=str
)
def test_each_number_is_a_column_as_if_the_file_were_wide(read: Read, kind: pa.DataType) -> None:
    wide = pa.table({"x": range(60), **{f"e_{n}": WIDE[:, n] for n in range(3)}, "target": LABELS})
    found, same = read(of(WIDE.tolist(), kind)), read(wide)
    assert found.columns == {
        "x": "integer",
        "e_0": "number",
        "e_1": "number",
        "e_2": "number",
        "target": "string",
    }
    assert found.content_hash == same.content_hash and found.profile == same.profile
    assert "'e' holds lists of 3 numbers, which are read as 'e_0' to 'e_2'" in " ".join(found.findings)
    again = read(of(WIDE.tolist(), kind), known_columns=found.columns)
    assert not any("holds lists" in one for one in again.findings), "it is told once"


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16(), pa.int64(), pa.int8(), pa.uint64()], ids=str)
def test_numbers_of_any_size(read: Read, kind: pa.DataType) -> None:
    whole = (WIDE * 10).round().astype(int) ** 2 % 100
    rows = [list(map(np.float16, row)) for row in whole] if kind == pa.float16() else whole.tolist()
    found = read(of(rows, pa.list_(kind)))
    assert set(found.columns) == {"x", "e_0", "e_1", "e_2", "target"}


def test_rows_without_a_list_are_rows_without_its_numbers(read: Read) -> None:
    found = read(of([None, *WIDE.tolist()[1:-1], [None, 1.5, None]]))
    wide = {f"e_{n}": [None, *WIDE[1:-1, n], 1.5 if n == 1 else None] for n in range(3)}
    assert found.content_hash == read(pa.table({"x": range(60), **wide, "target": LABELS})).content_hash


def test_a_part_without_any_list_has_the_columns_of_the_version_before(read: Read) -> None:
    none = of([None] * 60, pa.list_(pa.float64()))
    assert "column 'e' of type 'list<" in str(rejection(read, none))
    known = {"x": "integer", "e_0": "number", "e_1": "number", "target": "string"}
    assert read(none, known_columns=known).columns.keys() == known.keys()


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ([[1.0, 2.0]] * 59 + [[1.0]], "'e' of 'part-0' holds lists of 2 and of 1 numbers"),
        ([["a", "b"]] * 60, "column 'e' of type 'list<"),
        ([[[1.0]]] * 60, "column 'e' of type 'list<"),
        ([{"a": 1}] * 60, "column 'e' of type 'struct<"),
        ([[1.0] * 1999] * 60, "has 2,001 columns, with one for each number of its lists; the limit is 2,000"),
    ],
    ids=["lengths", "texts", "nested", "objects", "many"],
)
def test_other_lists_are_refused_by_name(read: Read, lists: object, words: str) -> None:
    assert words in str(rejection(read, of(lists)))


def test_a_name_that_is_taken_is_told(read: Read) -> None:
    taken = of(WIDE.tolist()).append_column("e_1", pa.array(range(60)))
    assert "e_1" in str(rejection(read, taken))

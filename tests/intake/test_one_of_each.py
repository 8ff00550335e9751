"""One row of each key, across batches; what has no key stands for itself."""

import numpy as np
import pyarrow as pa

from shared.reader import one_of_each
from shared.reader.one_of_each import OneOfEach


def kept(chooser: OneOfEach, keys: list[str | None]) -> list[int]:
    batch = pa.record_batch({"key": keys, "row": list(range(len(keys)))})
    found, places = chooser.of(batch, np.arange(len(keys)))
    assert places.tolist() == found.column("row").to_pylist()
    return places.tolist()


def test_the_first_row_of_each_key_is_kept_across_batches() -> None:
    chooser = OneOfEach("key")
    assert kept(chooser, ["b", "a", "b", None, "a", None]) == [0, 1, 3, 5]
    assert kept(chooser, ["a", "c", "c", "b"]) == [1]


def test_without_a_column_every_row_is_kept() -> None:
    assert kept(OneOfEach(""), ["a", "a"]) == [0, 1]
    assert kept(OneOfEach("shop"), ["a", "a"]) == [0, 1]


def test_the_keys_that_are_remembered_are_bounded() -> None:
    chooser = OneOfEach("key")
    chooser._seen = set(range(one_of_each.MOST))
    assert kept(chooser, ["a", "b"]) == []

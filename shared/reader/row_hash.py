"""The same row has the same hash whatever file, order, part or number format it comes in.

Numbers are hashed by value (1, 1.0 and 1,0 are one), text by its characters, times by their moment. A row's hash
is the sum over its columns of mixed (name, value) hashes, so that the order of columns does not count. The content
hash of a drop is SHA-256 over the column names, the number of rows and two independent 64-bit sums over the rows.
It tells whether the same data came again; it is no defence against somebody who constructs collisions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_EXACT = 2**53
_NULL = 0x9E3779B97F4A7C15
_KINDS = {"integer": 0xA24BAED4963EE407, "boolean": 0x9FB21C651E98DF25, "datetime": 0xC2B2AE3D27D4EB4F}


def _mixed(x: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection in which every bit depends on every bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = x ^ (x >> np.uint64(31))
    return mixed


def _of_text(text: str, salt: bytes = b"") -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, salt=salt).digest(), "little")


def _of_values(column: pa.Array) -> Hashes:
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), _NULL, dtype=np.uint64)
    if pa.types.is_string(kind):
        coded = column.dictionary_encode()
        known = np.array([_of_text(text) for text in coded.dictionary.to_pylist()] or [0], dtype=np.uint64)
        hashes: Hashes = known[pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)]
    elif pa.types.is_floating(kind):
        numbers = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False)
        hashes = (numbers + 0.0).view(np.uint64)  # + 0.0 makes -0.0 and 0.0 one
    elif pa.types.is_boolean(kind):
        hashes = pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype(np.uint64) ^ np.uint64(
            _KINDS["boolean"]
        )
    elif pa.types.is_timestamp(kind):
        moments = pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(zero_copy_only=False)
        hashes = moments.view(np.uint64) ^ np.uint64(_KINDS["datetime"])
    else:
        whole = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        exact = (whole >= -_EXACT) & (whole <= _EXACT)
        by_bits = whole.view(np.uint64) ^ np.uint64(_KINDS["integer"])
        hashes = np.where(exact, (whole.astype(np.float64) + 0.0).view(np.uint64), by_bits)
    missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    hashes[missing] = np.uint64(_NULL)
    return hashes


class RowHashes:
    """Hashes of the values of a batch, each column's when it is first asked for, combined for content and split."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._rows = batch.num_rows
        self._columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self._values: dict[str, Hashes] = {}

    def of(self, columns: Collection[str], salt: bytes) -> Hashes:
        """A hash a row, over these columns."""
        total = np.zeros(self._rows, dtype=np.uint64)
        for name in columns:
            if name not in self._values:
                self._values[name] = _of_values(self._columns[name])
            total += _mixed(_mixed(self._values[name]) ^ np.uint64(_of_text(name, salt)))
        return _mixed(total)


class ContentHash:
    """Adds up batches to the content hash."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = [np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.uint64)]

    def add(self, hashes: RowHashes, columns: Collection[str]) -> None:
        for place, salt in enumerate((b"content-1", b"content-2")):
            rows = hashes.of(columns, salt)
            self._sums[place] += rows.sum(dtype=np.uint64)
            self._rows += len(rows) if place == 0 else 0

    def merge(self, other: ContentHash) -> None:
        """Add what another has added up."""
        self._rows += other._rows
        self._sums = [mine + theirs for mine, theirs in zip(self._sums, other._sums, strict=True)]

    def hex(self, columns: Collection[str]) -> str:
        names = "\0".join(sorted(columns))
        sums = " ".join(str(int(total[0])) for total in self._sums)
        return hashlib.sha256(f"{names}\0\0{self._rows} {sums}".encode()).hexdigest()


def in_share(hashes: Hashes, share: float) -> npt.NDArray[np.bool_]:
    """The rows whose hash falls into this share of all hashes."""
    chosen: npt.NDArray[np.bool_] = hashes < np.uint64(min(int(share * 2**64), 2**64 - 1))
    return chosen

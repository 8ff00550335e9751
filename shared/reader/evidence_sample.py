"""A bounded sample of a drop's rows in which every row had the same chance, whatever the order of the file.

Each row gets a number that depends on nothing but its place in the drop and a fixed seed; the rows with the least
numbers are kept, in the order of their numbers. So any first part of a sample is a simple random sample itself, and
a file sorted by class, time or key gives as good a sample as a shuffled one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.files.place import Folder

SIZE = 20_000
"""Rows of a sample at most: what `metric.sample` may ask for."""

LEAST, CELLS = 2_000, 4_000_000
"""Wide drops have smaller samples: so many cells, but always as many rows as a gate asks for."""

SEED = 0x5EED_0F_DA7A

ROWS = b"driftloop.rows"
"""Key of the file's metadata under which the number of rows stands that the sample was drawn from."""


def chances(places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The numbers of rows at these places of a drop: uniform on 64 bits, whatever the rows hold.

    SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
    """
    x = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(SEED)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    numbers: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return numbers


class RowSample:
    """The `size` rows with the least numbers among all that were added; memory is bounded by twice that."""

    def __init__(self, schema: pa.Schema, size: int = SIZE) -> None:
        self.rows = 0
        """How many rows were added."""
        self._schema, self._size = schema, size
        self._numbers = np.zeros(0, dtype=np.uint64)
        self._kept: list[pa.RecordBatch] = []
        self._limit = np.uint64(np.iinfo(np.uint64).max)

    def add(self, batch: pa.RecordBatch, numbers: npt.NDArray[np.uint64]) -> None:
        """Rows with their numbers, one each."""
        self.rows += batch.num_rows
        fits = numbers <= self._limit
        if not fits.any():
            return
        self._kept.append(batch.filter(pa.array(fits)))
        self._numbers = np.concatenate([self._numbers, numbers[fits]])
        if len(self._numbers) > 2 * self._size:
            self._compact()

    def merge(self, other: RowSample) -> None:
        """Rows that another was given."""
        self.rows += other.rows
        self._kept += other._kept
        self._numbers = np.concatenate([self._numbers, other._numbers])
        self._compact()

    def table(self) -> pa.Table:
        """The sample, in the order of the numbers; the metadata has the number of rows that it was drawn from."""
        self._compact()
        table = pa.Table.from_batches(self._kept, self._schema)
        return table.replace_schema_metadata({ROWS: str(self.rows)})

    def write(self, folder: Folder, name: str) -> None:
        """The sample as a Parquet file."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            pq.write_table(self.table(), file, compression="snappy")

    def _compact(self) -> None:
        if not self._kept:
            return
        order = np.argsort(self._numbers, kind="stable")[: self._size]
        table = pa.Table.from_batches(self._kept, self._schema).take(pa.array(order))
        self._numbers = self._numbers[order]
        self._kept = table.combine_chunks().to_batches()
        if len(order) == self._size:
            self._limit = self._numbers[-1]

    def __getstate__(self) -> dict[str, Any]:
        self._compact()
        return self.__dict__


class Samples:
    """What gate and metric will be judged on: labelled rows of the holdout, and of the whole drop."""

    def __init__(self, schema: pa.Schema, target: str) -> None:
        size = min(SIZE, max(LEAST, CELLS // len(schema)))
        self._holdout, self._all = RowSample(schema, size), RowSample(schema, size)
        self._target = target

    def add(
        self, batch: pa.RecordBatch, places: npt.NDArray[np.int64], holdout: npt.NDArray[np.bool_]
    ) -> None:
        """Rows at these places of the drop; `holdout` marks those that are kept back from training."""
        numbers = chances(places)
        labelled = pc.is_valid(batch.column(self._target)).to_numpy(zero_copy_only=False)
        for sample, wanted in ((self._all, labelled), (self._holdout, labelled & holdout)):
            sample.add(batch.filter(pa.array(wanted)), numbers[wanted])

    def merge(self, other: Samples) -> None:
        """Rows that another was given."""
        self._all.merge(other._all)
        self._holdout.merge(other._holdout)

    def write(self, folder: Folder) -> None:
        """`all.parquet` and `holdout.parquet`."""
        self._all.write(folder, "all.parquet")
        self._holdout.write(folder, "holdout.parquet")


def shares(populations: Iterable[int], available: Iterable[int], wanted: int) -> list[int]:
    """How many rows to take of each of several samples, so that together they are a sample of all that they were drawn
    from: in proportion to the populations, as many as there are, `wanted` at most; largest remainders first."""
    drawn_from, there = list(populations), list(available)
    total = sum(drawn_from)
    if not total:
        return [0 for _ in drawn_from]
    # The rarest of the samples bounds the whole: more of the others would give them too much weight.
    most = min(
        wanted,
        *(has * total // rows for rows, has in zip(drawn_from, there, strict=True) if has < rows),
        total,
    )
    exact = [most * rows / total for rows in drawn_from]
    taken = [min(int(share), has) for share, has in zip(exact, there, strict=True)]
    by_remainder = sorted(range(len(exact)), key=lambda at: int(exact[at]) - exact[at])
    for at in by_remainder:
        if sum(taken) < most and taken[at] < there[at]:
            taken[at] += 1
    return taken

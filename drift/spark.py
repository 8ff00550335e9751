"""A Spark DataFrame's profile, counted where its rows are: only profiles travel, never rows.

Needs the extra `spark` (pyspark 3.5 or 4, and Java 17 where Spark runs). On a cluster executors need this package, too:
README.md says how it goes with a job of Azure ML.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from .mergers import merge
from .profiler import Profiler
from .profiles import Profile
from .report import Kind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FIRST_LOOK_ROWS = 200_000
_COLUMN = "profile"


def profile(
    frame: DataFrame,
    *,
    grid: Profile | None = None,
    ignore: Collection[str] = (),
    target: str | None = None,
    columns: Mapping[str, Kind] | None = None,
    by: str | Sequence[str] | None = None,
) -> Profile:
    """Profile a Spark DataFrame, each partition where it lies.

    Parameters
    ----------
    frame
        Read once with a grid, twice without: a random sample of 200,000 rows settles kinds and edges first, so
        that all partitions count on the same ones and their counts add exactly.
    grid, ignore, target, columns, by
        As for `drift.profile`.

    Returns
    -------
    Profile
        Rows, nulls, and counts on the grid are those of one process. The joint sample holds other rows; sums of
        floats are added in another order; beyond 20,000 categories the light ones differ by `Counts.error`.
    """
    template = grid if grid is not None else _first_look(frame, ignore, target, columns, by)
    stored = template.to_bytes()
    settled = dict(columns or {})

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        profiler = Profiler(Profile.from_bytes(stored), ignore=ignore, target=target, columns=settled, by=by)
        rows = 0
        for batch in batches:
            rows += batch.num_rows
            profiler.update(batch)
        if rows:
            yield pa.RecordBatch.from_pydict({_COLUMN: [profiler.finish().to_bytes()]})

    rows = frame.mapInArrow(count, f"{_COLUMN} binary").collect()
    parts = [Profile.from_bytes(bytes(row[_COLUMN])) for row in rows]
    return merge(parts) if parts else template


def _first_look(
    frame: DataFrame,
    ignore: Collection[str],
    target: str | None,
    columns: Mapping[str, Kind] | None,
    by: str | Sequence[str] | None,
) -> Profile:
    profiler = Profiler(ignore=ignore, target=target, columns=columns, by=by)
    share = _FIRST_LOOK_ROWS / max(frame.count(), 1)
    some = frame if share >= 1 else frame.sample(fraction=share, seed=0)
    profiler.update(_rows(some))
    return profiler.finish()


def _rows(frame: DataFrame) -> pa.Table:
    """The rows of a small frame, here. `toArrow` came with Spark 4; Azure ML's runtime is 3.5."""
    from pyspark.sql.pandas.types import to_arrow_schema

    def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch)
            yield pa.RecordBatch.from_pydict({_COLUMN: [sink.getvalue().to_pybytes()]})

    rows = frame.mapInArrow(packed, f"{_COLUMN} binary").collect()
    tables = [pa.ipc.open_stream(bytes(row[_COLUMN])).read_all() for row in rows]
    return pa.concat_tables(tables) if tables else to_arrow_schema(frame.schema).empty_table()

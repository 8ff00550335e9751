"""Prices are judged by how they moved from one row to the next, never by their level.

A level wanders: two stretches of one and the same random walk look different to any test that takes rows to be
exchangeable. Logarithmic returns are nearly so (docs/decisions/0007-drift-on-returns.md says what remains).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.intake import Reading
    from shared.loopfile import Definition


def named(column: str) -> str:
    """What the return of a column is called in profiles and reports."""
    return f"{column} (return)"


def with_returns(reading: Reading, folder: Path, definition: Definition, reference: bytes) -> Reading:
    """The reading with a profile in which returns stand in the place of levels; unchanged without `drift.returns`."""
    wanted = definition.drift.returns
    if wanted is None:
        return reading
    import pyarrow as pa
    import pyarrow.parquet as pq

    import drift

    parts = [
        path
        for side in ("holdout", "train", "unlabelled")
        for path in sorted((folder / side).glob("*.parquet"))
    ]
    tables = [pq.read_table(path) for path in parts]
    data = definition.data
    assert data.time is not None  # a rule of the loop file
    judged = returns(pa.concat_tables(tables), wanted.columns, data.time, wanted.by)
    ignored = [name for name in (data.id, *data.left_out) if name is not None]
    target = named(data.target) if data.target in wanted.columns else data.target
    profiler = drift.Profiler(
        drift.Profile.from_bytes(reference) if reference else None,
        ignore=ignored,
        target=target,
        by=[name for name in definition.slices if name in judged.column_names],
    )
    profiler.update(judged)
    how = drift.Profile.from_bytes(reading.profile).reading
    return replace(reading, profile=replace(profiler.finish(), reading=how).to_bytes())


def returns(table: pa.Table, columns: Sequence[str], time: str, by: str | None) -> pa.Table:
    """The rows in time order, with log(value / the value before it in the same group) instead of these columns.

    The first row of a group has no return, and neither has one whose values are not above 0.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = [(by, "ascending"), (time, "ascending")] if by else [(time, "ascending")]
    table = table.take(pc.sort_indices(table, sort_keys=keys))
    first = np.ones(table.num_rows, dtype=bool)
    if by:
        groups = table.column(by).combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
        first[1:] = groups[1:] != groups[:-1]
    else:
        first[1:] = False
    for name in columns:
        levels = table.column(name).cast(pa.float64()).to_numpy()
        logs = np.log(levels, where=levels > 0, out=np.full(len(levels), np.nan))
        moved = np.diff(logs, prepend=np.nan)
        moved[first] = np.nan
        place = table.column_names.index(name)
        table = table.set_column(place, named(name), pa.array(moved, from_pandas=True))
    return table

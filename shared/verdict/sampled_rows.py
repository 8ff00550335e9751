"""Rows of data versions, from the samples that were drawn at reading: no version is ever read as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from shared.ports import Ports

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from shared.domain.version import DataVersion

MAX_ROWS = 2_000
"""A bound on what a gate asks of two deployments."""

Drawn = tuple[tuple[int, int], ...]
"""How many rows of a sample are of which version: (version, rows) in the order of the rows."""


def holdout(
    ports: Ports, versions: Sequence[DataVersion], most: int = MAX_ROWS
) -> tuple[pd.DataFrame, Drawn]:
    """A simple random sample of the labelled holdout rows of these versions, `most` rows at the most."""
    return _sample(ports, versions, "holdout", most)


def everything(ports: Ports, versions: Sequence[DataVersion], most: int = MAX_ROWS) -> pd.DataFrame:
    """The same of all labelled rows: of versions that no deployed model has been trained on."""
    return _sample(ports, versions, "all", most)[0]


def _sample(
    ports: Ports, versions: Sequence[DataVersion], name: str, most: int
) -> tuple[pd.DataFrame, Drawn]:
    import pyarrow.parquet as pq

    from shared.reader.evidence_sample import ROWS, shares

    ordered = sorted(versions, key=lambda v: -v.number)
    found = [pq.read_table(BytesIO(ports.versions.read(f"{v.path}/sample/{name}.parquet"))) for v in ordered]
    drawn_from = [int(table.schema.metadata[ROWS]) for table in found]
    taken = shares(drawn_from, [table.num_rows for table in found], most)
    frames = [_frame(table.slice(0, rows)) for table, rows in zip(found, taken, strict=True) if rows]
    drawn = tuple((version.number, rows) for version, rows in zip(ordered, taken, strict=True) if rows)
    return _together(frames or [_frame(found[0].slice(0, 0))]), drawn


def _together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    common = set.intersection(*(set(frame.columns) for frame in frames))
    for frame in frames:  # where another version has no such column, its rows have nulls
        for name in set(frame.columns) - common:
            if frame[name].dtype == "int64":
                frame[name] = frame[name].astype("Int64")
    return pd.concat(frames, ignore_index=True)


def _frame(table: pa.Table) -> pd.DataFrame:
    """Rows as pandas has them, but whole numbers stay whole beside a null: 2 is asked about as 2, never as 2.0."""
    import pandas as pd
    import pyarrow as pa

    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count:
            frame[name] = column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
    return frame

"""The slice that a row is in, by the same names in drift, gate, canary and late labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drift.segment_names import MOST_VALUES, segment_name

if TYPE_CHECKING:
    import pandas as pd


def slice_edges(column: pd.Series) -> tuple[float, ...]:
    """The quartiles of a column of many numbers, between which its bands are; empty where each value is a slice."""
    import numpy as np

    if column.dtype.kind not in "iuf" or column.nunique() <= MOST_VALUES:
        return ()
    values = column.to_numpy(dtype=float, na_value=np.nan)
    quartiles = np.quantile(values[np.isfinite(values)], [0.25, 0.5, 0.75], method="lower")
    return tuple(float(edge) for edge in np.unique(quartiles))


def slice_names(column: pd.Series, edges: Sequence[float] = ()) -> tuple[str, ...]:
    """The slice of each row: its value, or the band between `edges` that it is in."""
    values = column.astype(object).where(column.notna(), None)
    return tuple(segment_name(value, edges) for value in values.tolist())


def row_slices(
    row: Mapping[str, object], known: Mapping[str, frozenset[str]], edges: Mapping[str, Sequence[float]]
) -> list[str]:
    """The slices that a row of JSON is in, as `column=value`; of those that the gate saw."""
    named = {column: segment_name(row.get(column), edges.get(column, ())) for column in known}
    return [f"{column}={name}" for column, name in named.items() if name in known[column]]

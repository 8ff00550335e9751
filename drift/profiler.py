"""One pass over the rows, in bounded memory, gives the profile; stub while it is being filled."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from drift.profiles import Profile
from drift.report import Kind


class Profiler:
    """Makes a profile from record batches, one pass."""

    def __init__(
        self,
        grid: Profile | None = None,
        *,
        ignore: Collection[str] = (),
        target: str | None = None,
        columns: Mapping[str, Kind] | None = None,
    ) -> None:
        raise NotImplementedError

    def update(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch."""
        raise NotImplementedError

    def finish(self) -> Profile:
        """The profile of all rows seen."""
        raise NotImplementedError


def profile(
    source: Any,
    *,
    grid: Profile | None = None,
    ignore: Collection[str] = (),
    target: str | None = None,
    columns: Mapping[str, Kind] | None = None,
) -> Profile:
    """Profile a path (CSV, .csv.gz, Parquet, a folder of them), DataFrame, Arrow table, reader or batches."""
    raise NotImplementedError


def merge(profiles: Sequence[Profile]) -> Profile:
    """One profile of all the rows of several."""
    raise NotImplementedError

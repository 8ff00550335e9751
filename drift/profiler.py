"""One pass over the rows, in bounded memory, gives the profile."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from . import read, segments
from .column import ColumnBuilder, row_bits
from .errors import DataError
from .frames import plain
from .languages import TEXT_ROWS
from .order import HEAD_ROWS, Copies, copies
from .profiles import Profile
from .report import KINDS, Kind
from .segments import Segments

SAMPLE_ROWS = 8192
_FLUSH_ROWS = 131_072
_FLOAT32 = float(np.finfo(np.float32).max)
_HEAD_FILE_ROWS = 50_000  # in larger files, reading their first rows again is not worth it
_ALONE_ROWS = 50_000  # with fewer, threads cost more than they bring


class _RowSample:
    """Which rows enter the joint sample: chosen by a hash of their number, so that one pass suffices.

    The threshold depends only on how many rows have been seen, and only falls; a row kept early and above
    the final threshold is dropped at the end.
    """

    def __init__(self, most: int = SAMPLE_ROWS) -> None:
        self._most = most
        self._start = 0
        self._known = 0
        self.hashes: list[npt.NDArray[np.uint32]] = []

    def expect(self, rows: int) -> None:
        """Tell that at least so many rows will have been seen in the end."""
        self._known = rows

    def next(self, rows: int) -> npt.NDArray[np.int64]:
        """Places within the next batch of the rows to keep."""
        h = _mix(np.arange(self._start, self._start + rows, dtype=np.uint32))
        self._start += rows
        keep = np.flatnonzero(h < self._threshold(max(self._known, self._start)))
        self.hashes.append(h[keep])
        return keep

    def final(self) -> npt.NDArray[np.bool_]:
        """Which of the rows kept stay."""
        if not self.hashes:
            return np.zeros(0, np.bool_)
        return np.concatenate(self.hashes) < self._threshold(self._start)

    def _threshold(self, rows: int) -> np.uint64:
        return np.uint64(2**32 if rows <= self._most else 2**32 * self._most // rows)


def _mix(x: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """A bijective hash of 32-bit numbers (C. Wellons' lowbias32, bias 0.17)."""
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


class Profiler:
    """Makes a profile from record batches in one pass; memory does not grow with the rows.

    Parameters
    ----------
    grid
        The reference's profile: its kinds and edges are taken over, so that counts compare exactly.
    ignore
        Columns to leave out.
    target
        The column that the model predicts.
    columns
        Kinds that a person has settled, by column.
    by
        A column, or several, whose values are segments: each has a profile of its own beside the whole. The
        reference's where nothing is said; none where it is empty.
    sample_rows, text_rows
        Rows of the joint sample, and those whose texts are read for their language.
    """

    def __init__(
        self,
        grid: Profile | None = None,
        *,
        ignore: Collection[str] = (),
        target: str | None = None,
        columns: Mapping[str, Kind] | None = None,
        by: str | Sequence[str] | None = None,
        sample_rows: int = SAMPLE_ROWS,
        text_rows: int = TEXT_ROWS,
    ) -> None:
        for name, kind in (columns or {}).items():
            if kind not in KINDS:
                raise DataError(f"{kind!r} is not a kind", name, f"Use one of {', '.join(KINDS)}.")
        self._grid = grid
        self._ignore = frozenset(ignore) | frozenset(grid.ignored if grid is not None else ())
        self._target = target if target is not None or grid is None else grid.target
        self._kinds = dict(columns or {})
        self._builders: dict[str, ColumnBuilder] = {}
        self._ignored: list[str] = []
        self._rows = 0
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._sample, self._texts = _RowSample(sample_rows), _RowSample(text_rows)
        self._copies = Copies()
        if by is None:
            by = [one.column for one in grid.by] if grid is not None else ()
        names = (by,) if isinstance(by, str) else tuple(by)
        self._segments = Segments(names, grid, self._segment, _RowSample) if names else None

    def _segment(self, name: str) -> "Profiler":
        """Of the whole's kinds, so that a few rows settle none."""
        known = self._grid.segments.get(name, self._grid) if self._grid is not None else None
        kinds = {name: one.kind for name, one in self._builders.items() if one.kind is not None}
        return Profiler(
            known,
            ignore=self._ignore,
            target=self._target,
            columns=kinds,
            by=(),
            sample_rows=segments.SAMPLE_ROWS,
            text_rows=segments.TEXT_ROWS,
        )

    def update(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the rows of a batch. Batches may be small: they are gathered first."""
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        if len(set(table.column_names)) < table.num_columns:
            raise DataError("two columns have the same name", remedy="Give every column its own name.")
        self._held.append(table)
        self._held_rows += table.num_rows
        if self._held_rows >= _FLUSH_ROWS:
            self.flush()

    def finish(self) -> Profile:
        """The profile of all rows seen."""
        self.flush()
        if not self._builders and not self._ignored:
            raise DataError("there is no column", remedy="Give data with a header and at least one column.")
        return self._profile()

    def read_parquet(self, path: Path) -> None:
        """Count a Parquet file: each column by itself, row group by row group, columns in parallel."""
        if self._segments is not None:  # whole rows are wanted
            for batch in read.open_parquet(path).iter_batches(_FLUSH_ROWS):
                self.update(batch)
            return
        self.flush()
        metadata = read.open_parquet(path).metadata
        names = list(read.open_parquet(path, metadata).schema_arrow.names)
        groups = [g for g in range(metadata.num_row_groups) if metadata.row_group(g).num_rows]
        sizes = [metadata.row_group(g).num_rows for g in groups]
        self._begin(names)
        for sample in (self._sample, self._texts):
            sample.expect(self._rows + metadata.num_rows)
        keeps = [(self._sample.next(size), self._texts.next(size)) for size in sizes]

        def count(mine: Sequence[str]) -> None:
            file = read.open_parquet(path, metadata)
            for name in mine:
                for group, keep in zip(groups, keeps, strict=True):
                    part = file.read_row_group(group, columns=[name], use_threads=False)
                    self._builders[name].add(part.column(0), *keep)

        self._in_parallel(count, [n for n in names if n in self._builders], metadata.num_rows)
        if 0 < metadata.num_rows <= _HEAD_FILE_ROWS:
            batches = read.open_parquet(path, metadata).iter_batches(HEAD_ROWS)
            self._count_copies(pa.Table.from_batches([next(batches)]))
        self._rows += metadata.num_rows

    def _begin(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._ignore:
                if name not in self._ignored:
                    self._ignored.append(name)
            elif name not in self._builders:
                template = self._grid.columns.get(name) if self._grid is not None else None
                self._builders[name] = ColumnBuilder(name, template, self._kinds.get(name))
                kept, read = (sum(map(len, sample.hashes)) for sample in (self._sample, self._texts))
                self._builders[name].skip(self._rows, kept, read)

    def flush(self) -> None:
        """Count the rows that were gathered."""
        if not self._held:
            return
        held, self._held, self._held_rows = self._held, [], 0
        table = _joined(held)
        self._begin(table.column_names)
        keep, read = self._sample.next(table.num_rows), self._texts.next(table.num_rows)

        def count(mine: Sequence[str]) -> None:
            for name in mine:
                self._builders[name].add(table.column(name), keep, read)

        present = [n for n in table.column_names if n in self._builders]
        self._in_parallel(count, present, table.num_rows)
        self._count_copies(table)
        for name in self._builders.keys() - set(present):
            self._builders[name].skip(table.num_rows, len(keep), len(read))
        self._rows += table.num_rows
        if self._segments is not None:
            self._segments.update(table)

    def _count_copies(self, table: pa.Table) -> None:
        """Of the first rows, ids left out: a row that was exported twice may have a number of its own."""
        left = HEAD_ROWS - self._copies.rows
        if left > 0:
            names = [n for n in table.column_names if n in self._builders and self._builders[n].kind != "id"]
            head = table.slice(0, left)
            found = [bits for name in names if (bits := row_bits(head.column(name))) is not None]
            self._copies += copies(found)

    def _in_parallel(self, work: Callable[[Sequence[str]], None], names: Sequence[str], rows: int) -> None:
        if len(names) < 2 * read.THREADS or read.THREADS == 1 or rows < _ALONE_ROWS:
            work(names)
            return
        with ThreadPoolExecutor(read.THREADS) as pool:
            list(pool.map(work, [[n] for n in names]))

    def _profile(self) -> Profile:
        stays, read = self._sample.final(), self._texts.final()
        columns = {name: builder.finish(read) for name, builder in self._builders.items()}
        sample = {
            name: np.clip(np.concatenate(builder.sample)[stays], -_FLOAT32, _FLOAT32).astype(np.float32)
            for name, builder in self._builders.items()
            if columns[name].kind == "numeric" and sum(map(len, builder.sample)) == len(stays)
        }
        by, parts = self._segments.finish() if self._segments is not None else ((), {})
        return Profile(
            self._rows,
            columns,
            self._target,
            tuple(self._ignored),
            sample,
            by=by,
            segments=parts,
            copies=self._copies,
        )


def _joined(held: list[pa.Table]) -> pa.Table:
    if len(held) == 1:
        return held[0]
    try:
        return pa.concat_tables(held, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"two parts disagree about a column's type ({error})", remedy="Write them alike."
        ) from error


def profile(
    source: Any,
    *,
    grid: Profile | None = None,
    ignore: Collection[str] = (),
    target: str | None = None,
    columns: Mapping[str, Kind] | None = None,
    by: str | Sequence[str] | None = None,
) -> Profile:
    """Profile some rows in one pass.

    Parameters
    ----------
    source
        A path (Parquet, or a folder of such files), a pandas DataFrame, an Arrow Table, reader or iterable of
        record batches.
    grid, ignore, target, columns, by
        As for `Profiler`.

    Raises
    ------
    DataError
        The source cannot be read; the message names the file and what to do.
    """

    def begun() -> Profiler:
        return Profiler(grid, ignore=ignore, target=target, columns=columns, by=by)

    if isinstance(source, str | os.PathLike):
        return _of_files(read.files(Path(source)), begun)
    profiler = begun()
    for table in read.tables(plain(source)):
        profiler.update(table)
    return profiler.finish()


def _of_files(paths: list[Path], begun: Callable[[], Profiler]) -> Profile:
    profiler = begun()
    for path in paths:
        try:
            profiler.read_parquet(path)
        except (pa.ArrowException, OSError) as error:
            name = path.name
            raise DataError(f"it is damaged ({read.short(error)})", name, "Write the file again.") from error
    return profiler.finish()

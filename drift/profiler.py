"""One pass over the rows, in bounded memory, gives the profile."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import read, segments
from .arrays import Ints
from .column import ColumnBuilder, row_bits
from .errors import DataError
from .frames import plain
from .languages import TEXT_ROWS
from .order import HEAD_ROWS, Copies, Looks, copies
from .profiles import Profile
from .report import KINDS, Kind
from .row_sample import SIZE, RowSample
from .segments import Segments

STRETCH_ROWS = 131_072
"""Rows that are counted together: 0 to 131,071, the next as many, and so on, by their numbers."""

_FLOAT32 = float(np.finfo(np.float32).max)
_HEAD_FILE_ROWS = 50_000  # in larger files, reading their first rows again is not worth it
_ALONE_ROWS = 50_000  # with fewer, threads cost more than they bring


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
        sample_rows: int = SIZE,
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
        self._next = 0
        self._stretch = 0
        self._held: list[pa.Table] = []
        self._numbers: list[Ints] = []
        self._sample, self._texts = RowSample(sample_rows), RowSample(text_rows)
        self._copies = Copies()
        if by is None:
            by = [one.column for one in grid.by] if grid is not None else ()
        names = (by,) if isinstance(by, str) else tuple(by)
        self._segments = Segments(names, grid, self._segment) if names else None

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

    def update(self, batch: pa.RecordBatch | pa.Table, numbers: Ints | None = None) -> None:
        """Count the rows of a batch. Batches may be small: a stretch of rows is gathered first.

        Parameters
        ----------
        batch
            Rows that follow those before them.
        numbers
            Their numbers in the whole of which they are a part, ascending, from 0; where not given, they follow each
            other.
        """
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        if len(set(table.column_names)) < table.num_columns:
            raise DataError("two columns have the same name", remedy="Give every column its own name.")
        if numbers is None:
            numbers = np.arange(self._next, self._next + table.num_rows)
        for piece, own in _stretches(table, numbers):
            stretch = int(own[0]) // STRETCH_ROWS if len(own) else self._stretch
            if stretch != self._stretch:
                self.flush()
            self._stretch = stretch
            self._held.append(piece)
            self._numbers.append(own)
            self._next = int(own[-1]) + 1 if len(own) else self._next

    def merge(self, other: "Profiler") -> None:
        """Count all that another has counted of other rows by the same template (`drift.template`), to the byte.

        Either is used for nothing else afterwards: this one for more merging and `finish`, the other for nothing.

        Raises
        ------
        DataError
            A column was not counted on a template, or rows go by segments.
        """
        self._settle()
        other._settle()
        if self._segments is not None or other._segments is not None:
            raise DataError("segments are counted by one process", remedy="Leave out by=.")
        self._rows += other._rows
        self._copies += other._copies
        self._ignored += [name for name in other._ignored if name not in self._ignored]
        self._sample.merge(other._sample)
        self._texts.merge(other._texts)
        for name, builder in other._builders.items():
            if name in self._builders:
                self._builders[name].merge(builder)
            else:
                self._builders[name] = builder

    def _settle(self) -> None:
        """Count what is held, and keep no more of the joint sample than is needed."""
        self.flush()
        kept, stays, read = self._sample.kept, self._sample.settle(), self._texts.settle()
        for builder in self._builders.values():
            builder.settle(read)
            if builder.sample and sum(map(len, builder.sample)) == kept:
                builder.sample = [np.concatenate(builder.sample)[stays]]

    def __getstate__(self) -> dict[str, Any]:
        """Without the template, which nothing more is counted by."""
        self._settle()
        return {**self.__dict__, "_grid": None}

    def finish(self) -> Profile:
        """The profile of all rows seen."""
        self.flush()
        if not self._builders and not self._ignored:
            raise DataError("there is no column", remedy="Give data with a header and at least one column.")
        return self._profile()

    def read_parquet(self, path: Path) -> None:
        """Count a Parquet file: each column by itself, row group by row group, columns in parallel."""
        try:
            self._read_parquet(path)
        except (pa.ArrowException, OSError) as error:
            name = path.name
            words = f"it is damaged, or in a form that Arrow does not read ({read.short(error)})"
            raise DataError(words, name, "Write the file again.") from error

    def _read_parquet(self, path: Path) -> None:
        whole = read.open_parquet(path)
        words, metadata, names = read.words_of(whole), whole.metadata, list(whole.schema_arrow.names)
        if self._segments is not None:  # whole rows are wanted
            for batch in read.open_parquet(path, metadata, words).iter_batches(STRETCH_ROWS):
                self.update(batch)
            return
        self.flush()
        groups = [g for g in range(metadata.num_row_groups) if metadata.row_group(g).num_rows]
        sizes = [metadata.row_group(g).num_rows for g in groups]
        self._begin(names)
        for sample in (self._sample, self._texts):
            sample.expect(self._rows + metadata.num_rows)
        starts = self._next + np.cumsum([0, *sizes])
        seen = [self._chosen(np.arange(start, stop)) for start, stop in pairwise(starts.tolist())]

        def count(mine: Sequence[str]) -> None:
            file = read.open_parquet(path, metadata, words)
            for name in mine:
                for group, chosen in zip(groups, seen, strict=True):
                    part = file.read_row_group(group, columns=[name], use_threads=False)
                    self._builders[name].add(part.column(0), *chosen)

        self._in_parallel(count, [n for n in names if n in self._builders], metadata.num_rows)
        head = HEAD_ROWS - self._next
        if head > 0 and 0 < metadata.num_rows <= _HEAD_FILE_ROWS:
            self._count_copies(read.first_rows(read.open_parquet(path, metadata, words), head))
        self._rows += metadata.num_rows
        self._next += metadata.num_rows

    def _chosen(self, numbers: Ints) -> tuple[Ints, Ints, Looks]:
        """Of the next rows: those of the joint sample, those whose texts are read, and those that are looked at."""
        return self._sample.next(numbers), self._texts.next(numbers), Looks.at(numbers)

    def _begin(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._ignore:
                if name not in self._ignored:
                    self._ignored.append(name)
            elif name not in self._builders:
                template = self._grid.columns.get(name) if self._grid is not None else None
                self._builders[name] = ColumnBuilder(name, template, self._kinds.get(name))
                self._builders[name].skip(self._rows, self._sample.kept, self._texts.kept)

    def flush(self) -> None:
        """Count the rows that were gathered."""
        if not self._held:
            return
        held, self._held = self._held, []
        numbers, self._numbers = np.concatenate(self._numbers), []
        table = _joined(held)
        self._begin(table.column_names)
        keep, read, looks = chosen = self._chosen(numbers)

        def count(mine: Sequence[str]) -> None:
            for name in mine:
                self._builders[name].add(table.column(name), *chosen)

        present = [n for n in table.column_names if n in self._builders]
        self._in_parallel(count, present, table.num_rows)
        self._count_copies(table.slice(0, looks.head))
        for name in self._builders.keys() - set(present):
            self._builders[name].skip(table.num_rows, len(keep), len(read))
        self._rows += table.num_rows
        if self._segments is not None:
            self._segments.update(table)

    def _count_copies(self, head: pa.Table) -> None:
        """Of the first rows, ids left out: a row that was exported twice may have a number of its own."""
        names = [n for n in head.column_names if n in self._builders and self._builders[n].kind != "id"]
        found = [bits for name in names if (bits := row_bits(head.column(name))) is not None]
        self._copies += copies(found)

    def _in_parallel(self, work: Callable[[Sequence[str]], None], names: Sequence[str], rows: int) -> None:
        if len(names) < 2 * read.THREADS or read.THREADS == 1 or rows < _ALONE_ROWS:
            work(names)
            return
        with ThreadPoolExecutor(read.THREADS) as pool:
            list(pool.map(work, [[n] for n in names]))

    def _profile(self) -> Profile:
        kept, stays, read = self._sample.kept, self._sample.final(), self._texts.final()
        columns = {name: builder.finish(read) for name, builder in self._builders.items()}
        sample = {
            name: np.clip(np.concatenate(builder.sample)[stays], -_FLOAT32, _FLOAT32).astype(np.float32)
            for name, builder in self._builders.items()
            if columns[name].kind == "numeric" and sum(map(len, builder.sample)) == kept
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


def _stretches(table: pa.Table, numbers: Ints) -> Iterator[tuple[pa.Table, Ints]]:
    """The rows, by the stretch that their numbers lie in."""
    stretch = numbers // STRETCH_ROWS
    ends = np.flatnonzero(stretch[1:] != stretch[:-1]) + 1
    for start, end in pairwise([0, *ends.tolist(), len(numbers)]):
        yield table.slice(start, end - start), numbers[start:end]


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
        profiler.read_parquet(path)
    return profiler.finish()

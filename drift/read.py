"""Parquet files and what is in memory become record batches, or a DataError that names the file and what to do.

Files of other dress (CSV, packed or not) are read elsewhere and come here as Arrow batches.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import DataError

THREADS = min(4, os.cpu_count() or 1)
"""Those that count."""


def files(path: Path) -> list[Path]:
    """The data files of a path: itself, or those of a folder by name, without hidden and marker files."""
    if not path.exists():
        raise DataError("there is no such file or folder", str(path), "Check the path.")
    if path.is_file():
        return [path]
    found = [p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.startswith(("_", "."))]
    if not found:
        raise DataError("the folder holds no data file", str(path), "Put Parquet files into it.")
    return found


def open_parquet(
    path: Path, metadata: pq.FileMetaData | None = None, words: Sequence[str] = ()
) -> pq.ParquetFile:
    """The file, with some columns of strings as dictionaries; times of 96 bits as microseconds, as nanoseconds end in
    the year 2262 and others would come out as other times."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            raise DataError(
                "this is not a Parquet file",
                path.name,
                "Read it as a DataFrame or Arrow data first; the command driftloop compare reads CSV as well.",
            )
    try:
        return pq.ParquetFile(
            path, metadata=metadata, read_dictionary=list(words), coerce_int96_timestamp_unit="us"
        )
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"this is not a readable Parquet file ({short(error)})", path.name, "Write the file again."
        ) from error


def words_of(file: pq.ParquetFile) -> list[str]:
    """Columns of strings, of which to read dictionaries is quicker; Arrow makes none of those that are written as what
    each value adds to the one before (DELTA_BYTE_ARRAY and its like)."""
    schema, meta = file.schema_arrow, file.metadata
    strings = {f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)}
    leaves = [
        (at, name) for at in range(meta.num_columns) if (name := meta.schema.column(at).path) in strings
    ]
    for group in map(meta.row_group, range(meta.num_row_groups)):
        strings -= {name for at, name in leaves if any("DELTA" in one for one in group.column(at).encodings)}
    return [name for name in schema.names if name in strings]


def first_rows(file: pq.ParquetFile, most: int) -> pa.Table:
    """So many rows from a file's beginning; a batch of dictionaries ends where its row group does."""
    found, rows = [], 0
    for batch in file.iter_batches(most):
        found.append(batch.slice(0, most - rows))
        rows += found[-1].num_rows
        if rows == most:
            break
    return pa.Table.from_batches(found).unify_dictionaries()


def short(error: BaseException) -> str:
    """An error's text on one short line."""
    return " ".join(str(error).split())[:160]


def tables(source: Any) -> Iterator[pa.Table | pa.RecordBatch]:
    """Batches of something in memory: a DataFrame, a Table, a reader, or an iterable of batches."""
    if isinstance(source, pa.Table | pa.RecordBatch):
        yield source
    elif type(source).__module__.split(".")[0] == "pandas":
        yield pa.Table.from_pandas(_plain(source), preserve_index=False)
    elif isinstance(source, dict):
        yield pa.table(source)
    elif hasattr(source, "__iter__"):
        yield from source
    else:
        raise DataError(
            f"a {type(source).__name__} is not data", remedy="Give a path, a DataFrame or Arrow data."
        )


def _plain(frame: Any) -> Any:
    """Columns of mixed types, which Arrow refuses, as strings: one bad column must not stop the others."""
    frame = frame.rename(columns=str)
    for name in frame.columns:
        if frame[name].dtype == object:
            try:
                pa.array(frame[name], from_pandas=True)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                known = frame[name].notna()
                frame[name] = frame[name].where(~known, frame[name].astype(str))
    return frame

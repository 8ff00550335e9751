"""Files become record batches of bounded size, or a DataError that names the file and what to do.

CSV is cut at line ends outside quotes into blocks, which Arrow parses side by side, ahead of the caller; a block
that contradicts the types inferred so far starts the file anew with the column's type widened.
"""

import codecs
import csv
import gzip
import os
import re
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from drift.errors import DataError

_BLOCK_BYTES = 4 << 20
THREADS = min(4, os.cpu_count() or 1)
"""Those that parse, and those that count."""

_BLOCKS_AHEAD = THREADS + 2
_LONGEST_ROW_BYTES = 64 << 20
_MOST_COLUMNS = 20_000
_BAD_CELL = re.compile(r"In CSV column #(\d+).*?conversion error to ([\w\[\], ]+)")
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]

Types = dict[str, pa.DataType]
Block = bytes | memoryview


def files(path: Path) -> list[Path]:
    """The data files of a path: itself, or those of a folder by name, without hidden and marker files."""
    if not path.exists():
        raise DataError("there is no such file or folder", str(path), "Check the path.")
    if path.is_file():
        return [path]
    found = [p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.startswith(("_", "."))]
    if not found:
        raise DataError("the folder holds no data file", str(path), "Put CSV or Parquet files into it.")
    return found


def is_parquet(path: Path) -> bool:
    """Whether a file's name or its first bytes say Parquet."""
    if path.suffix in (".parquet", ".pq"):
        return True
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def open_parquet(path: Path, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """The file, its strings read as dictionaries."""
    try:
        plain = pq.ParquetFile(path, metadata=metadata)
        words = [
            f.name
            for f in plain.schema_arrow
            if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)
        ]
        if not words:
            return plain
        return pq.ParquetFile(path, metadata=plain.metadata, read_dictionary=words)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"this is no readable Parquet file ({short(error)})", path.name, "Write the file again."
        ) from error


class Widened(Exception):
    """A later block contradicts the types that the first one suggested."""

    def __init__(self, types: Types) -> None:
        super().__init__("column types widened")
        self.types = types


def csv_tables(path: Path, types: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    """A CSV file's rows in blocks under the given types; `Widened` tells with which ones to start anew."""
    yield from _CsvFile(path).tables(dict(types))


class _CsvFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def tables(self, types: Types) -> Iterator[pa.Table]:
        with self._open() as stream:
            try:
                blocks = _blocks(stream, _decoder(stream), self.path.name)
                first = bytes(next(blocks, b""))
                first += b"" if b"\n" in first else b"\n"
                options = self._options(first)
                names = self._names(first, options)
                yield _typed(self._parse(first, names, True, options, types), types)
                yield from self._rest(blocks, names, options, types)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError("the gzip stream is damaged", self.path.name, "Compress it again.") from error
            except UnicodeDecodeError as error:
                encoding = error.encoding.upper()
                raise DataError(f"the text is not {encoding}", self.path.name, "Save it as UTF-8.") from error

    def _rest(
        self, blocks: Iterator[Block], names: list[str], options: pacsv.ParseOptions, types: Types
    ) -> Iterator[pa.Table]:
        """The blocks after the first, in order: one thread reads them, others parse them."""

        def parsed(block: Future[Block | None], known: Types) -> tuple[Block, pa.Table] | None:
            found = block.result()
            return None if found is None else (found, self._parse(found, names, False, options, known))

        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(THREADS) as parsers:

            def begun() -> Future[tuple[Block, pa.Table] | None]:
                return parsers.submit(parsed, reader.submit(next, blocks, None), dict(types))

            coming = deque(begun() for _ in range(_BLOCKS_AHEAD))
            while (found := coming.popleft().result()) is not None:
                block, table = found
                if _disagree(table, types):  # parsed before an earlier block told the type
                    table = self._parse(block, names, False, options, types)
                yield _typed(table, types)
                coming.append(begun())

    def _open(self) -> IO[bytes]:
        with self.path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        return gzip.open(self.path, "rb") if packed else self.path.open("rb")  # type: ignore[return-value] # GzipFile is an IO[bytes]

    def _options(self, first: bytes) -> pacsv.ParseOptions:
        head = first[: first.find(b"\n")]
        if not head.strip() and not first.strip():
            raise DataError("the file is empty", self.path.name, "Write a header line and rows.")
        if b"\x00" in first[:65_536]:
            raise DataError("the file holds NUL bytes", self.path.name, "Save it as UTF-8 text.")
        counts = {d: head.count(d.encode()) for d in ",;\t|"}
        delimiter = max(counts, key=lambda d: counts[d])
        return pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in first)

    def _names(self, first: bytes, options: pacsv.ParseOptions) -> list[str]:
        head = first[: first.find(b"\n")].decode("utf-8", "replace")
        names = [name.strip() for name in next(csv.reader([head], delimiter=options.delimiter))]
        if len(names) > _MOST_COLUMNS:
            raise DataError(
                f"{len(names)} columns are more than {_MOST_COLUMNS}", self.path.name, "Split it."
            )
        return _distinct(names, self.path.name)

    def _parse(
        self, block: Block, names: list[str], head: bool, options: pacsv.ParseOptions, types: Types
    ) -> pa.Table:
        comma = options.delimiter == ";"
        convert = pacsv.ConvertOptions(
            column_types=types,
            strings_can_be_null=True,
            null_values=_NULLS,
            quoted_strings_can_be_null=True,
            decimal_point="," if comma and _decimal_comma(block) else ".",
            auto_dict_encode=True,
            auto_dict_max_cardinality=len(block),
        )
        read = pacsv.ReadOptions(
            use_threads=False, column_names=names, skip_rows=1 if head else 0, block_size=1 << 20
        )
        try:
            table = pacsv.read_csv(
                pa.BufferReader(block), read_options=read, parse_options=options, convert_options=convert
            )
        except pa.ArrowInvalid as error:
            raise self._mended(error, names, types) from error
        self._check_text(table)
        return table

    def _check_text(self, table: pa.Table) -> None:
        """Arrow's dictionary encoding takes any bytes for text; each word is looked at once."""
        for column in table.columns:
            if pa.types.is_dictionary(column.type):
                for chunk in column.chunks:
                    try:
                        chunk.dictionary.cast(pa.string()).validate(full=True)
                    except pa.ArrowInvalid as error:
                        raise self._not_text() from error

    def _not_text(self) -> DataError:
        return DataError("the text is not UTF-8", self.path.name, "Save it as UTF-8.")

    def _mended(self, error: pa.ArrowInvalid, names: list[str], types: Types) -> Exception:
        found = _BAD_CELL.search(str(error))
        if found is None:
            return DataError(f"the file cannot be parsed ({short(error)})", self.path.name, "Mend that row.")
        name = names[int(found[1])]
        text = pa.dictionary(pa.int32(), pa.string())
        wider = pa.float64() if types.get(name) == pa.int64() else text
        if types.get(name) == text:  # nothing is wider: it is no text
            return self._not_text()
        return Widened({**types, name: wider})


def _typed(table: pa.Table, types: Types) -> pa.Table:
    """The table; what it tells of columns whose type was not known is noted."""
    for field in table.schema:
        if field.name not in types and not pa.types.is_null(field.type):
            types[field.name] = field.type
    return table


def _disagree(table: pa.Table, types: Types) -> bool:
    return any(
        not pa.types.is_null(field.type) and types.get(field.name, field.type) != field.type
        for field in table.schema
    )


def _distinct(names: list[str], file: str) -> list[str]:
    if any(not name for name in names):
        raise DataError("a column has no name", file, "Name every column in the header.")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"the column {twice[0]!r} appears twice", file, "Give every column its own name.")
    return names


def _decoder(stream: IO[bytes]) -> codecs.IncrementalDecoder | None:
    start = stream.read(4)
    stream.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return codecs.getincrementaldecoder("utf-16")()
    if start.startswith(codecs.BOM_UTF8):
        stream.read(3)
    return None


def _blocks(stream: IO[bytes], decode: codecs.IncrementalDecoder | None, file: str) -> Iterator[Block]:
    """Blocks of whole rows. Their memory is used again once _BLOCKS_AHEAD others have been asked for."""
    ring = cycle([bytearray(2 * _BLOCK_BYTES) for _ in range(_BLOCKS_AHEAD + 1)])
    held, filled, more = next(ring), 0, True
    while more:
        if decode is not None:
            chunk = stream.read(_BLOCK_BYTES // 2)
            text, more = decode.decode(chunk, final=not chunk).encode(), bool(chunk)
            held = _with_room(held, filled, len(text))
            held[filled : filled + len(text)] = text
            filled += len(text)
        else:
            held = _with_room(held, filled, _BLOCK_BYTES)
            size = stream.readinto(memoryview(held)[filled : filled + _BLOCK_BYTES])  # type: ignore[attr-defined] # binary files have it
            filled, more = filled + size, size > 0
        cut = _line_end(held, filled) if more else filled
        if not cut and filled > _LONGEST_ROW_BYTES:
            raise DataError("a row is longer than 64 MiB, or a quote is never closed", file, "Mend the file.")
        if cut and (more or held[:cut].strip()):
            yield memoryview(held)[:cut]
            rest = memoryview(held)[cut:filled]
            held, filled = _with_room(next(ring), 0, len(rest)), len(rest)
            held[:filled] = rest


def _with_room(held: bytearray, filled: int, size: int) -> bytearray:
    if filled + size <= len(held):
        return held
    grown = bytearray(2 * (filled + size))
    grown[:filled] = held[:filled]
    return grown


def _line_end(block: bytearray, size: int) -> int:
    """The place after the last line end that no quoted field contains."""
    cut = block.rfind(b"\n", 0, size) + 1
    if block.find(b'"', 0, size) < 0:
        return cut
    quotes = block.count(b'"', 0, cut)
    while cut and quotes % 2:
        earlier = block.rfind(b"\n", 0, cut - 1) + 1
        quotes -= block.count(b'"', earlier, cut)
        cut = earlier
    return cut


def _decimal_comma(block: Block) -> bool:
    return re.search(rb"(?m)(?:^|;)-?\d+,\d+(?=;|\r?$)", block[:65_536]) is not None


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
            f"a {type(source).__name__} is no data", remedy="Give a path, a DataFrame or Arrow data."
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

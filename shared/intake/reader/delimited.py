"""CSV is read as text in bounded blocks: separator sniffed, header checked, ragged rows refused with their number."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from shared.errors import InputRejected
from shared.intake.reader.drop_files import Limits
from shared.intake.reader.formats import Text
from shared.intake.rejections import listed, quoted, rejected

_SEPARATORS = ",;\t|"
_HEADER_BYTES = 4 * 1024 * 1024
_SNIFFED_ROWS = 20
_NULLS = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null"]


@dataclass(frozen=True)
class Delimited:
    """One CSV file whose header has been read."""

    text: Text
    separator: str
    columns: tuple[str, ...]
    body: int
    """Byte at which the first row begins."""
    limits: Limits

    @property
    def name(self) -> str:
        return self.text.name

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Every row, each column as trimmed text, in the order of the file."""
        with self.text.open() as stream:
            stream.read(self.body)
            if not stream.peek(1):
                return
            try:
                for batch in self._open(stream):
                    if batch.num_rows:
                        yield self._trimmed(batch)
            except pa.ArrowInvalid as error:
                if "Empty CSV" not in str(error):
                    raise _explained(error, self.name) from error

    def _open(self, stream: io.BufferedReader) -> arrow_csv.CSVStreamingReader:
        names = [str(place) for place in range(len(self.columns))]
        return arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=max(1 << 20, 2 * self.limits.max_field_bytes),
                column_names=names,
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )

    def _trimmed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = []
        for name, column in zip(self.columns, batch.columns, strict=True):
            longest = pc.max(pc.binary_length(column)).as_py() or 0
            if longest > self.limits.max_field_bytes:
                raise rejected(
                    "field-too-large",
                    f"{quoted(self.name)} has a value of {longest:,} bytes in {quoted(name)}",
                )
            text = pc.utf8_trim_whitespace(column)
            arrays.append(pc.if_else(pc.is_in(text, value_set=pa.array(_NULLS)), None, text))
        return pa.RecordBatch.from_arrays(arrays, names=list(self.columns))


def _explained(error: pa.ArrowInvalid, name: str) -> InputRejected:
    text = str(error)
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text):
        row, expected, got = found.groups()
        return rejected(
            "ragged-rows", f"{quoted(name)} has {got} values in data row {row} and {expected} columns"
        )
    if "straddl" in text:
        return rejected(
            "field-too-large", f"{quoted(name)} has a row that does not end within the limit for a value"
        )
    return rejected("unreadable", f"{quoted(name)} is no CSV ({quoted(text[:100])})")


def open_delimited(source: Text, limits: Limits, target: str) -> Delimited:
    """Read the header, and see which separator makes sense of the first rows."""
    csv.field_size_limit(max(_HEADER_BYTES, limits.max_field_bytes))
    name = source.name
    with source.open() as stream:
        head = stream.read(_HEADER_BYTES)
    whole = len(head) < _HEADER_BYTES
    text = head.decode("utf-8", "ignore")
    if not text.strip():
        raise rejected("empty-file", f"{quoted(name)} holds only blanks")
    skipped = len(text) - len(text.lstrip("\r\n"))
    end = _record_end(text, skipped)
    if end is None and not whole:
        count = max(text.count(separator) for separator in _SEPARATORS) + 1
        code = "too-many-columns" if count > limits.max_columns else "field-too-large"
        raise rejected(
            code, f"{quoted(name)} has a header of more than {_HEADER_BYTES:,} bytes with {count:,} columns"
        )
    header = text[skipped:end]
    separator = _separator(text[skipped : skipped + 65536], header, target)
    columns = tuple(
        column.strip() for column in next(csv.reader(io.StringIO(header, newline=""), delimiter=separator))
    )
    _check_header(columns, name, limits)
    return Delimited(source, separator, columns, len(text[:end].encode()), limits)


def _record_end(text: str, start: int) -> int | None:
    """Where the first record ends, its line end included; quoted line ends do not count."""
    inside = False
    for found in re.compile(r'"|\r\n?|\n').finditer(text, start):
        if found[0] == '"':
            inside = not inside
        elif not inside:
            return found.end()
    return None


def _separator(sample: str, header: str, target: str) -> str:
    """The separator with which the target appears in the header, and the first rows have most columns alike."""

    def score(separator: str) -> tuple[bool, int]:
        rows = []
        try:
            for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator):
                rows.append(row)
                if len(rows) == _SNIFFED_ROWS:
                    break
        except csv.Error:
            return False, 0
        widths = Counter(len(row) for row in rows[:-1] or rows if row)
        width, often = widths.most_common(1)[0] if widths else (0, 0)
        names = {name.strip() for name in rows[0]} if rows else set()
        return target in names, width if often * 2 > sum(widths.values()) else 0

    return max((separator for separator in _SEPARATORS if separator in header), key=score, default=",")


def _check_header(columns: tuple[str, ...], name: str, limits: Limits) -> None:
    if len(columns) > limits.max_columns:
        raise rejected(
            "too-many-columns",
            f"{quoted(name)} has {len(columns):,} columns, the limit is {limits.max_columns:,}",
        )
    check_names(columns, name)


def check_names(columns: tuple[str, ...], name: str) -> None:
    """Column names must tell columns apart."""
    if not all(columns):
        raise rejected("empty-header", f"{quoted(name)} has no name for column {columns.index('') + 1}")
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise rejected("duplicate-header", f"{quoted(name)} has the columns {listed(twice)} more than once")
    if long := [column for column in columns if len(column) > 256]:
        raise rejected("field-too-large", f"{quoted(name)} has a column name of {len(long[0]):,} characters")

"""CSV is parsed in blocks side by side by Arrow, each column as what it was found to be; a contradiction says so."""

from __future__ import annotations

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from shared.files.blocks import AHEAD, BLOCK_BYTES, THREADS, blocks, quotes
from shared.files.drop_files import Limits
from shared.files.formats import Text
from shared.files.layout import Layout, escaped, line_of, located, not_closed, open_quote
from shared.files.row_starts import RowStarts
from shared.intake.rejections import quoted, rejected
from shared.values import number_text
from shared.values.column_kinds import ARROW, BOOLEAN, DATETIME, EXACT, INTEGER, NOTHING, NUMBER
from shared.values.evidence import Look, Seen, see_all
from shared.values.forms import TEXT, Form
from shared.values.nulls import ALWAYS
from shared.values.texts import Contradicted, converted, distinct, trimmed

SAMPLE_BYTES = 256 * 1024
_BAD_CELL = re.compile(r"In CSV column #(\d+).*?conversion error to ([\w\[\], ]+)")
_MARKS = re.compile(rb"(^|[\r\n])(?:" + codecs.BOM_UTF8 + rb")+")
ARROW_BLOCK_BYTES = 1 << 20
_PIECE = 1 << 17
_WORDS = pa.dictionary(pa.int32(), pa.string())
_NATIVE = {
    NOTHING: pa.null(),
    INTEGER: pa.int64(),
    NUMBER: pa.float64(),
    BOOLEAN: pa.bool_(),
    DATETIME: pa.timestamp("us"),
}


@dataclass(frozen=True)
class Delimited:
    """One CSV file whose head has been read."""

    text: Text
    layout: Layout
    limits: Limits
    nulls: tuple[str, ...] = ALWAYS
    """What means no value in any column."""

    @property
    def name(self) -> str:
        return self.text.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self.layout.columns

    def sample(self) -> tuple[dict[str, Look], bool, list[Seen]]:
        """What the first rows show, whether they are all rows, and what `see_all` is still to see of them: at once of
        many files."""
        with self._body() as stream:
            found = b""
            while len(found) < SAMPLE_BYTES and (piece := stream.read(SAMPLE_BYTES - len(found))):
                found += piece
            whole = not stream.peek(1)
        if self.layout.returns:
            found = found.replace(b"\r", b"\n")
        if not whole:
            found = found[: found.rfind(b"\n") + 1] if b"\n" in found else b""
        looks = {name: Look() for name in self.columns}
        if found.strip() and (whole or not found.count(b'"') % 2):
            return looks, whole, self._seen(found, looks)
        return (looks, True, []) if not found.strip() and whole else (self.look(self.columns), True, [])

    @property
    def rowless(self) -> bool:
        """Whether nothing but line ends follows the header."""
        with self._body() as stream:
            return all(not piece.strip(b"\r\n") for piece in iter(lambda: stream.read(SAMPLE_BYTES), b""))

    def look(self, columns: tuple[str, ...]) -> dict[str, Look]:
        """What all rows show of some columns."""
        looks = {name: Look() for name in columns}
        forms = dict.fromkeys(columns, TEXT)
        for table in self.tables(forms, convert=False):
            see_all((looks[name], *distinct(table.column(name))) for name in columns)
        return looks

    def line_of(self, column: str, value: str) -> str:
        """Where a value of a column stands, as words; nothing when it is not found."""
        place = self.columns.index(column)
        line = line_of(self.text, self.layout, lambda row: len(row) > place and row[place].strip() == value)
        return f" in line {line:,}" if line else ""

    def _seen(self, block: bytes, looks: dict[str, Look]) -> list[Seen]:
        table = self._parse(block, dict.fromkeys(looks, TEXT), convert=False)
        return [(look, *distinct(table.column(name))) for name, look in looks.items()]

    def lines(self, most: int) -> int:
        """Line ends below the header, and one more: there are no more rows. Not counted far beyond `most`."""
        with self._body() as stream:
            found = 1
            while found <= most and (piece := stream.read(SAMPLE_BYTES)):
                found += piece.count(b"\r" if self.layout.returns else b"\n")
        return found

    def row_starts(self) -> RowStarts:
        """Where its blocks begin, after all of them were gone through."""
        rows, place = [0], [0]
        for size, table in self._blocks({self.columns[0]: TEXT}, convert=False, place=0):
            rows.append(rows[-1] + table.num_rows)
            place.append(place[-1] + size)
        return RowStarts(rows[-1], tuple(rows), tuple(place))

    @property
    def _longest(self) -> int:
        return max(16 << 20, 2 * self.limits.max_field_bytes)

    def _body(self, place: int = 0) -> io.BufferedReader:
        """The text from a byte after its header on."""
        if place:
            return self.text.open_at(self.layout.body + place)
        stream, left = self.text.open(), self.layout.body
        while left and (piece := stream.read(min(left, BLOCK_BYTES))):
            left -= len(piece)
        return stream

    def tables(
        self, forms: Mapping[str, Form], *, convert: bool = True, place: int = 0
    ) -> Iterator[pa.Table]:
        """The rows in order, in tables of about 4 MiB of text, with the columns of `forms` as those forms say.

        From an offset on that `row_starts` gives. Times are UTC and text is a dictionary. `Contradicted` names a column
        that a later row makes another.
        """
        yield from (table for _, table in self._blocks(forms, convert=convert, place=place))

    def _blocks(
        self, forms: Mapping[str, Form], *, convert: bool, place: int
    ) -> Iterator[tuple[int, pa.Table]]:
        """Each block's bytes, and the table of its rows."""

        def parse(block: memoryview) -> tuple[int, pa.Table]:
            return len(block), self._parse(block, forms, convert=convert)

        with self._body(place) as stream:
            found = blocks(stream, self.layout, self.name, self._longest)
            first = list(islice(found, 2))
            if len(first) < 2:  # threads have nothing to share
                yield from map(parse, first)
                return
            found = chain(first, found)

            def parsed(block: Future[memoryview | None]) -> tuple[int, pa.Table] | None:
                taken = block.result()
                return None if taken is None else parse(taken)

            with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(THREADS) as parsers:

                def begun() -> Future[tuple[int, pa.Table] | None]:
                    return parsers.submit(parsed, reader.submit(next, found, None))

                coming = deque(begun() for _ in range(AHEAD))
                while (one := coming.popleft().result()) is not None:
                    coming.append(begun())
                    yield one

    def _parse(self, block: bytes | memoryview, forms: Mapping[str, Form], *, convert: bool) -> pa.Table:
        if _holds(block, codecs.BOM_UTF8):  # of a file that was put behind another
            block = self._unmarked(bytes(block))
        if not self.layout.escapes and _holds(block, b'\\"') and escaped(block, self.layout.separator):
            raise Contradicted("", "escapes")
        if _holds(block, b'"'):
            self._check_closed(block)
        if self.layout.escapes:  # Arrow would take \N for N
            block = re.sub(rb"(?<![^,;\t|\r\n])\\N(?![^,;\t|\r\n])", b"", bytes(block))
        table = self._read(block, forms)
        arrays, large = [], []
        for name, form in forms.items():
            column = table.column(str(self.columns.index(name)))
            arrays.append(self._converted(column, name, form) if convert else self._trimmed(column, name))
            if convert and form.partial and form.kind == NUMBER and _may_be_rounded(arrays[-1]):
                large.append(name)
        if large:
            self._check_rounded(block, large)
        if convert:
            self._check_codes(block, forms)
        return pa.Table.from_arrays(arrays, names=list(forms))

    def _unmarked(self, block: bytes) -> bytes:
        """Without the marks that begin a row; a line within quotes may begin with one."""
        signs = block
        if self.layout.escapes:
            signs = block.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        kept, at, within = bytearray(), 0, 0
        for found in _MARKS.finditer(block):
            within += signs.count(b'"', at, found.start())
            kept += block[at : found.end() if within % 2 else found.end(1)]
            at = found.end()
        return bytes(kept + block[at:])

    def _check_closed(self, block: bytes | memoryview) -> None:
        """Arrow takes all that follows a quote that is never closed for its value. An odd number of quotes shows it:
        blocks are cut where it is even."""
        whole = block.obj if isinstance(block, memoryview) else block
        assert isinstance(whole, bytes | bytearray)
        if quotes(whole, len(block)) % 2 == 0 and not self.layout.escapes:
            return
        text = bytes(block)
        if self.layout.escapes:
            text = text.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        if text.count(b'"') % 2 and (value := open_quote(text, self.layout.separator)) is not None:
            raise not_closed(self.text, self.layout, value)

    def _read(
        self, block: bytes | memoryview, forms: Mapping[str, Form], piece: int = ARROW_BLOCK_BYTES
    ) -> pa.Table:
        width = len(self.columns) + self.layout.trailing
        types = {str(self.columns.index(name)): _arrow_type(form) for name, form in forms.items()}
        types |= {str(place): pa.null() for place in range(len(self.columns), width)}
        convert = arrow_csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=list(self.nulls),
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        read = arrow_csv.ReadOptions(
            use_threads=False, column_names=[str(place) for place in range(width)], block_size=piece
        )
        parse = arrow_csv.ParseOptions(
            delimiter=self.layout.separator,
            newlines_in_values=_holds(block, b'"'),
            escape_char="\\" if self.layout.escapes else False,
        )
        try:
            return arrow_csv.read_csv(
                pa.BufferReader(block), read_options=read, parse_options=parse, convert_options=convert
            )
        except pa.ArrowInvalid as error:
            if "straddl" in str(error) and piece < len(block):
                return self._read(block, forms, len(block))
            if "Empty CSV" in str(error):
                return pa.table({place: pa.nulls(0, kind) for place, kind in types.items()})
            if not _BAD_CELL.search(str(error)) and not self.layout.escapes and _holds(block, b'\\"'):
                raise Contradicted("", "escapes") from error
            raise self._explained(error) from error

    def _explained(self, error: pa.ArrowInvalid) -> Exception:
        if found := _BAD_CELL.search(str(error)):
            place = int(found[1])
            if place >= len(self.columns):
                return rejected(
                    "empty-header",
                    f"{quoted(self.name)} has no name for column {place + 1}, which has values",
                )
            return Contradicted(self.columns[place], "values")
        told = located(self.text, self.layout)
        return told or rejected(
            "unreadable", f"{quoted(self.name)} is not a CSV file ({quoted(str(error)[:100])})"
        )

    def _trimmed(self, column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        chunks = [trimmed(chunk, self.nulls) for chunk in column.chunks]
        for chunk in chunks:
            longest = pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0
            if longest > self.limits.max_field_bytes:
                raise rejected(
                    "field-too-large",
                    f"{quoted(self.name)} has a value of {longest:,} bytes in {quoted(name)}",
                )
        return pa.chunked_array(chunks, _WORDS)

    def _converted(self, column: pa.ChunkedArray, name: str, form: Form) -> pa.ChunkedArray:
        if not form.native:
            words = self._trimmed(column, name)
            return pa.chunked_array(
                [converted(chunk, name, form) for chunk in words.chunks], ARROW.get(form.kind, _WORDS)
            )
        if form.kind == DATETIME:
            return column.cast(pa.timestamp("us", "UTC"))
        return self._trimmed(column, name) if pa.types.is_dictionary(column.type) else column

    def _check_rounded(self, block: bytes | memoryview, names: list[str]) -> None:
        """Only first rows of the columns were looked at, and a float may round what stands here."""
        self._check_words(block, names, number_text.LONG, "rounded")

    def _check_codes(self, block: bytes | memoryview, forms: Mapping[str, Form]) -> None:
        """Arrow reads 007 as 7; leading zeros are codes, so that the column is none of numbers."""
        native = {n: f for n, f in forms.items() if f.native and f.kind in (INTEGER, NUMBER)}
        if not native or not _has_code(block, self.layout.separator):
            return
        self._check_words(block, list(native), number_text.CODE, "codes")

    def _check_words(self, block: bytes | memoryview, names: list[str], pattern: str, what: str) -> None:
        """That no value of these columns is written so."""
        table = self._read(block, dict.fromkeys(names, TEXT))
        for name in names:
            for chunk in table.column(str(self.columns.index(name))).chunks:
                if pc.any(pc.match_substring_regex(trimmed(chunk).dictionary, pattern)).as_py():
                    raise Contradicted(name, what)


def _arrow_type(form: Form) -> pa.DataType:
    return _NATIVE.get(form.kind, _WORDS) if form.native else _WORDS


def _may_be_rounded(numbers: pa.ChunkedArray) -> bool:
    """Whether some reach beyond the whole numbers that a float keeps apart; 2^53 + 1 is read as 2^53."""
    ends = pc.min_max(numbers).as_py()
    return ends["min"] is not None and bool(ends["min"] <= -EXACT or ends["max"] >= EXACT)


def _holds(block: bytes | memoryview, mark: bytes) -> bool:
    whole = block.obj if isinstance(block, memoryview) else block
    assert isinstance(whole, bytes | bytearray)
    first = whole.find(mark[:1], 0, len(block))  # one byte is found thirty times as fast as two
    return first >= 0 and whole.find(mark, first, len(block)) >= 0


def _has_code(block: bytes | memoryview, separator: str) -> bool:
    """Whether some value begins with a zero and another digit (or x, which Arrow reads as hexadecimal)."""
    text, mark = np.frombuffer(block, np.uint8), ord(separator)
    ends = (10, 34) if _holds(block, b'"') else (10,)
    if text[:1] == 48 and _goes_on(text[1:2]).any():
        return True
    for start in range(0, len(text), _PIECE):  # in pieces that stay in the processor's cache
        piece = text[start : start + _PIECE + 2]
        codes = piece[1:-1] == 48
        codes &= _goes_on(piece[2:])
        before = piece[:-2]
        begins = before == mark
        for end in ends:
            begins |= before == end
        begins &= codes
        if begins.any():
            return True
        codes &= before == 32
        blanks = start + np.flatnonzero(codes)
        first = text[np.maximum(blanks - 1, 0)]
        if ((first == mark) | (first == 10) | (first == 32) | (blanks == 0)).any():
            return True
    return False


def _goes_on(after: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (after - 48) < 10
    found |= (after | 32) == 120
    return found

"""Where a CSV file's table begins and how it is written: separator, header, escapes, line ends."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from shared.errors import InputRejected
from shared.files.drop_files import Limits
from shared.files.formats import Text
from shared.intake.rejections import listed, quoted, rejected
from shared.values import date_text, number_text

SEPARATORS = ",;\t|"
_OTHERS = "^~\x01\x1f§¦$: "
_HEADER_BYTES = 4 * 1024 * 1024
_SAMPLE_CHARACTERS = 65_536
_SAMPLE_ROWS = 50
_MOST_ABOVE = 30
"""Lines of titles and comments that may stand above a header."""
_SAID = re.compile(r'^"?sep=(.)"?[,;\t|]*(?=\r|\n|$)', re.IGNORECASE)
_BLANKS = re.compile("[\u00a0\u2000-\u200a\u202f\u3000]")
_NUMERIC = r"[+-]?\d[\d.,\s'\u2019]*$"
_NUMBER = re.compile("|".join(number_text.GRAMMAR.values()))
_COMMENTS = ("#", "//", "%", "--", ";")


@dataclass(frozen=True)
class Layout:
    """What was seen of the head of one file."""

    separator: str
    columns: tuple[str, ...]
    """Names as they are used: without blanks around them, accents composed (NFC)."""
    body: int
    """Byte of the text at which the first row begins."""
    line: int
    """Line of the file, from 1, on which the first row begins."""
    trailing: int = 0
    """Each row ends with so many separators: as many more, empty columns follow."""
    escapes: bool = False
    """A quote within a value is written as backslash and quote."""
    returns: bool = False
    """Lines end with carriage returns alone."""
    above: tuple[str, ...] = ()
    """Lines above the first row that were passed over."""
    other: str = ""
    """Of a table of one column: a sign, or several of it in a row, that each line holds as often: it may be the
    separator, a usual one where quotes stand around whole lines."""
    sep_helps: bool = False
    """The header holds `other` as often as the rows do, so that a line `sep=` makes a table of them."""


def layout(source: Text, limits: Limits, target: str) -> Layout:
    """Read the head of a file; InputRejected when no line of it is a header."""
    csv.field_size_limit(max(_HEADER_BYTES, limits.max_field_bytes))
    with source.open() as stream:
        head = stream.read(_HEADER_BYTES)
    whole = len(head) < _HEADER_BYTES
    text = head.decode("utf-8", "ignore")
    if not text.strip():
        raise rejected("empty-file", f"{quoted(source.name)} holds only blanks")
    start, said = _start(text)
    if _record_end(text, start) is None and not whole:
        count = max(text.count(separator) for separator in SEPARATORS) + 1
        code = "too-many-columns" if count > limits.max_columns else "field-too-large"
        raise rejected(
            code,
            f"{quoted(source.name)} has a header of more than {_HEADER_BYTES:,} bytes with {count:,} columns",
        )
    found = _Head(source.name, text, whole, start, escapes=False)
    if not said.isascii():
        raise rejected(
            "unsupported-format",
            f"{quoted(source.name)} separates values by {quoted(said)}",
        )
    said = said if found.holds(said) else ""
    separator = said or found.separator(target)
    if escaped(head[: 16 * _SAMPLE_CHARACTERS], separator):
        found = _Head(source.name, text, whole, start, escapes=True)
        separator = said or found.separator(target)
    return found.layout(separator, limits, target)


def escaped(block: bytes | memoryview, separator: str) -> bool:
    """Whether a backslash stands before a quote that ends no value: the quote is one of the value's characters."""
    return re.search(rb'\\"(?![\r\n"]|$|' + re.escape(separator.encode()) + rb")", block) is not None


def _start(text: str) -> tuple[int, str]:
    """Where the text begins after empty lines and Excel's `sep=;`, and the separator that it says."""
    start = len(text) - len(text.lstrip("\r\n"))
    if said := _SAID.match(text[start : start + 10]):
        after = _record_end(text, start)
        return after if after is not None else len(text), said[1]
    return start, ""


def _record_end(text: str, start: int) -> int | None:
    """Where the record that begins at `start` ends, its line end included; quoted line ends do not count."""
    inside = False
    for found in re.compile(r'"|\r\n?|\n').finditer(text, start):
        if found[0] == '"':
            inside = not inside
        elif not inside:
            return found.end()
    return None


class _Head:
    """The first records of a file."""

    def __init__(self, name: str, text: str, whole: bool, start: int, escapes: bool) -> None:
        self._name, self._text, self._whole, self._start, self._escapes = name, text, whole, start, escapes
        self._spans = list(self._records())
        self._read: dict[str, list[list[str]]] = {}

    def _records(self) -> Iterable[tuple[int, int]]:
        place = self._start
        for _ in range(_SAMPLE_ROWS + _MOST_ABOVE):
            end = _record_end(self._text, place)
            if end is None:
                if place < len(self._text) and (self._whole or place == self._start):
                    yield place, len(self._text)
                return
            yield place, end
            place = end
            if place - self._start > 16 * _SAMPLE_CHARACTERS:
                return

    def _rows(self, separator: str) -> list[list[str]]:
        if separator not in self._read:
            self._read[separator] = [
                self._fields(self._text[start:end], separator) for start, end in self._spans
            ]
        return self._read[separator]

    def _fields(self, record: str, separator: str) -> list[str]:
        escape = "\\" if self._escapes else None
        try:
            rows = csv.reader(
                io.StringIO(record, newline=""),
                delimiter=separator,
                escapechar=escape,
                skipinitialspace=separator != " ",
            )
            return [field.strip() for field in next(rows, [])]
        except csv.Error:
            return [record]

    def holds(self, separator: str) -> bool:
        """Whether a separator that the file names occurs in it."""
        return bool(separator) and any(separator in self._text[a:b] for a, b in self._spans)

    def separator(self, target: str) -> str:
        """The one with which a line holds the target, and most lines are of one width; commas in doubt."""
        wanted = nfc(target)

        def score(separator: str) -> tuple[bool, bool, bool, int, int]:
            rows = [row for row in self._rows(separator) if any(row)]
            width, often = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
            named = any(wanted == nfc(field) for row in rows[:_MOST_ABOVE] for field in row)
            headed = any(len(row) == width and _is_words(row) for row in rows[:_MOST_ABOVE])
            return bool(target) and named, headed, width > 1 and often * 2 >= len(rows), often, width

        return max(filter(self.holds, SEPARATORS), key=score, default=",")

    def layout(self, separator: str, limits: Limits, target: str) -> Layout:
        rows = self._rows(separator)
        if not any(map(any, rows)):
            raise rejected("empty-file", f"{quoted(self._name)} holds no header and no row")
        place = self._header(rows)
        names = rows[place]
        body = [row for row in rows[place + 1 :] if any(row)]
        if len(self._spans) > place + 2 and not self._whole:
            body = body[:-1] or body
        names, trailing = _trimmed(names, body)
        columns = tuple(nfc(name) for name in names)
        if nfc(target) not in columns and _are_values(names, body):
            line = self._text[slice(*self._spans[place])].strip()
            raise rejected(
                "no-header", f"{quoted(self._name)} begins with values rather than names: {quoted(line)}"
            )
        _check_width(columns, self._name, limits)
        last = place + 1 if rows[place + 1 :] and _underlines(rows[place + 1], names) else place
        end = self._spans[last][1]
        other, sep_helps = self._other(place) if len(columns) == 1 else ("", False)
        return Layout(
            separator=separator,
            columns=columns,
            body=len(self._text[:end].encode()),
            line=1 + len(re.findall(r"\r\n|\r|\n", self._text[:end])),
            trailing=trailing,
            escapes=self._escapes,
            returns="\n" not in self._text and "\r" in self._text,
            other=other,
            sep_helps=sep_helps,
            above=tuple(
                line
                for at, (a, b) in enumerate(self._spans[: last + 1])
                if at != place and (line := self._text[a:b].strip())
            ),
        )

    def _other(self, place: int) -> tuple[str, bool]:
        """`Layout.other` and `Layout.sep_helps`."""
        lines = [line for a, b in self._spans[place:] if (line := self._text[a:b].strip())]
        for mark in SEPARATORS + _OTHERS if len(lines) > 1 else "":
            runs = [[run[0] for run in re.finditer(re.escape(mark) + "+", line)] for line in lines]
            counts = [*map(len, runs)]
            if runs[0] and len({*counts[1:]}) == 1 and counts[1] - counts[0] in (0, 1):  # R names its rows
                longest = max(itertools.chain.from_iterable(runs), key=len)
                return longest, counts[0] == counts[1]
        return "", False

    def _header(self, rows: list[list[str]]) -> int:
        """The first record that is as wide as the rows; what stands above it must be titles or comments."""
        widths = Counter(len(row) for row in rows if any(row))
        width = max(widths, key=lambda w: (widths[w], w))
        for place, row in enumerate(rows[: _MOST_ABOVE + 1]):
            start, end = self._spans[place]
            line = self._text[start:end]
            if (
                not any(row)
                or self._is_comment(line, row, width)
                or self._is_sentence(line, rows[place + 1 :], width)
            ):
                continue
            if width > 1 and self._is_title(row, rows[place + 1 :], width):
                continue
            return place
        line = self._text[: self._spans[0][1]].strip()
        raise rejected(
            "no-header", f"{quoted(self._name)} begins with {quoted(line)} and has no header below it"
        )

    def _is_comment(self, line: str, row: list[str], width: int) -> bool:
        """`#` begins a comment where the line is no header: narrower than the rows, or a sentence."""
        if not line.lstrip().startswith(_COMMENTS):
            return False
        return len(row) != width or (width == 1 and " " in line.strip())

    def _is_sentence(self, line: str, below: list[list[str]], width: int) -> bool:
        """A comment that happens to be as wide as the rows stands above the header: words above words above a value."""
        if not line.startswith(("# ", "// ", "-- ")) or not below or not _is_words(below[0]):
            return False
        return len(below[0]) == width and any(any(row) and not _is_words(row) for row in below[1:])

    def _is_title(self, row: list[str], below: list[list[str]], width: int) -> bool:
        """One text alone on its line, above a line that can be a header: as wide as the rows, all of it words."""
        if [field for field in row if field] != row[:1]:
            return False
        header = next((r for r in below if len(r) == width and sum(map(bool, r)) > 1), [])
        apart = not any(below[0]) if below else False
        return _is_words(header) and (apart or " " in row[0] or len(row) == width)


def _is_words(row: list[str]) -> bool:
    """Whether a line can be a header: names that differ and are no numbers; the last may be missing."""
    words = [field for field in row if field]
    named = len(set(words)) == len(words) >= max(1, len(row) - 1)
    return named and not any(re.match(number_text.PLAIN, word) or re.match(_NUMERIC, word) for word in words)


def _underlines(row: list[str], names: list[str]) -> bool:
    """Whether dashes stand below each name, as long as it and longer, as sqlcmd writes them; one or two alone could say
    that there is no value."""
    below, rest = row[: len(names)], row[len(names) :]
    if len(below) < len(names) or any(rest) or "".join(below).strip("-"):
        return False
    fits = all(field and len(field) >= len(name) for field, name in zip(below, names, strict=True))
    return fits and max(map(len, below)) > 2


def _are_values(names: list[str], body: list[list[str]]) -> bool:
    """Whether the first line is a row: above each column of numbers, times or truth values stands one of these, and not
    as names do: two truth values (pandas.get_dummies), or numbers that count."""
    rows = [row for row in body if len(row) == len(names)]
    found: dict[str, list[str]] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=False):
        if kind := _kind_of_all(values):
            if _kind(name) != kind:
                return False
            found.setdefault(kind, []).append(name)
    truths, numbers = [word.lower() for word in found.get("truth", ())], found.get("number", [])
    if "time" in found or len(truths) > len({*truths}):
        return True
    return bool(numbers) and not _count_up(numbers)


def _kind_of_all(values: Iterable[str]) -> str:
    """The kind of all values that are not empty; empty where they differ. Most columns are told by a first few."""
    kinds = map(_kind, filter(None, values))
    first = next(kinds, "")
    return first if first and all(kind == first for kind in kinds) else ""


def _count_up(numbers: list[str]) -> bool:
    """Whether numbers can be names: a year alone, or in one of the forms 0, 1, 2 and 10, 20, 30 and 0,1 0,2 0,3."""
    if len(numbers) == 1:
        return re.fullmatch(r"(19|20)\d\d", numbers[0]) is not None
    for style, form in number_text.GRAMMAR.items():
        if all(re.match(form, number) for number in numbers):
            plain = map(float, number_text.plain(pa.array(numbers), style).to_pylist())
            first, *more = (after - before for before, after in itertools.pairwise(plain))
            if all(math.isclose(step, first) for step in more) and (first == 1 or (first > 0 and more)):
                return True
    return False


def is_value(word: str) -> bool:
    """Whether a word is seldom a name."""
    return bool(_kind(word))


def _kind(word: str) -> str:
    """What a word is that is seldom a name: a number, a time or a truth value; empty for any other."""
    if _NUMBER.match(word):
        return "number"
    if word[:1].isalnum() and any(map(str.isdigit, word)) and date_text.is_date(word):
        return "time"
    return "truth" if word.lower() in ("true", "false") else ""


def _trimmed(names: list[str], body: list[list[str]]) -> tuple[list[str], int]:
    """The names without empty ones after delimiters at the line's end; how many empty values end the rows."""
    widths = Counter(map(len, body))
    width = widths.most_common(1)[0][0] if body else len(names)
    named = len(names)
    while named > 1 and not names[named - 1]:
        named -= 1
    if width < named or (named < len(names) and width not in (named, len(names))):
        return names, 0
    if any(any(row[named:]) for row in body if len(row) == width):
        return names, 0
    return names[:named], width - named


def nfc(name: str) -> str:
    """Accents composed, lines ended alike, every blank of one kind, without blanks and signs of no width around: names
    that look the same are the same."""
    name = _BLANKS.sub(" ", unicodedata.normalize("NFC", name).replace("\r\n", "\n"))
    return name.strip().strip(number_text.UNSEEN).strip()


def _check_width(columns: tuple[str, ...], name: str, limits: Limits) -> None:
    if len(columns) > limits.max_columns:
        raise rejected(
            "too-many-columns",
            f"{quoted(name)} has {len(columns):,} columns, the limit is {limits.max_columns:,}",
        )


def check_names(columns: tuple[str, ...], name: str) -> None:
    """Column names must tell columns apart."""
    if not all(columns):
        place = columns.index("") + 1
        raise rejected("empty-header", f"{quoted(name)} has no name for column {place}")
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise rejected("duplicate-header", f"{quoted(name)} has the columns {listed(twice)} more than once")
    if long := [column for column in columns if len(column) > 256]:
        raise rejected("field-too-large", f"{quoted(name)} has a column name of {len(long[0]):,} characters")


def line_of(source: Text, found: Layout, wanted: Callable[[list[str]], bool]) -> int:
    """The line of the file on which the first such row begins; 0 when there is none."""
    try:
        return next((first for first, _, _, row in _rows_of(source, found) if wanted(row)), 0)
    except csv.Error:
        return 0


def located(source: Text, found: Layout) -> InputRejected | None:
    """The first row that has another number of values than the header, with its line in the file."""
    width, after, number = len(found.columns) + found.trailing, found.line, 0
    try:
        for first, after, number, row in _rows_of(source, found):
            if len(row) != width:
                return _ragged(source.name, row, found, (first, after - 1), number)
    except csv.Error:
        return _unclosed(source.name, after, number + 1)
    return None


def open_quote(block: bytes, separator: str) -> str | None:
    """The value whose quote is not closed in these whole rows, or is closed by one that opens another value; None where
    all are. Quotes within values that have none around them are no such quotes."""
    mark = re.escape(separator.encode())
    for found in re.finditer(rb"(?:^|(?<=[\r\n" + mark + rb']))"((?:[^"]|"")*)("?)', block):
        after = block[found.end() : found.end() + 1]
        if not found[2] or (b"\n" in found[1] and after not in (b"", b"\r", b"\n", separator.encode())):
            return found[1].decode("utf-8", "replace") if found[2] else ""
    return None


def not_closed(source: Text, found: Layout, value: str) -> InputRejected:
    """The row of such a value; where it is not said, the last, to which all that follows the quote belongs."""
    beginning = value.replace('""', '"')
    rows = ((line, number, row) for line, _, number, row in _rows_of(source, found))
    last = (found.line, 1, list[str]())
    for last in rows:
        if value and any(field.startswith(beginning) for field in last[2]):
            break
    return _unclosed(source.name, last[0], last[1])


def _rows_of(source: Text, found: Layout) -> Iterator[tuple[int, int, int, list[str]]]:
    """Each row: its first line in the file, the line after it, its number, its values. Slow: only once it broke."""
    number = 0
    with source.open() as stream:
        stream.read(found.body)
        lines = io.TextIOWrapper(stream, encoding="utf-8", newline="\r" if found.returns else "")
        rows = csv.reader(lines, delimiter=found.separator, escapechar="\\" if found.escapes else None)
        first = found.line
        for row in rows:
            after = found.line + rows.line_num
            if row:
                number += 1
                yield first, after, number, row
            first = after


def _ragged(name: str, row: list[str], found: Layout, lines: tuple[int, int], number: int) -> InputRejected:
    first, last = lines
    width = len(found.columns)
    rows_in_it = (field for field in row if ("\n" in field or "\r" in field) and found.separator in field)
    if last > first and len(row) < width and any(rows_in_it):
        return _unclosed(name, first, number)
    values = f"{len(row)} value{'s' if len(row) != 1 else ''}"
    return rejected(
        "ragged-rows",
        f"{quoted(name)} has {values} in line {first:,} (data row {number:,}) and {width} columns",
    )


def _unclosed(name: str, line: int, number: int) -> InputRejected:
    return rejected(
        "field-too-large",
        f"{quoted(name)} has a quote that is not closed in line {line:,} (data row {number:,})",
    )

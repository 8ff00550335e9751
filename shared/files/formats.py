"""What a file is, is told from its first bytes; its name only says what was meant. Text leaves here as plain UTF-8."""

from __future__ import annotations

import codecs
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.files.drop_files import DropFile, ReadSpec
from shared.files.place import Place
from shared.intake.rejections import quoted, rejected

_PIECE = 1 << 20
UNBOUNDED = 1 << 50
"""Nothing is counted against a budget of so many bytes."""

_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"ARROW1": "Arrow IPC",
    b"FEA1": "Feather",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "SQLite",
    b"%PDF": "PDF",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF87a": "a GIF picture",
    b"GIF89a": "a GIF picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"PARE": "encrypted Parquet",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\xff\x06\x00\x00sNaPpY": "Snappy",
    b"\x1f\x9d": "compress (.Z)",
    b"\x93NUMPY": "a NumPy array",
    b"Rar!": "a RAR archive",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
}
_NO_TABLE = {
    rb"""(?x)(?:\{\s*["'}]|\[\s*(?:[\[{\]"]|-?\d[\d.eE+-]*\s*(?:\]|,\s*[-\d"{\[tfn])
    |(?:NaN|null|true|false)\s*(?:\]|,\s*[-\d"{\[tfnN])))""": "JSON",
    rb"(?i)<(?:\?xml|!doctype|!--|html|table|error)": "XML or HTML",
    rb"<[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>[^<,;\t|]*<": "XML or HTML",  # <DATE>,<TIME> is how MetaTrader writes a header
    rb"\{\\rtf": "rich text",
    rb"-----BEGIN [A-Z ]+-----\s": "a message of PGP or a key",
    rb"version https://git-lfs": "a pointer of Git LFS, not the file",
    rb"(?i)@relation\s": "ARFF",
    rb"(?i)(?:insert into|create table)\s": "SQL",
}
_AS_THEY_LIE = {"utf-8": 0, "utf-8-sig": len(codecs.BOM_UTF8)}
"""Encodings of which a place in the text is one in the file, after so many bytes."""
_MARKS = (  # longest first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class Budget:
    """How many bytes the drop may still have after decompression."""

    left: int
    most: int

    def spend(self, size: int, name: str) -> None:
        self.left -= size
        if self.left < 0:
            raise rejected(
                "decompressed-too-large", f"{quoted(name)} brings the drop over {self.most:,} bytes"
            )


@dataclass(frozen=True)
class Text:
    """A file of text; each time it is opened it is decompressed, decoded and checked again, with no copy on disk."""

    path: Place
    name: str
    packed: bool
    encoding: str

    def open(self) -> io.BufferedReader:
        """The text as UTF-8 without a byte order mark."""
        return io.BufferedReader(_Stream(_utf8(self._pieces(), self.encoding, self.name)), _PIECE)

    def open_at(self, place: int) -> io.BufferedReader:
        """The same from a byte on, with which a character begins; what is not as it lies is read from its start."""
        if self.packed or self.encoding not in _AS_THEY_LIE:
            stream = self.open()
            while place and (piece := stream.read(min(place, _PIECE))):
                place -= len(piece)
            return stream
        begin = place + _AS_THEY_LIE[self.encoding]
        return io.BufferedReader(_Stream(_utf8(_read(self.path, begin), "utf-8", self.name, begin)), _PIECE)

    def _pieces(self) -> Iterator[bytes]:
        return _inflated(self.path, self.name) if self.packed else _read(self.path)


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file that can be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(into), len(self._left))
        into[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def is_parquet(file: DropFile, spec: ReadSpec) -> bool:
    """Parquet or text; anything else is rejected."""
    head = _head(file.path, 16)
    name = quoted(file.name)
    if not head:
        raise rejected("empty-file", f"{name} has 0 bytes")
    parquet = head.startswith(_PARQUET)
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise rejected("unsupported-format", f"{name} is {what}")
    meant = file.name.lower()
    if not parquet and (spec.format == "parquet" or meant.endswith((".parquet", ".pq"))):
        raise rejected("not-parquet", f"{name} does not begin with Parquet's magic number PAR1")
    if parquet and spec.format == "csv":
        raise rejected("not-csv", f"{name} is Parquet")
    if meant.endswith(".gz") and not head.startswith(_GZIP):
        raise rejected("not-gzip", f"{name} does not begin with gzip's magic number")
    return parquet


def open_text(file: DropFile, budget: Budget) -> Text:
    """See how the file is packed and encoded; what is packed is counted first, so that a bomb ends here."""
    packed = _head(file.path, 2) == _GZIP
    start = b""
    for piece in _inflated(file.path, file.name) if packed else [_head(file.path, _PIECE)]:
        start = start or piece
        if start and budget.most >= UNBOUNDED:
            break
        budget.spend(len(piece) if packed else file.path.stat().st_size, file.name)
    if not start:
        raise rejected("empty-file", f"{quoted(file.name)} holds nothing once it is decompressed")
    _check_foreign(start, file.name, packed=packed)
    if packed and start.startswith(_PARQUET):
        raise rejected(
            "unsupported-format", f"{quoted(file.name)} is Parquet inside gzip; Parquet packs itself"
        )
    _check_text(start, file.name)
    return Text(file.path, file.name, packed, encoding_of(start))


def _check_foreign(start: bytes, name: str, *, packed: bool) -> None:
    """Archives within gzip, and texts that are no tables, would be read as a table of nonsense."""
    inside = " inside gzip" if packed else ""
    known = {**_FOREIGN, _GZIP: "gzip"} if packed else {}
    found = next((what for magic, what in known.items() if start.startswith(magic)), "")
    found = found or ("a tar archive" if start[257:262] == b"ustar" else "")
    text = start[:4096].decode(encoding_of(start), "ignore").lstrip().encode()
    found = found or next((what for pattern, what in _NO_TABLE.items() if re.match(pattern, text)), "")
    if found:
        raise rejected("unsupported-format", f"{quoted(name)} is {found}{inside}")


def _head(path: Place, size: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(size)


def _read(path: Place, begin: int = 0) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(begin)
        while piece := stream.read(_PIECE):
            yield piece


def _inflated(path: Place, name: str) -> Iterator[bytes]:
    """The content of a gzip file, member by member, never more than a piece at a time."""
    with path.open("rb") as stream:
        member, left = zlib.decompressobj(31), b""
        try:
            while left := left or stream.read(_PIECE):
                if member.eof:
                    if not left.strip(b"\0"):  # padding, as tapes and some tools leave it
                        left = b""
                        continue
                    member = zlib.decompressobj(31)
                piece = member.decompress(left, _PIECE)
                left = member.unused_data if member.eof else member.unconsumed_tail
                if piece:
                    yield piece
        except zlib.error as error:
            raise rejected("truncated", f"{quoted(name)} is damaged gzip") from error
        if not member.eof:
            raise rejected("truncated", f"{quoted(name)} ends in the middle of its gzip stream")


def _check_text(start: bytes, name: str) -> None:
    """What is no text at all is not called text in a wrong encoding. Deflate by zlib has a mark, `br` has none."""
    head = start[:4096]
    with suppress(zlib.error):
        if head.startswith(b"x") and zlib.decompressobj().decompress(head):
            raise rejected("unsupported-format", f"{quoted(name)} is zlib (Content-Encoding: deflate)")
    controls = sum(byte < 32 and byte not in b"\t\n\v\f\r\x1a\x1b" for byte in head)
    strange = controls > len(head) // 32 and not _decodes(head)
    binary = len(head) // 32 < head.count(0) < len(head)  # nothing but NULs is a file that nobody filled
    if encoding_of(start) == "utf-8" and (strange or binary):
        what = (
            "is no text: a program's own format, packed otherwise than with gzip (as Content-Encoding: br or deflate "
            "says), or encrypted"
        )
        raise rejected("unsupported-format", f"{quoted(name)} {what}")


def _decodes(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def encoding_of(start: bytes) -> str:
    """As its first bytes show it."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    even, odd = start[:4096:2].count(0), start[1:4096:2].count(0)
    few, many = len(start[:4096]) // 20, len(start[:4096]) // 4
    if odd >= many > 0 and even <= few:
        return "utf-16-le"
    if even >= many > 0 and odd <= few:
        return "utf-16-be"
    return "utf-8"


def _utf8(pieces: Iterator[bytes], encoding: str, name: str, done: int = 0) -> Iterator[bytes]:
    """The pieces in UTF-8; NULs and bytes that are no text are refused. `done` bytes of the file are before them."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in pieces:
            text = decoder.decode(piece)
            if "\0" in text:
                place = done + text.index("\0")
                raise rejected("bad-encoding", f"{quoted(name)} holds a NUL character near byte {place:,}")
            yield piece if encoding == "utf-8" else text.encode()
            done += len(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        place = done + error.start
        raise rejected(
            "bad-encoding", f"{quoted(name)} is not {encoding.upper()}: see near byte {place:,}"
        ) from error

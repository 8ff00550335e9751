"""What a file is, is told from its first bytes; its name only says what was meant. Text leaves here as plain UTF-8."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InputRejected
from shared.intake.drop import DropFile, ReadSpec
from shared.intake.rejections import quoted, rejected

_PIECE = 1 << 20
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
    b"PARE": "encrypted Parquet",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
}
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


def as_text(file: DropFile, scratch: Path, budget: Budget) -> Path:
    """The file as UTF-8 without a byte order mark: itself where it is that already, else a copy in `scratch`."""
    packed = _head(file.path, 2) == _GZIP
    pieces = _inflate(file, budget) if packed else _read(file, budget)
    start = next(pieces, b"")
    if not start:
        raise rejected("empty-file", f"{quoted(file.name)} holds nothing once it is decompressed")
    if packed and start.startswith(_PARQUET):
        raise rejected(
            "unsupported-format", f"{quoted(file.name)} is Parquet inside gzip; Parquet compresses by itself"
        )
    encoding = _encoding(start)
    if not packed and encoding == "utf-8":
        for _ in _decoded(_chain(start, pieces), encoding, file.name):
            continue
        return file.path
    copy = scratch / f"text-{len(list(scratch.iterdir()))}"
    with copy.open("wb") as out:
        for text in _decoded(_chain(start, pieces), encoding, file.name):
            out.write(text.encode())
    return copy


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(size)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read(file: DropFile, budget: Budget) -> Iterator[bytes]:
    with file.path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            budget.spend(len(piece), file.name)
            yield piece


def _inflate(file: DropFile, budget: Budget) -> Iterator[bytes]:
    """The content of a gzip file, member by member, never more than a piece at a time."""
    name = quoted(file.name)
    with file.path.open("rb") as stream:
        member, left = zlib.decompressobj(31), b""
        try:
            while left := left or stream.read(_PIECE):
                if member.eof:
                    if not left.strip(b"\0"):
                        left = b""
                        continue
                    member = zlib.decompressobj(31)
                piece = member.decompress(left, _PIECE)
                left = member.unused_data if member.eof else member.unconsumed_tail
                budget.spend(len(piece), file.name)
                if piece:
                    yield piece
        except zlib.error as error:
            raise rejected("truncated", f"{name} is damaged gzip") from error
        if not member.eof:
            raise rejected("truncated", f"{name} ends in the middle of its gzip stream")


def _encoding(start: bytes) -> str:
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


def _decoded(pieces: Iterator[bytes], encoding: str, name: str) -> Iterator[str]:
    """Text, with lone NULs and bytes that are no text refused."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    try:
        for piece in pieces:
            yield _without_nul(decoder.decode(piece), name, done)
            done += len(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_text(name, encoding, done + error.start) from error


def _without_nul(text: str, name: str, done: int) -> str:
    if "\0" in text:
        raise rejected(
            "bad-encoding",
            f"{quoted(name)} holds a NUL character after about byte {done + text.index(chr(0)):,}",
        )
    return text


def _not_text(name: str, encoding: str, place: int) -> InputRejected:
    return rejected("bad-encoding", f"{quoted(name)} is not {encoding.upper()}: see near byte {place:,}")

"""The rows of a data file that its table has deleted: 64-bit Roaring bitmaps in the portable format.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#deletion-vector-format and
https://github.com/RoaringBitmap/RoaringFormatSpec. Bitmaps are hostile input: no count in them is believed beyond the
bytes that are there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.intake.rejections import quoted, rejected
from shared.tables.snapshot import Deleted, z85

Rows = npt.NDArray[np.int64]

_MAGIC = 1681511377
_NO_RUNS, _RUNS = 12346, 12347
_FEW_CONTAINERS = 4
"""Bitmaps of fewer containers, all without runs excepted, have no table of offsets."""
_MOST_OF_ARRAY = 4096
_BITMAP_BYTES = 8192


def deleted_rows(deleted: Deleted, name: str, rows: int) -> Rows:
    """The numbers of the deleted rows of a file that has so many rows, rising."""
    try:
        found = _parsed(_content(deleted), min(deleted.rows, rows))
    except (ValueError, OSError) as error:
        raise _wrong(name, str(error)) from error
    if len(found) != deleted.rows or (len(found) and found[-1] >= rows):
        last = int(found[-1]) + 1 if len(found) else 0
        raise _wrong(name, f"it has {len(found):,} rows up to row {last:,}, not {deleted.rows:,} of {rows:,}")
    return found


def _wrong(name: str, why: str) -> Exception:
    return rejected("bad-delta-log", f"the deletion vector of {quoted(name)} cannot be used: {quoted(why)}")


def _content(deleted: Deleted) -> bytes:
    if deleted.inline:
        return z85(deleted.inline)[: deleted.size]
    with Path(deleted.file).open("rb") as file:
        if file.read(1) != b"\x01":
            raise ValueError("its file is of another format")
        file.seek(deleted.offset)
        size, content, checksum = file.read(4), file.read(deleted.size), file.read(4)
    if int.from_bytes(size, "big") != deleted.size or len(checksum) != 4:
        raise ValueError("its file has another size than the log says")
    if zlib.crc32(content) != int.from_bytes(checksum, "big"):
        raise ValueError("its checksum is another one")
    return content


class _Bytes:
    """Little-endian numbers, one after the other; ValueError beyond the end."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def take(self, size: int) -> bytes:
        piece = self._content[self.at : self.at + size]
        if len(piece) != size:
            raise ValueError("it ends too early")
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def numbers(self, count: int, kind: str) -> npt.NDArray[np.int64]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind).astype(np.int64)


def _parsed(content: bytes, most: int) -> Rows:
    stream = _Bytes(content)
    if stream.number(4) != _MAGIC:
        raise ValueError("its magic number is another one")
    found, count = [np.zeros(0, np.int64)], 0
    for _ in range(stream.number(8)):
        key = stream.number(4)
        if key >> 31:
            raise ValueError("its rows are beyond any file")
        for low in _bitmap(stream):
            found.append((key << 32) + low)
            count += len(low)
            if count > most:
                raise ValueError(f"it has more than {most:,} rows")
    rows = np.concatenate(found)
    if not bool(np.all(np.diff(rows) > 0)):
        raise ValueError("its rows do not rise")
    return rows


def _bitmap(stream: _Bytes) -> Iterator[Rows]:
    """The containers of one 32-bit bitmap."""
    cookie = stream.number(4)
    runs = np.zeros(0, np.uint8)
    if cookie & 0xFFFF == _RUNS:
        count = (cookie >> 16) + 1
        runs = np.frombuffer(stream.take((count + 7) // 8), np.uint8)
    elif cookie == _NO_RUNS:
        count = stream.number(4)
    else:
        raise ValueError("its bitmap is of another format")
    if count > 1 << 16:
        raise ValueError("it has too many containers")
    heads = stream.numbers(2 * count, "<u2").reshape(-1, 2)
    if not len(runs) or count >= _FEW_CONTAINERS:
        stream.take(4 * count)  # offsets, which repeat what the sizes say
    for index, (key, less_one) in enumerate(heads.tolist()):
        is_runs = bool(len(runs)) and bool(runs[index // 8] >> (index % 8) & 1)
        yield (key << 16) + _container(stream, less_one + 1, is_runs)


def _container(stream: _Bytes, size: int, is_runs: bool) -> Rows:
    if is_runs:
        pairs = stream.numbers(2 * stream.number(2), "<u2").reshape(-1, 2)
        if len(pairs) and int((pairs.sum(axis=1)).max()) > 0xFFFF:
            raise ValueError("it has a run beyond its container")
        if int(pairs[:, 1].sum()) + len(pairs) != size:
            raise ValueError("its runs have another size than its container")
        return np.concatenate([np.zeros(0, np.int64), *(np.arange(a, a + b + 1) for a, b in pairs.tolist())])
    if size <= _MOST_OF_ARRAY:
        return stream.numbers(size, "<u2")
    bits = np.unpackbits(np.frombuffer(stream.take(_BITMAP_BYTES), np.uint8), bitorder="little")
    return np.flatnonzero(bits).astype(np.int64)

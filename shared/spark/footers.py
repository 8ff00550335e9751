"""Footers of Parquet files as Arrow 19.0.0, the one of Azure ML's Spark runtime 3.5, can read them.

It refuses size statistics whose histograms are left out where they say nothing, as each later Arrow writes them
(https://github.com/apache/arrow/issues/45283, mended in 19.0.1). Readers pass over fields that they do not know
(Thrift, compact protocol), so the number of that field is made one that nobody knows: a byte is changed, none moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

_MAGIC = b"PAR1"
_PATH = (4, 1, 3, 16)
"""FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data, ColumnMetaData.size_statistics (parquet.thrift)."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_UNKNOWN = 15 << 4
"""Fifteen on from the field before: beyond every field that there is."""


def patches(read: Callable[[int, int], bytes], size: int) -> Mapping[int, int]:
    """Place in the file -> the byte that is to stand there; none where it is no Parquet file, or cannot be followed:
    then the reader says what is wrong with it."""
    if size < 12 or read(0, 4) != _MAGIC:
        return {}
    tail = read(size - 8, 8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or not 0 < length <= size - 12:
        return {}
    begin = size - 8 - length
    footer = read(begin, length)
    try:
        return {begin + place: _UNKNOWN | footer[place] & 15 for place in _Walk(footer).found()}
    except (IndexError, ValueError, RecursionError):
        return {}


class _Walk:
    """Over the bytes of a footer, from field to field."""

    def __init__(self, footer: bytes) -> None:
        self._footer, self._at = footer, 0

    def found(self) -> Iterator[int]:
        """Where the fields at `_PATH` begin."""
        yield from self._struct(0)

    def _struct(self, depth: int) -> Iterator[int]:
        """`depth`: how many fields of the path led here; beyond its end none is looked for."""
        field = 0
        while head := self._byte():
            place, kind = self._at - 1, head & 15
            field = field + (head >> 4) if head >> 4 else self._number()
            wanted = depth < len(_PATH) and field == _PATH[depth]
            if wanted and depth == len(_PATH) - 1 and head >> 4:
                yield place
            yield from self._value(kind, depth + 1 if wanted else len(_PATH))

    def _value(self, kind: int, depth: int) -> Iterator[int]:
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self._skip(1)
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind in (_LIST, _SET):
            yield from self._list(depth)
        elif kind == _MAP:
            yield from self._map(depth)
        elif kind == _STRUCT:
            yield from self._struct(depth)
        else:
            self._varint()

    def _list(self, depth: int) -> Iterator[int]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        for _ in range(count):
            yield from self._element(head & 15, depth)

    def _map(self, depth: int) -> Iterator[int]:
        if not (count := self._varint()):
            return
        kinds = self._byte()
        for _ in range(count):
            yield from self._element(kinds >> 4, depth)
            yield from self._element(kinds & 15, depth)

    def _element(self, kind: int, depth: int) -> Iterator[int]:
        if kind in (_TRUE, _FALSE):  # as a field the type is the value
            kind = _BYTE
        yield from self._value(kind, depth)

    def _skip(self, size: int) -> None:
        """However many there are said to be: it ends where the footer does."""
        self._at += size
        if self._at > len(self._footer):
            raise IndexError

    def _byte(self) -> int:
        self._at += 1
        return self._footer[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            if (shift := shift + 7) > 63:
                raise ValueError

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

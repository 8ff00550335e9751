"""A stream of text is cut at line ends outside quotes into blocks of whole rows, whose memory is used again."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from itertools import cycle

import numpy as np

from shared.files.layout import Layout
from shared.intake.rejections import quoted, rejected

BLOCK_BYTES = 4 << 20
_QUOTE = ord('"')
THREADS = min(4, os.cpu_count() or 1)
"""Those that parse."""

AHEAD = THREADS + 2
"""Blocks that are read before the first of them is used up."""


def blocks(stream: io.BufferedReader, layout: Layout, name: str, longest: int) -> Iterator[memoryview]:
    """Blocks of whole rows. Their memory is used again once AHEAD others have been asked for.

    `longest` is how many bytes a row may have. What fits into one block is one: to touch the memory of many took a
    third of the time of a small file.
    """
    first = stream.read(BLOCK_BYTES)
    if len(first) < BLOCK_BYTES:
        if first:
            yield memoryview(first.replace(b"\r", b"\n") if layout.returns else first)
        return
    ring = cycle([bytearray(2 * BLOCK_BYTES) for _ in range(AHEAD + 1)])
    held, filled, more = next(ring), 0, True
    while more:
        held = _with_room(held, filled, BLOCK_BYTES)
        if first:
            size, first, held[:BLOCK_BYTES] = len(first), b"", first
        else:
            size = stream.readinto(memoryview(held)[filled : filled + BLOCK_BYTES])
        if layout.returns:
            held[filled : filled + size] = held[filled : filled + size].replace(b"\r", b"\n")
        filled, more = filled + size, size > 0
        cut = _line_end(held, filled, layout.escapes) if more else filled
        if not cut and filled > longest:
            raise rejected(
                "field-too-large", f"{quoted(name)} has a row that does not end within the limit for a value"
            )
        if cut:
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


def _line_end(block: bytearray, size: int, escapes: bool) -> int:
    """The place after the last line end that no quoted field contains."""
    cut = block.rfind(b"\n", 0, size) + 1
    if block.find(b'"', 0, size) < 0:
        return cut
    if escapes:
        block = bytearray(block[:size].replace(b"\\\\", b"  ").replace(b'\\"', b"  "))
    odd = quotes(block, cut) % 2
    while cut and odd:
        earlier = block.rfind(b"\n", 0, cut - 1) + 1
        odd = (odd + block.count(b'"', earlier, cut)) % 2
        cut = earlier
    return cut


def quotes(block: bytes | bytearray, stop: int) -> int:
    """How many quotes there are before a place. Where they are many, bytes' own count takes five times as long."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8, stop) == _QUOTE))

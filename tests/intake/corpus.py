"""Hostile files, made by code: each says the reasons that it may be rejected for, or that it is fine after all."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.intake import Limits

FINE = "fine"
MIB = 1024 * 1024
ROWS = 40


@dataclass(frozen=True)
class Hostile:
    """`name` as it landed, `write` makes it, `outcomes` are the codes that are right for it."""

    id: str
    name: str
    write: Callable[[Path], object]
    outcomes: tuple[str, ...]
    spec: dict[str, Any] = field(default_factory=dict)


CORPUS: list[Hostile] = []


def _add(
    id_: str,
    name: str,
    outcome: str,
    content: Callable[[], bytes] | Callable[[Path], None] | bytes,
    **spec: Any,
) -> None:
    def write(path: Path) -> None:
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(made := _call(content, path), bytes):
            path.write_bytes(made)

    CORPUS.append(Hostile(id_, name, write, tuple(outcome.split("|")), spec))


def _call(content: Callable[..., Any], path: Path) -> Any:
    return content(path) if content.__code__.co_argcount else content()


def rows(header: str = "id,x,y,target", separator: str = ",", end: str = "\n", count: int = ROWS) -> str:
    """A small, sound CSV."""
    body = [separator.join((f"r{n}", str(n * 3), f"{n}.5", "ab"[n % 2])) for n in range(count)]
    return end.join([header.replace(",", separator), *body]) + end


def table(count: int = ROWS, **columns: Any) -> pa.Table:
    sound = {"x": list(range(count)), "target": ["a", "b"] * (count // 2)}
    return pa.table({**sound, **columns})


def parquet(made: pa.Table | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table() if made is None else made, sink, **options)
    return sink.getvalue()


def members(unit: bytes, times: int, first: bytes = b"") -> bytes:
    """A gzip file of many members: a small file that is cheap to make and huge to read."""
    return (gzip.compress(first) if first else b"") + gzip.compress(unit) * times


def _varint(number: int) -> bytes:
    number, out = number * 2 if number >= 0 else -number * 2 - 1, b""  # zigzag
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _forged(real: int, told: int, *, pages: bool = False) -> bytes:
    """A Parquet file whose footer (or pages) tell another number of values than they hold."""
    whole = parquet(
        table(real, x=[n * 7919 % 10007 for n in range(real)]), use_dictionary=False, write_statistics=False
    )
    size = struct.unpack("<I", whole[-8:-4])[0]
    body, footer = whole[: -8 - size], whole[-8 - size : -8]
    if pages:
        forged = body.replace(_varint(real), _varint(told))
        assert forged != body and len(forged) == len(body)
        return forged + whole[-8 - size :]
    footer = footer.replace(_varint(real), _varint(told))
    return body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _header(columns: int) -> bytes:
    return (",".join(f"c{n}" for n in range(columns)) + "\n").encode()


def _wide() -> bytes:
    return parquet(pa.table({f"c{n}": [1] for n in range(10_000)}))


def _invalid_utf8() -> bytes:
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"]).buffers())
    return parquet(pa.table({"x": [1, 2], "text": bad, "target": ["a", "b"]}))


def _huge() -> pa.Array:
    return pa.array([2**64 - 1] * ROWS, pa.uint64())


def _nested(depth: int) -> pa.Array:
    kind: pa.DataType = pa.int64()
    for _ in range(depth):
        kind = pa.list_(kind)
    return pa.nulls(ROWS, kind)


def _ragged() -> list[list[int]]:
    return [[1, 2]] * (ROWS - 1) + [[1, 2, 3]]


def dictionary_bomb() -> bytes:
    value = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["x" * (MIB // 2)]))
    return parquet(pa.table({"x": value, "target": ["a"] * 4000}), compression="zstd")


def _row_groups(path: Path) -> None:
    pq.write_table(
        pa.table({"target": ["a"] * 100_000}),
        path,
        row_group_size=1,
        write_statistics=False,
        compression="none",
    )


def _gigabyte_field() -> bytes:
    return gzip.compress(b"x,target\n") + gzip.compress(b"y" * (16 * MIB)) * 60 + gzip.compress(b",a\n")


CSV = rows().encode()
_add("0-bytes", "a.csv", "empty-file", b"")
_add("only-line-ends", "a.csv", "empty-file", b"\n\r\n\n")
_add("only-bom", "a.csv", "empty-file", b"\xef\xbb\xbf")
_add("header-only", "a.csv", "header-only", b"x,target\n")
_add("header-only-no-line-end", "a.csv", "header-only", b"x,target")
_add("header-and-blank-lines", "a.csv", "header-only", b"x,target\n\n\n")
_add("bom", "a.csv", FINE, b"\xef\xbb\xbf" + CSV)
_add("utf-16", "a.csv", FINE, rows().encode("utf-16"))
_add("utf-16-be", "a.csv", FINE, b"\xfe\xff" + rows().encode("utf-16-be"))
_add("utf-16-no-bom", "a.csv", FINE, rows().encode("utf-16-le"))
_add("utf-16-odd", "a.csv", "bad-encoding", rows().encode("utf-16") + b"x")
_add("utf-32", "a.csv", FINE, rows().encode("utf-32"))
_add("latin-1", "a.csv", "bad-encoding", (rows() + "r,1,1,Zoë\n").encode("latin-1"))
_add("utf-8-cut", "a.csv", "bad-encoding", CSV + "ë".encode()[:1])
_add("nul", "a.csv", "bad-encoding", CSV.replace(b"r7", b"r\x007"))
_add("nuls-only", "a.csv", "bad-encoding|empty-file", b"\0" * 1000)
_add("binary", "a.csv", "unsupported-format", bytes(range(256)) * 40)
_add("ragged-long", "a.csv", "ragged-rows", CSV + b"1,2,3,a,5\n")
_add("ragged-short", "a.csv", "ragged-rows", CSV + b"1,2\n")
_add("quoted-line-ends", "a.csv", FINE, CSV.replace(b"r7", b'"r\n7,\r\n"'))
_add("quoted-header", "a.csv", FINE, CSV.replace(b"id,", b'"i\nd",', 1))
_add("quotes-in-values", "a.csv", FINE, CSV.replace(b"r7", b'"r""7"'))
_add("unclosed-quote", "a.csv", "field-too-large|ragged-rows", (CSV + b'"r,1,1,a\n' + CSV * 4000))
_add(
    "unclosed-quote-in-header",
    "a.csv",
    "missing-target|ragged-rows|empty-header|field-too-large",
    b'"id,' + CSV,
)
_add("duplicate-header", "a.csv", "duplicate-header", CSV.replace(b"id,x", b"x,x", 1))
_add("duplicate-header-blanks", "a.csv", "duplicate-header", CSV.replace(b"id,x", b"x , x", 1))
_add("empty-header", "a.csv", "empty-header", CSV.replace(b"id,x", b",x", 1))
_add("long-header", "a.csv", "field-too-large", CSV.replace(b"id,x", b"i" * 5000 + b",x", 1))
_add("hostile-header", "a.csv", FINE, CSV.replace(b"id,x", b"<script>\x1b[31m=1+1,x", 1))
_add("1e309", "a.csv", "unparsable-numbers", CSV + b"r,1,1e309,a\n")
_add("infinity", "a.csv", "unparsable-numbers", CSV + b"r,1,-inf,a\n")
_add("words-among-numbers", "a.csv", "unparsable-numbers", CSV + b"r,1,broken,a\n")
_add("long-digits", "a.csv", "unparsable-numbers", CSV + b"r,99999999999999999999999,1,a\n")
_add("leading-zeros", "a.csv", FINE, CSV + b"r,007,1,a\n")
_add("impossible-date", "a.csv", FINE, b"d,target\n2026-02-30,a\n2026-13-01,b\n")
_add("semicolons", "a.csv", FINE, rows(separator=";").encode())
_add("decimal-commas", "a.csv", FINE, rows(separator=";").replace(".5", ",5").encode())
_add("tabs", "a.csv", FINE, rows(separator="\t").encode())
_add("carriage-returns", "a.csv", FINE, rows(end="\r").encode())
_add("windows-line-ends", "a.csv", FINE, rows(end="\r\n").encode())
_add("no-last-line-end", "a.csv", FINE, CSV.rstrip())
_add(
    "html",
    "export.csv",
    "unsupported-format",
    b"<!DOCTYPE html>\n<html>Sign in, please</html>\n",
)
_add("html-fragment", "a.csv", "unsupported-format", b"<div>\n<p>Sign in, please</p></div>\n")
_add("xml", "a.csv", "unsupported-format", b"<rows>\n<row x='1' target='a'/>\n</rows>\n")
_add("binary-with-words", "a.csv", "unsupported-format", b"$FL2@(#) SPSS DATA FILE" + bytes(100))
_add("json", "a.csv", "unsupported-format", b'[{"x": 1, "target": "a"}]\n')
_add(
    "million-columns",
    "a.csv",
    "too-many-columns",
    lambda: _header(1_000_000),
)
_add(
    "10000-columns",
    "a.csv",
    "too-many-columns",
    lambda: _header(10_000),
)
_add("5-megabyte-header", "a.csv", "field-too-large", lambda: b"x" * (5 * MIB))
_add("field-above-limit", "a.csv", "field-too-large", lambda: CSV + b"y" * (MIB + 10) + b",1,1,a\n")
_add("gigabyte-field", "a.csv.gz", "field-too-large", _gigabyte_field)
_add("too-many-rows", "a.csv", "too-many-rows", CSV, limits=Limits(max_rows=10))
_add("too-large", "a.csv", "too-large", CSV, limits=Limits(max_bytes=100))
_add("gzip", "a.csv.gz", FINE, gzip.compress(CSV))
_add("gzip-by-content", "a.csv", FINE, gzip.compress(CSV))
_add("gzip-members", "a.csv.gz", FINE, gzip.compress(CSV[:100]) + gzip.compress(CSV[100:]))
_add("gzip-padded", "a.csv.gz", FINE, gzip.compress(CSV) + b"\0" * 512)
_add("gzip-by-name-only", "a.csv.gz", "not-gzip", CSV)
_add("gzip-of-nothing", "a.csv.gz", "empty-file", gzip.compress(b""))
_add("gzip-cut", "a.csv.gz", "truncated", gzip.compress(CSV)[:-20])
_add("gzip-head-only", "a.csv.gz", "truncated", gzip.compress(CSV)[:6])
_add("gzip-wrong-checksum", "a.csv.gz", "truncated", gzip.compress(CSV)[:-8] + b"\1" * 8)
_add("gzip-garbage-after", "a.csv.gz", "truncated", gzip.compress(CSV) + b"garbage")
_add("gzip-in-gzip", "a.csv.gz", "unsupported-format", gzip.compress(gzip.compress(CSV)))
_add("gzip-of-parquet", "a.parquet.gz", "unsupported-format", lambda: gzip.compress(parquet()))
_add(
    "gzip-bomb",
    "a.csv.gz",
    "decompressed-too-large",
    lambda: members(b"1,a\n" * (8 * MIB), 320, b"x,target\n"),
)
_add("zip", "a.csv", "unsupported-format", b"PK\x03\x04" + bytes(100))
_add("spreadsheet", "a.xlsx", "unsupported-format", b"PK\x03\x04" + bytes(100))
_add("pickle", "a.csv", "unsupported-format", b"\x80\x04\x95" + bytes(100))
_add("deflate", "a.csv", "unsupported-format", zlib.compress(CSV))
_add("parquet", "a.parquet", FINE, lambda: parquet())
_add("parquet-by-content", "a.csv", FINE, lambda: parquet())
_add("parquet-wrong-magic", "a.parquet", "not-parquet", lambda: b"PAX1" + parquet()[4:])
_add("parquet-wrong-magic-end", "a.parquet", "truncated", lambda: parquet()[:-4] + b"PAX1")
_add("parquet-magic-only", "a.parquet", "truncated", b"PAR1")
_add("parquet-magic-twice", "a.parquet", "truncated|damaged-parquet", b"PAR1\0\0\0\0PAR1")
_add("parquet-cut", "a.parquet", "truncated", lambda: parquet()[:-100])
_add(
    "parquet-footer-longer-than-file",
    "a.parquet",
    "truncated",
    lambda: parquet()[:-8] + b"\xff\xff\xff\x7fPAR1",
)
_add(
    "parquet-footer-garbage",
    "a.parquet",
    "damaged-parquet",
    lambda: b"PAR1" + b"\x19" * 500 + b"\xf4\1\0\0PAR1",
)
_add("parquet-no-rows", "a.parquet", "header-only", lambda: parquet(table().slice(0, 0)))
_add(
    "parquet-no-columns",
    "a.parquet",
    "missing-target|damaged-parquet|header-only",
    lambda: parquet(pa.table({})),
)
_add(
    "parquet-10000-columns",
    "a.parquet",
    "too-many-columns",
    _wide,
)
_add("parquet-row-groups", "a.parquet", "too-many-row-groups", _row_groups)
_add("parquet-dictionary-bomb", "a.parquet", "too-much-memory|decompressed-too-large", dictionary_bomb)
_add("parquet-footer-says-a-trillion", "a.parquet", "too-many-rows", lambda: _forged(2000, 10**12))
_add(
    "parquet-footer-says-40-million",
    "a.parquet",
    "damaged-parquet|too-much-memory",
    lambda: _forged(2000, 40_000_000),
)
_add(
    "parquet-footer-says-minus", "a.parquet", "too-many-rows|damaged-parquet", lambda: _forged(2000, -1 << 30)
)
_add(
    "parquet-pages-say-more",
    "a.parquet",
    "fine|damaged-parquet|too-much-memory",
    lambda: _forged(2000, 8000, pages=True),
)
_add("parquet-pages-say-less", "a.parquet", "damaged-parquet", lambda: _forged(2000, 1000, pages=True))
_add(
    "parquet-page-garbage",
    "a.parquet",
    "damaged-parquet",
    lambda: parquet()[:4] + b"\xa5" * 300 + parquet()[304:],
)
_add("parquet-lists", "a.parquet", FINE, lambda: parquet(table(deep=[[1.5, 2.5]] * ROWS)))
_add(
    "parquet-lists-without-end",
    "a.parquet",
    "too-many-columns",
    lambda: parquet(table(deep=pa.nulls(ROWS, pa.list_(pa.int64(), 10**4)))),
)
_add(
    "parquet-lists-of-two-lengths", "a.parquet", "unsupported-column", lambda: parquet(table(deep=_ragged()))
)
_add("parquet-lists-of-lists", "a.parquet", "unsupported-column", lambda: parquet(table(deep=[[[1]]] * ROWS)))
_add("parquet-nested", "a.parquet", "unsupported-column", lambda: parquet(table(deep=_nested(1))))
_add(
    "parquet-deeply-nested",
    "a.parquet",
    "unsupported-column|damaged-parquet|reader-died",
    lambda: parquet(table(deep=_nested(300))),
)
_add("parquet-infinite", "a.parquet", "unparsable-numbers", lambda: parquet(table(y=[float("inf")] * ROWS)))
_add("parquet-nan", "a.parquet", FINE, lambda: parquet(table(y=[float("nan")] * ROWS)))
_add("parquet-invalid-text", "a.parquet", "damaged-parquet", _invalid_utf8)
_add(
    "parquet-uint64",
    "a.parquet",
    FINE,
    lambda: parquet(table(y=_huge())),
)
_add(
    "parquet-far-times",
    "a.parquet",
    FINE,
    lambda: parquet(table(y=pa.array([2**62] * ROWS, pa.timestamp("ns")))),
)
_add("parquet-duplicate-columns", "a.parquet", "duplicate-header",
     lambda: parquet(pa.table([[1], [2], ["a"]], names=["x", "x", "target"])))  # fmt: skip
_add(
    "parquet-unnamed-column",
    "a.parquet",
    "empty-header",
    lambda: parquet(pa.table([[1], ["a"]], names=["", "target"])),
)
_add("parquet-long-value", "a.parquet", "field-too-large", lambda: parquet(table(y=["v" * (MIB + 1)] * ROWS)))
_add("parquet-many-empty-rows", "a.parquet", "too-slow",
     lambda: parquet(pa.table({"x": pa.nulls(45_000_000, pa.int64()), "target": pa.nulls(45_000_000, pa.bool_())})),
     limits=Limits(seconds=1.0))  # fmt: skip
_add("missing-target", "a.csv", "missing-target", CSV, target="label")
_add("missing-id", "a.csv", "missing-id", CSV, id="key")
_add("missing-time", "a.csv", "missing-column", CSV, time="when")
_add(
    "missing-column",
    "a.csv",
    "missing-column",
    CSV,
    known_columns={"x": "integer", "z": "number"},
)
_add(
    "retyped-column",
    "a.csv",
    "retyped-column",
    CSV,
    known_columns={"id": "number", "x": "integer"},
)
_add("hostile-name", "../../%2e%2e/C:\\a\r\n\x1b[31m\u202e<script>.csv", "empty-file", b"")

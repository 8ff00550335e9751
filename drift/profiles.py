"""A profile says all that a verdict needs of some rows, in kilobytes, and never holds code.

Stored form: the magic, the schema version, then a zstd frame of a JSON header and raw little-endian arrays.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .categories import Counts
from .errors import DataError, UnknownSchemaError
from .grid import Grid
from .order import NO_COPIES, NO_ORDER, Copies, Order
from .report import KINDS, Kind

SCHEMA_VERSION = 3
"""1 had no signs of dependent rows; it is read as if none had been looked for. 2 had segments by one column at most."""
_READ = (1, 2, SCHEMA_VERSION)
_MAGIC = b"DRIFTPRF"
_HEAD = struct.Struct("<8sIQ")  # magic, schema version, size of the body before compression
_LARGEST_BODY = 1 << 30
_DAMAGE = (
    *(ValueError, KeyError, TypeError, IndexError, OSError, struct.error),
    *(AttributeError, OverflowError, RecursionError, StopIteration),
)
"""What comes of bytes that say something else than `to_bytes` wrote."""
_FIELDS = ("name", "kind", "type", "rows", "nulls")

PARTS: Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "numeric": (("values",), ()),
    "boolean": ((), ("values",)),
    "category": ((), ("values",)),
    "text": (("length",), ("pattern", "word")),
    "datetime": (("values",), ("weekday", "hour")),
}
"""What is counted of a kind: on a grid, and by category. Of other kinds only nulls are."""

Sample = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """One column's summary.

    Attributes
    ----------
    name, kind, type
        The column, how it is judged (one of ``drift.report.KINDS``), and its Arrow type.
    rows, nulls
        All rows, and those that are null or NaN.
    parts
        What was counted: ``values`` of numbers, categories, booleans and datetimes (seconds since 1970);
        ``length``, ``pattern``, ``word`` (one a row, by hash) and ``language`` (of some rows) of text; ``weekday``
        and ``hour`` of datetimes.
    order
        How much rows resemble the rows before them.
    keys
        Of an id: rows looked at, and different values among them.
    """

    name: str
    kind: Kind
    type: str
    rows: int
    nulls: int
    parts: Mapping[str, Grid | Counts] = field(default_factory=dict)
    order: Order = NO_ORDER
    keys: tuple[int, int] = (0, 0)

    @property
    def grid(self) -> Grid | None:
        """The numbers of a numeric or datetime column."""
        values = self.parts.get("values")
        return values if isinstance(values, Grid) else None

    @property
    def counts(self) -> Counts | None:
        """The categories of a categorical or boolean column."""
        values = self.parts.get("values")
        return values if isinstance(values, Counts) else None


@dataclass(frozen=True)
class By:
    """A column whose values are segments.

    Attributes
    ----------
    column
        Its name; a segment's name is ``column=value``.
    edges
        Where the values are many numbers: the segments are the bands up to and between these. Empty: each value.
    """

    column: str
    edges: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Profile:
    """The mergeable statistical summary of a set of rows.

    Attributes
    ----------
    rows
        Rows profiled.
    columns
        Column profiles by name, in the order of the data.
    target
        The column that the model predicts, where named.
    ignored
        Columns that were left out on request.
    sample
        Values of numeric columns in the same, pseudo-randomly chosen rows (NaN where null): what the
        dependence between columns is judged by.
    by, segments
        The columns whose values are segments, where asked for, and the profile of each by name, ``column=value``.
    copies
        How many of the first rows occur again.
    reading
        How who made it read the files, as JSON: `drift` keeps it and does not look at it.
    """

    rows: int
    columns: Mapping[str, ColumnProfile]
    target: str | None = None
    ignored: tuple[str, ...] = ()
    sample: Sample = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
    by: tuple[By, ...] = ()
    segments: Mapping[str, "Profile"] = field(default_factory=dict)
    copies: Copies = NO_COPIES
    reading: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The profile as compact bytes; the same profile gives the same bytes."""
        arrays: list[npt.NDArray[Any]] = []
        header = _header(self, arrays)
        header["arrays"] = [[a.dtype.str, len(a)] for a in arrays]
        text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode()
        body = b"".join(
            [struct.pack("<Q", len(text)), text, *(np.ascontiguousarray(a).tobytes() for a in arrays)]
        )
        packed: bytes = pa.Codec("zstd", compression_level=1).compress(body, asbytes=True)
        return _HEAD.pack(_MAGIC, SCHEMA_VERSION, len(body)) + packed

    @classmethod
    def from_bytes(cls, data: bytes) -> "Profile":
        """The profile that `to_bytes` wrote.

        Raises
        ------
        UnknownSchemaError
            It was written under another schema version.
        DataError
            It is not a stored profile, or a damaged one.
        """
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise DataError(
                "these bytes are not a stored profile", remedy="Make one with drift.profile(...).to_bytes()."
            )
        _, version, size = _HEAD.unpack_from(data)
        if version not in _READ:
            raise UnknownSchemaError(
                f"this stored profile has schema version {version}, and 1 to {SCHEMA_VERSION} are known",
                remedy="Profile the data again with this version.",
            )
        try:
            if size > _LARGEST_BODY:
                raise ValueError("too large")
            body = pa.Codec("zstd").decompress(memoryview(data)[_HEAD.size :], size, asbytes=True)
            return _parse(body)
        except _DAMAGE as error:
            raise DataError(
                "this stored profile is damaged", remedy="Restore it, or profile the data again."
            ) from error


def stored(path: str | os.PathLike[str]) -> Profile | None:
    """The profile in a file that holds a stored one; None where the path is something else.

    Raises
    ------
    DataError
        As `Profile.from_bytes`.
    """
    file = Path(path)
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return None
    return Profile.from_bytes(file.read_bytes())


def _header(profile: Profile, arrays: list[npt.NDArray[Any]]) -> dict[str, Any]:
    header: dict[str, Any] = {
        "rows": profile.rows,
        "target": profile.target,
        "ignored": list(profile.ignored),
        "columns": [_column_header(c, arrays) for c in profile.columns.values()],
        "sample": list(profile.sample),
        "copies": astuple(profile.copies),
    }
    arrays += list(profile.sample.values())
    if profile.reading:
        header["reading"] = dict(profile.reading)
    if profile.by:
        header["by"] = [astuple(one) for one in profile.by]
        header["segments"] = {name: _header(part, arrays) for name, part in profile.segments.items()}
    return header


def _column_header(column: ColumnProfile, arrays: list[npt.NDArray[Any]]) -> dict[str, Any]:
    parts = []
    for name, part in column.parts.items():
        if isinstance(part, Grid):
            arrays += [part.edges, part.counts, part.sums]
            known = [part.exact, part.low, part.high, part.infinite, part.error]
            parts.append(["grid", name, known])
        else:
            arrays += [part.counts, part.buckets]
            parts.append(["counts", name, [list(part.keys), part.error]])
    fields = {name: getattr(column, name) for name in _FIELDS}
    return {**fields, "parts": parts, "order": astuple(column.order), "keys": column.keys}


def _parse(body: bytes) -> Profile:
    (length,) = struct.unpack_from("<Q", body)
    header = json.loads(body[8 : 8 + length])
    place, arrays = 8 + length, []
    for dtype, size in header["arrays"]:
        if dtype not in ("<f8", "<i8", "<f4"):
            raise ValueError(dtype)
        arrays.append(np.frombuffer(body, dtype, size, place))
        place += arrays[-1].nbytes
    return _parse_profile(header, iter(arrays))


def _parse_profile(header: dict[str, Any], left: Any) -> Profile:
    columns = {c["name"]: _parse_column(c, left) for c in header["columns"]}
    sample = {name: next(left) for name in header["sample"]}
    segments = {name: _parse_profile(part, left) for name, part in header.get("segments", {}).items()}
    by = header.get("by") or ()
    if isinstance(by, str):
        segments, by = {f"{by}={name}": part for name, part in segments.items()}, [(by, ())]
    return Profile(
        int(header["rows"]),
        columns,
        header["target"],
        tuple(header["ignored"]),
        sample,
        by=tuple(By(column, tuple(edges)) for column, edges in by),
        segments=segments,
        copies=Copies(*header.get("copies", ())),
        reading=dict(header.get("reading", {})),
    )


def _parse_column(document: dict[str, Any], left: Any) -> ColumnProfile:
    parts: dict[str, Grid | Counts] = {}
    for form, name, known in document["parts"]:
        if form == "grid":
            edges, counts, sums = next(left), next(left), next(left)
            if len(counts) != len(edges) + 1 or len(sums) != len(counts):
                raise ValueError("cells and edges do not fit")
            parts[name] = Grid(edges, counts, sums, *known)
        else:
            keys, error = known
            counts, buckets = next(left), next(left)
            if len(keys) != len(counts):
                raise ValueError("categories and counts do not fit")
            parts[name] = Counts(tuple(keys), counts, buckets, error)
    if document["kind"] not in KINDS:
        raise ValueError(document["kind"])
    fields = {name: document[name] for name in _FIELDS}
    order, (seen, distinct) = Order(*document.get("order", ())), document.get("keys", (0, 0))
    return ColumnProfile(**fields, parts=parts, order=order, keys=(int(seen), int(distinct)))

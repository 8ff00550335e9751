"""A Delta table written by hand after the protocol, and beside it what its rows are, kept as plain lists."""

from __future__ import annotations

import io
import json
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]

ARROW = {
    "long": pa.int64(),
    "string": pa.string(),
    "double": pa.float64(),
    "integer": pa.int32(),
    "array<double>": pa.list_(pa.float64()),
    "array<float>": pa.list_(pa.float32()),
    "array<string>": pa.list_(pa.string()),
}


def delta_type(kind: str) -> Any:
    """As a table's schema has it: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#array-type."""
    element = kind.removeprefix("array<").removesuffix(">")
    return {"type": "array", "elementType": element, "containsNull": True} if element != kind else kind


def z85(content: bytes) -> str:
    """https://rfc.zeromq.org/spec/32/, digit by digit."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    content += b"\0" * (-len(content) % 4)
    text = ""
    for at in range(0, len(content), 4):
        number = int.from_bytes(content[at : at + 4], "big")
        text += "".join(digits[number // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def roaring(rows: Iterable[int], *, runs: bool = False) -> bytes:
    """A Delta deletion vector: 64-bit Roaring bitmaps in the portable format."""
    buckets: dict[int, dict[int, list[int]]] = {}
    for row in sorted(rows):
        buckets.setdefault(row >> 32, {}).setdefault(row >> 16 & 0xFFFF, []).append(row & 0xFFFF)
    content = (1681511377).to_bytes(4, "little") + len(buckets).to_bytes(8, "little")
    for key, containers in buckets.items():
        content += key.to_bytes(4, "little") + _bitmap(containers, runs=runs)
    return content


def _bitmap(containers: Mapping[int, list[int]], *, runs: bool) -> bytes:
    count, bodies = len(containers), [_body(lows, runs=runs) for lows in containers.values()]
    heads = b"".join(
        key.to_bytes(2, "little") + (len(lows) - 1).to_bytes(2, "little") for key, lows in containers.items()
    )
    if runs:
        start = (12347 | (count - 1) << 16).to_bytes(4, "little")
        start += np.packbits(np.ones(count, np.uint8), bitorder="little").tobytes() + heads
    else:
        start = (12346).to_bytes(4, "little") + count.to_bytes(4, "little") + heads
    if not runs or count >= 4:
        at = len(start) + 4 * count
        for body in bodies:
            start += at.to_bytes(4, "little")
            at += len(body)
    return start + b"".join(bodies)


def _body(lows: Sequence[int], *, runs: bool) -> bytes:
    if runs:
        pairs: list[list[int]] = []
        for low in lows:
            if pairs and low == sum(pairs[-1]) + 1:
                pairs[-1][1] += 1
            else:
                pairs.append([low, 0])
        flat = [len(pairs), *(each for pair in pairs for each in pair)]
        return np.array(flat, "<u2").tobytes()
    if len(lows) <= 4096:
        return np.array(lows, "<u2").tobytes()
    bits = np.zeros(1 << 16, np.uint8)
    bits[list(lows)] = 1
    return np.packbits(bits, bitorder="little").tobytes()


@dataclass
class Written:
    """One table: `files` by name below its folder, and what each live data file holds."""

    columns: dict[str, str] = field(default_factory=lambda: {"k": "long", "v": "string"})
    partitions: tuple[str, ...] = ()
    mapping: str = "none"
    """none, name or id."""
    features: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    live: dict[str, tuple[list[Row], set[int], Mapping[str, Any]]] = field(default_factory=dict)
    """Data file -> its rows, those deleted, its action."""
    version: int = -1
    physical: dict[str, tuple[str, int]] = field(default_factory=dict)
    history: list[list[Row]] = field(default_factory=list)
    """What the table held at each commit."""

    @property
    def rows(self) -> list[Row]:
        return [
            {name: row.get(name) for name in self.columns}
            for rows, gone, _ in self.live.values()
            for index, row in enumerate(rows)
            if index not in gone
        ]

    def own(self, name: str) -> str:
        """The column's name in files."""
        if name not in self.physical:
            number = len(self.physical) + 1
            self.physical[name] = (name if self.mapping == "none" else f"col-{number}", number)
        return self.physical[name][0]

    # --- commits

    def commit(self, *actions: Mapping[str, Any]) -> None:
        self.version += 1
        lines = [{"commitInfo": {"operation": "TEST", "timestamp": self.version}}, *actions]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self.files[f"_delta_log/{self.version:020d}.json"] = text.encode()
        self.history.append(self.rows)

    def create(self, *actions: Mapping[str, Any]) -> None:
        self.commit(self.protocol(), self.meta(), *actions)

    def protocol(self) -> Mapping[str, Any]:
        asked = [*self.features, *(["columnMapping"] if self.mapping != "none" else [])]
        if not asked:
            return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
        return {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": asked,
                "writerFeatures": asked,
            }
        }

    def meta(self) -> Mapping[str, Any]:
        fields = []
        for name, kind in self.columns.items():
            own, number = self.own(name), self.physical[name][1]
            mapped = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": own}
            about = mapped if self.mapping != "none" else {}
            fields.append({"name": name, "type": delta_type(kind), "nullable": True, "metadata": about})
        configuration = {"delta.columnMapping.mode": self.mapping} if self.mapping != "none" else {}
        return {
            "metaData": {
                "id": "t",
                "format": {"provider": "parquet", "options": {}},
                "createdTime": 0,
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": list(self.partitions),
                "configuration": configuration,
            }
        }

    def append(self, rows: Sequence[Row], **how: Any) -> None:
        added = self.add(rows, **how)
        (self.create if self.version < 0 else self.commit)(*added)

    def add(self, rows: Sequence[Row], *, change: bool = True) -> list[Mapping[str, Any]]:
        """Write a data file for each partition; the actions that add them."""
        found = []
        by = {tuple(row.get(name) for name in self.partitions) for row in rows}
        for values in sorted(by, key=str):
            mine = [row for row in rows if tuple(row.get(name) for name in self.partitions) == values]
            texts = {self.own(n): _text(v) for n, v in zip(self.partitions, values, strict=True)}
            folder = "".join(f"{n}={v}/" for n, v in texts.items())
            name = f"{folder}part-{len(self.files):05d}-{self.version + 1}.parquet"
            self.files[name] = self._parquet(mine)
            stats = json.dumps({"numRecords": len(mine)})
            action = {
                "path": name.replace("%", "%25").replace(" ", "%20"),
                "partitionValues": texts,
                "size": len(self.files[name]),
                "modificationTime": 0,
                "dataChange": change,
                "stats": stats,
            }
            self.live[name] = (list(mine), set(), action)
            found.append({"add": action})
        return found

    def _parquet(self, rows: Sequence[Row]) -> bytes:
        inside = [name for name in self.columns if name not in self.partitions]
        fields = []
        for name in inside:
            own = self.own(name)
            number = str(self.physical[name][1]).encode()
            about = {b"PARQUET:field_id": number} if self.mapping == "id" else None
            fields.append(pa.field(own, ARROW[self.columns[name]], metadata=about))
        arrays = [pa.array([row.get(n) for row in rows], ARROW[self.columns[n]]) for n in inside]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), out)
        return out.getvalue()

    def remove(self, name: str, *, change: bool = True) -> Mapping[str, Any]:
        _, _, action = self.live.pop(name)
        vector = {"deletionVector": action["deletionVector"]} if "deletionVector" in action else {}
        return {"remove": {"path": action["path"], "deletionTimestamp": 1, "dataChange": change, **vector}}

    def delete_rows(self, name: str, gone: set[int], *, inline: bool = False, runs: bool = False) -> None:
        """DELETE by a deletion vector: the same file with more of its rows gone."""
        rows, before, action = self.live[name]
        removed = self.remove(name)
        gone = gone | before
        content = roaring(gone, runs=runs)
        about = {"sizeInBytes": len(content), "cardinality": len(gone)}
        if inline:
            vector = {"storageType": "i", "pathOrInlineDv": z85(content), **about}
        else:
            key = uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {sorted(gone)} {self.version}")
            file = b"\x01" + len(content).to_bytes(4, "big") + content
            self.files[f"ab/deletion_vector_{key}.bin"] = file + zlib.crc32(content).to_bytes(4, "big")
            vector = {"storageType": "u", "pathOrInlineDv": f"ab{z85(key.bytes)}", "offset": 1, **about}
        added = {**action, "deletionVector": vector}
        self.live[name] = (rows, gone, added)
        self.commit(removed, {"add": added})

    def optimize(self) -> None:
        """Rewrite all files as few; no row changes."""
        rows = [row for rows, gone, _ in self.live.values() for at, row in enumerate(rows) if at not in gone]
        removed = [self.remove(name, change=False) for name in list(self.live)]
        self.commit(*removed, *self.add(rows, change=False))

    # --- checkpoints

    def checkpoint(self, kind: str, *, clean: bool) -> None:
        """classic, parts or v2, at the newest commit; `clean` takes the commits before it away."""
        head = [self.protocol(), self.meta()]
        adds = [{"add": {**action, "dataChange": False}} for _, _, action in self.live.values()]
        log, n = "_delta_log/", f"{self.version:020d}"
        if kind == "classic":
            self.files[f"{log}{n}.checkpoint.parquet"] = actions_parquet(head + adds)
        elif kind == "parts":
            for part, piece in enumerate((head, adds), 1):
                self.files[f"{log}{n}.checkpoint.{part:010d}.0000000002.parquet"] = actions_parquet(piece)
        else:
            side = f"{uuid.uuid5(uuid.NAMESPACE_URL, n)}.parquet"
            self.files[f"{log}_sidecars/{side}"] = actions_parquet(adds)
            about = {"path": side, "sizeInBytes": 1, "modificationTime": 0}
            lines = [{"checkpointMetadata": {"version": self.version}}, *head, {"sidecar": about}]
            text = "".join(json.dumps(line) + "\n" for line in lines).encode()
            self.files[f"{log}{n}.checkpoint.{uuid.uuid5(uuid.NAMESPACE_DNS, n)}.json"] = text
        self.files[f"{log}_last_checkpoint"] = json.dumps({"version": self.version, "size": 1}).encode()
        for number in range(self.version if clean else 0):
            self.files.pop(f"{log}{number:020d}.json", None)

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder


def _text(value: object) -> str | None:
    return None if value is None else str(value)


_TEXTS = pa.map_(pa.string(), pa.string())
_CHECKPOINT = {
    "protocol": pa.struct(
        {
            "minReaderVersion": pa.int32(),
            "minWriterVersion": pa.int32(),
            "readerFeatures": pa.list_(pa.string()),
            "writerFeatures": pa.list_(pa.string()),
        }
    ),
    "metaData": pa.struct(
        {
            "id": pa.string(),
            "format": pa.struct({"provider": pa.string(), "options": _TEXTS}),
            "createdTime": pa.int64(),
            "schemaString": pa.string(),
            "partitionColumns": pa.list_(pa.string()),
            "configuration": _TEXTS,
        }
    ),
    "add": pa.struct(
        {
            "path": pa.string(),
            "partitionValues": _TEXTS,
            "size": pa.int64(),
            "modificationTime": pa.int64(),
            "dataChange": pa.bool_(),
            "stats": pa.string(),
            "deletionVector": pa.struct(
                {
                    "storageType": pa.string(),
                    "pathOrInlineDv": pa.string(),
                    "offset": pa.int32(),
                    "sizeInBytes": pa.int32(),
                    "cardinality": pa.int64(),
                }
            ),
        }
    ),
}


def actions_parquet(actions: Sequence[Mapping[str, Any]]) -> bytes:
    """Actions as a checkpoint has them."""
    arrays = [pa.array([one.get(kind) for one in actions], type_) for kind, type_ in _CHECKPOINT.items()]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=list(_CHECKPOINT)), out)
    return out.getvalue()

"""What a Delta table was at one of its commits, as plain values that travel as JSON; nothing heavy is imported here."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import unquote

from shared.intake.rejections import quoted, rejected

LOG = "_delta_log"
_COMMIT = re.compile(r"(?P<table>.+/)?_delta_log/(?P<number>\d{20})\.json")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def commit_of(name: str) -> tuple[str, int] | None:
    """Folder of the table, with its slash, and number of the commit that a file of this name is; None for any other.

    Checkpoints, compacted logs and checksums lie beside the commits and are none.
    """
    found = _COMMIT.fullmatch(name)
    return (found["table"] or "", int(found["number"])) if found else None


@dataclass(frozen=True)
class TableColumn:
    """A column as the table's schema has it."""

    name: str
    type: str
    """A primitive type of Delta, or `array<…>` of one; empty for any other nested one."""
    physical: str
    """Its name in the data files."""
    field_id: int | None = None


@dataclass(frozen=True)
class Deleted:
    """Where the rows of a file are told that are deleted: in a file of the table, or in the log itself."""

    file: str
    """Its name below the table's folder, and once it is here its path; empty where `inline` holds them."""
    inline: str
    offset: int
    size: int
    rows: int

    @classmethod
    def of(cls, descriptor: Mapping[str, Any]) -> Deleted:
        """From a descriptor of the log. `p`, an absolute path, is refused as any file elsewhere is."""
        kind, text = str(descriptor["storageType"]), str(descriptor["pathOrInlineDv"])
        if kind not in ("u", "i"):
            raise rejected("delta-elsewhere", f"a deletion vector lies at {quoted(text)}")
        name = ""
        if kind == "u":
            prefix, digits = text[:-20], text[-20:]
            name = f"deletion_vector_{uuid.UUID(bytes=z85(digits))}.bin"
            name = below(f"{prefix}/{name}" if prefix else name)
        size, rows = int(descriptor["sizeInBytes"]), int(descriptor["cardinality"])
        return cls(name, text if kind == "i" else "", int(descriptor.get("offset") or 0), size, rows)


@dataclass(frozen=True)
class Table:
    """What all files of a table share."""

    columns: tuple[TableColumn, ...]
    by_id: bool
    """Columns are found in the files by the number of their field, not by a name."""

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Table:
        return cls(tuple(TableColumn(**column) for column in document["columns"]), document["by_id"])


@dataclass(frozen=True)
class TablePart:
    """What a table says of one of its files."""

    table: Table
    values: Mapping[str, str | None]
    """Of the partition that the file belongs to: column -> value, as text."""
    deleted: Deleted | None = None

    def to_document(self) -> dict[str, Any]:
        """Without what all files share."""
        return {"values": dict(self.values), "deleted": asdict(self.deleted) if self.deleted else None}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], table: Table) -> TablePart:
        deleted = document["deleted"]
        return cls(table, document["values"], Deleted(**deleted) if deleted else None)


@dataclass(frozen=True)
class InTable:
    """A file of the snapshot, and how large the log says that it is."""

    name: str
    size: int
    part: TablePart
    added: bool
    """Whether the commit itself brought its rows."""


@dataclass(frozen=True)
class Snapshot:
    """A table at one commit."""

    version: int
    changed_at: int
    """No later commit changed rows: one that only rewrites files (OPTIMIZE) does not. Checkpoints do not tell of those
    before them, so that it may have been an earlier one."""
    removes: bool
    """Whether the commit itself took rows away, or changed them."""
    table: Table
    files: tuple[InTable, ...]
    told: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "changed_at": self.changed_at,
            "removes": self.removes,
            "table": self.table.to_document(),
            "files": [[one.name, one.size, one.part.to_document(), one.added] for one in self.files],
            "told": list(self.told),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Snapshot:
        table = Table.from_document(document["table"])
        files = tuple(
            InTable(name, size, TablePart.from_document(said, table), added)
            for name, size, said, added in document["files"]
        )
        about = document["version"], document["changed_at"], document["removes"]
        return cls(*about, table, files, tuple(document["told"]))

    def appended(self) -> Snapshot:
        """What the commit added alone. Refused where it took rows away: those that it kept would come twice."""
        if self.removes:
            raise rejected("delta-not-appended", f"commit {self.version} changes rows or takes them away")
        return replace(self, files=tuple(one for one in self.files if one.added))


def here(part: TablePart, paths: Mapping[str, str]) -> TablePart:
    """The same, with the deletion vector's file where it lies on this machine."""
    if part.deleted is None or not part.deleted.file:
        return part
    return replace(part, deleted=replace(part.deleted, file=paths[part.deleted.file]))


def below(path: str) -> str:
    """A path of the log, which is escaped as in an address, as a name below the table's folder."""
    name = unquote(path)
    if _SCHEME.match(name) or name.startswith("/") or not set(name.split("/")).isdisjoint(("", ".", "..")):
        raise rejected("delta-elsewhere", f"the log names {quoted(name)}")
    return name


_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_AS_B85 = bytes.maketrans(_Z85, _B85)


def z85(text: str) -> bytes:
    """Bytes from ZeroMQ's base 85 (https://rfc.zeromq.org/spec/32/); ValueError for any other text."""
    raw = text.encode("ascii")
    if len(raw) % 5 or raw.translate(None, _Z85):
        raise ValueError("this is not Z85")
    return base64.b85decode(raw.translate(_AS_B85))

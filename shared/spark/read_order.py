"""What a job is asked to read, as plain values that travel as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.files.drop_files import DropFile, ReadSpec
from shared.ports import Blob

if TYPE_CHECKING:
    from shared.files.place import Place
    from shared.tables.snapshot import TablePart

SCHEMA = 1


@dataclass(frozen=True)
class OrderedFile:
    """A blob of the drop under the ETag that its event or its folder's listing named."""

    container: str
    name: str
    etag: str
    size: int
    below: str = ""
    """As `DropFile.below`."""
    table: Mapping[str, Any] | None = None
    """Of a file of a Delta table: a `TablePart`, without what all files share."""
    md5: str = ""
    """As a manifest promises it, in hex; empty where it promises nothing."""

    @classmethod
    def of(cls, blob: Blob, below: str, part: TablePart | None, md5: bytes | None) -> OrderedFile:
        told = part.to_document() if part is not None else None
        name = (blob.container, blob.name, blob.etag, blob.size_bytes)
        return cls(*name, below, told, md5.hex() if md5 else "")


@dataclass(frozen=True)
class Order:
    """All that a drop's version depends on, but the reference, which travels as a file."""

    files: tuple[OrderedFile, ...]
    spec: Mapping[str, Any]
    """A `ReadSpec`."""
    told: tuple[str, ...] = ()
    """What was found before: findings of the version."""
    table: Mapping[str, Any] | None = None
    """What all files of a Delta table share."""
    steps: Mapping[str, Any] | None = None
    """What an MLTable does to the files."""
    vectors: Mapping[str, str] = field(default_factory=dict)
    """File of a Delta table's deletion vectors, as `table` of a file names it -> its content, in base64."""

    def to_bytes(self) -> bytes:
        document = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(document, sort_keys=True, ensure_ascii=False, default=dict).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Order:
        document = json.loads(content)
        if document.pop("schema") != SCHEMA:
            raise ValueError("the order was written by another version of Driftloop; publish the loop again")
        files = tuple(OrderedFile(**file) for file in document.pop("files"))
        return cls(files=files, told=tuple(document.pop("told")), **document)

    def read_spec(self, reference: bytes) -> ReadSpec:
        return ReadSpec.from_document(self.spec, reference)

    def drop_files(self, places: Sequence[Place], scratch: Path) -> Iterator[DropFile]:
        """The files as the reader takes them, each at its place; deletion vectors are written into `scratch`."""
        from shared.tables.mltable import Steps
        from shared.tables.snapshot import Table, TablePart

        table = Table.from_document(self.table) if self.table else None
        steps = Steps.from_document(self.steps) if self.steps else None
        vectors = dict(self._written(scratch))
        for one, place in zip(self.files, places, strict=True):
            part = TablePart.from_document(one.table, table) if table and one.table else None
            if part and part.deleted and part.deleted.file:
                part = replace(part, deleted=replace(part.deleted, file=vectors[part.deleted.file]))
            yield DropFile(place, one.name, one.size, one.below, part, steps)

    def _written(self, scratch: Path) -> Iterator[tuple[str, str]]:
        for number, (name, content) in enumerate(sorted(self.vectors.items())):
            place = scratch / f"vector-{number}"
            place.write_bytes(base64.b64decode(content))
            yield name, str(place)

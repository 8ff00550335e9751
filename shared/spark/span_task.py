"""One span of a drop is read by a task of an executor, which knows the plan and what it may touch, and nothing else."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from azure.storage.blob import BlobClient

from shared.errors import InputRejected
from shared.files.place import FileChanged, FileUnavailable
from shared.reader.child import peak_mb
from shared.reader.drop_plan import Plan, Span
from shared.reader.part_summary import PartReading, read_part
from shared.redaction import redacted
from shared.spark.blob_places import BlobFile, BlobFolder
from shared.values.texts import Contradicted

SUMMARY = "summary"
"""Folder of what spans came to, beside that of their rows."""


@dataclass(frozen=True)
class Task:
    """What travels to an executor beside the plan."""

    span: Span
    files: Mapping[str, str] = field(repr=False)
    """Address of a blob -> the same, signed for reading."""
    parts: Mapping[str, str] = field(repr=False)
    """Name below the rows' folder, and that of the summary -> its address, signed for writing."""
    memory_mb: int


@dataclass(frozen=True)
class Done:
    """The span is read; what it came to lies in a blob, since many of them would not fit the driver at once."""

    part: int
    summary: str
    """SHA-256 of it."""
    etags: Mapping[str, str]
    """Of the files that were written, by their name below the rows' folder."""
    rows: Mapping[str, int]
    """How many each of them holds."""


@dataclass(frozen=True)
class Contradiction:
    """As `Contradicted`, which the driver learns from."""

    part: int
    column: str
    what: str
    value: str


@dataclass(frozen=True)
class Rejection:
    """As `InputRejected`: the drop cannot be used."""

    part: int
    code: str
    text: str


@dataclass(frozen=True)
class Change:
    """As `FileChanged`."""

    part: int
    name: str


@dataclass(frozen=True)
class Beyond:
    """A task cannot; one process with all memory of its machine may, or says why not as it ever did."""

    part: int
    why: str


Outcome = Done | Contradiction | Rejection | Change | Beyond


class SpanUnavailable(Exception):
    """Storage failed: the task is tried again, elsewhere. Its text holds no address."""


class _TooMuchMemory(Exception):
    pass


@dataclass(frozen=True)
class _Elsewhere:
    """A file of the drop that holds no row of this span."""

    name: str


def names(part: int) -> tuple[str, ...]:
    """The files that a span may become."""
    return tuple(f"{side}/part-{part:05d}.parquet" for side in ("train", "holdout", "unlabelled", "rejected"))


def packed(plan: Plan) -> bytes:
    """A plan as it travels: its files by their addresses alone, without a way to reach them."""
    content = io.BytesIO()
    _Packer(content, pickle.HIGHEST_PROTOCOL).dump(plan)
    return content.getvalue()


def run(plan: bytes, task: bytes, fetched: Callable[[int], None]) -> bytes:
    """Read a span; plain values, so that it can be called in any process. `fetched` is told how many bytes came."""
    asked = cast("Task", pickle.loads(task))  # noqa: S301  # from our own driver
    try:
        return pickle.dumps(_outcome(plan, asked, fetched))
    except FileUnavailable as error:  # its cause names the signed address, and Spark logs causes
        told = redacted(str(error))
    raise SpanUnavailable(told)


def _outcome(plan: bytes, task: Task, told: Callable[[int], None]) -> Outcome:
    part = task.span.part

    def fetched(size: int) -> None:
        """The task ends before the cluster ends its executor."""
        told(size)
        if peak_mb() > task.memory_mb:
            raise _TooMuchMemory

    folder = BlobFolder(lambda name: BlobClient.from_blob_url(task.parts[name]))
    try:
        known = cast("Plan", _Unpacker(io.BytesIO(plan), task.files, fetched).load())
        reading = read_part(known, task.span, folder)
        etags, rows = dict(folder.written), _rows(part, reading)
        return Done(part, _left(reading, folder), etags, rows)
    except Contradicted as late:
        return Contradiction(part, late.column, late.what, late.value)
    except InputRejected as rejection:
        return Rejection(part, rejection.code, str(rejection))
    except FileChanged as changed:
        return Change(part, changed.name)
    except (_TooMuchMemory, MemoryError):
        return Beyond(part, "memory")
    except FileUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # hostile bytes fail in ways that no list foresees
        return Beyond(part, type(error).__name__)


def _left(reading: PartReading, folder: BlobFolder) -> str:
    content = pickle.dumps(reading, pickle.HIGHEST_PROTOCOL)
    with (folder / SUMMARY).open("wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def _rows(part: int, reading: PartReading) -> dict[str, int]:
    train, holdout, unlabelled = (int(rows) for rows in reading.split)
    return dict(zip(names(part), (train, holdout, unlabelled, reading.contract.rejected), strict=True))


class _Packer(pickle.Pickler):
    def persistent_id(self, obj: Any) -> tuple[str, str, str, int] | None:
        if isinstance(obj, BlobFile):
            return (obj.client.url, obj.name, obj.etag, obj.size)
        return None


class _Unpacker(pickle.Unpickler):
    def __init__(self, content: io.BytesIO, files: Mapping[str, str], fetched: Callable[[int], None]) -> None:
        super().__init__(content)
        self._files, self._fetched = files, fetched
        self._found: dict[str, BlobFile] = {}

    def persistent_load(self, pid: tuple[str, str, str, int]) -> BlobFile | _Elsewhere:
        address, name, etag, size = pid
        if address not in self._files:
            return _Elsewhere(name)
        if address not in self._found:
            client = BlobClient.from_blob_url(self._files[address])
            self._found[address] = BlobFile(client, name, etag, size, self._fetched)
        return self._found[address]

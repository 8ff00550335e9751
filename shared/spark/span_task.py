"""One span of a drop is read by a task of an executor, which knows the plan and what it may touch, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from azure.storage.blob import BlobClient

from shared.errors import InputRejected
from shared.files.place import FileChanged, FileUnavailable
from shared.reader.child import peak_mb
from shared.reader.drop_plan import Plan, Span
from shared.reader.part_summary import PartReading, read_part
from shared.redaction import redacted
from shared.spark.blob_places import BlobFile, BlobFolder
from shared.values.texts import Contradicted


@dataclass(frozen=True)
class Task:
    """What travels to an executor beside the plan."""

    span: Span
    files: Mapping[str, str] = field(repr=False)
    """File of the drop -> its address, signed for reading."""
    parts: Mapping[str, str] = field(repr=False)
    """Name below the rows' folder -> its address, signed for writing."""
    memory_mb: int


@dataclass(frozen=True)
class Done:
    """The span is read."""

    reading: PartReading
    etags: Mapping[str, str]
    """Of the files that were written, by their name below the rows' folder."""
    rows: Mapping[str, int]
    """How many each of them holds."""


@dataclass(frozen=True)
class Contradiction:
    """As `Contradicted`, which the driver learns from."""

    column: str
    what: str
    value: str


@dataclass(frozen=True)
class Rejection:
    """As `InputRejected`: the drop cannot be used."""

    code: str
    text: str


@dataclass(frozen=True)
class Change:
    """As `FileChanged`."""

    name: str


@dataclass(frozen=True)
class Beyond:
    """A task cannot; one process with all memory of its machine may, or says why not as it ever did."""

    why: str
    """`memory`, or the name of an error, for the job's log."""


Outcome = Done | Contradiction | Rejection | Change | Beyond


class SpanUnavailable(Exception):
    """Storage failed: the task is tried again, elsewhere. Its text holds no address."""


class _TooMuchMemory(Exception):
    pass


def names(part: int) -> tuple[str, ...]:
    """The files that a span may become."""
    return tuple(f"{side}/part-{part:05d}.parquet" for side in ("train", "holdout", "unlabelled", "rejected"))


def run(plan: Plan, task: Task, fetched: Callable[[int], None]) -> Outcome:
    """Read a span, in any process. `fetched` is told how many bytes came. SpanUnavailable."""
    try:
        return _outcome(plan, task, fetched)
    except FileUnavailable as error:  # its cause names the signed address, and Spark logs causes
        told = redacted(str(error))
    raise SpanUnavailable(told)


def _outcome(plan: Plan, task: Task, told: Callable[[int], None]) -> Outcome:
    part = task.span.part

    def fetched(size: int) -> None:
        """The task ends before the cluster ends its executor."""
        told(size)
        if peak_mb() > task.memory_mb:
            raise _TooMuchMemory

    folder = BlobFolder(lambda name: BlobClient.from_blob_url(task.parts[name]))
    try:
        for source in plan.sources.parts:
            if isinstance(source.place, BlobFile) and (signed := task.files.get(source.file.name)):
                source.place.reach(signed, fetched)
        reading = read_part(plan, task.span, folder)
        return Done(reading, dict(folder.written), _rows(part, reading))
    except Contradicted as late:
        return Contradiction(late.column, late.what, late.value)
    except InputRejected as rejection:
        return Rejection(rejection.code, str(rejection))
    except FileChanged as changed:
        return Change(changed.name)
    except (_TooMuchMemory, MemoryError):
        return Beyond("memory")
    except FileUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # hostile bytes fail in ways that no list foresees
        return Beyond(type(error).__name__)


def _rows(part: int, reading: PartReading) -> dict[str, int]:
    train, holdout, unlabelled = (int(rows) for rows in reading.split)
    return dict(zip(names(part), (train, holdout, unlabelled, reading.contract.rejected), strict=True))

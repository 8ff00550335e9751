"""Jobs that read drops, in memory: `finish` lets one read, by the code that the real one runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.domain.reason import Code
from shared.errors import ConfigurationError, Conflict
from shared.files.place import FileChanged
from shared.memory.data import MemoryBlobs, MemoryVersions
from shared.port_rules import READING_TAG
from shared.ports import Blob, JobSeen, ReadingSpec
from shared.spark.answered import answered
from shared.spark.read_answer import ANSWER, PROFILE, PROGRESS, Read, written
from shared.spark.read_order import Order, OrderedFile


@dataclass
class MemoryReading:
    """Set `status` to failed or canceled; set `tags` to make it somebody else's, `files` to what it leaves."""

    spec: ReadingSpec
    status: str = "running"
    error: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, bytes] = field(default_factory=dict)

    def leave(self, part: str, content: bytes) -> str:
        """The ETag under which the job wrote a file of rows."""
        self.rows[part] = content
        return _etag(content)


class MemoryReadings:
    """New jobs are `new_jobs_are`: running until `finish`, or completed at once."""

    def __init__(self, blobs: MemoryBlobs, versions: MemoryVersions) -> None:
        self.new_jobs_are = "running"
        self.jobs: dict[str, MemoryReading] = {}
        self._blobs, self._versions = blobs, versions

    def ensure(self, spec: ReadingSpec) -> JobSeen:
        if spec.name not in self.jobs:
            self.jobs[spec.name] = MemoryReading(spec, tags=dict(spec.tags))
            if self.new_jobs_are == "completed":
                self.finish(spec.name)
        job = self.jobs[spec.name]
        if job.tags.get(READING_TAG) != spec.tags.get(READING_TAG):
            raise ConfigurationError(
                f"Azure ML job {spec.name} exists and is not ours (its tag {READING_TAG} is "
                f"{job.tags.get(READING_TAG)!r}). It keeps its name, "
                "and what is asked for next has another: abort the release, or land the drop again.",
                code=Code.JOB_NOT_OURS,
            )
        return JobSeen(job.status, job.error, f"https://ml.azure.com/runs/{spec.name}")

    def cancel(self, name: str) -> None:
        job = self.jobs.get(name)
        if job is not None and job.status == "running" and READING_TAG in job.tags:
            job.status = "canceled"

    def tell(self, name: str, read: int, of: int) -> None:
        """How far it is."""
        self.jobs[name].files[PROGRESS] = json.dumps({"read": read, "of": of}).encode()

    def finish(self, name: str) -> None:
        """Let the job read, and complete."""
        job = self.jobs[name]
        with TemporaryDirectory() as scratch:
            rows = Path(scratch) / "rows"
            answer = answered(
                Order.from_bytes(job.spec.order),
                job.spec.reference,
                lambda one: self._place(one, Path(scratch)),
                rows,
                lambda: {name: _etag(content) for name, content in _files(rows).items()},
            )
            if isinstance(answer, Read):
                job.files[PROFILE] = answer.reading.profile
                job.rows = _files(rows)
            job.files[ANSWER] = written(answer, hashlib.sha256(job.spec.order).hexdigest())
        job.status = "completed"

    def _place(self, one: OrderedFile, scratch: Path) -> Path:
        found = self._blobs.find(one.container, one.name)
        if found is None or found.etag != one.etag:
            raise FileChanged(one.name)
        place = scratch / hashlib.sha256(f"{one.container}/{one.name}".encode()).hexdigest()
        self._blobs.download(Blob(one.container, one.name, one.etag, one.size, found.created_at), place)
        return place

    def left(self, name: str, file: str, most: int) -> bytes:
        content = self.jobs[name].files.get(file, b"") if name in self.jobs else b""
        return content if len(content) <= most else b""

    def take(self, name: str, parts: Mapping[str, str], path: str) -> None:
        rows = self.jobs[name].rows
        for part, etag in parts.items():
            if part not in rows or _etag(rows[part]) != etag:
                raise Conflict(f"{part} of job {name} is another file than the job wrote.")
            with TemporaryDirectory() as scratch:
                copy = Path(scratch) / "part"
                copy.write_bytes(rows[part])
                self._versions.write(f"{path}/{part}", copy)


def _files(folder: Path) -> dict[str, bytes]:
    found = sorted(folder.rglob("*.parquet"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]

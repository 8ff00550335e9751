"""The reading process is warm, bounded, and replaced when it breaks; whatever it reads, the caller only waits.

One process per worker, begun when the first drop comes. It gets one line of JSON and answers with one. It ends
when its standard input closes, so it cannot outlive its parent.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from shared import deadline
from shared.errors import DependencyUnavailable, InputRejected, InvariantBroken
from shared.files.drop_files import DropFile, Limits, Reading, ReadSpec
from shared.intake.rejections import listed, rejected

if TYPE_CHECKING:
    from shared.tables.delta_log import Needed, Wanting
    from shared.tables.snapshot import Snapshot

_START_SECONDS = 60.0
_LONGEST_TURN = 3600.0
"""Where no function's end is nearer."""
_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_PROFILE = 256 * 1024 * 1024
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


class _Broken(Exception):
    """The process gave no answer; `code` is the rejection that this means."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Reader:
    """One reading process."""

    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb
        self._pending = b""
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        # malloc's own arenas and Arrow's default pool reserve address space in large pieces, which the limit
        # on data would count.
        environment |= {
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "shared.reader.child", str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=Path(__file__).parents[3],
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send one request and wait for its answer; the process is gone when this raises."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._line(seconds))
        except _Broken:
            self.stop()
            raise
        except (OSError, ValueError) as error:
            self.stop()
            raise _Broken("reader-died") from error
        return answer

    def _line(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        ends_at = time.monotonic() + seconds
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._pending:
            left = ends_at - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise _Broken("too-slow")
            piece = os.read(pipe, 65536)
            if not piece or len(self._pending) > _LARGEST_ANSWER:
                raise _Broken("reader-died")
            self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def stop(self) -> None:
        """End the process now and reap it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # bytes that were never taken; there is nobody left to take them


_lock = threading.Lock()
_reader: _Reader | None = None


def _ready(memory_mb: int) -> _Reader:
    """The warm process, or a new one when it has died or its memory limit is another."""
    global _reader
    if _reader is not None and (not _reader.alive or _reader.memory_mb != memory_mb):
        _retire()
    if _reader is None:
        _reader = _Reader(memory_mb)
        try:
            ready = "ready" in _reader.ask({"hello": True}, deadline.left_s(_START_SECONDS))
        except _Broken:
            ready = False
        if not ready:
            _retire()
            raise DependencyUnavailable(
                f"The process that reads drops did not start within {memory_mb} MB and {_START_SECONDS:.0f} s."
            )
    return _reader


def _retire() -> None:
    global _reader
    if _reader is not None:
        _reader.stop()
    _reader = None


@atexit.register
def stop() -> None:
    """End the warm process; the next drop begins another."""
    with _lock:
        _retire()


def read_drop(files: Sequence[DropFile], spec: ReadSpec, output: Path) -> Reading:
    """Read the files of one drop and write its rows under `output`, or raise `InputRejected`."""
    scratch = output / "scratch"
    scratch.mkdir(parents=True)
    (scratch / "reference.bin").write_bytes(spec.reference)
    request = {
        "files": [file.to_document() for file in files],
        "table": files[0].table.table.to_document() if files[0].table else None,
        "steps": asdict(files[0].steps) if files[0].steps else None,
        "names": (names := listed([file.name for file in files], most=1)),
        "spec": spec.to_document(),
        "output": str(output.resolve()),
        "scratch": str(scratch.resolve()),
    }
    try:
        answer = _exchange(request, spec.limits, names)
        profile = scratch / "profile.bin"
        if profile.stat().st_size > _LARGEST_PROFILE:
            raise rejected(
                "too-much-memory", f"the statistical profile of {names} has {profile.stat().st_size:,} bytes"
            )
        return Reading.from_document(answer["reading"], profile.read_bytes())
    finally:
        shutil.rmtree(scratch)


def read_log(wanted: Needed, files: Mapping[str, Path], table: str, limits: Limits) -> Snapshot | Wanting:
    """`delta_log.replay` in the reading process: a log is hostile input, too."""
    from shared.tables.delta_log import Wanting
    from shared.tables.snapshot import Snapshot

    request = {
        "log": [wanted.version, wanted.checkpoint, wanted.commits],
        "files": {name: str(path.resolve()) for name, path in files.items()},
        "names": table,
    }
    answer = _exchange(request, limits, table)
    if "wanting" in answer:
        return Wanting(tuple(answer["wanting"]))
    return Snapshot.from_document(answer["snapshot"])


def packed_anew(profile: bytes, limits: Limits, names: str) -> bytes:
    """A stored profile that another process wrote, as this one writes it: InputRejected where it is none, or takes more
    than the limits. Unpacked it may be a thousand times as large."""
    with TemporaryDirectory(prefix="driftloop-") as scratch:
        place = Path(scratch) / "profile.bin"
        place.write_bytes(profile)
        _exchange({"profile": str(place.resolve()), "names": names}, limits, names)
        if (size := place.stat().st_size) > _LARGEST_PROFILE:
            raise rejected("too-much-memory", f"the statistical profile of {names} has {size:,} bytes")
        return place.read_bytes()


@contextmanager
def _turn(seconds: float) -> Iterator[None]:
    """One drop at a time is read; who would not have the time to read its own before its end waits for no turn."""
    most = deadline.left_s(_LONGEST_TURN) - seconds
    if most <= 0 or not _lock.acquire(timeout=most):
        raise DependencyUnavailable("Other drops are being read; this one is next.")
    try:
        yield
    finally:
        _lock.release()


def _all_of(seconds: float, attempt: int) -> float:
    """The drop's own limit, whole: a drop that got less was not too slow. InvariantBroken, which counts against the
    drop, where it has ended a process already: else one that does so late would be read for ever."""
    if deadline.left_s(seconds) >= seconds:
        return seconds
    if attempt > 1:
        raise InvariantBroken(
            "The process that read this drop ended, and too little time is left for another."
        )
    raise DependencyUnavailable("Too little time is left to read this drop; the next run does.")


def _exchange(request: Mapping[str, Any], limits: Limits, names: str) -> dict[str, Any]:
    """The answer to a request. A process that dies is tried twice: the first may have been killed from outside."""
    global _reader
    with _turn(limits.seconds):
        for attempt in (1, 2):
            try:
                answer = _ready(limits.memory_mb).ask(request, _all_of(limits.seconds, attempt))
            except _Broken as broken:
                _reader = None
                if broken.code == "reader-died" and attempt == 1:
                    continue
                died = f"{names} ended the process that read it, twice"
                slow = f"{names} took longer than {limits.seconds:g} s to read"
                raise rejected(broken.code, slow if broken.code == "too-slow" else died) from None
            if answer.get("retire"):
                _retire()
            break
        if "rejected" in answer:
            raise InputRejected(answer["rejected"]["code"], answer["rejected"]["text"])
        if "broken" in answer:
            raise InvariantBroken(answer["broken"])
        return answer

"""The process that reads drops: one JSON line in, one out; it never exceeds its memory and ends with its parent."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from shared.errors import InputRejected, InvariantBroken
from shared.files.drop_files import DropFile, ReadSpec
from shared.intake.rejections import rejected

_LOOK_SECONDS = 0.02
_REQUESTS_BEFORE_RETIREMENT = 500


class _Answers:
    """The way back to the parent. Standard output is moved away, so that no library can write into it."""

    def __init__(self) -> None:
        self._pipe = os.dup(sys.stdout.fileno())
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self._lock = threading.Lock()

    def give(self, answer: dict[str, Any], *, last: bool = False) -> None:
        with self._lock:
            left = json.dumps(answer).encode() + b"\n"
            while left:
                left = left[os.write(self._pipe, left) :]
            if last:
                os._exit(0)


def peak_mb() -> float:
    """The most memory that this process has ever held.

    Linux tells it of the program (VmHWM). What getrusage tells of the process is inherited from who began it, so
    that below a large parent a new process would look worn at once.
    """
    status = Path("/proc/self/status")
    if status.exists():
        held_kb = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(held_kb.split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows has none: there the time limit alone protects
        return 0.0
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _limit(memory_mb: int) -> None:
    """Let the system refuse memory somewhat above the limit, in case the watch is too slow to see it."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        most = (memory_mb + 512) * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


class _Watch:
    """Ends the process, with the reason told, as soon as it holds more than its limit. Looks while a drop is read: the
    most that was ever held is what it sees, and a process that waits should take no time."""

    def __init__(self, memory_mb: int, answers: _Answers) -> None:
        self.names = "the drop"
        self.reading = threading.Event()
        self._memory_mb, self._answers = memory_mb, answers
        threading.Thread(target=self._look, daemon=True).start()

    def reason(self) -> InputRejected:
        return rejected(
            "too-much-memory", f"{self.names} takes more than {self._memory_mb:,} MB of memory to read"
        )

    def _look(self) -> None:
        while self.reading.wait() and peak_mb() <= self._memory_mb:
            time.sleep(_LOOK_SECONDS)
        self._answers.give(_refusal(self.reason()), last=True)


def _refusal(error: InputRejected) -> dict[str, Any]:
    return {"rejected": {"code": error.code, "text": str(error)}}


def _requests() -> queue.SimpleQueue[str]:
    """Lines from the parent; when it is gone, so are we, whatever we do just then."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def take() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=take, daemon=True).start()
    return lines


def _answer(request: dict[str, Any], watch: _Watch) -> dict[str, Any]:
    if "hello" in request:
        from shared.reader import one_pass  # noqa: F401 - so that the first drop does not wait for it

        return {"ready": True}
    watch.names = names = request["names"]
    try:
        if "profile" in request:
            return _profile(request)
        return _log(request) if "log" in request else _drop(request)
    except InputRejected as rejection:
        return _refusal(rejection)
    except InvariantBroken as broken:
        return {"broken": str(broken)}
    except MemoryError:
        return {**_refusal(watch.reason()), "retire": True}
    except Exception as error:  # noqa: BLE001  # hostile bytes fail in ways that no list foresees; each is a rejection
        return _refusal(rejected("unreadable", f"{names} cannot be read ({type(error).__name__})"))


def _drop(request: dict[str, Any]) -> dict[str, Any]:
    from shared.reader.one_pass import read
    from shared.tables.mltable import Steps
    from shared.tables.snapshot import Table

    table = Table.from_document(request["table"]) if request["table"] else None
    steps = Steps.from_document(request["steps"]) if request["steps"] else None
    files = [DropFile.from_document(file, table, steps) for file in request["files"]]
    scratch = Path(request["scratch"])
    spec = ReadSpec.from_document(request["spec"], (scratch / "reference.bin").read_bytes())
    reading = read(files, spec, Path(request["output"]))
    (scratch / "profile.bin").write_bytes(reading.profile)
    return {"reading": reading.to_document()}


def _log(request: dict[str, Any]) -> dict[str, Any]:
    from shared.tables.delta_log import Needed, Wanting, replay

    version, checkpoint, commits = request["log"]
    files = {name: Path(path) for name, path in request["files"].items()}
    found = replay(Needed(version, tuple(checkpoint), tuple(commits)), files, request["names"])
    if isinstance(found, Wanting):
        return {"wanting": list(found.names)}
    return {"snapshot": found.to_document()}


def _profile(request: dict[str, Any]) -> dict[str, Any]:
    import drift

    place = Path(request["profile"])
    place.write_bytes(drift.Profile.from_bytes(place.read_bytes()).to_bytes())
    return {}


def main() -> None:
    memory_mb = int(sys.argv[1])
    _limit(memory_mb)
    answers, lines = _Answers(), _requests()
    watch = _Watch(memory_mb, answers)
    for count in range(1, sys.maxsize):
        request = json.loads(lines.get())
        watch.reading.set()
        answer = _answer(request, watch)
        watch.reading.clear()
        worn = count >= _REQUESTS_BEFORE_RETIREMENT or peak_mb() > memory_mb / 2
        answers.give({"retire": worn, **answer})


if __name__ == "__main__":
    main()

"""A process of its own for each run of a loop's own code: what it may cost, what it answered, why it was stopped.

`walls.py` says what the process cannot do. It begins with an environment that has nothing of the app's, is given its
question as a file that is open already, answers once, and is gone. It is never the process that reads drops: that one
stays warm, and the next loop's rows must not meet this loop's code.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared import deadline
from shared.domain.reason import Code, Reason, reason
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.own import walls
from shared.own.cell import BEGUN

SECONDS = 120
MEMORY_MB = 1024
_LARGEST_ANSWER = 16 * 1024 * 1024
_KEPT_VARIABLES = ("LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")

Answer = Mapping[str, Any]  # JSON that our own child made of the code's answers, checked where it is used


class Stopped(Exception):
    """The code gave no answer that can be used."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


def run(
    file: str,
    source: str,
    question: Mapping[str, Any],
    tables: Sequence[bytes] = (),
    *,
    seconds: int | None = None,
    memory_mb: int = MEMORY_MB,
) -> Answer:
    """The answer of `source`, a file of the loop's folder, or `Stopped` with the reason."""
    if not walls.available():
        raise ConfigurationError(
            f"{file} cannot be run on this machine: code of a loop's own runs on Linux (x86-64 or ARM) alone, behind "
            "a seccomp filter",
            code=Code.OWN_CODE_UNWALLED,
        )
    seconds = SECONDS if seconds is None else seconds
    if deadline.left_s(_STARTING_SECONDS + seconds) < _STARTING_SECONDS + seconds:
        raise DependencyUnavailable(f"Too little time is left to run {file}; the next run does.")
    header = {
        **question,
        "file": file,
        "source": source,
        "sizes": [len(table) for table in tables],
        "memory_mb": memory_mb,
        "seconds": seconds,
    }
    with tempfile.TemporaryFile() as asked:
        asked.write(json.dumps(header).encode() + b"\n")
        asked.writelines(tables)
        asked.seek(0)
        content, ended = _exchange(asked.fileno(), seconds)
    return _read(file, content, ended, seconds, memory_mb)


def _exchange(asked: int, seconds: int) -> tuple[bytes, int | None]:
    """What came back, and how the process ended; None where it had to be ended."""
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    # one thread: after the walls are closed nobody can begin another
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", "shared.own.cell"],
        stdin=asked,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    try:
        content = _all_of(process, seconds)
        if content is None:
            return b"", None
        return content, process.wait(deadline.left_s(_ENDING_SECONDS))
    except subprocess.TimeoutExpired:  # it closed its end of the pipe, and goes on: it is killed here
        return b"", None
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


_ENDING_SECONDS = 5
_STARTING_SECONDS = 30
"""To load what the code imports, on a machine that is busy."""


def _all_of(process: subprocess.Popen[bytes], seconds: int) -> bytes | None:
    """All that it says; None where it did not begin, or did not end, in time."""
    assert process.stdout is not None
    pipe, content = process.stdout.fileno(), b""
    ends = time.monotonic() + _STARTING_SECONDS
    while len(content) <= _LARGEST_ANSWER:
        left = ends - time.monotonic()
        if left <= 0:
            return None
        if not select.select([pipe], [], [], deadline.left_s(left))[0]:
            continue
        piece = os.read(pipe, 65536)
        if not piece:
            return content
        if not content:
            ends = time.monotonic() + seconds
        content += piece
    process.kill()
    return content


def _read(file: str, content: bytes, ended: int | None, seconds: int, memory_mb: int) -> Answer:
    if ended is None or ended == -signal.SIGXCPU:
        raise Stopped(reason(Code.OWN_CODE_SLOW, file=file, seconds=seconds))
    try:
        answer = json.loads(content.removeprefix(BEGUN))
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Stopped(reason(Code.OWN_CODE_DIED, file=file, status=ended))
    if "unwalled" in answer:
        raise ConfigurationError(
            f"{file} is not run: the kernel refuses the seccomp filter that must stand around it "
            f"({answer['unwalled']})",
            code=Code.OWN_CODE_UNWALLED,
        )
    where = f"{file}:{answer['line']}" if isinstance(answer.get("line"), int) else file
    if "memory" in answer:
        raise Stopped(reason(Code.OWN_CODE_MEMORY, where=where, memory_mb=memory_mb))
    if "forbidden" in answer:
        raise Stopped(reason(Code.OWN_CODE_FORBIDDEN, where=where, what=str(answer["forbidden"])[:120]))
    if "raised" in answer:
        raise Stopped(reason(Code.OWN_CODE_RAISED, where=where, error=str(answer["raised"])[:300]))
    if "unfit" in answer:
        raise Stopped(reason(Code.OWN_CODE_UNFIT, where=where, what=str(answer["unfit"])[:300]))
    return answer

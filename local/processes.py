"""A started process, and all that it starts, ends when we say so or when we die, even by SIGKILL.

Each child leads a process group of its own. A small reaper in its own session holds the read end of a
pipe whose write end only we hold: when we die, by whatever means, it reads end-of-file and ends the groups.
Prctl's parent-death signal would not do: it fires when the *thread* that started the child ends, does not
reach grandchildren, and is not there on macOS.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE_S = 5.0
_LEFTOVER_GRACE_S = 1.0  # for descendants, once the process itself has ended


class Child:
    """One process group that we started."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._cleared = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, None while it runs. What a process that ended has left behind is ended here."""
        code = self._process.poll()
        if code is not None:
            self._clear()
        return code

    def wait(self, timeout_s: float | None = None) -> int:
        """The exit code; subprocess.TimeoutExpired when it takes longer."""
        code = self._process.wait(timeout_s)
        self._clear()
        return code

    def stop(self, grace_s: float = GRACE_S) -> None:
        """SIGTERM for the whole group, SIGKILL for what is left of it after `grace_s`."""
        if self._cleared:
            return
        _signal_group(self.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
            _await_end({self.pid}, _LEFTOVER_GRACE_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the group at once, as a crash would be."""
        if not self._cleared:
            _signal_group(self.pid, signal.SIGKILL)
            self.wait()

    def _clear(self) -> None:
        """Once only: the system may give the number to another group later."""
        with self._lock:
            if not self._cleared:
                self._cleared = True
                _signal_group(self.pid, signal.SIGKILL)
                _reaper.forget(self.pid)

    def log_tail(self, characters: int = 2000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Child:
    """Start `command` in a process group of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
        )
    _reaper.watch(process.pid)
    return Child(name, process, log)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" of a zombie
        os.killpg(group, number)


class _Reaper:
    """Our end of the pipe; the other process is started with the first child."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """At our own orderly end: let it end what is left, and wait for that."""
        if self._process is not None and self._owner == os.getpid():
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
                self._owner = os.getpid()
                self._process = subprocess.Popen(
                    [sys.executable, "-S", str(Path(__file__).resolve())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            if self._process.stdin is not None:
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


_reaper = _Reaper()
atexit.register(_reaper.close)


def _reap_until_the_parent_dies() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        _signal_group(group, signal.SIGTERM)
    for group in _await_end(groups, GRACE_S):
        _signal_group(group, signal.SIGKILL)


def _await_end(groups: set[int], within_s: float) -> set[int]:
    """The groups that are still there after `within_s`."""
    deadline = time.monotonic() + within_s
    while groups and time.monotonic() < deadline:
        groups = {group for group in groups if _exists(group)}
        time.sleep(0.02)
    return groups


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _reap_until_the_parent_dies()

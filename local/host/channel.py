"""One life of the worker process: messages go in, answers come out, and its end is reported once."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from local.host.errors import AppNotIndexed, InvocationFailed

ROOT = Path(__file__).resolve().parents[2]

# -P and the removal keep our own folder off the app's path: the app sees what it would see on Azure.
_BOOTSTRAP = (
    "import sys; root = sys.argv.pop(1); sys.path.insert(0, root); "
    "from local.host.worker import main; sys.path.remove(root); main()"
)

log = logging.getLogger(__name__)
Answer = dict[str, object]


class WorkerProcess:
    """A worker process that was started; `indexed` waits until it has read the app."""

    def __init__(
        self,
        app_dir: Path,
        environment: Mapping[str, str],
        answered: Callable[[Answer], None],
        ended: Callable[["WorkerProcess"], None],
    ) -> None:
        self.timed_out = False
        self.over = False
        self._app_dir, self._answered, self._ended = app_dir, answered, ended
        self._first: Future[Answer] = Future()
        self._write = threading.Lock()
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOTSTRAP, str(ROOT), str(app_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def indexed(self, within_s: float) -> list[Answer]:
        """The app's functions; AppNotIndexed when they cannot be had in time."""
        try:
            first = self._first.result(within_s)
        except (TimeoutError, InvocationFailed) as error:
            self.kill()
            why = str(error) or "it hangs; an app that is imported for so long is lost on Azure as well"
            raise AppNotIndexed(
                f"the worker did not index {self._app_dir} within {within_s:g} s: {why}"
            ) from error
        if "refused" in first:
            self.kill()
            raise AppNotIndexed(str(first["refused"]))
        return cast(list[Answer], first["ready"])

    def send(self, message: Answer) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._write, suppress(OSError, ValueError):  # it is ending, and its end is reported by `_read`
            pipe = cast(IO[bytes], self._popen.stdin)
            pipe.write(line)
            pipe.flush()

    def kill(self) -> None:
        """End the worker and all that it started."""
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            log.debug("worker %d had ended", self._popen.pid)
        self._popen.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join(5)
        self._close()

    def _read(self) -> None:
        with suppress(ValueError, OSError):  # a line that the end has cut
            for line in cast(IO[bytes], self._popen.stdout):
                message: Answer = json.loads(line)
                if "done" in message:
                    self._answered(message)
                elif not self._first.done():
                    self._first.set_result(message)
        self._popen.wait()
        self._close()
        if not self._first.done():
            self._first.set_exception(InvocationFailed("the worker process ended while it indexed the app"))
            return
        self._ended(self)

    def _close(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            with suppress(OSError):  # what was not yet flushed goes nowhere now
                cast(IO[bytes], pipe).close()

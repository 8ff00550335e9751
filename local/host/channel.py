"""An invocation gets exactly one answer: the function's, or a failure when its worker dies or is too slow."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from local.host.errors import AppRefused, InvocationFailed

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0

# -P and the removal keep our own folder off the app's path: the app sees what it would see on Azure.
_BOOTSTRAP = (
    "import sys; root = sys.argv.pop(1); sys.path.insert(0, root); "
    "from local.host.worker import main; sys.path.remove(root); main()"
)

log = logging.getLogger(__name__)
Answer = dict[str, object]


class _Process:
    """One life of the worker process."""

    def __init__(self, app_dir: Path, environment: Mapping[str, str]) -> None:
        self.pending: dict[str, Future[Answer]] = {}
        self.first: Future[Answer] = Future()
        self._lock = threading.Lock()
        self._dead = False
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOTSTRAP, str(ROOT), str(app_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, message: Answer, answer: Future[Answer]) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            if self._dead:
                answer.set_exception(InvocationFailed("the worker process has ended"))
                return
            self.pending[str(message["id"])] = answer
            try:
                pipe = cast(IO[bytes], self._popen.stdin)
                pipe.write(line)
                pipe.flush()
            except OSError:
                log.warning("the worker takes no more messages: it is ending")  # _read answers for it

    def forget(self, invocation_id: str) -> Future[Answer] | None:
        with self._lock:
            return self.pending.pop(invocation_id, None)

    def _read(self) -> None:
        for line in cast(IO[bytes], self._popen.stdout):
            message: Answer = json.loads(line)
            if "done" in message:
                answer = self.forget(str(message["done"]))
                if answer is not None:
                    answer.set_result(message)
            elif not self.first.done():
                self.first.set_result(message)
        with self._lock:
            self._dead = True
            left, self.pending = dict(self.pending), {}
        self._popen.wait()
        if not self.first.done():
            self.first.set_exception(InvocationFailed("the worker process ended while it indexed the app"))
        for answer in left.values():
            answer.set_exception(InvocationFailed("the worker process ended during the invocation"))

    @property
    def dead(self) -> bool:
        return self._dead or self._popen.poll() is not None

    def kill(self) -> None:
        """End the worker and all that it started."""
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            log.debug("worker %d had ended", self._popen.pid)
        self._popen.wait()
        self._reader.join(5)
        for pipe in (self._popen.stdin, self._popen.stdout):
            with suppress(OSError):  # what was not yet flushed goes nowhere now
                cast(IO[bytes], pipe).close()


class Channel:
    """The worker process: started at once, started anew when it dies or is killed for taking too long."""

    def __init__(self, app_dir: Path, environment: Mapping[str, str], timeout_s: float | None) -> None:
        self._app_dir, self._environment, self._timeout_s = app_dir, environment, timeout_s
        self._lock = threading.Lock()
        self._stopped = False
        self._process, self.functions = self._started()

    def invoke(
        self, function: str, kind: str, value: object, metadata: Mapping[str, str] | None = None
    ) -> Answer:
        """Call a function and wait for its answer; InvocationFailed says why there is none."""
        invocation_id = str(uuid.uuid4())
        process = self._alive()
        answer: Future[Answer] = Future()
        log.info("executing %s (%s)", function, invocation_id)
        started = time.monotonic()
        process.send(
            {"id": invocation_id, "function": function, "kind": kind, "value": value, "metadata": metadata},
            answer,
        )
        try:
            result = answer.result(self._timeout_s)
        except TimeoutError:
            process.kill()
            text = (
                f"{function} ran longer than functionTimeout ({self._timeout_s:g} s); its worker was killed"
            )
            log.error("%s", text)
            raise InvocationFailed(text) from None
        outcome = "failed" if result["error"] else "succeeded"
        log.info(
            "executed %s (%s): %s in %.3f s", function, invocation_id, outcome, time.monotonic() - started
        )
        if result["error"]:
            log.error("%s failed: %s\n%s", function, result["error"], result["traceback"])
            raise InvocationFailed(str(result["error"]))
        return result

    def stop(self) -> None:
        """End the worker; what runs in it fails."""
        with self._lock:
            self._stopped = True
        self._process.kill()

    def _alive(self) -> _Process:
        with self._lock:
            if self._stopped:
                raise InvocationFailed("the host is stopping")
            if self._process.dead:
                log.warning("the worker process ended; starting another")
                try:
                    self._process, _ = self._started()
                except AppRefused as error:
                    log.critical("the app cannot be started again: %s", error)
                    raise InvocationFailed(str(error)) from error
            return self._process

    def _started(self) -> tuple[_Process, list[Answer]]:
        process = _Process(self._app_dir, self._environment)
        try:
            first = process.first.result(START_TIMEOUT_S)
        except (TimeoutError, InvocationFailed) as error:
            process.kill()
            raise AppRefused(
                f"the worker did not index {self._app_dir} within {START_TIMEOUT_S:g} s: {error}"
            ) from error
        if "refused" in first:
            process.kill()
            raise AppRefused(str(first["refused"]))
        return process, cast(list[Answer], first["ready"])

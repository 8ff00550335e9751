"""An invocation gets one answer, or none while the host lives; the worker's deaths and slowness cost what they cost.

As Microsoft's dispatcher: a worker that dies fails all that it had at once and is replaced, starts lie ten seconds
apart, and the third death within half an hour of the one before ends the host. A function that runs longer than
functionTimeout costs its worker two seconds later; what ran beside it is not failed but waits for its own limit.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from local.host.channel import Answer, WorkerProcess
from local.host.errors import AppNotIndexed, InvocationFailed
from local.host.pace import Pace

START_TIMEOUT_S = 60.0
BETWEEN_STARTS_S = 10.0
GRACE_S = 2.0
MOST_DEATHS, FORGOTTEN_AFTER_S = 3, 30 * 60.0

log = logging.getLogger(__name__)


@dataclass
class Invocation:
    """One call of a function, from the moment at which the trigger asked for it."""

    id: str
    function: str
    kind: str
    message: Answer
    began: float = field(default_factory=time.monotonic)
    answer: Future[Answer] = field(default_factory=Future)
    process: WorkerProcess | None = None


class Dispatcher:
    """The worker process, and who waits for it."""

    def __init__(
        self,
        app_dir: Path,
        environment: Mapping[str, str],
        timeout_s: float | None = None,
        pace: Pace | None = None,
        fatal: Callable[[str], None] = log.critical,
    ) -> None:
        self._app_dir, self._environment, self._fatal = app_dir, environment, fatal
        self._pace = pace or Pace()
        self._timeout_s = None if timeout_s is None else self._pace.of(timeout_s)
        self._lock = threading.Lock()
        self._invocations: dict[str, Invocation] = {}
        self._late: list[Invocation] = []  # HTTP: answered once there is a worker again
        self._deaths, self._last_death = 0, 0.0
        self._ended = False
        self._started_at = time.monotonic()
        self._worker: WorkerProcess | None = None
        worker = self._started()
        self.functions = worker.indexed(START_TIMEOUT_S)
        self._adopt(worker)
        if self._timeout_s is not None:
            threading.Thread(target=self._watch, daemon=True).start()

    def begin(
        self, function: str, kind: str, value: object, metadata: Mapping[str, str] | None = None
    ) -> Future[Answer]:
        """Call a function; InvocationFailed says why there is no answer. Waits while there is no worker."""
        number = str(uuid.uuid4())
        message = {
            "id": number,
            "function": function,
            "kind": kind,
            "value": value,
            "metadata": dict(metadata or {}),
        }
        invocation = Invocation(number, function, kind, message)
        invocation.answer.set_running_or_notify_cancel()  # whoever waits may go; the invocation stays
        log.info("executing %s (%s)", function, number)
        with self._lock:
            self._invocations[number] = invocation
            self._hand_over(invocation)
        return invocation.answer

    def invoke(
        self, function: str, kind: str, value: object, metadata: Mapping[str, str] | None = None
    ) -> Answer:
        """As `begin`, and wait for the answer."""
        return self.begin(function, kind, value, metadata).result()

    def stop(self) -> None:
        """End the worker. What it had is never answered: nobody may settle it as failed."""
        with self._lock:
            self._ended = True
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def _hand_over(self, invocation: Invocation) -> None:
        if self._worker is not None:
            invocation.process = self._worker
            self._worker.send(invocation.message)

    def _started(self) -> WorkerProcess:
        self._started_at = time.monotonic()
        return WorkerProcess(self._app_dir, self._environment, self._on_answer, self._on_end)

    def _on_answer(self, message: Answer) -> None:
        with self._lock:
            invocation = self._invocations.pop(str(message["done"]), None)
        if invocation is None:
            return  # its time was over
        took_s = time.monotonic() - invocation.began
        outcome = "failed" if message["error"] else "succeeded"
        log.info("executed %s (%s): %s in %.3f s", invocation.function, invocation.id, outcome, took_s)
        if message["error"]:
            log.error("%s failed: %s\n%s", invocation.function, message["error"], message["traceback"])
            invocation.answer.set_exception(InvocationFailed(str(message["error"])))
        else:
            invocation.answer.set_result(message)

    def _on_end(self, worker: WorkerProcess) -> None:
        """A worker that was killed for its slowness leaves its other invocations to their own limits."""
        with self._lock:
            worker.over = True
            if self._ended or worker.timed_out or self._worker is not worker:
                return
            self._worker = None
            lost = [one for one in self._invocations.values() if one.process is worker]
            for one in lost:
                del self._invocations[one.id]
        log.error("the worker process ended during %d invocations", len(lost))
        for one in lost:
            one.answer.set_exception(InvocationFailed("the worker process ended during the invocation"))
        self._count_death()

    def _count_death(self) -> None:
        now = time.monotonic()
        if now - self._last_death > self._pace.of(FORGOTTEN_AFTER_S):
            self._deaths = 0
        self._deaths, self._last_death = self._deaths + 1, now
        if self._deaths >= MOST_DEATHS:
            self._fatal(f"the worker process has died {self._deaths} times")
        else:
            threading.Thread(target=self._replace, daemon=True).start()

    def _replace(self) -> None:
        time.sleep(max(0.0, self._started_at + self._pace.of(BETWEEN_STARTS_S) - time.monotonic()))
        worker = self._started()
        try:
            worker.indexed(START_TIMEOUT_S)
        except AppNotIndexed as error:
            log.critical("the app cannot be started again: %s", error)
            self._count_death()
            return
        self._adopt(worker)

    def _adopt(self, worker: WorkerProcess) -> None:
        """It gets what waits, unless it ended once it had indexed the app: then it has died like any other."""
        with self._lock:
            if self._ended:
                worker.kill()
                return
            died = worker.over
            if not died:
                self._worker = worker
                for invocation in self._invocations.values():
                    if invocation.process is None:
                        self._hand_over(invocation)
            late, self._late = self._late, []
        if died:
            log.error("the worker process ended once it had indexed the app")
            self._count_death()
        for invocation in late:
            invocation.answer.set_exception(InvocationFailed("functionTimeout"))

    def _watch(self) -> None:
        assert self._timeout_s is not None
        limit_s = self._timeout_s + self._pace.of(GRACE_S)
        while not self._ended:
            time.sleep(min(0.1, limit_s / 20))
            now = time.monotonic()
            with self._lock:
                late = [one for one in self._invocations.values() if now - one.began >= limit_s]
            for one in late:
                self._time_out(one)

    def _time_out(self, invocation: Invocation) -> None:
        text = f"{invocation.function} ran longer than functionTimeout"
        with self._lock:
            if self._invocations.pop(invocation.id, None) is None:
                return
            guilty = self._worker if invocation.process is self._worker else None
            if guilty is not None:
                guilty.timed_out, self._worker = True, None
                if invocation.kind == "http":  # as seen: its caller waits for the new worker, too
                    self._late.append(invocation)
        log.error("%s%s", text, "; its worker is killed" if guilty else "")
        if guilty is not None:
            guilty.kill()
            threading.Thread(target=self._replace, daemon=True).start()
        if guilty is None or invocation.kind != "http":
            invocation.answer.set_exception(InvocationFailed(text))

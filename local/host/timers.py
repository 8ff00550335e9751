"""A timer runs once when it is due, or as soon as the host is back: never twice at once, misses are one run.

Follows the timer extension: the status blob is checked at start, an occurrence that passed while the host was
down runs once as past due, and what came due during a long run is one run after it. A run that a stop cuts was not
recorded, so it runs again. Schedules that fire more than once a minute keep no status, so nothing of them is past due.
"""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

from local.host import status
from local.host.errors import InvocationFailed
from local.host.locks import TRIED_EVERY_S, ListenerLock
from local.host.pace import Pace
from local.host.status import NEVER, Status
from local.host.triggers import TimerTrigger

FIRST_RETRY_S, LONGEST_RETRY_S = 2.0, 120.0

log = logging.getLogger(__name__)


class Invoke(Protocol):
    """Calls the function; InvocationFailed when it did not succeed."""

    def __call__(self, function: str, kind: str, value: object) -> object: ...


class TimerListener:
    """Runs one timer function."""

    def __init__(
        self,
        trigger: TimerTrigger,
        container: ContainerClient,
        host_id: str,
        invoke: Invoke,
        pace: Pace,
        fatal: Callable[[str], None],
    ) -> None:
        self._trigger, self._invoke, self._pace = trigger, invoke, pace
        self._zone = trigger.schedule.zone
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        name = f"{host_id}/Host.Functions.{trigger.function}"
        self._blob = container.get_blob_client(f"timers/{name}/status")
        self._lock = ListenerLock(container, f"locks/{name}.Listener", pace, fatal)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs."""
        self._stopping.set()

    def idle(self, within_s: float) -> bool:
        """Wait for a run that is not over; False when it takes longer. The lock is given back only after it."""
        if self._thread.is_alive():
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                if not self._lock.acquire():
                    log.info("another host holds the lock of timer %s", self._trigger.function)
                    self._stopping.wait(self._pace.of(TRIED_EVERY_S))
                    continue
                state = self._state_at_start(_now())
            except (AzureError, status.Unreadable) as error:
                log.error("the listener of timer %s is unable to start: %s", self._trigger.function, error)
                self._lock.release()
                self._stopping.wait(self._pace.of(retry_s))
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)
                continue
            self._run_while_held(state)
            self._lock.release()

    def _state_at_start(self, now: datetime) -> Status:
        schedule = self._trigger.schedule
        self._monitored = self._trigger.use_monitor and not schedule.more_than_once_a_minute(now)
        fresh = Status(NEVER, schedule.next_after(now), NEVER)
        if not self._monitored:
            return fresh
        stored = status.read(self._blob, self._pace)
        if stored is None:
            self._write(replace(fresh, updated=now))
            return fresh  # of its first run a function sees no time, although the blob has one
        bases = (moment for moment in (stored.last, stored.updated) if moment != NEVER)
        basis = next(bases, now)
        expected = schedule.next_after(basis)
        if stored.upcoming == expected:
            return stored
        upcoming = schedule.next_after(now) if now > expected else expected
        changed = Status(NEVER, upcoming, basis)  # another schedule: it begins anew
        self._write(changed)
        return changed

    def _run_while_held(self, state: Status) -> None:
        schedule = self._trigger.schedule
        past_due = self._monitored and _now() > state.upcoming
        run_now = past_due or self._trigger.run_on_startup
        while not self._stopping.is_set():
            if not run_now and not self._waited_until(state.upcoming):
                continue
            began = _now()
            self._fire(state, past_due)
            # A run that took long leaves `upcoming` in the past: all that was missed is one run, at once.
            last = began if run_now else max(began, state.upcoming)
            state = Status(last, schedule.next_after(last), last)
            if self._monitored:
                self._write(state)
            run_now = past_due = False

    def _waited_until(self, moment: datetime) -> bool:
        """Sleep towards a moment, at most a second at a time, so that a stop is seen."""
        left_s = (moment - _now()).total_seconds()
        if left_s > 0:
            self._stopping.wait(min(left_s, 1.0))
        return left_s <= 1.0 and not self._stopping.is_set()

    def _fire(self, state: Status, past_due: bool) -> None:
        if past_due:
            log.info("timer %s is past due and runs now", self._trigger.function)
        value = {
            "Schedule": {"AdjustForDST": self._trigger.schedule.adjusts_for_dst},
            "ScheduleStatus": state.document(self._zone) if self._monitored else None,
            "IsPastDue": past_due,
        }
        try:
            self._invoke(self._trigger.function, "json", json.dumps(value))
        except InvocationFailed as error:
            log.warning(
                "timer %s failed and runs again when it is next due: %s", self._trigger.function, error
            )

    def _write(self, state: Status) -> None:
        status.write(self._blob, state, self._zone, self._pace)


def _now() -> datetime:
    return datetime.now(UTC)

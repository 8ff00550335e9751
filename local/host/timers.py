"""A timer runs once when it is due, or as soon as the host is back: never twice at once, misses are one run.

Follows the timer extension: the status blob is checked at start, an occurrence that passed while the host was
down runs once as past due, and what came due during a long run is one run after it. Schedules that fire more
than once a minute keep no status, as on Azure, so nothing of them is past due.
"""

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobLeaseClient, ContainerClient

from local.host.errors import InvocationFailed
from local.host.triggers import TimerTrigger

LEASE_S = 15  # the real host takes 60 s for listeners; after a kill the next host waits this long
_NEVER = datetime(1, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


class Invoke(Protocol):
    """Calls the function; InvocationFailed when it did not succeed."""

    def __call__(self, function: str, kind: str, value: object) -> object: ...


class Lease:
    """The lock blob of a timer: who holds its lease runs the timer."""

    def __init__(self, container: ContainerClient, name: str, stopping: threading.Event) -> None:
        self._blob = container.get_blob_client(name)
        self._stopping = stopping
        self._lease: BlobLeaseClient | None = None
        threading.Thread(target=self._renew, daemon=True).start()

    @property
    def held(self) -> bool:
        return self._lease is not None

    def acquire(self) -> bool:
        """Wait until the lease is ours; False when the host stops first."""
        while not self._stopping.is_set():
            try:
                self._lease = self._blob.acquire_lease(lease_duration=LEASE_S)
                return True
            except ResourceNotFoundError:
                self._create()
            except ResourceExistsError:
                self._stopping.wait(0.5)
            except AzureError as error:
                log.warning("lock %s cannot be taken, trying again: %s", self._blob.blob_name, error)
                self._stopping.wait(1)
        return False

    def release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            try:
                lease.release()
            except AzureError as error:
                log.debug("lock %s was not released: %s", self._blob.blob_name, error)

    def _create(self) -> None:
        try:
            self._blob.upload_blob(b"", overwrite=False)
        except ResourceExistsError:
            log.debug("lock %s was made by someone else", self._blob.blob_name)

    def _renew(self) -> None:
        while not self._stopping.wait(LEASE_S / 3):
            lease = self._lease
            if lease is None:
                continue
            try:
                lease.renew()
            except HttpResponseError as error:
                log.warning("lock %s is lost: %s", self._blob.blob_name, error)
                self._lease = None
            except AzureError as error:
                log.warning("lock %s was not renewed, trying again: %s", self._blob.blob_name, error)


class TimerListener:
    """Runs one timer function."""

    def __init__(
        self, trigger: TimerTrigger, container: ContainerClient, host_id: str, invoke: Invoke
    ) -> None:
        self._trigger, self._invoke = trigger, invoke
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._status = container.get_blob_client(f"timers/{host_id}/Host.Functions.{trigger.function}/status")
        self._lease = Lease(
            container, f"locks/{host_id}/Host.Functions.{trigger.function}.Listener", self._stopping
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _run(self) -> None:
        at_start = True
        while self._lease.acquire():
            try:
                self._run_while_held(at_start)
            except AzureError as error:
                log.warning("timer %s lost its storage, starting again: %s", self._trigger.function, error)
                self._stopping.wait(1)
            finally:
                self._lease.release()
            at_start = False

    def _run_while_held(self, at_start: bool) -> None:
        schedule, now = self._trigger.schedule, _now()
        monitored = self._trigger.use_monitor and not schedule.more_than_once_a_minute(now)
        past_due = False
        last, upcoming, updated = _NEVER, schedule.next_after(now), _NEVER
        if monitored:
            last, upcoming, updated = self._checked_status(now)
            past_due = now > upcoming
        run_now = past_due or (at_start and self._trigger.run_on_startup)
        while not self._stopping.is_set() and self._lease.held:
            if not run_now and not self._waited_until(upcoming):
                continue
            status = _status_json(last, upcoming, updated) if monitored else None
            began = _now()
            self._fire(status, past_due)
            # A run that took long leaves `upcoming` in the past: all that was missed is one run, at once.
            last = updated = began if run_now else max(began, upcoming)
            upcoming = schedule.next_after(last)
            if monitored:
                self._status.upload_blob(json.dumps(_status_json(last, upcoming, updated)), overwrite=True)
            run_now = past_due = False

    def _waited_until(self, moment: datetime) -> bool:
        """Sleep towards a moment, at most a second at a time, so that a stop or a lost lease is seen."""
        left_s = (moment - _now()).total_seconds()
        if left_s > 0:
            self._stopping.wait(min(left_s, 1.0))
        return left_s <= 1.0 and not self._stopping.is_set() and self._lease.held

    def _fire(self, status: dict[str, str] | None, past_due: bool) -> None:
        if past_due:
            log.info("timer %s is past due and runs now", self._trigger.function)
        value = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
        try:
            self._invoke(self._trigger.function, "json", json.dumps(value))
        except InvocationFailed as error:
            log.warning(
                "timer %s failed and runs again when it is next due: %s", self._trigger.function, error
            )

    def _checked_status(self, now: datetime) -> tuple[datetime, datetime, datetime]:
        """Last, next and updated from the status blob; a schedule that was changed begins anew."""
        stored = self._stored_status()
        schedule = self._trigger.schedule
        if stored is None:
            fresh = _NEVER, schedule.next_after(now), now
        else:
            last, upcoming, updated = stored
            basis = last if last != _NEVER else updated if updated != _NEVER else now
            expected = schedule.next_after(basis)
            if upcoming == expected:
                return stored
            fresh = _NEVER, (schedule.next_after(now) if now > expected else expected), now
        self._status.upload_blob(json.dumps(_status_json(*fresh)), overwrite=True)
        return fresh

    def _stored_status(self) -> tuple[datetime, datetime, datetime] | None:
        try:
            document = json.loads(self._status.download_blob().readall())
            last, upcoming, updated = (
                datetime.fromisoformat(document[k]) for k in ("Last", "Next", "LastUpdated")
            )
        except ResourceNotFoundError:
            return None
        except (ValueError, KeyError) as error:
            log.warning(
                "the status of timer %s is unreadable and begins anew: %s", self._trigger.function, error
            )
            return None
        return _utc(last), _utc(upcoming), _utc(updated)


def _status_json(last: datetime, upcoming: datetime, updated: datetime) -> dict[str, str]:
    return {"Last": last.isoformat(), "Next": upcoming.isoformat(), "LastUpdated": updated.isoformat()}


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _now() -> datetime:
    return datetime.now(UTC)

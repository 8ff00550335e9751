"""A run's status only moves forward, is on disk before anyone is told, and each change is told as an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from local.jobs.plan import Step
from local.state import Document, State


class Status(StrEnum):
    """Azure ML's statuses of a run, as far as a local run has them, in the order in which it has them."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    STARTING = "Starting"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    CANCEL_REQUESTED = "CancelRequested"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def ended(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELED)

    @property
    def active(self) -> bool:
        return not self.ended and self is not Status.NOT_STARTED


_ORDER = list(Status)


@dataclass
class Run:
    """A job, or one node of it. `outputs` says for each output where it is: `uri`, `type`, `asset_id`."""

    id: str
    root: str
    parent: str
    path: str
    kind: str  # pipeline | command | spark | sweep
    experiment: str
    display_name: str
    status: Status = Status.NOT_STARTED
    step: Document | None = None
    created_at: str = field(default_factory=lambda: now())
    started_at: str = ""
    ended_at: str = ""
    error: Document | None = None
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    hidden: bool = False
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    process: Document | None = None
    reuse_key: str = ""
    fault: Document | None = None
    cancel_operations: list[str] = field(default_factory=list)

    @property
    def plan_step(self) -> Step:
        assert self.step is not None, "only leaves of a plan are executed"
        return Step.from_document(self.step)


class Runs:
    """All runs of the workspace. Writers go through `change`, so that no update is lost between threads.

    `changed` hears of each new status inside the transaction that writes it.
    """

    def __init__(self, state: State, changed: Callable[[Run], None]) -> None:
        self._state = state
        self._changed = changed

    def add(self, runs: list[Run], job: Document) -> bool:
        """Write a job's body and all its runs at once; False, and nothing written, when the name is taken."""
        with self._state.transaction():
            if not self._state.add("job", runs[0].id, job | {"runs": [run.id for run in runs]}):
                return False
            for run in runs:
                self._state.put("run", run.id, asdict(run))
            self._changed(runs[0])
        return True

    def job(self, name: str) -> Document | None:
        return self._state.get("job", name)

    def get(self, run_id: str) -> Run | None:
        found = self._state.get("run", run_id)
        return None if found is None else _run(found)

    def known(self, run_id: str) -> Run:
        found = self.get(run_id)
        assert found is not None, f"run {run_id} was written with its job"
        return found

    def roots(self) -> list[Run]:
        """The jobs, oldest first."""
        return [self.known(name) for name in self._state.keys("job")]

    def of(self, root: str) -> list[Run]:
        """A job's runs: the job itself, then its nodes."""
        job = self.job(root)
        return [self.known(run_id) for run_id in job["runs"]] if job else []

    def change(self, run_id: str, edit: Callable[[Run], None]) -> Run:
        """Apply `edit` to the stored run. A status that would go back or leave an end is not taken over."""
        with self._state.transaction():
            run = self.known(run_id)
            before = run.status
            edit(run)
            if before.ended or _ORDER.index(run.status) < _ORDER.index(before):
                run.status = before
            if run.status is not before:
                self._stamp(run)
            self._state.put("run", run.id, asdict(run))
            if run.status is not before:
                self._changed(run)
        return run

    def move(self, run_id: str, status: Status, error: Document | None = None) -> Run:
        def edit(run: Run) -> None:
            run.status = status
            run.error = error or run.error

        return self.change(run_id, edit)

    def _stamp(self, run: Run) -> None:
        if run.status is Status.RUNNING and not run.started_at:
            run.started_at = now()
        if run.status.ended:
            run.ended_at = now()


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def error_document(code: str, message: str) -> Document:
    """A run's error as the run history tells it."""
    return {"error": {"code": code, "message": message, "details": []}, "time": now()}


def _run(body: Document) -> Run:
    return Run(**{**body, "status": Status(body["status"])})

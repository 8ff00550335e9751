"""Steps start when what they read is there, at most two at once; every look begins from what is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from local.jobs.runs import Run, Runs, Status, error_document

CONCURRENT_STEPS = 2


class Conductor:
    """Moves jobs forward. `advance` may be called at any time, any number of times: it does what is due."""

    def __init__(
        self,
        runs: Runs,
        perform: Callable[[str], None],
        finalize: Callable[[Run], None],
        ended: Callable[[Run], None],
    ) -> None:
        self._runs = runs
        self._perform = perform
        self._finalize = finalize
        self._ended = ended
        self._lock = threading.RLock()
        self._taken: set[str] = set()
        self._stopping = False
        self._pool = ThreadPoolExecutor(CONCURRENT_STEPS, thread_name_prefix="step")

    def resume(self) -> None:
        """Go on after a restart: runs that had begun are judged by `perform`, the others wait their turn."""
        for root in self._runs.roots():
            if not root.status.ended:
                for run in self._runs.of(root.id):
                    if run.step and run.kind != "sweep" and run.status.active and not _stuck(root):
                        self._submit(run)
                self.advance(root.id)

    def stop(self) -> None:
        """Begin nothing more, and wait for the steps at work to notice."""
        self._stopping = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def advance(self, root_id: str) -> None:
        with self._lock:
            root = self._runs.known(root_id)
            if root.status.ended:
                self._close(root)
                return
            if _stuck(root):
                status = Status.CANCELED if root.status is Status.CANCEL_REQUESTED else Status.STARTING
                self._close(self._runs.move(root_id, status))
                return
            leaves = [run for run in self._runs.of(root_id) if run.step is not None]
            if root.status is Status.CANCEL_REQUESTED:
                self._drop_waiting(leaves)
            else:
                if root.step is None and root.status is Status.NOT_STARTED:
                    self._runs.move(root_id, Status.PREPARING)
                self._begin_ready(leaves)
            self._settle(root_id)

    def _begin_ready(self, leaves: list[Run]) -> None:
        for run in leaves:
            ready = _is_ready(run, leaves)
            if run.kind == "sweep" and not run.status.ended:
                if ready or any(trial.status.active for trial in _trials(run, leaves)):
                    self._runs.move(run.id, Status.RUNNING)
                if ready:
                    self._submit(run)
            elif run.status is Status.NOT_STARTED and ready:
                self._submit(self._runs.move(run.id, Status.QUEUED))

    def _drop_waiting(self, leaves: list[Run]) -> None:
        """What has not begun never does; a sweep ends after its trials."""
        for run in sorted(leaves, key=lambda run: run.kind == "sweep"):
            waits = run.status is Status.CANCEL_REQUESTED and run.id not in self._taken
            if run.kind == "sweep":
                waits = waits and all(self._runs.known(t.id).status.ended for t in _trials(run, leaves))
            if run.status is Status.NOT_STARTED or waits:
                self._runs.move(run.id, Status.CANCELED)

    def _submit(self, run: Run) -> None:
        if run.id not in self._taken:
            self._taken.add(run.id)
            self._pool.submit(self._work, run)

    def _work(self, run: Run) -> None:
        self._perform(run.id)
        with self._lock:
            self._taken.discard(run.id)
        if not self._stopping:
            self.advance(run.root)

    def _settle(self, root_id: str) -> None:
        """Give the pipelines, inner ones first, the status that follows from their steps'."""
        runs = self._runs.of(root_id)
        pipelines = [run for run in runs if run.step is None]
        for pipeline in sorted(pipelines, key=lambda run: -len(run.path)):
            inside = [run for run in self._runs.of(root_id) if run.step and _is_inside(run, pipeline)]
            status = _pipeline_status(inside, pipeline.status is Status.CANCEL_REQUESTED)
            if pipeline.status.ended or status is None:
                continue
            if status.ended:
                self._finalize(self._runs.move(pipeline.id, Status.FINALIZING))
                self._runs.move(pipeline.id, status, _first_error(inside))
            else:
                self._runs.move(pipeline.id, status)
        self._close(self._runs.known(root_id))

    def _close(self, root: Run) -> None:
        if root.status.ended:
            self._ended(root)


def _stuck(root: Run) -> bool:
    return (root.fault or {}).get("kind") == "stick"


def _is_ready(run: Run, leaves: list[Run]) -> bool:
    """All that it reads is there; a sweep chooses once its trials have ended, well or not."""
    step, by_path = run.plan_step, {leaf.path: leaf for leaf in leaves}
    for path in step.needs:
        status = by_path[path].status
        if not (status.ended if path in step.trials else status is Status.COMPLETED):
            return False
    return True


def _trials(sweep: Run, leaves: list[Run]) -> list[Run]:
    return [run for run in leaves if run.parent == sweep.id]


def _is_inside(run: Run, pipeline: Run) -> bool:
    return not pipeline.path or run.path.startswith(pipeline.path + "/")


def _pipeline_status(leaves: list[Run], cancel: bool) -> Status | None:
    """None while nothing has begun."""
    statuses = [run.status for run in leaves]
    if all(status is Status.NOT_STARTED for status in statuses):
        return None
    if any(status.active for status in statuses):
        return Status.RUNNING
    if cancel:
        return Status.CANCELED
    if Status.FAILED in statuses and not _rescued(leaves):
        return Status.FAILED
    if Status.CANCELED in statuses:
        return Status.CANCELED
    return Status.RUNNING if Status.NOT_STARTED in statuses else Status.COMPLETED


def _rescued(leaves: list[Run]) -> bool:
    """A sweep that found a best trial makes up for its trials that failed."""
    trials = {path for run in leaves if run.status is Status.COMPLETED for path in run.plan_step.trials}
    return all(run.path in trials for run in leaves if run.status is Status.FAILED)


def _first_error(leaves: list[Run]) -> dict[str, object] | None:
    failed = next((run for run in leaves if run.status is Status.FAILED and run.error), None)
    if failed is None or failed.error is None:
        return None
    error = failed.error["error"]
    return error_document(error["code"], f"Step '{failed.path}' failed: {error['message']}")

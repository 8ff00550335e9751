"""A job is submitted once under its name, whatever is repeated; nothing is awaited here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from shared.azure.client import ML_ROLE, Workspace
from shared.azure.failures import asking, must_be_absent, status_of
from shared.azure.job_steps import ENDED
from shared.domain.reason import Code
from shared.errors import ConfigurationError
from shared.redaction import safe

if TYPE_CHECKING:
    from azure.ai.ml.entities import Job

TAKEN = frozenset({400, 409, 412})
"""How Azure ML says that a name is taken: by a rival, or by ourselves when the first answer was lost."""


class SubmittedJobs:
    """The workspace's jobs by their names; `tag` is the one by which ours are known."""

    def __init__(self, workspace: Workspace, tag: str) -> None:
        self._ml, self._tag = workspace, tag

    def find(self, name: str) -> Job | None:
        try:
            return self._ml().jobs.get(name)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            return None

    def ensure(self, name: str, made: Callable[[], Job], experiment: str, mark: str | None) -> Job:
        """The job of this name, which is submitted where there is none. Somebody else's: ConfigurationError."""
        job = self.find(name) or self._submit(name, made(), experiment)
        if (found := (job.tags or {}).get(self._tag)) != mark:
            raise ConfigurationError(
                f"Azure ML job {name} exists and is not ours (its tag {self._tag} is {found!r}). "
                "It keeps its name, and what is asked for next has another: abort the release, or land the drop again.",
                code=Code.JOB_NOT_OURS,
            )
        return job

    def _submit(self, name: str, job: Job, experiment: str) -> Job:
        try:
            return self._ml().jobs.create_or_update(job, experiment_name=experiment)
        except HttpResponseError as error:
            found = self.find(name) if status_of(error) in TAKEN else None
            if found is None:
                raise
            return found

    def error(self, name: str) -> str:
        """The error of the run history: the SDK has no public way to it but streaming the whole log."""
        try:
            details = self._ml().jobs._runs_operations.get_run_details(name)
        except AzureError:
            return "its error text could not be read; look at the job in Azure ML studio"
        error = details.error.error if details.error else None
        return safe(error.message) if error and error.message else ""

    def cancel(self, name: str) -> None:
        with asking("Cancelling a job", f"Azure ML job {name}", ML_ROLE):
            job = self.find(name)
            if job is None or job.status in {*ENDED, "CancelRequested"} or self._tag not in (job.tags or {}):
                return
            self._ml().jobs.begin_cancel(name)

"""Spark jobs that read drops: what each is asked and what it answers lies in a folder that has its name.

The folder is in a container of our own account in which the jobs may write. What they leave is copied into the versions
container by us: training code has the same identity as these jobs, and must be able to change no version.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from shared.azure.blobs import copy, is_changed
from shared.azure.client import ML_ROLE, Workspace
from shared.azure.failures import UNBOUNDED, asking, code_of
from shared.azure.job_steps import ENDED
from shared.azure.service_codes import THERE
from shared.azure.side_by_side import side_by_side
from shared.azure.submitted_jobs import SubmittedJobs
from shared.domain.reason import Code
from shared.errors import Conflict, InvariantBroken
from shared.port_rules import READING_TAG
from shared.ports import JobSeen, ReadingSpec
from shared.spark.package import ARCHIVE, ENTRY
from shared.spark.read_answer import ORDER, REFERENCE, ROWS

if TYPE_CHECKING:
    from azure.ai.ml.entities import Job, Spark

ROLE = "Storage Blob Data Contributor"
RUNTIME = "3.5"
DRIVER_GB, EXECUTOR_GB = 4, 2
"""Of Spark's own processes; the reader has its memory beside them."""


class AzureReadings:
    """`Readings` over the workspace's Spark jobs, and the containers of what they leave and of the versions."""

    def __init__(self, workspace: Workspace, readings: ContainerClient, versions: ContainerClient) -> None:
        self._ml = workspace
        self._readings, self._versions = readings, versions
        self._jobs = SubmittedJobs(workspace, READING_TAG)
        self._resource = f"container {readings.container_name}"

    def ensure(self, spec: ReadingSpec) -> JobSeen:
        with asking("Submitting a job", f"Azure ML job {spec.name}", ML_ROLE):
            if self._jobs.find(spec.name) is None:
                self._write(spec)
            mark = spec.tags.get(READING_TAG)
            job = self._jobs.ensure(spec.name, lambda: self._spark(spec), spec.experiment, mark)
            return self._seen(job)

    def _write(self, spec: ReadingSpec) -> None:
        """What is asked, before anybody is; named by what it holds, so that what lies there is the same."""
        with asking("Writing what a job is to read", self._resource, ROLE, most_s=UNBOUNDED):
            for file, content in ((ORDER, spec.order), (REFERENCE, spec.reference)):
                try:
                    self._readings.upload_blob(f"{spec.name}/{file}", content, overwrite=False)
                except HttpResponseError as error:
                    if code_of(error) not in THERE:
                        raise

    def _spark(self, spec: ReadingSpec) -> Spark:
        """A driver that plans, and executors that read: one has all of a machine."""
        from azure.ai.ml import spark
        from azure.ai.ml.entities import ManagedIdentityConfiguration

        container = self._readings
        account = container.url.partition("?")[0].removesuffix(f"/{container.container_name}")
        job: Spark = spark(
            name=spec.name,
            display_name=spec.name,
            experiment_name=spec.experiment,
            tags=dict(spec.tags),
            code=spec.code.removeprefix("azureml:"),
            entry={"file": ENTRY},
            py_files=[ARCHIVE],
            driver_cores=4,
            driver_memory=f"{DRIVER_GB}g",
            executor_cores=spec.cores,
            executor_memory=f"{EXECUTOR_GB}g",
            executor_instances=spec.executors,
            conf={
                "spark.driver.memoryOverhead": f"{spec.memory_mb}m",
                "spark.executor.memoryOverhead": f"{spec.memory_mb}m",
                "spark.driver.maxResultSize": "3g",  # samples of each span
                "spark.speculation": "false",  # a second writer of the same files
            },
            args=f"--account {account} --container {container.container_name} --name {spec.name}",
            resources={"instance_type": spec.instance_type, "runtime_version": RUNTIME},
            identity=ManagedIdentityConfiguration(),
        )
        job.name = spec.name
        return job

    def _seen(self, job: Job) -> JobSeen:
        status = ENDED.get(str(getattr(job.status, "value", job.status) or ""), "running")
        error = self._jobs.error(str(job.name)) if status == "failed" else ""
        return JobSeen(status, error, job.studio_url or "")

    def cancel(self, name: str) -> None:
        self._jobs.cancel(name)

    def left(self, name: str, file: str, most: int) -> bytes:
        with asking("Reading what a job left", self._resource, ROLE, most_s=UNBOUNDED):
            try:
                stream = self._readings.download_blob(f"{name}/{file}")
                return bytes(stream.readall()) if stream.size <= most else b""
            except ResourceNotFoundError as error:
                if code_of(error) != "BlobNotFound":
                    raise
                return b""

    def take(self, name: str, parts: Mapping[str, str], path: str) -> None:
        """Side by side: a drop that many tasks read has some hundred files."""
        side_by_side(partial(self._take, name, part, etag, path) for part, etag in parts.items())

    def _take(self, name: str, part: str, etag: str, path: str) -> None:
        source = self._readings.get_blob_client(f"{name}/{ROWS}/{part}")
        target = self._versions.get_blob_client(f"{path}/{part}")
        with asking("Taking what a job read", "the versions container", ROLE):
            try:
                copy(source, target, etag)
            except HttpResponseError as error:
                if not is_changed(error):
                    raise
                raise Conflict(f"{part} of job {name} is another file than the job wrote.") from None
            _check_copy(source, target)


def _check_copy(source: BlobClient, target: BlobClient) -> None:
    """What stands there already must be a copy of the same blob: nobody else writes versions."""
    made = target.get_blob_properties()
    if urlsplit(made.copy.source or "").path != urlsplit(source.url).path:
        raise InvariantBroken(
            f"{target.blob_name} in {target.container_name} is not a copy of {source.blob_name}.",
            code=Code.VERSION_FILE_LOST,
        )

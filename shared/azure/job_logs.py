"""The end of what each step of a job has printed: the run history has the addresses of the logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from shared.azure import job_steps
from shared.azure.failures import asking
from shared.domain.release import JobLog

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.storage.blob import BlobClient

END_BYTES = 32_768
"""What is read of each log."""
_MOST_STEPS = 20
_PRINTED = re.compile(r"user_logs/std_log\D*0*(_ps)?\.txt$")
"""What a step's first process prints (azure-ai-ml, `JobLogPattern.COMMON_RUNTIME_STREAM_LOG_PATTERN`)."""
_OTHERWISE = re.compile(r"azureml-logs/.*(image_build|driver)_log\.txt$")
"""Of a step whose code was never reached; and of older runs."""


def of(ml: MLClient, job: str, signed: Callable[[str], BlobClient]) -> tuple[JobLog, ...]:
    """In the order in which the steps began; `signed` opens a blob by an address that carries its own right."""
    return tuple(_log(ml, step, signed) for step, _ in islice(job_steps.leaves(ml, job), _MOST_STEPS))


def _log(ml: MLClient, step: job_steps.Run, signed: Callable[[str], BlobClient]) -> JobLog:
    name, state = job_steps.name_of(step), job_steps.ENDED.get(str(step.status), "running")
    addresses: Mapping[str, str] = ml.jobs._runs_operations.get_run_details(str(step.run_id)).log_files or {}
    for kind in (_PRINTED, _OTHERWISE):
        for file in sorted(filter(kind.search, addresses)):
            size, end = _end(signed(addresses[file]))
            return JobLog(name, state, file, size, end)
    return JobLog(name, state)


def _end(blob: BlobClient) -> tuple[int, str]:
    """Size, and the last whole lines."""
    with asking("Reading a log", f"container {blob.container_name}", ""):
        size = int(blob.get_blob_properties().size)
        if not size:
            return 0, ""
        begin = max(0, size - END_BYTES)
        read: bytes = blob.download_blob(offset=begin, length=size - begin).readall()
    text = read.decode(errors="replace")
    return size, text.partition("\n")[2] if begin and "\n" in text else text

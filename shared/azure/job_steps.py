"""What the steps of a job took, from the run history: node time, machines, and what was not run again.

The SDK's own list of a job's children leaves times and machines out (azure-ai-ml, `_BaseJob._load_from_rest`), so the
runs are read from the client that it reads them with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from shared.domain.release import JobStep

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

MOST_STEPS = 40
LONGEST_NAME = 80
ENDED = {"Completed": "completed", "Failed": "failed", "Canceled": "canceled", "NotResponding": "failed"}
"""The states in which a job or a step stays."""
_DEPTH = 2
"""A loop's job is one node, the published component, and that one's are the pipeline's steps."""

Run = Any  # of the SDK, which has no types for it


def of(ml: MLClient, job: str) -> tuple[JobStep, ...]:
    """Nothing where the runs cannot be read, as nothing rests on it."""
    try:
        return tuple(_took(step, inner) for step, inner in islice(leaves(ml, job), MOST_STEPS))
    except AzureError:
        return ()


def leaves(ml: MLClient, run: str, depth: int = _DEPTH) -> Iterator[tuple[Run, Sequence[Run]]]:
    """The steps themselves, each with the runs below it: those of a sweep's trials, for one."""
    for child in _children(ml, run):
        inner = () if _reused(child) else _children(ml, str(child.run_id))
        if depth > 1 and inner and not _ran(child):
            yield from leaves(ml, str(child.run_id), depth - 1)
        else:
            yield child, inner


def _took(step: Run, inner: Sequence[Run]) -> JobStep:
    """Of a step that only waits for others, such as a sweep, what those took; runs that its code logs are none of them,
    for they ran nowhere of their own."""
    if _reused(step):
        return JobStep(name_of(step), 0.0, reused=True)
    ran = [step] if _ran(step) else [run for run in inner if _ran(run)] or [step]
    sizes = {str(run.compute.vm_size) for run in ran if run.compute is not None and run.compute.vm_size}
    return JobStep(
        name_of(step),
        sum(_node_s(run) for run in ran),
        max(_nodes(run) for run in ran),
        sizes.pop() if len(sizes) == 1 else "",
    )


def _children(ml: MLClient, run: str) -> list[Run]:
    runs = ml.jobs._runs_operations
    place = runs._subscription_id, runs._resource_group_name, runs._workspace_name
    return list(runs._operation.get_child(*place, run))


def _ran(run: Run) -> bool:
    """Whether it asked for machines of its own. One that only waits for others, such as a sweep, names a compute too,
    but its `computeRequest` is null (records of runs as people publish them: an AutoML job's, and its trials')."""
    return run.compute_request is not None


def _reused(run: Run) -> bool:
    return str((run.properties or {}).get("azureml.isreused", "")).casefold() == "true"


def name_of(run: Run) -> str:
    return str(run.display_name or run.run_id)[:LONGEST_NAME]


def _nodes(run: Run) -> int:
    count = run.compute_request.node_count if run.compute_request is not None else None
    return count if isinstance(count, int) and count > 0 else 1


def _node_s(run: Run) -> float:
    if run.start_time_utc is None or run.end_time_utc is None:
        return 0.0
    took_s: float = (run.end_time_utc - run.start_time_utc).total_seconds()
    return max(0.0, took_s) * _nodes(run)

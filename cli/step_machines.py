"""Where the steps of a pipeline run that name a compute or a size of their own, GPU or not.

Azure ML takes both from the pipeline's YAML: `compute` of a step, and `resources.instance_type` of a step or of its
component, for serverless compute (MicrosoftDocs/azure-ai-docs, how-to-use-serverless-compute.md). What the loop file
says holds for the steps that say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from shared.loopfile.prices import price

if TYPE_CHECKING:
    from shared.loopfile.definition import Cost


@dataclass(frozen=True)
class Machine:
    step: str
    compute: str
    """The name of a compute target; empty: as the loop file says."""
    size: str
    """Of serverless compute; empty: as Azure ML chooses."""


def of(pipeline: Path) -> tuple[Machine, ...]:
    """The steps that say something. A file that is no pipeline has none: publishing says what is wrong with it."""
    jobs = _section(_read(pipeline), "jobs")
    found = (_machine(pipeline.parent, str(name), job) for name, job in jobs.items() if isinstance(job, dict))
    return tuple(one for one in found if one.compute or one.size)


def _machine(folder: Path, name: str, job: dict[str, object]) -> Machine:
    named = job.get("component") or job.get("trial")
    component = named if isinstance(named, dict) else _read(folder / str(named).removeprefix("file:"))
    resources = {**_section(component, "resources"), **_section(job, "resources")}
    compute = str(job.get("compute") or "").removeprefix("azureml:")
    return Machine(
        name, "" if compute == "serverless" else compute, str(resources.get("instance_type") or "")
    )


def _read(file: Path) -> dict[str, object]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _section(document: dict[str, object], key: str) -> dict[str, object]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def told(machines: tuple[Machine, ...], cost: Cost) -> Iterator[str]:
    """Each in a line, and where jobs' hours are reckoned with a cheaper machine than one of them."""
    for one in machines:
        places = filter(None, (one.compute, one.size and f"a {one.size}"))
        yield f"step {one.step} runs on {', '.join(places)}"
    reckoned = price(cost, cost.node)
    for size in dict.fromkeys(one.size for one in machines if one.size):
        hour = price(cost, size)
        if hour is None:
            yield f"{size} has no price; give it in cost.prices"
        elif reckoned is not None and hour > reckoned:
            yield (
                f"a job's hour is reckoned as one of {cost.node} ({reckoned:g} {cost.currency}), and {size} costs "
                f"{hour:g}: cost.node: {size} reckons no release too cheap"
            )

"""What the cluster of `train.compute` keeps allocated when no job runs: asked for by publish and adopt, and by doctor.

A cluster scales down to its minimum of nodes and no further; each of them is paid for all the time:
learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster ("min_instances": the minimum number of
nodes to use on the cluster; with 0 none is used when no job runs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli import step_machines
from cli.diagnosis import OK, WARNING, Finding
from shared.domain.reason import Code
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from shared.loopfile.definition import Cost, Definition, Train

DAY_HOURS = 24


@dataclass(frozen=True)
class Idle:
    """The nodes that a compute target keeps when it is idle; 0 of what scales down to nothing."""

    compute: str
    size: str
    """Empty where Azure ML does not know it: of a Kubernetes cluster that is attached."""
    nodes: int

    @property
    def words(self) -> str:
        many = f"{self.nodes} node{'' if self.nodes == 1 else 's'}"
        return f"{self.compute} keeps {many} of {self.size} when it is idle: {self.nodes * DAY_HOURS} node hours a day"

    @property
    def fix(self) -> str:
        return f"az ml compute update -n {self.compute} --min-instances 0; or train.idle_nodes: allow, and publish"


def idle(ml: Callable[[], MLClient], name: str) -> Idle:
    """Raises ConfigurationError where the workspace has no such compute."""
    from azure.core.exceptions import ResourceNotFoundError

    from shared.azure.client import ML_ROLE
    from shared.azure.failures import asking, must_be_absent

    with asking("Reading a compute", f"Azure ML compute {name}", ML_ROLE):
        try:
            found = ml().compute.get(name)
        except ResourceNotFoundError as error:
            must_be_absent(error)
            raise ConfigurationError(
                f"the workspace has no compute {name}; "
                "correct `train.compute`, `serve.compute` or the pipeline's step, or leave it out there for serverless "
                "compute"
            ) from None
    return Idle(name, str(getattr(found, "size", None) or ""), getattr(found, "min_instances", None) or 0)


def refuse(ml: Callable[[], MLClient], train: Train) -> Idle | None:
    """Nodes that wait are paid for, so somebody must have meant it: ConfigurationError where nobody says so."""
    if train.compute is None:
        return None
    kept = idle(ml, train.compute)
    if kept.nodes and train.idle_nodes == "refuse":
        raise ConfigurationError(f"{kept.words}; fix: {kept.fix}", code=Code.IDLE_NODES)
    return kept


def refuse_serving(ml: Callable[[], MLClient], definition: Definition) -> None:
    """The same of the cluster on which a batch endpoint's jobs run."""
    if definition.serve.compute is not None and definition.serve.compute != definition.train.compute:
        refuse(ml, definition.train.model_copy(update={"compute": definition.serve.compute}))


def refuse_steps(ml: Callable[[], MLClient], train: Train, folder: Path) -> None:
    """The same of every cluster that a step of the pipeline names for itself."""
    for machine in step_machines.of(folder / train.pipeline):
        if machine.compute and machine.compute != train.compute:
            refuse(ml, train.model_copy(update={"compute": machine.compute}))


def mispriced(kept: Idle, cost: Cost) -> str:
    """What is wrong with the price of a job's hour; empty when the loop file names the cluster's own machine."""
    if kept.size.casefold() in ("", cost.node.casefold()):
        return ""
    return f"jobs run on {kept.size} ({kept.compute}), and their cost is reckoned with {cost.node}"


def examined(check: str, ml: Callable[[], MLClient], definition: Definition) -> Iterator[Finding]:
    """A cluster's minimum may have been raised since the loop was published."""
    train = definition.train
    if train.compute is None:
        return
    kept = idle(ml, train.compute)
    if wrong := mispriced(kept, definition.cost):
        yield Finding(f"price of {check}", WARNING, wrong, f"cost.node: {kept.size}, and publish")
    if not kept.nodes:
        yield Finding(check, OK, f"{kept.compute} keeps no node when it is idle")
    elif train.idle_nodes == "allow":
        yield Finding(check, OK, f"{kept.words}, as train.idle_nodes allows")
    else:
        yield Finding(check, WARNING, kept.words, kept.fix)

"""What a compute target keeps allocated when no job runs.

A cluster scales down to its minimum of nodes and no further; each of them is paid for all the time:
learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster ("min_instances": the minimum number of
nodes to use on the cluster; with 0 none is used when no job runs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

DAY_HOURS = 24


@dataclass(frozen=True)
class Idle:
    """The nodes that a compute target keeps when it is idle; 0 of what scales down to nothing."""

    compute: str
    size: str
    nodes: int

    @property
    def words(self) -> str:
        many = f"{self.nodes} node{'' if self.nodes == 1 else 's'}"
        return f"{self.compute} keeps {many} of {self.size} when it is idle: {self.nodes * DAY_HOURS} node hours a day"


def idle(client: MLClient, name: str) -> Idle:
    """Raises ConfigurationError where the workspace has no such compute."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = client.compute.get(name)
    except ResourceNotFoundError:
        raise ConfigurationError(
            f"the workspace has no compute {name}; correct `train.compute`, or leave it out for serverless compute"
        ) from None
    return Idle(name, str(getattr(found, "size", None)), getattr(found, "min_instances", None) or 0)

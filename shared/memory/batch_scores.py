"""Batch endpoints in memory: a default deployment in place of traffic, and jobs in place of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.errors import AnswersAwaited
from shared.memory.azureml import MemoryServing
from shared.port_rules import check_default, scoring_key
from shared.ports import Answer


@dataclass
class MemoryScoring:
    """A job that scores rows; set `status` to completed, failed or canceled."""

    deployment: str
    stamp: str
    status: str = "running"


class MemoryBatch(MemoryServing):
    """New scoring jobs are as `new_jobs_are`; `scorings` has all of them by what they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.new_jobs_are = "completed"
        self.scorings: dict[str, MemoryScoring] = {}

    def set_traffic(self, endpoint: str, weights: Mapping[str, int]) -> None:
        check_default(endpoint, weights)
        super().set_traffic(endpoint, weights)

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        if not payloads:
            return []
        key = scoring_key(endpoint, deployment, payloads, stamp)
        made = MemoryScoring(deployment, stamp, self.new_jobs_are)
        found = self.scorings.setdefault(key, made)
        if found.status == "running":
            raise AnswersAwaited(f"job-{key[:8]}")
        if found.status != "completed":
            return [Answer(500, f"job-{key[:8]} {found.status}", 0.0) for _ in payloads]
        return super().predict(endpoint, deployment, payloads, stamp)

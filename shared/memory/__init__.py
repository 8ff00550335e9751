"""All ports in memory: a public testing module that behaves as Azure does, without Azure.

`tests/contract/` holds these and the real adapters to the same contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.memory.azureml import (
    MemoryDeployment,
    MemoryEndpoint,
    MemoryJob,
    MemoryServing,
    MemoryTraining,
)
from shared.memory.batch_scores import MemoryBatch
from shared.memory.data import MemoryBlobs, MemoryDocuments, MemoryVersions
from shared.memory.manual_clock import FakeClock
from shared.memory.outbound import MemoryLineage, MemoryQueue, MemoryTopic
from shared.memory.readings import MemoryReading, MemoryReadings
from shared.memory.request_log import MemoryEvidence, MemoryRequest
from shared.memory.sources import MemorySources
from shared.memory.store import MemoryStore
from shared.ports import Clock, Ports

__all__ = [
    "FakeClock",
    "MemoryBatch",
    "MemoryDeployment",
    "MemoryEndpoint",
    "MemoryJob",
    "MemoryLineage",
    "MemoryPorts",
    "MemoryReading",
    "MemoryRequest",
    "memory_ports",
]


@dataclass(frozen=True)
class MemoryPorts(Ports):
    """`Ports` whose members can be steered."""

    store: MemoryStore
    documents: MemoryDocuments
    blobs: MemoryBlobs
    versions: MemoryVersions
    training: MemoryTraining
    readings: MemoryReadings
    serving: MemoryServing
    batch: MemoryBatch
    evidence: MemoryEvidence
    sources: MemorySources
    topic: MemoryTopic
    queue: MemoryQueue
    runs: MemoryQueue


def memory_ports(clock: Clock | None = None) -> MemoryPorts:
    """A world of its own, empty."""
    clock = clock or FakeClock()
    blobs, versions = MemoryBlobs(clock), MemoryVersions()
    return MemoryPorts(
        store=MemoryStore(),
        documents=MemoryDocuments(),
        blobs=blobs,
        versions=versions,
        training=MemoryTraining(),
        readings=MemoryReadings(blobs, versions),
        serving=MemoryServing(),
        batch=MemoryBatch(),
        evidence=MemoryEvidence(),
        sources=MemorySources(),
        topic=MemoryTopic(),
        queue=MemoryQueue(),
        runs=MemoryQueue(),
        clock=clock,
    )

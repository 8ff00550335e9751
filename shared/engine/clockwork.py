"""The tick takes every due step; the sweep finds what no event told of."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from shared.engine import front, worker
from shared.engine.worker import Ran
from shared.errors import DriftloopError
from shared.events import Landed
from shared.model import Overview
from shared.ports import Ports

log = logging.getLogger("driftloop")


def tick(ports: Ports) -> list[Ran]:
    """Run every loop whose time has come; one that fails does not keep the others."""
    due = ports.store.overviews(due_before=ports.clock.now())
    return run_all(ports, (overview.loop for overview in due))


def run_all(ports: Ports, loops: Iterable[str]) -> list[Ran]:
    ran = []
    for loop in loops:
        try:
            ran.append(worker.run(ports, loop))
        except DriftloopError as error:
            log.error("loop set aside", extra={"loop": loop, "error": str(error)})
    return ran


def sweep(ports: Ports) -> int:
    """Put every landed blob on record that has no inbox record yet, and wake every loop; how many were found."""
    found = 0
    for overview in ports.store.overviews():
        try:
            found += _sweep(ports, overview)
        except DriftloopError as error:
            log.error("sweep failed for a loop", extra={"loop": overview.loop, "error": str(error)})
        ports.store.wake(overview.loop, ports.clock.now())
    return found


def _sweep(ports: Ports, overview: Overview) -> int:
    container, _, prefix = overview.landing.partition("/")
    found = 0
    for blob in ports.blobs.list(container, prefix):
        landed = Landed(container, blob.name, blob.etag, "", blob.size_bytes)
        if front.landing_of(overview, container, blob.name) is not None and front.land(
            ports, overview, landed
        ):
            log.warning("the sweep found a blob that no event told of", extra={"loop": overview.loop})
            found += 1
    return found

"""`python -m benchmarks.small_drop [N]`: CPU milliseconds of a small drop, recorded, read, registered and judged.

Over Azure's own clients and the local Azure, whose processes are not counted: ours, and the one that reads drops.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from local.azure import LocalAzure
from shared import loopfile
from shared.inbox import recorder
from shared.inbox.landings import Landings
from shared.loopfile.published import Assets, Published
from shared.ports import Blob
from shared.runtime import publication, tick, unit_of_work
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.engine.world import created, csv, season
from tests.faults import Call, watched

PLAN = """
loop: burst
data: {landing: landing/burst/, target: species, id: row_id, ignore: [year], holdout: {fraction: 0.4}}
train: {pipeline: train.yml}
serve: {endpoint: burst}
drift: {enabled: false}
retrain: {on: [alert], alerts: ["never-*"]}
mode: observe
"""
FIRST = 3
"""Drops that are not counted: each imports what the next finds there."""


def main(drops: int) -> None:
    with tempfile.TemporaryDirectory() as folder, LocalAzure(Path(folder) / "azure") as azure:
        os.environ.update(azure.environment())
        settings = Settings.from_environment(azure.environment())
        real, made = azure_ports(settings), Counter[str]()

        def around(call: Call, go: Callable[[], object]) -> object:
            made[call.name] += 1
            return go()

        ports, known, rows = watched(real, around), Landings(), season(2007)
        plan = loopfile.parse(PLAN, file="loop.yaml")
        publication.publish(real, Published(plan, Assets(pipeline="azureml:t:1"), "ann", real.clock.now()))

        def land(number: int) -> Blob:
            content = csv(rows.assign(body_mass_g=rows["body_mass_g"] + number))
            return real.blobs.upload("landing", f"burst/{number:04d}.csv", content)

        def record(blob: Blob) -> None:
            event = created(f"{settings.blob_service_uri}/landing/{blob.name}", blob.etag)
            recorder.receive(ports, event, settings.blob_service_uri, known)

        def work(versions: int) -> None:
            while unit_of_work.read(real, "burst").state.next_version <= versions or real.store.range(
                "burst", "todo-"
            ):
                tick.run_all(ports, ["burst"])

        for number in range(FIRST):
            record(land(number))
        work(FIRST)
        blobs = [land(FIRST + number) for number in range(drops)]
        made.clear()
        ours_s, reader_s = time.process_time(), _readers_s()
        for blob in blobs:
            record(blob)
        work(FIRST + drops)
        ours = (time.process_time() - ours_s) / drops * 1000
        reader = (_readers_s() - reader_s) / drops * 1000
    calls = ", ".join(f"{count / drops:.1f} {name}" for name, count in made.most_common())
    print(
        f"{len(rows)} rows: {ours:.0f} ms of CPU ours, {reader:.0f} ms the reading process; calls a drop: {calls}"
    )


def _readers_s() -> float:
    children = psutil.Process().children(recursive=True)
    readers = [child for child in children if "shared.reader.child" in child.cmdline()]
    return float(sum(sum(child.cpu_times()[:2]) for child in readers))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)

"""T7: processes of the app die by SIGKILL, again and again, in a burst of blobs; each becomes exactly one version.

As on Flex Consumption each group of functions has a process of its own, which the platform starts again, ever later;
what a dead one held stays hidden for ten minutes, and nothing may wait for it.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from local.azure import LocalAzure
from shared.ports import Ports
from shared.runtime import unit_of_work
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from tests.acceptance.conftest import App, season
from tests.soak.figures import keep

SHARE = float(os.environ.get("SOAK_SHARE", "1"))
BLOBS, KILLS = max(10, round(200 * SHARE)), max(2, round(20 * SHARE))
LOOP = "burst"

pytestmark = pytest.mark.soak


def test_t7_a_burst_while_the_host_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)
    with LocalAzure(tmp_path / "azure", functions_host=True, function_groups=True) as azure:
        for name, value in azure.environment().items():
            monkeypatch.setenv(name, value)
        app, ports = App(azure, tmp_path), azure_ports(Settings.from_environment(azure.environment()))
        app.publish(
            LOOP, "drift.enabled=false", "retrain.on=[metric, schedule, alert]", "retrain.cooldown=9d"
        )
        drop(app)
        kills, began = 0, time.monotonic()
        deadline = began + 300 + 15 * BLOBS
        while not done(ports) or kills < KILLS:
            assert time.monotonic() < deadline, f"{len(unit_of_work.read(ports, LOOP).versions())} of {BLOBS}"
            time.sleep(chance.uniform(0.5, 8))
            if kills < KILLS:
                assert azure.platform is not None
                azure.platform.kill(chance.choice(sorted(azure.platform.instances)))
                kills += 1
        versions = unit_of_work.read(ports, LOOP).versions()
    doubled = [source for source, n in Counter(v.source for v in versions).items() if n > 1]
    took_s = time.monotonic() - began
    keep(
        "T7",
        f"{BLOBS} blobs, a fifth of the events twice, {kills} kills among the processes of each group of functions: "
        f"{len(versions)} versions after {took_s:.0f} s",
    )
    assert (len(versions), doubled) == (BLOBS, [])


def drop(app: App) -> None:
    """All blobs at once; for the first fifth each event comes twice."""
    credential = DefaultAzureCredential()
    address = app.azure.environment()["DRIFTLOOP_STORAGE__blobServiceUri"]
    with BlobServiceClient(address, credential=credential) as client:
        landing = client.get_container_client("landing")
        for number in range(BLOBS):
            twice = {"duplicates": 1} if number < BLOBS // 5 else {}
            if number in (0, BLOBS // 5):
                app.azure.control.put("/local/events/faults", json=twice).raise_for_status()
            rows = season(2007).assign(body_mass_g=lambda b, n=number: b["body_mass_g"] + n)
            landing.upload_blob(f"{LOOP}/{number:04d}.csv", rows.to_csv(index=False).encode())


def done(ports: Ports) -> bool:
    records = queries.inbox(ports, LOOP)
    return len(records) >= BLOBS and all(record.state.value != "new" for record in records)

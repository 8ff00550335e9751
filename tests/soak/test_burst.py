"""T10 and F27 on the real host: fifty events a second at the front door, and a thousand drops at once."""

from __future__ import annotations

import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from demo.stage import APP
from local.azure import LocalAzure
from shared.azure.client import credential
from shared.domain.event import InboxRecord
from shared.inbox import unrouted
from shared.ports import Ports
from shared.runtime import unit_of_work
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from tests.acceptance.conftest import App, season
from tests.soak.figures import keep

SHARE = float(os.environ.get("SOAK_SHARE", "1"))
EVENTS, A_SECOND = max(50, round(1000 * SHARE)), 50
LOOP = "burst"
MOST_MB = 1024
"""Half of the memory that an instance of the app has."""
UNFINISHED = ".csv.filepart"

pytestmark = pytest.mark.soak


def test_t10_fifty_events_a_second_and_a_thousand_drops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalAzure(tmp_path / "azure", functions_host=True) as azure:
        for name, value in azure.environment().items():
            monkeypatch.setenv(name, value)
        app, ports = App(azure, tmp_path), azure_ports(Settings.from_environment(azure.environment()))
        plan = ("drift.enabled=false", "retrain.on=[metric, schedule, alert]", "retrain.cooldown=9d")
        app.publish(LOOP, *plan)
        answered_s, sent_at = alerts(azure)
        wait(lambda: len(ports.store.unrouted(limit=2 * EVENTS)) >= EVENTS, EVENTS)
        noted_s = on_record(ports, sent_at)
        drops(azure, UNFINISHED)
        wait(lambda: done(ports, UNFINISHED), EVENTS)
        began, cpu = time.monotonic(), Usage(azure.part("host").pid)
        with cpu.watched():
            drops(azure, ".csv")
            wait(lambda: done(ports, ".csv"), EVENTS)
        took_s = time.monotonic() - began
        versions = unit_of_work.read(ports, LOOP).versions()
        unread_s, read_s = late(ports, UNFINISHED), late(ports, ".csv")
    door, alone = np.percentile(answered_s, [50, 99]), np.percentile(noted_s, [50, 99])
    unread, noted = np.percentile(unread_s, [50, 99]), np.percentile(read_s, [50, 99, 100])
    keep(
        "T10",
        f"{EVENTS:,} alerts at {A_SECOND} a second: answered after {door[0] * 1000:.0f} ms (median), "
        f"{door[1]:.2f} s (p99), on record after {alone[0]:.2f} s (median), {alone[1]:.2f} s (p99); {EVENTS:,} files "
        f"that are no drops at {A_SECOND} a second, recorded and not read: {unread[0]:.1f} s after they landed "
        f"(median), {unread[1]:.1f} s (p99); {EVENTS:,} drops of 110 rows at {A_SECOND} a second, worked on at once: "
        f"on record {noted[0]:.1f} s after they landed (median), {noted[1]:.1f} s (p99), "
        f"{noted[2]:.1f} s (last); {len(versions):,} versions after {took_s:.0f} s, "
        f"{took_s / EVENTS:.2f} s and {cpu.seconds / EVENTS:.2f} s of CPU each; the host and its readers took "
        f"{cpu.most_mb:.0f} MB at most",
    )
    assert (len(versions), len({v.source for v in versions})) == (EVENTS, EVENTS)
    assert cpu.most_mb < MOST_MB


def at_rate(act: Callable[[int], object]) -> None:
    """So many a second, each at its time, whatever the others take."""
    began = time.monotonic()

    def one(number: int) -> None:
        time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        act(number)

    with ThreadPoolExecutor(2 * A_SECOND) as pool:
        for _ in pool.map(one, range(EVENTS)):
            pass


def alerts(azure: LocalAzure) -> tuple[list[float], dict[str, float]]:
    """Seconds until the alert function answered each alert, and when each was sent, by its rule."""
    headers = {"Authorization": f"Bearer {credential().get_token(APP).token}"}
    address = f"{azure.settings.functions}/api/alert"
    limits = httpx.Limits(max_connections=2 * A_SECOND)

    with httpx.Client(trust_env=False, timeout=60, headers=headers, limits=limits) as client:

        def send(number: int) -> None:
            began, sent_at[f"nobody-listens-{number}"] = time.monotonic(), time.time()
            assert client.post(address, json=alert(number)).status_code == 202
            answered_s.append(time.monotonic() - began)

        answered_s: list[float] = []
        sent_at: dict[str, float] = {}
        at_rate(send)
    return answered_s, sent_at


def on_record(ports: Ports, sent_at: dict[str, float]) -> list[float]:
    """Seconds from when each alert was sent until it was on record, for no loop."""
    found = []
    for _, event in unrouted.newest(ports, 2 * EVENTS):
        rule = re.search(r"nobody-listens-\d+", str(event.reason.facts.get("rule")))
        if rule is None:
            continue  # Azure ML's events of the loop that is not published yet
        found.append(event.received_at.timestamp() - sent_at[rule[0]])
    return found


def alert(number: int) -> dict[str, object]:
    at = "2026-01-01T00:00:00Z"
    essentials = {
        "alertRule": f"nobody-listens-{number}",
        "originAlertId": str(number),
        "monitorCondition": "Fired",
        "firedDateTime": at,
    }
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}


def drops(azure: LocalAzure, suffix: str) -> None:
    """Bytes that were made before, by plain requests: who drops files works on no machine of ours, and takes little of
    this one."""
    birds = season(2007)
    texts = [
        birds.assign(body_mass_g=birds["body_mass_g"] + n).to_csv(index=False).encode() for n in range(EVENTS)
    ]
    token = credential().get_token("https://storage.azure.com/.default").token
    headers = {
        "Authorization": f"Bearer {token}",
        "x-ms-version": "2023-11-03",
        "x-ms-blob-type": "BlockBlob",
    }
    place = f"{Settings.from_environment(azure.environment()).blob_service_uri.rstrip('/')}/landing/{LOOP}"
    limits = httpx.Limits(max_connections=2 * A_SECOND)
    trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    with httpx.Client(trust_env=False, timeout=60, headers=headers, limits=limits, verify=trusted) as client:
        at_rate(lambda n: client.put(f"{place}/{n:04d}{suffix}", content=texts[n]).raise_for_status())


def recorded(ports: Ports, suffix: str) -> list[InboxRecord]:
    return [one for one in queries.inbox(ports, LOOP) if str(one.body["name"]).endswith(suffix)]


def done(ports: Ports, suffix: str) -> bool:
    records = recorded(ports, suffix)
    return len(records) >= EVENTS and all(record.state.value != "new" for record in records)


def late(ports: Ports, suffix: str) -> list[float]:
    """Seconds from when each file had landed until it was on record."""
    landed = {blob.name: blob.created_at for blob in ports.blobs.list("landing", f"{LOOP}/")}
    records = recorded(ports, suffix)
    return [(one.received_at - landed[str(one.body["name"])]).total_seconds() for one in records]


def wait(true: Callable[[], bool], events: int) -> None:
    deadline = time.monotonic() + 60 + 3 * events
    while not true():
        assert time.monotonic() < deadline
        time.sleep(10)  # a look reads all records, which takes of the two cores as well


class Usage:
    """CPU seconds and peak memory of a process and all below it, its short-lived children included."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.seconds = 0.0
        self.most_mb = 0.0
        self._known: dict[int, float] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        self._look()
        first = dict(self._known)
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=[over])
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            self.seconds = sum(seconds - first.get(pid, 0.0) for pid, seconds in self._known.items())

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            self._look()

    def _look(self) -> None:
        taken = 0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                times = process.cpu_times()
                self._known[process.pid] = times.user + times.system
                taken += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.most_mb = max(self.most_mb, taken / 1e6)

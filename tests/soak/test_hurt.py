"""T5, T6: a loop's life over Azure's own clients, whose worker is killed, or whose requests break, at every point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure import LocalAzure
from shared.audit import answer
from shared.domain.release import Phase
from shared.runtime import unit_of_work
from shared.state import queries
from tests.acceptance.conftest import ROOT, App, season, traffic
from tests.contract.breaking import FAULTS
from tests.soak.figures import keep

pytestmark = pytest.mark.soak
LOOP = "penguins"
LIFE_S = 1500


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    with LocalAzure(tmp_path / "azure") as azure:
        monkeypatch.delenv("AZUREML_CURRENT_CLOUD", raising=False)
        for name, value in azure.environment("app").items():
            monkeypatch.setenv(name, value)
        yield App(azure, tmp_path)


def lived(app: App, how: str) -> tuple[int, list[str], float]:
    """From a first drop to a second model that is live: workers that died, what was done to them, and how long."""
    done, deaths, began = app.folder / "done", 0, time.monotonic()
    owner = {**os.environ, **app.azure.environment()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in owner.items():
            patch.setenv(name, value)
        app.publish(LOOP)
        app.drop(LOOP, "2007.csv", season(2007))
    dropped = 1
    command = [sys.executable, "-m", "tests.soak.hurt_worker", how, str(done)]
    worker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    try:
        with traffic(app, LOOP):
            while not live(app, 2):
                assert time.monotonic() - began < LIFE_S, app.status(LOOP)
                if worker.poll() is not None:
                    deaths += 1
                    over(worker)
                    worker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
                if dropped == 1 and live(app, 1):
                    app.drop(LOOP, "2009.csv", season(2009, body_mass_g=1.2))
                    dropped = 2
                time.sleep(0.5)
    finally:
        worker.communicate()  # its input ends, and it comes to its own end, or to one more point at which it dies
        deaths += worker.returncode == -signal.SIGKILL
    return deaths, done.read_text().splitlines(), time.monotonic() - began


def over(worker: subprocess.Popen[bytes]) -> None:
    """Dead, and nothing of it is left open here."""
    worker.kill()
    with worker:
        worker.wait()


def live(app: App, number: int) -> bool:
    state = unit_of_work.read(app.ports, LOOP).state
    told = state.announced_seq == state.ledger_seq
    return state.champion is not None and state.champion.release == number and not state.open_release and told


def wrong(app: App) -> list[str]:
    """What is not as it would be had nothing happened."""
    status, current = queries.loop(app.ports, LOOP), unit_of_work.read(app.ports, LOOP)
    expected = {
        "versions": (len(current.versions()), 2),
        "sources": (len({version.source for version in current.versions()}), 2),
        "releases": (
            [(r.number, r.attempt, r.phase) for r in status.releases],
            [(2, 1, Phase.LIVE), (1, 1, Phase.LIVE)],
        ),
        "traffic": (status.traffic, {"r2-a1": 100}),
        "audit": (answer.audit(app.ports, LOOP).problems, ()),
        "work left": (app.ports.store.range(LOOP, "todo-"), []),
        "paused": (current.state.paused, None),
        "all told": (current.state.announced_seq, current.state.ledger_seq),
    }
    return [f"{name}: {seen}, not {wanted}" for name, (seen, wanted) in expected.items() if seen != wanted]


def test_t6_the_worker_is_killed_at_every_named_point(app: App) -> None:
    deaths, points, took_s = lived(app, "kill")
    found = wrong(app)
    print("\n" + "\n".join(sorted(points)))
    keep("T6", f"{len(points)} named points, {deaths} kills by SIGKILL in {took_s:.0f} s, {len(found)} wrong")
    assert found == []
    assert deaths == len(points) > 40


def test_t5_each_kind_of_request_meets_each_fault(app: App) -> None:
    _, points, took_s = lived(app, "break")
    found = wrong(app)
    print("\n" + "\n".join(sorted(points)))
    shapes = {point.partition(": ")[2] for point in points}
    keep(
        "T5",
        f"{len(points)} faults ({', '.join(FAULTS)}) in {len(shapes)} kinds of requests of Azure's own "
        f"clients, each at most once a kind, as the life had room, in {took_s:.0f} s, {len(found)} wrong",
    )
    assert found == []
    assert len(points) > 60

"""A loop in memory, with a model that is a function: what the engine does, without Azure and without waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, wraps
from threading import RLock
from typing import ParamSpec

import pandas as pd

from shared import loopfile
from shared.domain.loop import LoopState
from shared.domain.release import Phase, Release
from shared.inbox import messages, recorder
from shared.loopfile.published import Assets, Commit, Published
from shared.memory import FakeClock, MemoryPorts, MemoryRequest, memory_ports
from shared.ports import Answer
from shared.runtime import publication, tick, unit_of_work
from shared.state import queries

P = ParamSpec("P")

ACCOUNT = "https://account.blob.core.windows.net"

LOOP = """
loop: birds
data: {landing: landing/birds/, target: species, id: row_id, ignore: [year], holdout: {fraction: 0.4}}
train: {pipeline: train.yml, attempts: 2}
serve: {endpoint: birds}
drift: {material: {numeric: 0.3, categorical: 0.2}}
metric: {name: f1_macro, at_least: 0.85}
retrain: {cooldown: 1m, alerts: ["birds-*"], budget: {runs_per_day: 8}}
gate: {margin: 0.1, on_inconclusive: reject}
canary: {steps: [10, 50], step: {minutes: 1, min_requests: 50, max_hours: 1}, bake_minutes: 1}
"""


def created(url: str, etag: str = "0x1") -> str:
    """The message that Event Grid writes for a blob."""
    data = {"api": "PutBlob", "url": url, "eTag": etag, "contentLength": 1}
    return json.dumps({"eventType": "Microsoft.Storage.BlobCreated", "data": data})


Model = Callable[[dict[str, object]], str]


def by_bill(row: dict[str, object]) -> str:
    """A model that is right about birds that were measured rightly."""
    return "Gentoo" if float(str(row["flipper_length_mm"])) > 206 else "Adelie"


@dataclass
class World:
    """The engine over ports in memory; `models` answers for each deployment."""

    ports: MemoryPorts = field(default_factory=lambda: memory_ports(FakeClock()))
    models: dict[str, Model] = field(default_factory=dict)
    default_model: Model = by_bill
    loop: str = "birds"
    """Its name; data land in landing/birds/ whatever it is."""

    def __post_init__(self) -> None:
        self.ports.training.new_jobs_are = "completed"
        self.ports.serving.new_deployments_are = "ready"
        self.ports.batch.new_deployments_are = "ready"
        self._answers()

    def _answers(self) -> None:
        self.ports.serving.answer = self.ports.batch.answer = self._answer

    def copy(self) -> World:
        """Another that has lived the same life, and goes on by itself."""
        return deepcopy(self, {id(self.ports.store._lock): RLock()})

    def take(self, life: World) -> None:
        """Go on where `life` is, which nobody else uses."""
        assert not self.models and self.default_model is by_bill
        self.ports = life.ports
        self._answers()

    @property
    def clock(self) -> FakeClock:
        assert isinstance(self.ports.clock, FakeClock)
        return self.ports.clock

    def _answer(self, endpoint: str, deployment: str, payload: str) -> Answer:
        table = json.loads(payload)["input_data"]
        model = self.models.get(deployment, self.default_model)
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        return Answer(200, json.dumps([model(row) for row in rows]), 5.0)

    def publish(
        self,
        text: str = LOOP,
        code: Mapping[str, str] | None = None,
        commit: Commit | None = None,
        reader: str = "",
    ) -> None:
        definition = loopfile.parse(text, file="loop.yaml")
        published = Published(
            definition,
            Assets(pipeline="azureml:birds-training:1", reader=reader),
            "ann",
            self.clock.now(),
            code=code or {},
            commit=commit,
        )
        publication.publish(self.ports, published)

    def land(self, name: str, content: bytes) -> str:
        """Upload, and the message that Event Grid writes for it."""
        blob = self.ports.blobs.upload("landing", f"birds/{name}", content)
        return created(f"{ACCOUNT}/landing/birds/{name}", blob.etag)

    def drop(self, name: str, content: bytes) -> None:
        self.send(self.land(name, content))

    def send(self, message: str) -> None:
        tick.run_all(self.ports, recorder.receive(self.ports, message, ACCOUNT))

    def act(self, verb: str, release: int | None = None, reason: str = "because", id: str = "") -> None:
        body: dict[str, object] = {"release": release or "", "reason": reason}
        if id:
            body["id"] = id
        self.send(messages.act_message(verb, self.loop, body, "bob"))

    def alert(self, condition: str = "Fired", rule: str = "birds-errors") -> None:
        essentials = {
            "alertRule": rule,
            "originalAlertId": "a1",
            "monitorCondition": condition,
            "firedDateTime": self.clock.now().isoformat(),
        }
        self.send(
            messages.alert_message(
                {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}
            )
        )

    def sweep(self) -> int:
        """Once nobody has written to what has landed for a while; how much was found."""
        self.clock.advance(tick.STILL.total_seconds())
        return tick.sweep(self.ports)

    def ticks(self, n: int = 1, seconds: float = 10) -> None:
        for _ in range(n):
            self.clock.advance(seconds)
            tick.tick(self.ports)

    def traffic(self, requests: int = 200, errors: dict[str, float] | None = None) -> None:
        """Live requests during the last ten seconds, split by the endpoint's weights, exactly."""
        if "birds" not in self.ports.serving.endpoints:
            return
        for deployment, weight in self.ports.serving.traffic("birds").items():
            share = round(requests * weight / 100)
            failing = round(share * (errors or {}).get(deployment, 0))
            for n in range(share):
                at = self.clock.now() - timedelta(seconds=10 * (n + 1) / (share + 1))
                status = 500 if n < failing else 200
                self.ports.evidence.requests.setdefault("birds", []).append(
                    MemoryRequest(at, deployment, status, 10.0 + n % 7, f"user-{n}")
                )

    def ticks_with_traffic(self, n: int, errors: dict[str, float] | None = None) -> None:
        for _ in range(n):
            self.clock.advance(10)
            self.traffic(errors=errors)
            tick.tick(self.ports)

    def live(self) -> int:
        """Let everything that is under way end well; the release that serves."""
        for _ in range(60):
            self.ticks_with_traffic(1)
            if self.state.open_release is None:
                break
        assert self.state.champion is not None
        return self.state.champion.release

    @property
    def state(self) -> LoopState:
        return unit_of_work.read(self.ports, self.loop).state

    def release(self, number: int) -> Release:
        return unit_of_work.read(self.ports, self.loop).release(number)[0]

    def ledger(self) -> list[str]:
        return [entry.what for entry in queries.entries(self.ports, self.loop)]


def lived(life: Callable[P, World]) -> Callable[P, World]:
    """What `life` makes, lived once for the same arguments and copied for each test."""
    first = cache(life)

    @wraps(life)
    def copied(*args: P.args, **kwargs: P.kwargs) -> World:
        return first(*args, **kwargs).copy()

    return copied


@cache
def penguins() -> pd.DataFrame:
    from palmerpenguins import load_penguins

    return load_penguins()


def season(year: int, **changes: float) -> pd.DataFrame:
    """A season of Adelie and Gentoo penguins; a keyword multiplies that column."""
    birds = penguins()
    birds = birds[(birds.year == year) & (birds.species != "Chinstrap")].reset_index(drop=True)
    birds["row_id"] = [f"{year}-{n:03d}" for n in range(len(birds))]
    for column, factor in changes.items():
        birds[column] = birds[column] * factor
    return birds.dropna(subset=["flipper_length_mm"])


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def overheard(world: World) -> list[str]:
    """What models are asked from now on."""
    found: list[str] = []
    before = world.ports.serving.answer

    def answer(endpoint: str, deployment: str, payload: str) -> Answer:
        found.append(payload)
        return before(endpoint, deployment, payload)

    world.ports.serving.answer = answer
    return found


@lived
def one_release() -> World:
    """Release 1 has just gone live."""
    made = World()
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    return made


@lived
def two_releases() -> World:
    """Release 1 served, release 2 serves, both trained."""
    made = one_release()
    made.ticks(2, 120)
    made.drop("2008.csv", csv(season(2008, body_mass_g=0.8)))
    made.live()
    assert made.release(2).phase is Phase.LIVE
    return made

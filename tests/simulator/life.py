"""A loop's whole life in seconds: first model, drift, canary, promotion, and a canary that is taken back."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from random import Random

from shared import loopfile
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.release import Phase, Release
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError, DependencyUnavailable, DriftloopError
from shared.inbox import messages, recorder
from shared.loopfile.published import Assets, Published
from shared.memory import FakeClock, MemoryPorts, MemoryRequest, memory_ports
from shared.ports import Answer
from shared.runtime import publication, run_queue, unit_of_work
from shared.runtime import tick as clock
from shared.state import queries
from tests.faults import Call, Foreign, break_with, watched
from tests.simulator.history import History
from tests.simulator.workers import Crew

ACCOUNT = "https://account.blob.core.windows.net"
LOOP = """
loop: birds
data: {landing: landing/birds/, target: species, window: newest, holdout: {fraction: 0.4}}
train: {pipeline: train.yml, attempts: 2}
serve: {endpoint: birds}
drift: {material: {numeric: 0.3}}
retrain: {cooldown: 1s, alerts: ["birds-*"], budget: {runs_per_day: 99}}
gate: {margin: 0.2, on_inconclusive: promote}
canary: {steps: [10, 50], step: {minutes: 0.05, min_requests: 50, max_hours: 5}, bake_minutes: 0.1}
"""
BY_JOB = LOOP.replace("window:", "reader: spark, window:")
"""The same with drops that jobs read."""
STEPS = (10, 50)
ROUND_S = 10.0
RUNS_AT_ONCE = 1
"""Of a loop in ten seconds; what asks for more waits for the next round."""
VISIBLE_AGAIN_S = 30.0
ASLEEP_S = 45.0
STALE_S = 60.0
HEALS_S = 70.0
LATE_HEALS_S = 300.0
LASTING_HEALS_S = 300.0
FOUND_S = 400.0
"""A crash at the very end is made good within a minute and a tick. What a worker did that slept past its claim, or read
what was stale, is made good after the last release by the first sweep once traffic is compared again: two minutes, an
interval of sweeps, and the time that traffic takes. What failed again and again is tried again more and more seldom: a
loop of which no row could be read, only after five minutes. A blob whose event is lost is found by the first sweep once
it has been still for five minutes."""

SIMULATED = (
    *("crash before", "crash after", "lost reply", "conflict", "throttled", "unavailable"),
    *("asleep", "stale"),
)
"""Every fault, at every call of a port: `asleep` is a worker that comes back after its claim has run out, `stale` a
read of traffic that tells what was set before, within a minute of the change."""


@cache
def _requests_of_a_round(n: int) -> list[tuple[timedelta, str]]:
    """How long before the round's end each arrives, and whose it is."""
    return [(timedelta(seconds=ROUND_S * (index + 1) / (n + 1)), f"user-{index}") for index in range(n)]


def birds(seed: int, heavier: float, n: int = 60) -> bytes:
    """Two kinds that flippers tell apart; their mass is what drifts."""
    random, lines = Random(seed), ["flipper,mass,species"]
    for index in range(n):
        kind, flipper = (("Adelie", 190), ("Gentoo", 217))[index % 2]
        mass = random.gauss(4000, 300) * heavier
        lines.append(f"{random.gauss(flipper, 5):.2f},{mass:.1f},{kind}")
    return "\n".join(lines).encode()


@dataclass
class Message:
    """A message of a queue: hidden while it is handled, back when it was not."""

    text: str
    at: float
    function: str = "inbox"
    """Which one takes it: `inbox` or `run`."""
    attempts: int = 0
    done: bool = False


@dataclass
class Life:
    """One run. `faults` says what goes wrong at which call of a port, counted over all workers."""

    faults: Mapping[int, str] = field(default_factory=dict)
    seed: int = 0
    workers: int = 1
    duplicates: float = 0.0
    lost: float = 0.0
    slow: int = 0
    """Rounds that jobs, deployments and traffic take."""
    plan: str = LOOP
    failing: str = "r3-"
    """How the name of the deployment begins that errs."""
    window: WindowKind = WindowKind.FOLDER
    """What the pipeline asks its training window to be."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.clock = FakeClock()
        self.real: MemoryPorts = memory_ports(self.clock)
        self.ports = watched(self.real, self._around)
        self.history = History(self.real, "birds", STEPS)
        self.crew = Crew(self.random, interleave=self.workers > 1)
        self.calls: list[str] = []
        self.effects: list[int] = []
        self.queue: list[Message] = []
        self.began = self.clock.now()
        self.rounds = self.dropped = 0
        self.away = ""
        self.away_s: float | None = None
        self.refused = ""
        self.broken: Callable[[Call], Exception | None] = lambda call: None
        """What a call fails with, for as long as this says so."""
        self.healed_at_s = 0.0
        self._before: dict[str, int] = {}
        self._changed_at = -STALE_S
        self._slow: dict[str, int] = {}
        self.real.serving.answer = _answer
        self.real.serving.traffic_takes_effect = self.slow == 0
        self.real.training.new_jobs_are = "running" if self.slow else "completed"
        self.real.readings.new_jobs_are = self.real.training.new_jobs_are
        self.real.serving.new_deployments_are = "creating" if self.slow else "ready"
        self.publish(self.plan)

    def publish(self, plan: str, environment: str = "") -> None:
        definition = loopfile.parse(plan, file="loop.yaml")
        checks = {check: f"azureml:{check}:1" for check in definition.gate.checks}
        reader = "azureml:reader:1" if definition.data.reader == "spark" else ""
        pipeline = f"azureml:{definition.loop}-training:1"
        assets = Assets(pipeline, checks=checks, reader=reader, window=self.window)
        if definition.serve.scoring:
            digests = {name: digest or "" for name, digest in self.real.training.digests.items()}
            assets = replace(assets, environment="azureml:env:1", code="azureml:code:1", digests=digests)
        now = self.clock.now()
        publication.publish(self.real, Published(definition, assets, "ann", now, environment=environment))

    # --- time and the world outside --------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return (self.clock.now() - self.began).total_seconds()

    @property
    def state(self) -> LoopState:
        return unit_of_work.read(self.real, "birds").state

    def drop(self, name: str, content: bytes) -> None:
        """Land a blob; its event comes once, twice, or never."""
        blob = self.real.blobs.upload("landing", f"birds/{name}", content)
        data = {"api": "PutBlob", "url": f"{ACCOUNT}/landing/birds/{name}", "eTag": blob.etag}
        text = json.dumps({"eventType": "Microsoft.Storage.BlobCreated", "data": data})
        if self.random.random() >= self.lost:
            self.send(text)

    def send(self, text: str) -> None:
        self.queue.append(Message(text, self.now_s))
        while self.random.random() < self.duplicates:
            self.queue.append(Message(text, self.now_s + self.random.uniform(0, 200)))

    def act(self, verb: str, release: int | None = None, id: str = "", **more: object) -> None:
        body: dict[str, object] = {"release": release or "", "reason": "because", **more}
        body |= {"id": id} if id else {}
        self.send(messages.act_message(verb, "birds", body, "bob"))

    def alert(self, rule: str = "birds-errors", condition: str = "Fired") -> None:
        at = self.clock.now().isoformat()
        essence = {
            "alertRule": rule,
            "originalAlertId": at,
            "monitorCondition": condition,
            "firedDateTime": at,
        }
        body = {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essence}}
        self.send(messages.alert_message(body))

    def rest(self, limit: int = 60) -> None:
        """Go on until no release is open and nothing is to be done."""
        for _ in range(limit):
            self.round()
            if self.state.open_release is None and not self.queue:
                return
        raise AssertionError(f"not at rest: {self.release()}")

    def until(self, phase: Phase, limit: int = 60) -> None:
        """Go on until the newest release is in this phase."""
        for _ in range(limit):
            self.round()
            if self.state.next_release > 1 and self.release().phase is phase:
                return
        raise AssertionError(f"never {phase}: {self.release()}")

    def release(self, number: int = 0) -> Release:
        current = unit_of_work.read(self.real, "birds")
        return current.release(number or current.state.next_release - 1)[0]

    def told(self, what: str) -> list[LedgerEntry]:
        return [entry for entry in queries.entries(self.real, "birds") if entry.what == what]

    def traffic(self) -> dict[str, int]:
        return dict(self.real.serving.traffic("birds"))

    def round(self, *, tick: bool = True, sweep: bool = False, seconds: float = ROUND_S) -> None:
        """Ten seconds: requests arrive, Azure ML goes on, messages are delivered, the clock ticks."""
        self.rounds += 1
        self.clock.advance(seconds)
        self._outside()
        self._deliver()
        for number in range(self.workers if tick else 0):
            self.crew.hire(f"tick {number}", self._function(lambda: clock.tick(self.ports)))
        if sweep:
            self.crew.hire("sweep", self._function(lambda: clock.sweep(self.ports, ACCOUNT)))
        self.crew.work(self.now_s)
        for _ in range(RUNS_AT_ONCE):  # that were asked for meanwhile
            if not self._deliver():
                break
            self.crew.work(self.now_s)
        self.queue = [one for one in self.queue if not one.done]

    def _deliver(self) -> int:
        """Give each message that can be seen to its function; how many there are."""
        runs, self.real.runs.messages = self.real.runs.messages, []
        self.queue += [Message(text, self.now_s, "run") for text in runs]
        visible = [one for one in self.queue if one.at <= self.now_s and not one.done]
        for message in visible:
            message.attempts += 1
            message.at = self.now_s + VISIBLE_AGAIN_S
            self.crew.hire(message.function, self._function(partial(self._handle, message)))
        return len(visible)

    def _handle(self, message: Message) -> None:
        """As functions/inbox.py and functions/run.py do, and the host that gives up after five times."""
        runs = message.function == "run"
        if message.attempts > 5:
            (self.real.runs if runs else self.real.queue).failed.append(message.text)  # the sweep takes it up
        elif runs:
            loop = run_queue.asked(self.ports, message.text)
            clock.run_all(self.ports, [loop] if loop else [])
        else:
            run_queue.ask(self.ports, recorder.receive(self.ports, message.text, ACCOUNT))
        message.done = True

    def _function(self, work: Callable[[], object]) -> Callable[[], None]:
        """A function that fails is logged by the host, and that is all."""

        def call() -> None:
            try:
                work()
            except (DriftloopError, Foreign):
                return

        return call

    def _outside(self) -> None:
        serving, training = self.real.serving, self.real.training
        if self.slow:
            for job in training.jobs.values():
                if job.status == "running" and self._ready(job.spec.name):
                    job.status = "completed"
            for name, reading in self.real.readings.jobs.items():
                if reading.status == "running" and self._ready(name):
                    self.real.readings.finish(name)
            for endpoint in serving.endpoints.values():
                for name, deployment in endpoint.deployments.items():
                    if deployment.state == "creating" and self._ready(name):
                        deployment.state = "ready"
            for name in serving.endpoints:
                serving.apply_traffic(name)
        for name in serving.endpoints:
            for deployment, weight in serving.traffic(name).items():
                self._requests(deployment, round(3 * weight))

    def _ready(self, name: str) -> bool:
        self._slow[name] = self._slow.get(name, 0) + 1
        return self._slow[name] > self.slow

    def _requests(self, deployment: str, n: int) -> None:
        """Live requests of the last round; one release's model errs."""
        now, errs = self.clock.now(), deployment.startswith(self.failing)
        self.real.evidence.requests.setdefault("birds", []).extend(
            MemoryRequest(
                now - earlier, deployment, 500 if errs and index % 3 == 0 else 200, 10.0 + index % 7, user
            )
            for index, (earlier, user) in enumerate(_requests_of_a_round(n))
        )

    # --- where things go wrong -------------------------------------------------------------------

    def _around(self, call: Call, make: Callable[[], object]) -> object:
        self.crew.before_call()
        if self.refused and call.name.startswith(self.refused):
            raise ConfigurationError(f"{call.name} was refused (403); give the app the role 'Some Role'")
        if (error := self.broken(call)) is not None:
            raise error
        if call.name == self.away:
            raise DependencyUnavailable(f"{call.name} is away", self.away_s)
        fault = self.faults.get(len(self.calls), "")
        if fault:
            self.healed_at_s = max(self.healed_at_s, self.now_s + HEALS_S)
        if call.effect:
            self.effects.append(len(self.calls))
        self.calls.append(call.name)
        if fault == "asleep" and self.crew.current is not None:
            self.crew.current.sleeps_until = self.now_s + ASLEEP_S
            self.crew.current.stale = True
            self.crew.current.pause()
        elif fault == "stale" and call.name == "serving.traffic":
            young = self.now_s - self._changed_at < STALE_S
            return dict(self._before) if young else make()
        elif fault == "stale" and call.name == "serving.set_by_us":
            young = self.now_s - self._changed_at < STALE_S
            return True if young else make()
        elif fault in SIMULATED:
            return break_with(fault, call, lambda: self._make(call, make))
        return self._make(call, make)

    def _make(self, call: Call, make: Callable[[], object]) -> object:
        if call.name == "serving.set_traffic":
            self._before = dict(self.real.serving.traffic("birds"))
            self._changed_at = self.now_s
        worker = self.crew.current
        if worker is not None and call.name == "store.read":
            worker.stale = False
        answer = make()
        if call.effect:
            self.history.after(call, late=worker is not None and worker.stale)
        return answer

    # --- the story -------------------------------------------------------------------------------

    def live(self, *, limit: int = 250) -> list[str]:
        """Tell the story to its end; what was wrong, in words."""
        with self._listening():
            self._story(limit)
        self._heal()
        if self.state.next_release != 4 or self.state.open_release is not None:
            last = self.release() if self.state.next_release > 1 else None
            return [*self.history.wrong, f"not at its end after {self.rounds} rounds: {last}"]
        found = self.history.at_rest(jobs=3, versions=3)
        ends = [self.release(number).phase for number in (1, 2, 3)]
        if ends != [Phase.LIVE, Phase.LIVE, Phase.ROLLED_BACK]:
            found.append(f"the releases ended {ends}")
        return found

    def live_on(self, replays: int, *, limit: int = 60) -> list[str]:
        """Tell the story where something does not pass until it is mended. Releases may fail, and what was set aside is
        read again once all is mended; nothing may be lost, done twice, or kept waiting for good."""
        with self._listening():
            for _ in range(replays):
                self._story(limit)
                self._heal()
                self.replay()
            self._story(limit)
            self._heal()
        found = self.history.whatever_failed()
        if self.state.next_release != 4 or self.state.open_release is not None:
            found.append(f"not at its end after {self.rounds} rounds: {self.state.last_outcome}")
        elif (
            Phase.LIVE in (self.release(1).phase, self.release(2).phase)
            and self.release(3).phase is Phase.LIVE
        ):
            found.append("the release that errs went live")
        return found

    def replay(self) -> None:
        """What is set aside is asked for again by a person."""
        for one in self.state.set_aside:
            self.act("replay", drop=one.key)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        log = logging.getLogger("driftloop")
        log.addHandler(self.history)
        try:
            yield
        finally:
            log.removeHandler(self.history)

    def _heal(self) -> None:
        """Go on until what failed last has had the time that it takes to be made good."""
        self.round(sweep=True)
        ended = self.state.last_ended_at
        if ended is not None and {"asleep", "stale"} & set(self.faults.values()):
            self.healed_at_s = max(self.healed_at_s, (ended - self.began).total_seconds() + LATE_HEALS_S)
        while self.now_s < self.healed_at_s or self.crew.asleep:
            self.round(sweep=self.rounds % 10 == 9)

    def _story(self, limit: int) -> None:
        """Each of three drops once the one before has led to a release that ended."""
        scales = {1: 1.0, 2: 1.3, 3: 1.7}
        found_late = 3 * FOUND_S / ROUND_S if self.lost else 0
        quiet, last = 0, self.rounds + limit + found_late
        while self.rounds < last and quiet < 3:
            state, next_one = self.state, self.dropped + 1
            if next_one <= 3 and state.open_release is None and state.next_release == next_one:
                self.dropped = next_one
                self.drop(f"{next_one}.csv", birds(next_one, scales[next_one]))
            calls = len(self.calls)
            self.round(sweep=self.rounds % 10 == 9)
            busy = len(self.calls) - calls > 40 or self.crew.asleep or self.queue
            over = self.dropped == 3 and self.state.open_release is None and self.state.next_release == 4
            quiet = quiet + 1 if over and not busy else 0


def _answer(endpoint: str, deployment: str, payload: str) -> Answer:
    table = json.loads(payload)["input_data"]
    flipper = table["columns"].index("flipper")
    return Answer(
        200, json.dumps(["Gentoo" if row[flipper] > 203 else "Adelie" for row in table["data"]]), 5.0
    )

"""Recording waits for no run, and no wake is lost, in whatever order record, message, run and death come."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import azure.functions as func
import pytest

from functions import app, inbox, run
from shared.domain.event import InboxState
from shared.errors import DependencyUnavailable
from shared.inbox import messages, recorder
from shared.inbox.landings import Landings
from shared.ports import Ports
from shared.runtime import run_queue, tick, unit_of_work, worker
from shared.state import queries
from tests.engine.world import ACCOUNT, LOOP, World
from tests.faults import Call, Crash, watched
from tests.patience import until
from tests.simulator.workers import Worker


@pytest.fixture
def world() -> World:
    made = World()
    made.publish()
    tick.tick(made.ports)
    return made


def called(module: object, text: str) -> None:
    """A queue function of the app, as the host calls it."""
    (builder,) = module.blueprint._function_builders  # type: ignore[attr-defined]
    builder.build(None).get_user_function()(func.QueueMessage(body=text.encode()))


def pause(number: int) -> str:
    return messages.act_message("pause", "birds", {"reason": "because", "id": str(number)}, "bob")


def record(ports: Ports, message: str) -> None:
    """As functions/inbox.py does."""
    run_queue.ask(ports, recorder.receive(ports, message, ACCOUNT, Landings()))


def take_up(ports: Ports, message: str) -> None:
    """As functions/run.py does."""
    loop = run_queue.asked(ports, message)
    tick.run_all(ports, [loop] if loop else [])


def taken(world: World) -> list[str]:
    found, world.ports.runs.messages[:] = list(world.ports.runs.messages), []
    return found


def run_all(world: World) -> int:
    """Every message that asks for a run, and those that these put; how many there were."""
    count = 0
    while found := taken(world):
        for message in found:
            take_up(world.ports, message)
        count += len(found)
        assert count < 20, "runs ask for runs without an end"
    return count


def done(world: World) -> list[InboxState]:
    return [one.state for one in queries.inbox(world.ports, "birds")]


# --- the front door --------------------------------------------------------------------------------


def test_events_are_on_record_at_once_while_a_file_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the loop whose file it is, and of another. Who records never reads a file: its message is taken at once."""
    definition = LOOP.replace("birds", "fish")
    world.publish(definition)
    reading, go_on = threading.Event(), threading.Event()

    def around(call: Call, make: Callable[[], object]) -> object:
        if call.name == "blobs.download_all":
            reading.set()
            assert go_on.wait(60)
        return make()

    ports = watched(world.ports, around)
    monkeypatch.setattr(app, "ports", lambda: ports)
    monkeypatch.setattr(app, "settings", lambda: type("Settings", (), {"blob_service_uri": ACCOUNT}))
    monkeypatch.setattr(app, "landings", Landings)

    called(inbox, world.land("big.csv", b"a,species\n1,x\n"))  # ends although the file is not read
    (message,) = taken(world)
    work = threading.Thread(target=called, args=(run, message))
    work.start()
    try:
        until(reading.is_set)
        for number in range(20):
            called(inbox, world.land(f"{number}.csv", b"a,species\n1,x\n"))
        called(inbox, messages.act_message("pause", "fish", {"reason": "because"}, "bob"))
        assert done(world) == [InboxState.NEW] * 21
        assert len(queries.inbox(world.ports, "fish")) == 1
    finally:
        go_on.set()
        work.join(60)
    assert len(world.ports.runs.messages) <= 3, "twenty events of a loop ask for one run"
    run_all(world)
    assert InboxState.NEW not in done(world)
    assert unit_of_work.read(world.ports, "fish").state.paused


def test_events_whose_run_is_asked_for_already_add_no_message_and_cost_three_calls(world: World) -> None:
    made: list[str] = []

    def around(call: Call, make: Callable[[], object]) -> object:
        made.append(call.name)
        return make()

    ports = watched(world.ports, around)
    record(ports, pause(0))
    assert made == ["store.overview", "store.wake", "store.commit", "store.ask_run", "runs.put"]
    made.clear()
    record(ports, pause(1))
    assert made == ["store.overview", "store.commit", "store.ask_run"]
    assert run_all(world) == 1
    assert done(world) == [InboxState.DONE] * 2


def test_a_run_that_leaves_more_to_do_asks_for_the_next_and_warns_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "MAX_STEPS", 2)
    for number in range(5):
        record(world.ports, pause(number))
    assert run_all(world) >= 3
    assert done(world) == [InboxState.DONE] * 5
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("refused", ["runs.put", "store.ask_run"])
def test_without_a_message_the_tick_runs_the_loop(world: World, refused: str) -> None:
    def around(call: Call, make: Callable[[], object]) -> object:
        if call.name == refused:
            raise DependencyUnavailable("away")
        return make()

    try:
        record(watched(world.ports, around), pause(0))
    except DependencyUnavailable:
        assert refused == "store.ask_run", (
            "else the message is taken: its event is on record, and its loop due"
        )
    tick.tick(world.ports)
    assert done(world) == [InboxState.DONE]
    record(world.ports, pause(1))  # what was asked for in vain is asked for again
    assert run_all(world) == 1
    assert done(world) == [InboxState.DONE] * 2


ODD = [
    "",
    "{",
    "7",
    "null",
    "[]",
    "{}",
    '{"loop": 7}',
    '{"loop": "../x"}',
    '{"loop": "nobody", "run": "1"}',
    "\0",
    "[" * 9999,
]


def test_a_message_that_names_no_loop_or_a_run_that_has_begun_is_dropped(world: World) -> None:
    for message in [
        *ODD,
        '{"loop": "birds"}',
        '{"loop": "birds", "run": ""}',
        '{"loop": "birds", "run": "x"}',
    ]:
        assert run_queue.asked(world.ports, message) is None, message
    record(world.ports, pause(0))
    (message,) = taken(world)
    assert run_queue.asked(world.ports, message) == "birds"
    tick.tick(world.ports)
    assert run_queue.asked(world.ports, message) is None, "the tick came first: there is nothing left to do"
    assert [one.loop for one in world.ports.store.overviews()] == ["birds"], "no loop is made of a message"


def test_a_run_that_failed_five_times_is_removed_and_its_loop_run(world: World) -> None:
    record(world.ports, pause(0))
    world.ports.runs.failed += [*taken(world), *ODD]
    tick.sweep(world.ports, ACCOUNT)
    assert world.ports.runs.failed == []
    tick.tick(world.ports)
    assert done(world) == [InboxState.DONE]


# --- every order -----------------------------------------------------------------------------------

TURNS = {
    "recorder": ("store.wake", "store.commit", "store.ask_run", "runs.put"),
    "run": ("store.claim", "store.range", "store.settle", "store.ask_run", "runs.put"),
}
"""Calls at which the other one may come first; between two others nothing is shared that tells of work."""


@dataclass
class Order:
    """One order of turns: by `choices`, then always the first who can."""

    choices: list[int]
    options: list[int] = field(default_factory=list)

    def pick(self, workers: list[Worker]) -> Worker:
        at = len(self.options)
        self.options.append(len(workers))
        return workers[min(self.choices[at], len(workers) - 1) if at < len(self.choices) else 0]

    def others(self) -> Iterator[list[int]]:
        """The orders that differ from this one first after its own choices."""
        made = self.choices + [0] * (len(self.options) - len(self.choices))
        for at in range(len(self.choices), len(made)):
            yield from ([*made[:at], other] for other in range(1, self.options[at]))


class Play:
    """Beside a run that was asked for, or a tick, another event is recorded; one of the two may die at one turn."""

    def __init__(self, order: Order, work: str, dies: tuple[str, int] = ("", 0)) -> None:
        self.world = World()
        self.world.publish()
        record(self.world.ports, pause(0))
        (message,) = taken(self.world)
        self.dead = ""
        self._turns = {"recorder": 0, "run": 0}
        self._dies = dies
        jobs: dict[str, Callable[[Ports], object]] = {
            "recorder": lambda ports: record(ports, pause(1)),
            "run": tick.tick if work == "tick" else lambda ports: take_up(ports, message),
        }
        self._workers = [Worker(name, self._job(name, job)) for name, job in jobs.items()]
        while left := [one for one in self._workers if not one.done]:
            self._current = order.pick(left)
            self._current.turn()
        if work == "tick":
            self.world.ports.runs.messages.insert(0, message)

    def _job(self, name: str, job: Callable[[Ports], object]) -> Callable[[], object]:
        def around(call: Call, make: Callable[[], object]) -> object:
            if call.name in TURNS[name]:
                self._current.pause()
                self._turns[name] += 1
                if (name, self._turns[name]) == self._dies:
                    self.dead = name
                    raise Crash(call.name)
            return make()

        return lambda: job(watched(self.world.ports, around))


def every_order(work: str) -> Iterator[Play]:
    left: list[list[int]] = [[]]
    while left:
        order = Order(left.pop())
        yield Play(order, work)
        left += order.others()


@pytest.mark.parametrize("work", ["run", pytest.param("tick", marks=pytest.mark.soak)])
def test_in_every_order_what_was_recorded_is_done_without_a_tick(work: str) -> None:
    plays = 0
    for play in every_order(work):
        run_all(play.world)
        assert done(play.world) == [InboxState.DONE] * 2
        plays += 1
    assert plays > 50


def some_orders(work: str, dies: str) -> list[Play]:
    """Forty orders, in each of which `dies` ends at one of its turns."""
    random, plays = Random(18), list[Play]()
    while len(plays) < 40:
        order = Order([random.randrange(2) for _ in range(12)])
        play = Play(order, work, (dies, random.randrange(1, 6)))
        plays += [play] if play.dead else []
    return plays


@pytest.mark.parametrize("work", ["run", "tick"])
def test_a_run_that_dies_is_made_good_by_the_tick_while_its_message_is_hidden(work: str) -> None:
    for play in some_orders(work, "run"):
        play.world.ports.runs.messages.clear()
        play.world.ports.clock.advance(worker.CLAIM.total_seconds())
        tick.tick(play.world.ports)
        assert done(play.world) == [InboxState.DONE] * 2


def test_a_recorder_that_dies_loses_nothing_and_records_nothing_twice() -> None:
    """What it had stored is done by the tick, unless a run had looked before it was and ended after: then the sweep
    finds it, or its own message when that is seen again."""
    late = 0
    for play in some_orders("run", "recorder"):
        tick.tick(play.world.ports)
        late += InboxState.NEW in done(play.world)
        record(play.world.ports, pause(1))
        run_all(play.world)
        assert done(play.world) == [InboxState.DONE] * 2
    assert late < 10

"""An event is on record after a few calls, whatever the number of loops, and no act waits for a hidden message."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import azure.functions as func
import pytest

from functions import alerts, app, people
from shared.domain.event import EventKind
from shared.domain.loop import Overview
from shared.errors import DependencyUnavailable
from shared.inbox import messages, recorder
from shared.inbox.landings import LASTS, Landings
from shared.ports import Ports
from shared.runtime import run_queue, tick
from shared.state import queries
from tests.engine import test_calls
from tests.engine.world import ACCOUNT, World, created
from tests.faults import Call, watched

ASKED = {"store.ask_run": 1, "runs.put": 1}
RECORDED = {"store.overview": 1, "store.wake": 1, "store.commit": 1, **ASKED}
FURTHER = {"store.overview": 1, "store.commit": 1, "store.ask_run": 1}
FIRST = {"store.overviews": 1, "store.wake": 1, "store.commit": 1, **ASKED}
OF_NO_LOOP = {"store.overviews": 1, "store.record_unrouted": 1}
ALERT = FIRST
ACT = {"store.overview": 1, "store.commit": 1, "queue.put": 1}
ALERT_FROM_OUTSIDE = {"store.overviews": 1, "store.commit": 1, "queue.put": 1}
FIRST_ACT = ACT | {"store.wake": 1}
FIRST_ALERT = ALERT_FROM_OUTSIDE | {"store.wake": 1}


STEPS: list[tuple[str, dict[str, int] | str]] = [
    ("record a landed blob, its place known to the process, and ask for a run", RECORDED),
    ("the same, while a run of its loop is asked for and has not begun", FURTHER),
    ("record a landed blob, the first of a process or after ten minutes", FIRST),
    ("a blob that lands where no loop looks", OF_NO_LOOP),
    ("record what a person asks for, from the queue", RECORDED),
    ("what a person asks for, over HTTP: on record and in the queue", FIRST_ACT),
    ("record an alert, from the queue", ALERT),
    ("an alert over HTTP: on record and in the queue", FIRST_ALERT),
    ("another one's run changed", {}),
    ("an idle tick, for all loops", {"store.overviews": test_calls.IDLE_TICK}),
    ("an idle sweep of one loop", f"at most {test_calls.IDLE_SWEEP}"),
    (
        "an idle sweep of a thousand loops, a quarter of them each time",
        {"store.overviews": 1, "each": 250 * test_calls.SWEEP_OF_EACH, "places": tick.FEW},
    ),
    ("a drop of a run of several: read, numbered, registered, judged", f"at most {test_calls.DROP}"),
    ("a look at a job that runs", f"at most {test_calls.WAITING_LOOK}"),
    ("from a drop to a live release", f"at most {test_calls.DROP_TO_LIVE}"),
]


def test_the_page_of_benchmarks_has_the_calls_of_each_step() -> None:
    rows = [
        f"| {step} | {sum(made.values()) if isinstance(made, dict) else made} | "
        f"{made.get('store.overviews', 0) if isinstance(made, dict) else 0} |"
        for step, made in STEPS
    ]
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    assert [row for row in rows if row not in page] == []


def crowd(loops: int) -> World:
    """`birds`, and so many others that land beside it."""
    world = World()
    world.publish()
    for number in range(loops - 1):
        other = Overview(f"other-{number}", landing=f"landing/other-{number}/", endpoint=f"e{number}")
        world.ports.store.describe(other)
    return world


def counting(world: World) -> tuple[Ports, Counter[str]]:
    made: Counter[str] = Counter()

    def around(call: Call, go: Callable[[], object]) -> object:
        made[call.name] += 1
        return go()

    return watched(world.ports, around), made


def landed(name: str) -> str:
    return created(f"{ACCOUNT}/landing/{name}", etag="0x" + name.encode().hex())


def alert(rule: str = "birds-errors") -> dict[str, object]:
    fired = {"alertRule": rule, "originAlertId": "a", "monitorCondition": "Fired", "firedDateTime": "2026"}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": fired}}


def act(verb: str = "pause") -> str:
    return messages.act_message(verb, "birds", {"reason": "because"}, "bob")


@pytest.mark.parametrize("loops", [2, 1000])
def test_an_event_is_recorded_by_a_few_calls_whatever_the_number_of_loops(loops: int) -> None:
    """docs/benchmarks.md has these figures."""
    world = crowd(loops)
    ports, made = counting(world)
    landings = Landings()

    def cost(message: str) -> dict[str, int]:
        made.clear()
        run_queue.ask(ports, recorder.receive(ports, message, ACCOUNT, landings))
        return dict(made)

    def begun() -> None:
        world.ports.store.claim("birds", "holder", world.clock.now(), world.clock.now())

    assert cost(landed("birds/1.csv")) == FIRST
    assert cost(landed("birds/2.csv")) == FURTHER
    assert cost(landed("other-0/2.csv")) == RECORDED
    begun()
    assert cost(act()) == RECORDED
    begun()
    assert cost(messages.alert_message(alert())) == ALERT
    assert cost(landed("nobody/1.csv")) == OF_NO_LOOP
    run = {"eventType": "Microsoft.MachineLearningServices.RunCompleted", "data": {"runId": "somebody-elses"}}
    assert cost(json.dumps(run)) == {}

    made.clear()
    recorder.submit(ports, act("resume"))
    assert made == ACT
    made.clear()
    recorder.submit(ports, messages.alert_message(alert("birds-slow")))
    assert made == ALERT_FROM_OUTSIDE
    for message, first in ((act(), FIRST_ACT), (messages.alert_message(alert("birds-late")), FIRST_ALERT)):
        begun()
        made.clear()
        recorder.submit(ports, message)
        assert made == first


def recorded(world: World, loop: str) -> list[str]:
    return sorted(one.body["name"] for one in queries.inbox(world.ports, loop))


def test_a_loop_that_was_published_since_gets_its_events() -> None:
    world, landings = crowd(3), Landings()
    recorder.receive(world.ports, landed("birds/1.csv"), ACCOUNT, landings)
    world.ports.store.describe(Overview("late", landing="landing/late/"))
    assert recorder.receive(world.ports, landed("late/1.csv"), ACCOUNT, landings) == ["late"]


def test_a_place_that_changed_hands_is_its_new_owners() -> None:
    """What is remembered of a loop is not believed when its row says something else."""
    world, landings = crowd(3), Landings()
    recorder.receive(world.ports, landed("birds/1.csv"), ACCOUNT, landings)
    birds = world.ports.store.overview("birds")
    assert birds is not None
    world.ports.store.describe(replace(birds, landing="landing/moved/"))
    world.ports.store.describe(Overview("heir", landing="landing/birds/"))
    assert recorder.receive(world.ports, landed("birds/2.csv"), ACCOUNT, landings) == ["heir"]
    assert recorded(world, "birds") == ["birds/1.csv"]


def test_labels_that_two_loops_share_reach_a_loop_that_came_later_within_a_sweep() -> None:
    world, landings = crowd(1), Landings()
    birds = world.ports.store.overview("birds")
    assert birds is not None
    world.ports.store.describe(replace(birds, labels="landing/labels/"))
    assert recorder.receive(world.ports, landed("labels/1.csv"), ACCOUNT, landings) == ["birds"]
    world.ports.store.describe(Overview("late", landing="landing/late/", labels="landing/labels/"))
    assert recorder.receive(world.ports, landed("labels/2.csv"), ACCOUNT, landings) == ["birds"]
    world.clock.advance(LASTS.total_seconds())
    assert recorder.receive(world.ports, landed("labels/3.csv"), ACCOUNT, landings) == ["birds", "late"]


def asked_over_http(world: World, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A person pauses the loop, or Azure Monitor raises an alert; as the platform hands it on."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    monkeypatch.setattr(app, "ports", lambda: world.ports)
    role = "ActionGroupsSecureWebhook" if what == "alert" else "Driftloop.Act"
    principal = json.dumps({"claims": [{"typ": "roles", "val": role}, {"typ": "name", "val": "bob"}]})
    headers = {"x-ms-client-principal": base64.b64encode(principal.encode()).decode()}
    headers["content-type"] = "application/json"
    body, route = (
        (alert(), {}) if what == "alert" else ({"reason": "because"}, {"loop": "birds", "verb": what})
    )
    module, name = (alerts, "alert") if what == "alert" else (people, "act")
    (function,) = [
        built
        for builder in module.blueprint._function_builders
        if (built := builder.build(None)).get_function_name() == name
    ]
    request = func.HttpRequest(
        method="POST",
        url="https://app.example/api/x",
        headers=headers,
        route_params=route,
        body=json.dumps(body).encode(),
    )
    assert function.get_user_function()(request).status_code == 202


@pytest.mark.parametrize("what", ["alert", "pause"])
def test_what_was_asked_is_done_by_the_next_tick_although_its_message_is_hidden(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who received the message died: the queue hides it for ten minutes (Microsoft.Azure.WebJobs, measured)."""
    world = World()
    world.publish()
    asked_over_http(world, monkeypatch, what)
    assert len(world.ports.queue.messages) == 1

    world.ticks(1, seconds=30)

    (record,) = queries.inbox(world.ports, "birds")
    assert record.kind is (EventKind.ALERT if what == "alert" else EventKind.PERSON)
    assert record.state.value == "done"
    assert (world.state.paused is not None) == (what == "pause")
    world.send(world.ports.queue.messages[0])  # it is back: nothing happens twice
    assert queries.inbox(world.ports, "birds") == [record]


def test_an_act_is_done_although_the_table_or_the_queue_refuses_it() -> None:
    for refused in ("store.commit", "queue.put"):
        world = World()
        world.publish()

        def around(call: Call, go: Callable[[], object], refused: str = refused) -> object:
            if call.name == refused:
                raise DependencyUnavailable("away")
            return go()

        recorder.submit(watched(world.ports, around), act())
        for message in world.ports.queue.messages:
            world.send(message)
        tick.tick(world.ports)
        assert world.state.paused is not None, refused


def test_an_act_that_neither_took_is_refused() -> None:
    world = World()
    world.publish()

    def around(call: Call, go: Callable[[], object]) -> object:
        if call.name in ("store.commit", "queue.put"):
            raise DependencyUnavailable("away")
        return go()

    with pytest.raises(DependencyUnavailable):
        recorder.submit(watched(world.ports, around), act())

"""Many drops whose events come twice, late, in any order, or never, while workers die (T8)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from shared.domain.event import InboxState
from shared.runtime import unit_of_work
from shared.state import queries
from tests.simulator.life import LOOP, Life, Message, birds

PLAN = LOOP.replace("drift: {material: {numeric: 0.3}}", "drift: {enabled: false}")
FAULTS = ("crash before", "crash after", "lost reply", "conflict", "throttled", "unavailable")
A_DAY_S = 86_400.0


@dataclass(frozen=True)
class Outcome:
    blobs: int
    messages: int
    lost: int
    faults: int
    versions: int
    superseded: int
    wrong: list[str]


def run(events: int, seed: int = 0) -> Outcome:
    """Drop `events` blobs, some over others; a fifth of the events come again, one in fifty never comes."""
    random = Random(seed)
    faults = {point: random.choice(FAULTS) for point in range(events * 40) if random.random() < 0.002}
    life = Life(faults, seed=seed, plan=PLAN)
    landed: dict[tuple[str, str], None] = {}
    arrivals: list[Message] = []
    lost = 0
    for number in range(events):
        name = f"{number if random.random() > 0.05 else random.randrange(number + 1)}.csv"
        life.lost = 0.02
        life.drop(name, birds(number, 1.0, n=10))
        blob = life.real.blobs.find("landing", f"birds/{name}")
        assert blob is not None
        landed[name, blob.etag] = None
        lost += not life.queue
        again = [Message(m.text, 0) for m in life.queue for _ in range(5) if random.random() < 0.04]
        for message in (*life.queue, *again):
            late_s = random.uniform(0, A_DAY_S) if random.random() < 0.1 else random.uniform(0, 600)
            arrivals.append(Message(message.text, life.now_s + late_s))
        life.queue.clear()
        life.clock.advance(random.uniform(0, 20))
    life.queue = arrivals
    _settle(life)
    return _judge(life, landed, len(arrivals), lost)


def _settle(life: Life) -> None:
    """The day passes; the sweep comes every quarter of an hour."""
    for quarter in range(200):
        life.round(sweep=True, seconds=900)
        if not life.queue and quarter > 100 and not life.real.store.range("birds", "todo-", limit=1):
            break
    for _ in range(10):
        life.round(sweep=True)


def _judge(life: Life, landed: dict[tuple[str, str], None], messages: int, lost: int) -> Outcome:
    records = queries.inbox(life.real, "birds")
    versions = unit_of_work.read(life.real, "birds").versions()
    drops = [one for one in records if one.kind.value == "blob"]
    states = Counter(one.state for one in drops)
    keys = Counter((one.body["name"].removeprefix("birds/"), one.body["etag"]) for one in drops)
    sources = Counter((v.source.removeprefix("landing/birds/"), v.etag) for v in versions)
    now = {(b.name.removeprefix("birds/"), b.etag) for b in life.real.blobs.list("landing", "birds/")}
    wrong = [*life.history.wrong]
    wrong += [f"{key} is on record {n} times" for key, n in keys.items() if n > 1]
    wrong += [f"{key} is {n} versions" for key, n in sources.items() if n > 1]
    wrong += [f"{key} is no version" for key in now - set(sources)]
    wrong += [f"{key} never landed" for key in set(keys) - set(landed)]
    wrong += [f"{n} records are {state}" for state, n in states.items() if state not in FINE]
    if states[InboxState.DONE] != len(versions):
        wrong.append(f"{states[InboxState.DONE]} records are done, there are {len(versions)} versions")
    struck = sum(point < len(life.calls) for point in life.faults)
    superseded = states[InboxState.SUPERSEDED]
    return Outcome(len(landed), messages, lost, struck, len(versions), superseded, wrong)


FINE = frozenset({InboxState.DONE, InboxState.SUPERSEDED})

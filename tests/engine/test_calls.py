"""What a release and an idle tick cost in calls of storage and Azure ML, whatever the number of past releases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.reason import Code, reason
from shared.domain.release import Trigger, TriggerKind
from shared.ports import Row
from shared.retraining import start
from shared.retraining.policy import Start
from shared.runtime import tick, unit_of_work
from shared.state import rows
from tests.engine.test_faults import LOOP, birds, served
from tests.faults import Call, watched
from tests.simulator.life import Life
from tests.simulator.reader import reading_in_process

IDLE_TICK = 1
SWEEP_OF_EACH = 12
IDLE_SWEEP = 1 + SWEEP_OF_EACH + 2
"""Seven look at what serves: the endpoint, its deployment and model, its traffic and requests, what else is there. Two
look for a loop without an overview."""
WAITING_LOOK = 14
DROP_TO_LIVE = 210
DROP = 17
WHETHER_IT_HELPED = 5
"""Asked of every release but the first."""


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def calls(life: Life, work: object) -> Counter[str]:
    before = len(life.calls)
    assert callable(work)
    work()
    return Counter(life.calls[before:])


def drop_to_live(life: Life, number: int) -> Counter[str]:
    life.drop(f"{number}.csv", birds(number, 1 + 0.3 * number))

    def rest() -> None:
        life.rest()
        life.rest()

    return calls(life, rest)


def test_an_idle_tick_is_one_query_for_all_loops() -> None:
    life = served()
    life.rest()
    life.clock.advance(60)
    assert sum(calls(life, lambda: tick.tick(life.ports)).values()) == IDLE_TICK


def test_an_idle_sweep_reads_the_inbox_by_the_thousand() -> None:
    life = served()
    for number in range(2, 12):
        life.drop(f"{number}.csv", birds(number, 1.0))
    life.rest()
    life.clock.advance(600)
    found = calls(life, lambda: tick.sweep(life.ports))
    assert sum(found.values()) <= IDLE_SWEEP, found


def test_a_drop_is_read_numbered_registered_and_judged_by_a_bounded_number_of_calls() -> None:
    """One of many in one run: what a run costs besides is that of a run of none."""
    life = served()
    costs = []
    for numbers in ((), (2, 3), range(4, 9)):
        for number in numbers:
            life.drop(f"{number}.csv", birds(number, 1.0))
        costs.append(sum(calls(life, life.round).values()) - 3 * len(numbers))  # to record each
    few, many = costs[1], costs[2]
    print(f"\na drop in a run of several: {(many - few) / 3:.1f} calls")
    assert many - few <= 3 * DROP


def test_a_drop_goes_on_when_it_is_not_known_under_what_etags_it_was_written() -> None:
    life = served()
    life.drop("2.csv", birds(2, 1.0))

    def around(call: Call, make: Callable[[], object]) -> object:
        answer = make()
        return {} if call.name == "store.commit" else answer

    life.ports = watched(life.real, around)
    for _ in range(3):
        life.round()
    version = unit_of_work.read(life.real, "birds").version(2)[0]
    assert version.decision is not None
    assert life.real.store.range("birds", rows.TODO) == []


def test_a_look_at_a_job_that_runs_is_a_handful_of_calls() -> None:
    life = served()
    life.real.training.new_jobs_are = "running"
    life.drop("2.csv", birds(2, 1.3))
    for _ in range(3):
        life.round()
    found = calls(life, life.round)
    print(f"\na look at a running job: {sum(found.values())} calls, {dict(found)}")
    assert sum(found.values()) <= WAITING_LOOK, found


def test_a_release_costs_the_same_after_ten_others() -> None:
    life = served(plan=LOOP.replace("window: newest", "window: {last: 2}"))
    second = sum(drop_to_live(life, 2).values())
    for number in range(3, 12):
        drop_to_live(life, number)
    unit_of_work._published.clear()
    found = drop_to_live(life, 12)
    print(f"\nfrom drop to live: {sum(found.values())} calls, {dict(found)}")
    assert life.state.champion is not None
    assert life.state.champion.release == 12
    assert sum(found.values()) <= second + WHETHER_IT_HELPED + 3
    assert sum(found.values()) <= DROP_TO_LIVE, found


@pytest.mark.parametrize(
    ("window", "most"), [("newest", 1), ("{last: 3}", 1), ("{days: 7}", 1), ("{last: 1500}", 2), ("all", 5)]
)
def test_a_release_of_a_loop_with_five_thousand_versions_reads_what_its_window_needs(
    window: str, most: int
) -> None:
    life = served(plan=LOOP.replace("window: newest", f"window: {window}"))
    unit = with_versions(life, 5000)
    trigger = Trigger(TriggerKind.PERSON, reason(Code.ASKED_FOR, why="more"), "ann", "a", life.clock.now())

    def begin() -> None:
        outcome = start.apply(unit, unit.state, [trigger], Start((trigger,)))
        assert outcome.state.trained_through == 5000

    found = calls(life, begin)
    assert sum(found.values()) <= most, found


def with_versions(life: Life, number: int) -> unit_of_work.Unit:
    """The loop as if it had so many versions, all like its first, a month older than the newest but for ten."""
    stored = life.real.store.rows["birds"]
    unit = unit_of_work.read(life.ports, "birds")
    first = unit.version(1)[0]
    for n in range(1, number + 1):
        created_at = life.clock.now() - timedelta(days=0 if n > number - 10 else 30)
        version = replace(first, number=n, created_at=created_at, landed_at=created_at)
        stored[rows.version_key(n)] = Row(rows.version_key(n), rows.encode(version), f"v{n}")
    unit.state = replace(unit.state, next_version=number + 1, newest_labelled=number)
    unit.published()
    return unit

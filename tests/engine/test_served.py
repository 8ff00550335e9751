"""What is served is judged window by window: what moved is told, waits for labels, and then starts a release."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.reason import Code
from shared.domain.release import TriggerKind
from shared.errors import DependencyUnavailable
from shared.runtime import tick, unit_of_work
from shared.state import queries
from shared.verdict import served_inputs
from shared.verdict.served_inputs import LATE, Window
from shared.words import say, spoken
from tests.engine.world import LOOP, World, by_bill, csv, season
from tests.faults import Call, Crash, break_with, watched

HOURLY = LOOP.replace("drift: {", "drift: {served: 1h, ").replace("retrain: {", "retrain: {on: [served], ")
HOURLY = HOURLY.replace(', alerts: ["birds-*"]', "")
Change = Callable[[dict[str, object]], object]
QUIET = 9
"""Past windows from which ranks reach 10 %."""


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(HOURLY)
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    made.ticks(10)
    return made


def hour(
    world: World,
    change: Change = lambda row: row,
    n: int = 100,
    deployment: str = "r1-a1",
    late: bool = False,
) -> None:
    """An hour of requests like the training data, in an order of their own, each hour another."""
    rows = world.ports.evidence.rows.setdefault(("birds", deployment), [])
    birds = season(2007).drop(columns=["species", "row_id", "year"])
    start = world.clock.now()
    drawn = birds.sample(n, replace=True, random_state=int(start.timestamp()) % 2**31)
    for index, row in enumerate(json.loads(drawn.to_json(orient="records"))):
        at = start + timedelta(seconds=3600 * index / n)
        output = by_bill(row)
        given = change(row)
        rows.append(
            {"id": f"{at.timestamp()}-{index}", "time": at.isoformat(), "inputs": given, "output": output}
        )
    world.clock.advance(3600)
    if not late:
        world.ticks(1)


def heavier(row: dict[str, object]) -> dict[str, object]:
    mass = row["body_mass_g"]
    return row | {"body_mass_g": mass * 1.3 if isinstance(mass, int | float) else None}


def judged(world: World) -> list[Window]:
    return served_inputs.windows(world.ports.documents, world.state)


def told(world: World) -> list[dict[str, str]]:
    entries = queries.entries(world.ports, "birds")
    return [spoken(entry.detail) for entry in entries if entry.what == "served.judged"]


def close(world: World) -> None:
    world.clock.advance(LATE.total_seconds())
    world.ticks(3)


def test_inputs_that_move_without_any_drop_are_told_wait_for_labels_and_then_start_one_release(
    world: World,
) -> None:
    for _ in range(QUIET):
        hour(world)
    hour(world, heavier)
    hour(world, lambda row: heavier(heavier(row)))  # else it is the second most unusual, which is no alarm
    close(world)
    verdict = say(world.state.served_verdict)
    assert "unusual for this model" in verdict and "body_mass_g" in verdict
    (waiting,) = world.state.waiting
    assert waiting.kind is TriggerKind.SERVED
    assert world.state.denial is not None and world.state.denial.code is Code.WAITS_FOR_LABELS
    assert "an earlier window has asked" in told(world)[-1]["decision"]
    assert world.state.open_release is None
    world.ticks(5)
    assert world.ledger().count("retrain.coalesced") == 1, "what waits is not asked again and again"

    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(2)
    assert [t.kind for t in world.release(2).triggers] == [TriggerKind.SERVED]
    assert world.live() == 2
    world.ticks(3)
    assert world.state.waiting == () and world.state.next_release == 3

    hour(world, heavier, deployment="r2-a1")
    close(world)
    assert "0 past windows are too few" in told(world)[-1]["verdict"], "another champion, another past"


def test_inputs_that_were_never_like_the_training_data_are_shown_and_usual_for_this_model(
    world: World,
) -> None:
    for _ in range(12):
        hour(world, heavier)
    close(world)
    assert "usual for this model" in say(world.state.served_verdict)
    stored = json.loads(world.ports.documents.get(judged(world)[-1].report))
    assert stored["material"] and judged(world)[-1].material is False


def test_a_drop_without_labels_does_not_end_the_wait(world: World) -> None:
    for _ in range(QUIET):
        hour(world)
    hour(world, heavier)
    close(world)
    birds = season(2009)
    birds["species"] = None
    world.drop("2009.csv", csv(birds))
    world.ticks(3)
    assert len(world.state.waiting) == 1 and world.state.next_release == 2


def test_a_window_is_closed_when_what_belongs_to_it_has_come_and_each_row_is_in_one(world: World) -> None:
    hour(world)
    before = len(judged(world))
    hour(world, late=True)
    rows = world.ports.evidence.rows["birds", "r1-a1"]
    held, rows[:] = rows[-10:], rows[:-10]
    world.ticks(1)
    rows += held
    close(world)
    windows = judged(world)
    assert len(windows) > before
    assert all(a.until == b.since for a, b in itertools.pairwise(windows))
    assert windows[0].since == world.state.champion.live_at.isoformat()  # type: ignore[union-attr]
    closed = [row for row in rows if windows[0].since <= str(row["time"]) < windows[-1].until]
    assert sum(window.rows for window in windows) == len(closed) > 100


def test_another_deployments_requests_are_no_evidence_about_the_champion(world: World) -> None:
    for _ in range(QUIET + 1):
        hour(world, late=True)
        world.clock.advance(-3600)
        hour(world, heavier, deployment="r2-a1")
    close(world)
    assert not any(window.material for window in judged(world))
    assert max(window.rows for window in judged(world)) <= 101


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda row: list(row.values()), Code.SERVED_UNNAMED, "without column names"),
        (
            lambda row: {name: value for name, value in row.items() if name != "flipper_length_mm"},
            Code.SERVED_INCOMPLETE,
            "flipper_length_mm",
        ),
        (
            lambda row: row | {"flipper_length_mm": "long"},
            Code.SERVED_INCOMPLETE,
            "flipper_length_mm",
        ),
    ],
)
def test_inputs_without_names_or_columns_are_a_finding_and_no_drift(
    world: World, change: Change, code: Code, words: str
) -> None:
    for _ in range(QUIET):
        hour(world)
    past = len([w for w in judged(world) if w.distances is not None])
    hour(world, change)
    hour(world, change)
    close(world)
    verdict = world.state.served_verdict
    assert verdict is not None and code in {why.code for why in verdict.because}
    assert words in say(verdict)
    assert judged(world)[-1].material is None and world.state.waiting == ()
    assert len([w for w in judged(world) if w.distances is not None]) <= past + 2


def test_few_rows_cannot_be_judged_and_are_no_past(world: World) -> None:
    for _ in range(4):
        hour(world, heavier, n=20)
    close(world)
    assert {window.material for window in judged(world)} == {None}
    assert "cannot be judged" in say(world.state.served_verdict)
    assert all(window.distances is None for window in judged(world))


def test_what_a_stranger_sends_stops_nothing(world: World) -> None:
    odd = ["\ud800", 10**400, -(2**70), [1, {"a": "\ud800"}], {"x": 10**30}, True, "x" * 10**5, 1e308]

    def strange(row: dict[str, object]) -> dict[str, object]:
        mass = row["body_mass_g"]
        place = int(mass) // 25 % len(odd) if isinstance(mass, int | float) else 0
        return row | {"body_mass_g": odd[place], "island": odd[place - 1], "\ud800": 1}

    hour(world, strange)
    hour(world)
    close(world)
    assert len(judged(world)) >= 2
    row = world.ports.store.overview("birds")
    assert row is not None and row.needs_attention is None


def test_a_week_without_a_worker_is_judged_window_by_window_and_no_further_back(world: World) -> None:
    for _ in range(40):
        hour(world, late=True)
    world.ticks(3)
    assert len(judged(world)) == served_inputs.MOST_BEHIND
    assert len(told(world)) == served_inputs.MOST_BEHIND


@pytest.mark.parametrize("fault", ["crash before", "crash after", "lost reply"])
def test_a_fault_at_any_call_leaves_each_window_judged_once(world: World, fault: str) -> None:
    reached = 0
    for place in range(60):
        hour(world, n=60, late=True)
        calls = itertools.count()

        def around(call: Call, make: Callable[[], object]) -> object:
            if next(calls) == place and not call.name.startswith("store.claim"):  # noqa: B023 — called in this round
                return break_with(fault, call, make)
            return make()

        with contextlib.suppress(Crash, DependencyUnavailable):
            tick.tick(watched(world.ports, around))
        reached = next(calls)
        if reached <= place:
            break
    assert reached > 10
    close(world)
    windows = judged(world)
    assert all(a.until == b.since for a, b in itertools.pairwise(windows))
    entries = [entry for entry in queries.entries(world.ports, "birds") if entry.what == "served.judged"]
    assert [entry.cause for entry in entries] == [f"served-{window.until}" for window in windows]


def test_persistence_counts_windows(world: World) -> None:
    world.publish(HOURLY.replace("served: 1h", "served: 1h, persistence: {breaches: 2, of: 3}"))
    for _ in range(20):
        hour(world)
    hour(world, heavier)
    close(world)
    assert judged(world)[-1].material and world.state.waiting == ()
    hour(world, heavier)
    hour(world, heavier)
    close(world)
    assert len(world.state.waiting) == 1


def test_a_loop_that_does_not_name_it_is_told_and_not_retrained(world: World) -> None:
    world.publish(HOURLY.replace("on: [served]", "on: [drift]"))
    for _ in range(QUIET):
        hour(world)
    hour(world, heavier)
    close(world)
    assert any(w.material for w in judged(world)) and world.state.waiting == ()
    assert any("served" in entry["decision"] for entry in told(world))


def test_a_loop_that_does_not_ask_for_it_is_not_looked_at(world: World) -> None:
    before = len(judged(world))
    world.publish(LOOP)
    hour(world, heavier)
    close(world)
    assert len(judged(world)) == before


def test_one_odd_value_neither_stops_the_watch_nor_moves_its_column(world: World) -> None:
    """What one stranger sends in one request is left out; the hour is judged on the others."""
    for n in range(QUIET):
        odd = iter(["n/a"] if n == 3 else [])
        hour(world, lambda row, odd=odd: row | {"body_mass_g": next(odd, row["body_mass_g"])})
    close(world)
    windows = judged(world)
    assert all(window.distances is not None for window in windows if window.rows >= 100)
    lately = served_inputs.lately(unit_of_work.read(world.ports, "birds"))
    assert lately is not None
    assert [column.name for column in lately.report.columns if column.material] == []
    assert lately.since.isoformat() == windows[0].since


def test_windows_of_another_length_or_model_are_no_past(world: World) -> None:
    for _ in range(QUIET):
        hour(world)
    close(world)
    last = judged(world)[-1]
    assert last.is_like(judged(world)[-2])
    assert not last.is_like(replace(last, release=last.release + 1))
    assert not last.is_like(
        replace(last, since=(datetime.fromisoformat(last.until) - timedelta(days=1)).isoformat())
    )
    world.publish(HOURLY.replace("served: 1h", "served: 2h"))
    hour(world)
    hour(world)
    close(world)
    verdict = world.state.served_verdict
    assert verdict is not None and Code.FEW_PAST_WINDOWS in {why.code for why in verdict.because}


def test_what_another_model_was_served_is_nothing_about_this_one(world: World) -> None:
    """As after a rollback: the old champion is back, and between its windows lie those of the other."""
    for _ in range(3):
        hour(world, heavier)
    close(world)
    unit = unit_of_work.read(world.ports, "birds")
    kept = [replace(window, release=99) for window in judged(world)]
    stored = world.ports.documents.put(served_inputs.written(kept))
    world.ports.evidence.rows.clear()
    unit.commit(replace(unit.state, served=stored))
    assert served_inputs.lately(unit_of_work.read(world.ports, "birds")) is None

"""The sweep is shared: each time a part of the loops has its turn, and none is left out, whatever dies meanwhile."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from cli import app, diagnosis, doctor
from cli.diagnosis import Finding
from shared.domain.loop import LoopState, Overview
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import DependencyUnavailable
from shared.runtime import tick
from shared.runtime.tick import FEW, SHARE, Swept
from shared.state import rows
from tests.engine.test_calls import SWEEP_OF_EACH
from tests.engine.test_faults import birds, served
from tests.engine.world import World
from tests.faults import Call, Crash, watched
from tests.simulator.beside import LONG, second
from tests.simulator.life import ACCOUNT, Life
from tests.simulator.reader import reading_in_process

EVERY_S, PROMISED_S = 120, 600
"""`sweepSchedule` of infra/main.bicep, and how long a loop waits for its turn at most."""
CALL_S = 0.01


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


class Turns:
    """When each loop's turn began, and what each sweep asked for; `dies` says at which calls the process is gone."""

    def __init__(self, life: Life, dies: Callable[[Call, str], bool] = lambda call, loop: False) -> None:
        self.life, self.dies = life, dies
        self.ports = watched(life.real, self._around)
        self.began: dict[str, list[float]] = defaultdict(list)
        self.calls: list[list[str]] = []
        self._begins_s = life.now_s
        self._loop = ""

    def _around(self, call: Call, make: Callable[[], object]) -> object:
        self.life.clock.advance(CALL_S)
        self.calls[-1].append(call.name)
        if call.name == "store.swept":
            self._loop = str(call.arguments[0])
            self.began[self._loop].append(self.life.now_s)
        if self.dies(call, self._loop):
            raise Crash(call.name)
        return make()

    def sweep(self, times: int = 1) -> None:
        for _ in range(times):
            began = self.life.now_s
            self.calls.append([])
            with suppress(Crash):
                tick.sweep(self.ports)
            self.life.clock.advance(max(0.0, EVERY_S - (self.life.now_s - began)))

    @property
    def longest_s(self) -> float:
        """The longest that a loop waited for its turn: between two, before the first, or since the last."""
        end = self.life.now_s
        loops = [one.loop for one in self.life.real.store.overviews()]
        waits = [
            after - before
            for loop in loops
            for before, after in zip(
                [self._begins_s, *self.began[loop]], [*self.began[loop], end], strict=True
            )
        ]
        return max(waits)


def crowd(loops: int) -> Life:
    """So many loops that serve and rest: `birds`, and copies of it under other names."""
    life = served()
    life.rest()
    stored = life.real.store.rows
    overview = life.real.store.overview("birds")
    assert overview is not None
    for name in (f"other-{number:04d}" for number in range(loops - 1)):
        stored[name] = dict(stored["birds"])
        row = stored[name][rows.LOOP]
        state = replace(rows.decode(LoopState, row), loop=name)
        stored[name][rows.LOOP] = replace(row, doc=rows.encode(state))
        life.real.store.describe(replace(overview, loop=name, landing=f"landing/{name}/"))
    return life


def turns(loops: int, dies: Callable[[Call, str], bool] = lambda call, loop: False) -> Turns:
    return Turns(crowd(loops), dies)


def test_each_of_a_thousand_loops_has_its_turn_within_ten_minutes_by_bounded_calls() -> None:
    """docs/benchmarks.md has these figures."""
    shared = turns(1000)
    shared.sweep(12)
    most = max(map(len, shared.calls))
    print(f"\na thousand loops: a turn each {shared.longest_s:.0f} s at most, {most} calls a sweep at most")
    assert shared.longest_s <= PROMISED_S
    assert most == 1 + 1000 / SHARE * SWEEP_OF_EACH + FEW
    assert all(calls.count("store.overviews") == 1 for calls in shared.calls)


def test_few_loops_have_their_turn_each_time() -> None:
    shared = turns(FEW)
    shared.sweep(3)
    assert {len(began) for began in shared.began.values()} == {3}
    assert len(shared.began) == FEW


@pytest.mark.parametrize("point", [5, 100, 150, 299])
def test_a_sweep_that_dies_in_its_middle_is_gone_on_with(point: int) -> None:
    shared = turns(100)
    shared.dies = lambda call, loop: len(shared.calls) == 1 and len(shared.calls[0]) == point
    shared.sweep()
    reached = list(shared.began)
    assert 0 < len(reached) < 25 or point == 299
    shared.sweep(4)
    after = [loop for loop in shared.began if loop not in reached]
    assert len(after) == 100 - len(reached), "who was not reached came first"
    assert shared.longest_s <= PROMISED_S


def test_a_loop_that_takes_the_process_with_it_each_time_keeps_no_other_from_its_turn() -> None:
    shared = turns(100, lambda call, loop: call.name == "blobs.list" and loop == "other-0030")
    shared.sweep(30)
    assert len(shared.began["other-0030"]) > 3
    assert shared.longest_s <= PROMISED_S


def test_loops_for_which_a_sweep_has_no_time_are_first_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    world, swept = World(), list[str]()
    for number in range(10):
        world.ports.store.describe(Overview(loop=f"loop-{number}", landing=f"landing/{number}/"))

    def slowly(this: Swept) -> int:
        swept.append(this.overview.loop)
        world.clock.advance(60)
        return 0

    monkeypatch.setattr(tick, "_landed", slowly)
    for _ in range(5):
        tick.sweep(world.ports)
    assert swept == [f"loop-{number}" for number in range(10)]


def test_a_turn_that_a_wrong_clock_wrote_down_as_to_come_counts_as_none() -> None:
    shared = turns(60)
    shared.sweep(3)
    ahead = shared.life.clock.now() + timedelta(days=9)
    for name in ("other-0007", "other-0008"):
        shared.life.real.store.swept(name, ahead)
    before = {name: len(began) for name, began in shared.began.items()}
    shared.sweep()
    assert [len(shared.began[name]) - before[name] for name in ("other-0007", "other-0008")] == [1, 1]


def test_a_turn_that_cannot_be_written_down_is_taken_all_the_same() -> None:
    life = served()
    life.rest()
    life.real.blobs.upload("landing", "birds/2.csv", birds(2, 1.0))
    life.clock.advance(tick.STILL.total_seconds())

    def around(call: Call, make: Callable[[], object]) -> object:
        if call.name == "store.swept":
            raise DependencyUnavailable("the table is busy")
        return make()

    assert tick.sweep(watched(life.real, around)) == 1
    unswept = life.state.unswept
    assert unswept is not None and unswept.code is Code.UNAVAILABLE


def test_what_waits_keeps_its_place_when_it_is_woken() -> None:
    life = served()
    life.rest()
    early = life.clock.now() - timedelta(minutes=1)
    life.real.store.wake("birds", early)
    tick.sweep(life.real)
    assert [one.due_at for one in life.real.store.overviews()] == [early]


def troubles(found: Iterable[Finding]) -> list[str]:
    return [one.what for one in found if one.state != diagnosis.OK]


def overview(life: Life) -> Overview:
    found = life.real.store.overview("birds")
    assert found is not None
    return found


def test_doctor_says_when_the_sweep_looks_after_a_loop_no_more() -> None:
    life = served()
    life.rest()
    tick.sweep(life.real)
    life.rest()
    life.clock.advance(1700)
    assert troubles(doctor._loop(life.real, overview(life))) == []
    life.clock.advance(200)
    (told,) = troubles(doctor._loop(life.real, overview(life)))
    assert told == "the sweep has not looked after it for 32 min: lost events are not made good"


def lands(life: Life, number: int, *, told: bool = False) -> list[str]:
    """Upload a drop, which its event tells of or the sweep finds; what doctor says of events."""
    name = f"birds/{number}.csv"
    blob = life.real.blobs.upload("landing", name, birds(number, 1.0))
    if told:
        data = {"url": f"{ACCOUNT}/landing/{name}", "eTag": blob.etag, "sequencer": f"00{number}"}
        life.send(json.dumps({"eventType": "Microsoft.Storage.BlobCreated", "data": data}))
    else:
        assert tick.sweep(life.real) == 0, "its event may be on its way, and more bytes"
        life.clock.advance(tick.STILL.total_seconds())
        assert tick.sweep(life.real) == 1
    life.rest()
    return troubles(doctor._events(life.real, overview(life)))


def test_a_drop_that_the_sweep_finds_had_no_event(caplog: pytest.LogCaptureFixture) -> None:
    life = Life()
    assert lands(life, 1, told=True) == []
    assert lands(life, 2) == ["no event reported the drop landing/birds/2.csv; the sweep found it"]
    (warned,) = [record for record in caplog.records if "no event reported" in record.getMessage()]
    assert (warned.levelname, vars(warned)["blob"]) == ("WARNING", "landing/birds/2.csv")
    assert lands(life, 3, told=True) == []


def test_a_loop_whose_overview_was_deleted_is_found_told_and_described_anew(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its canary goes on being judged, and what people asked for meanwhile is carried out."""
    life = second(Phase.CANARY, LONG)
    before = overview(life)
    life.real.store._lines.clear()
    life.real.store.rows["apples"] = {}
    life.act("abort", 2)
    life.round()
    monkeypatch.setattr("cli.session.ports", lambda: life.real)
    said = CliRunner().invoke(app, ["status"]).output
    assert "birds: it has rows and no overview" in said and "no loops yet" not in said
    (found,) = [one for one in doctor._table(life.real, []) if one.state == doctor.BROKEN]
    assert (found.check, "no overview" in found.what) == ("loop birds", True)
    life.round(sweep=True)
    life.round()
    assert (overview(life).landing, overview(life).serving) == (before.landing, before.serving)
    assert "a loop has rows and no overview" in caplog.text
    life.round(sweep=True)
    life.rest()
    assert life.release(2).phase is Phase.ABORTED


def test_loops_without_an_overview_among_many_are_found_before_long_by_bounded_calls() -> None:
    shared = turns(4 * FEW)
    lost = [f"other-{number:04d}" for number in (0, 7, 8, 98)]
    for name in lost:
        del shared.life.real.store._lines[name]
    shared.sweep(40)
    assert set(lost) <= {one.loop for one in shared.life.real.store.overviews()}
    assert max(calls.count("store.loop_after") for calls in shared.calls) <= FEW + len(lost)

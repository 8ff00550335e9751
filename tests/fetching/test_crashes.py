"""Whatever dies in the middle of a fetch: one version, nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.audit import answer
from shared.runtime import tick
from shared.state import queries
from tests.engine.world import World, csv, season
from tests.faults import Call, Crash, break_with, watched
from tests.fetching.test_fetching import WITH_SOURCE

AROUND_A_FETCH = 9
"""Calls of the ports from the download to the entry in the ledger."""


def new_world() -> World:
    world = World()
    world.ports.sources.content, world.ports.sources.etag = csv(season(2007)), '"2007"'
    world.publish(WITH_SOURCE)
    return world


def first_call(world: World) -> int:
    """Which call of a tick is the download."""
    names: list[str] = []

    def note(call: Call, make: Callable[[], object]) -> object:
        names.append(call.name)
        return make()

    tick.tick(watched(world.ports, note))
    return names.index("sources.fetch")


@pytest.mark.parametrize("fault", ["crash before", "crash after", "unavailable"])
@pytest.mark.parametrize("at", range(AROUND_A_FETCH))
def test_a_fault_in_a_fetch_costs_nothing(fault: str, at: int) -> None:
    broken_at = first_call(new_world()) + at
    world, seen = new_world(), 0

    def breaking(call: Call, make: Callable[[], object]) -> object:
        nonlocal seen
        seen += 1
        return break_with(fault, call, make) if seen == broken_at + 1 else make()

    try:
        tick.tick(watched(world.ports, breaking))
    except Crash:
        world.clock.advance(60)  # the dead worker's claim has run out
    world.ticks(6, seconds=20)
    found = queries.loop(world.ports, "birds")
    assert [version.number for version in found.versions] == [1]
    assert world.state.next_release == 2
    assert world.ports.training.submitted == ["birds-r1-a1"]
    assert answer.audit(world.ports, "birds").problems == ()
    assert world.state.source.answered_at is not None

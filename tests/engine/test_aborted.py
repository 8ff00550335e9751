"""An aborted release has settled nothing: what it was for may start the next one."""

from __future__ import annotations

from shared.domain.reason import Code
from shared.domain.release import Phase
from tests.engine.world import World, csv, season


def drifted() -> World:
    """Release 1 is live, release 2 has begun because of drift."""
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.ticks(10, seconds=30)
    world.ports.training.new_jobs_are = "running"
    world.drop("2008.csv", csv(season(2008, body_mass_g=3.0)))
    assert world.state.open_release == 2
    return world


def test_an_aborted_release_does_not_use_up_its_reason() -> None:
    world = drifted()
    world.act("abort", 2)
    world.ticks(10, seconds=30)
    assert world.release(2).phase is Phase.ABORTED
    assert world.state.open_release is None  # nothing restarts by itself against the person who aborted
    world.alert()
    world.ticks(1)
    assert world.state.open_release == 3, world.state.denial
    assert world.release(3).versions == world.release(2).versions


def test_a_release_that_was_trained_uses_it_up() -> None:
    world = drifted()
    for job in world.ports.training.jobs.values():
        job.status = "completed"
    assert world.live() == 2
    world.ticks(10, seconds=30)
    world.alert()
    world.ticks(1)
    assert world.state.open_release is None
    assert world.state.denial is not None and world.state.denial.code is Code.NOTHING_NEW

"""A loop with a past: a first model, a quiet season, one that drifted, bad files, a canary, an alert that waits."""

from __future__ import annotations

import pytest

from tests.engine.world import World, csv, season

PAGES = (
    "",
    "/loops/birds",
    "/loops/birds/versions/1",
    "/loops/birds/versions/3",
    "/loops/birds/versions/diff",
    "/loops/birds/releases/1",
    "/loops/birds/releases/2",
    "/loops/birds/releases/2/log",
    "/loops/birds/releases/diff",
    "/loops/birds/live",
    "/loops/birds/audit",
    "/loops/birds/audit?release=2",
)


def past() -> World:
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(2, 120)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks()
    world.drop("empty.csv", b"")
    world.ticks()
    world.drop("2009.csv", csv(season(2009, body_mass_g=0.8)))
    world.ticks_with_traffic(12)
    world.alert()
    assert world.release(2).points, world.release(2).phase
    return world


@pytest.fixture(scope="package")
def world() -> World:
    """For tests that only look."""
    return past()


@pytest.fixture
def acting_world() -> World:
    """For tests that act: a world of their own, with a drop set aside."""
    made = World()
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    made.drop("no-target.csv", csv(season(2008).drop(columns="species")))
    return made

"""A drop that does not show how its dates are written is read like those before it, with a champion and without one."""

from __future__ import annotations

import pytest

from shared.runtime import unit_of_work
from tests.engine.world import World, csv, season


@pytest.mark.parametrize("live", [True, False])
def test_days_that_could_be_months_are_read_like_the_days_before_them(live: bool) -> None:
    world = World()
    world.publish()
    for year, month, last in ((2007, 1, 28), (2008, 2, 12)):
        rows = season(year)
        rows["seen"] = [f"{1 + place % last:02}/{month:02}/{year}" for place in range(len(rows))]
        world.drop(f"{year}.csv", csv(rows))
        if live:
            world.live()
    assert world.state.next_version == 3, "nothing is in quarantine"
    second = unit_of_work.read(world.ports, "birds").version(2)[0]
    assert second.columns["seen"] == "datetime"
    assert (second.tags["start"][:10], second.tags["end"][:10]) == ("2008-02-01", "2008-02-12")

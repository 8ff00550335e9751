"""A folder of partitions is one drop; what is no part of it does not count."""

from __future__ import annotations

from shared.domain.version import DataVersion
from shared.state import rows
from shared.words import say_all
from tests.engine.world import World, csv, season


def test_a_folder_of_partitions_becomes_one_version_with_their_columns() -> None:
    world = World()
    world.publish()
    for year in (2007, 2008):
        birds = season(year).drop(columns="year")
        world.land(f"all/year={year}/part-0.csv", csv(birds))
    world.land("all/_temporary/0/part-0.csv", b"half of it")
    world.land("all/year=2009/part-0.csv", b"")
    world.drop("all/_SUCCESS", b"")
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    version = rows.decode(DataVersion, row)
    assert version.rows == len(season(2007)) + len(season(2008))
    assert version.columns["year"] == "integer"
    assert "0 bytes" in say_all(version.findings)

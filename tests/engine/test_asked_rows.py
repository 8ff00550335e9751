"""What a model is asked about: the rows as they landed, whatever other rows hold."""

from __future__ import annotations

import json

from shared.domain.version import DataVersion
from shared.state import rows
from shared.verdict import predictions, sampled_rows
from tests.engine.world import World, csv, season


def rings(world: World, name: str, values: list[object], year: int) -> None:
    """A drop of the season with one more column."""
    head, *birds = csv(season(year)).decode().splitlines()
    added = [f"{row},{values[place % len(values)]}" for place, row in enumerate(birds)]
    world.drop(name, "\n".join([f"{head},rings", *added]).encode())


def asked(world: World, *numbers: int) -> list[object]:
    found = {
        row.key: rows.decode(DataVersion, row)
        for row in world.ports.store.range("birds", "version-", limit=9)
    }
    frame = sampled_rows.everything(world.ports, [found[rows.version_key(number)] for number in numbers])
    table = json.loads(predictions.payload(frame))["input_data"]
    return [row[table["columns"].index("rings")] for row in table["data"]]


def test_a_whole_number_is_asked_about_as_one_although_another_row_has_none() -> None:
    world = World()
    world.publish()
    rings(world, "1.csv", [2, 3, "", 2**60 + 1], 2007)
    values = asked(world, 1)
    assert {type(value) for value in values} == {int, type(None)}
    assert set(values) == {2, 3, None, 2**60 + 1}


def test_a_whole_number_is_asked_about_as_one_although_another_version_has_no_such_column() -> None:
    world = World()
    world.publish()
    world.drop("1.csv", csv(season(2007)))
    rings(world, "2.csv", [2, 3], 2008)
    assert {type(value) for value in asked(world, 1, 2)} == {int, type(None)}

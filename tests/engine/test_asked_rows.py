"""What a model is asked about: the rows as they landed, whatever other rows hold."""

from __future__ import annotations

import json
from io import BytesIO

import pandas as pd
import pyarrow.parquet as pq
import pytest

from shared.domain.version import DataVersion
from shared.serving import batch_calls
from shared.state import rows
from shared.verdict import predictions, sampled_rows
from tests.engine.world import World, csv, overheard, season


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


def data_of(payload: str) -> list[list[object]]:
    rows: list[list[object]] = json.loads(payload)["input_data"]["data"]
    return rows


def test_a_number_is_asked_about_to_its_last_digit() -> None:
    """pandas' `to_json` cuts floats to ten decimals, and to fifteen at the most (pandas-dev/pandas#23328)."""
    numbers = [3e-11, 1.23456789012345e-7, 0.1 + 0.2, -5e-324, 1.7976931348623157e308]
    frame = pd.DataFrame({"x": [*numbers, float("nan"), float("inf")]})
    assert data_of(predictions.payload(frame)) == [[number] for number in [*numbers, None, None]]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_a_time_is_asked_about_in_utc_without_a_zone(zone: str | None) -> None:
    """MLflow 2.16 refuses a zone where the signature says datetime, in `_enforce_schema` as in
    `infer_and_parse_json_input`; tests/local/test_endpoints_sdk.py asks a real model."""
    times = pd.to_datetime(["2024-07-19T12:00:00.123456", None]).tz_localize("UTC")
    frame = pd.DataFrame({"t": times.tz_convert(zone)})  # None: without a zone
    assert data_of(predictions.payload(frame)) == [["2024-07-19T12:00:00.123456"], [None]]


def test_golden_rows_are_asked_as_the_pipeline_wrote_them() -> None:
    rows = [[180, 2], [230, None], [230, 2**60 + 1]]
    golden = {"columns": ["flipper_length_mm", "rings"], "data": rows}
    world = World()
    asked = overheard(world)
    world.publish()
    answers = ["Adelie", "Gentoo", "Gentoo"]
    world.ports.training.golden = json.dumps({"input_data": golden, "answers": answers}).encode()
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    [said] = [data_of(payload) for payload in asked if "rings" in payload]
    assert said == rows and all(isinstance(value, int | None) for row in said for value in row)


def test_a_batch_endpoint_is_asked_about_whole_numbers_as_an_online_one_is() -> None:
    payload = predictions.payload(predictions.untyped([[2], [None], [2**60 + 1]], ["rings"]))
    assert pq.read_table(BytesIO(batch_calls._table(payload)))["rings"].to_pylist() == [2, None, 2**60 + 1]

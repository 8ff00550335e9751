"""An embedding in one column of lists is read, judged as one vector, asked for, and compared with what is served."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import drift
from shared import loopfile
from shared.ports import Answer
from shared.runtime import unit_of_work
from shared.verdict import comparison, served_rows
from shared.words import say_all
from tests.engine.world import World

LOOP = """
loop: birds
data: {landing: landing/birds/, target: species, id: row_id, holdout: {fraction: 0.3}}
train: {pipeline: train.yml}
serve: {endpoint: birds}
drift: {vectors: {picture: ["picture_*"]}, material: {numeric: 0.3}}
metric: {name: f1_macro}
gate: {margin: 0.1, on_inconclusive: promote}
canary: {steps: [50], step: {minutes: 1, min_requests: 50}, bake_minutes: 1}
"""
NUMBERS = 8


def pictures(seed: int, moved: float = 0.0, rows: int = 700) -> bytes:
    """Which bird it is shows in the first number."""
    rng = np.random.default_rng(seed)
    values = rng.normal(moved, 1, (rows, NUMBERS))
    table = pa.table(
        {
            "row_id": [f"{seed}-{n}" for n in range(rows)],
            "picture": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), NUMBERS),
            "species": np.where(values[:, 0] > 0, "Gentoo", "Adelie"),
        }
    )
    file = BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def test_an_embedding_in_one_column_is_judged_as_one_vector() -> None:
    world = World()
    asked: set[str] = set()

    def answer(endpoint: str, deployment: str, payload: str) -> Answer:
        table = json.loads(payload)["input_data"]
        asked.update(table["columns"])
        at = table["columns"].index("picture_0")
        return Answer(200, json.dumps(["Gentoo" if row[at] > 0 else "Adelie" for row in table["data"]]), 5.0)

    world.ports.serving.answer = answer
    world.publish(LOOP)
    world.drop("1.parquet", pictures(1))
    assert world.live() == 1
    assert asked == {f"picture_{n}" for n in range(NUMBERS)}
    world.drop("2.parquet", pictures(2))
    world.drop("3.parquet", pictures(3, moved=0.8))
    loop = unit_of_work.read(world.ports, "birds")
    said = [say_all(loop.version(number)[0].verdict) for number in (2, 3)]
    assert said[0].startswith("no drift") and "picture" not in said[0]
    assert said[1].startswith("picture moved by") and "picture_" not in said[1], said[1]


def test_a_request_may_send_the_list_as_well() -> None:
    definition = loopfile.parse(LOOP, file="loop.yaml")
    rng = np.random.default_rng(0)
    wide = {f"picture_{n}": rng.normal(size=400) for n in range(NUMBERS)}
    reference = drift.profile(pa.table({**wide, "species": ["a", "b"] * 200}), target="species")
    rows = [{"picture": rng.normal(0.9, 1, NUMBERS).tolist(), "row_id": n} for n in range(400)]
    given = served_rows.given([*rows, {"picture": [1.0]}], reference.to_bytes(), definition)
    assert (given.rows, given.incomplete) == (400, 1), "a list that is too short lacks a number"
    assert given.profile is not None
    report = comparison.between(given.reference, given.profile, definition)
    assert report["picture"].material

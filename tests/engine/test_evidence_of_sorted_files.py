"""P18, F31: metric and gate are judged on rows drawn at random, whatever the file was sorted by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.memory import FakeClock, memory_ports
from shared.stats.metrics import METRICS
from shared.verdict import sampled_rows
from tests.engine.world import LOOP, World

ROWS = 9000
SORTED_BY = ["species", "flipper_length_mm", "body_mass_g", "shuffled"]


def birds(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """Two kinds, by length; the model of the tests is wrong about the light ones among them."""
    rng = np.random.default_rng(seed)
    flipper = np.where(rng.random(rows) < 0.3, rng.normal(217, 5, rows), rng.normal(190, 5, rows)).round(1)
    return pd.DataFrame(
        {
            "row_id": np.arange(rows) + seed * rows,
            "flipper_length_mm": flipper,
            "body_mass_g": rng.normal(4200, 600, rows).round(),
            "species": np.where(flipper > 206, "Gentoo", "Adelie"),
            "year": 2007,
        }
    )


def wrong_about_light_ones(row: dict[str, object]) -> str:
    right = "Gentoo" if float(str(row["flipper_length_mm"])) > 206 else "Adelie"
    other = "Adelie" if right == "Gentoo" else "Gentoo"
    return other if float(str(row["body_mass_g"])) < 3700 else right


def csv(frame: pd.DataFrame, by: str) -> bytes:
    ordered = frame.sample(frac=1, random_state=1) if by == "shuffled" else frame.sort_values(by)
    return ordered.to_csv(index=False).encode()


def dropped(by: str, seed: int = 5) -> tuple[World, pd.DataFrame]:
    """A world with a champion that gets a version whose file is sorted; and the rows of that version."""
    world = World(memory_ports(FakeClock()))
    world.publish(LOOP.replace("at_least: 0.85}", "at_least: 0.85, sample: 400}"))
    world.drop("first.csv", csv(birds(1, 600), "shuffled"))
    world.live()
    world.default_model = wrong_about_light_ones
    rows = birds(seed)
    world.drop("second.csv", csv(rows, by))
    return world, rows


def metric_of(world: World) -> dict[str, float]:
    import json

    from shared.runtime import unit_of_work

    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    verdict = json.loads(world.ports.documents.get(version.metric))["verdict"]
    return {name: verdict[name] for name in ("value", "low", "high")}


@pytest.mark.parametrize("by", SORTED_BY)
def test_the_metrics_interval_covers_the_truth_however_the_file_is_sorted(by: str) -> None:
    world, rows = dropped(by)
    said = pd.Series([wrong_about_light_ones(dict(row)) for _, row in rows.iterrows()])
    truth = METRICS["f1_macro"].function(rows["species"].tolist(), said.tolist())
    metric = metric_of(world)
    assert metric["low"] <= truth <= metric["high"]
    assert metric["high"] - metric["low"] < 0.15


def test_a_file_sorted_by_class_is_judged_on_all_classes() -> None:
    world, _ = dropped("species")
    version = world_version(world, 2)
    frame = sampled_rows.everything(world.ports, [version], 400)
    assert len(frame) == 400
    assert 0.2 < (frame["species"] == "Gentoo").mean() < 0.4
    assert set(sampled_rows.holdout(world.ports, [version])[0]["species"]) == {"Adelie", "Gentoo"}


def world_version(world: World, number: int):  # type: ignore[no-untyped-def]  # a data version
    from shared.runtime import unit_of_work

    return unit_of_work.read(world.ports, "birds").version(number)[0]


def test_a_thousand_sorted_drops_are_covered_as_shuffled_ones() -> None:
    """How often the 90 % interval of a mean covers it: the reader's samples alone, without the engine."""
    import pyarrow as pa

    from shared.reader.evidence_sample import RowSample, chances

    rng, schema, covered = (
        np.random.default_rng(3),
        pa.schema([("y", pa.float64())]),
        {"sorted": 0, "shuffled": 0},
    )
    for drop in range(1000):
        values = (rng.random(3000) < 0.3).astype(float)
        for order, column in (("sorted", np.sort(values)), ("shuffled", values)):
            sample = RowSample(schema, 200)
            first = drop * 10_000  # another drop, other numbers: what the place in a drop gives is fixed
            sample.add(
                pa.record_batch([pa.array(column)], schema=schema),
                chances(np.arange(first, first + len(column))),
            )
            seen = sample.table().column("y").to_numpy()
            half = 1.645 * seen.std(ddof=1) / len(seen) ** 0.5
            covered[order] += abs(seen.mean() - values.mean()) <= half
    assert covered["sorted"] >= 870
    assert abs(covered["sorted"] - covered["shuffled"]) < 40


def test_versions_are_never_read_as_a_whole() -> None:
    """Gate and metric read its samples, and nothing else of it (`test_huge_versions.py`: of 20 GB)."""
    world, _ = dropped("shuffled")
    version = world_version(world, 2)
    asked: list[str] = []
    read = world.ports.versions.read
    huge = {path for path in world.ports.versions.list(f"{version.path}/") if "/sample/" not in path}
    assert huge

    def watched(path: str) -> bytes:
        asked.append(path)
        assert path not in huge, f"{path} is 20 GB and was read"
        return read(path)

    world.ports.versions.read = watched  # type: ignore[method-assign]
    assert len(sampled_rows.everything(world.ports, [version])) == 2000
    assert len(sampled_rows.holdout(world.ports, [version])[0]) > 1000
    assert asked

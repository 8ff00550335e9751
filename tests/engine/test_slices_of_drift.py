"""Drops and windows of served inputs are judged slice by slice as well: what the whole hides, a slice shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import pandas as pd

import drift
from drift import segments
from shared import loopfile
from shared.domain.reason import Code, Reason
from shared.domain.release import TriggerKind
from shared.domain.version import DataVersion
from shared.runtime import unit_of_work
from shared.state import queries
from shared.verdict import comparison
from shared.words import say
from tests.engine.test_served import HOURLY, QUIET, close, judged, told
from tests.engine.world import LOOP, World, csv, lived

BY_ISLAND = "gate: {slices: {by: [island, sex], floor: 0.1}, "


def sliced(loop: str) -> str:
    return loop.replace("gate: {", BY_ISLAND)


def birds(n: int, seed: int) -> pd.DataFrame:
    """Birds of three islands, of which few are of Torgersen."""
    rng = np.random.default_rng(seed)
    gentoo = rng.random(n) < 0.5
    return pd.DataFrame(
        {
            "row_id": [f"{seed}-{place}" for place in range(n)],
            "island": rng.choice(["Biscoe", "Dream", "Torgersen"], n, p=[0.67, 0.3, 0.03]),
            "sex": rng.choice(["female", "male"], n),
            "flipper_length_mm": np.where(gentoo, 217, 190) + rng.normal(scale=4, size=n).round(1),
            "body_mass_g": 4200 + rng.normal(scale=800, size=n).round(0),
            "species": np.where(gentoo, "Gentoo", "Adelie"),
        }
    )


def on_dream(some: pd.DataFrame, by_g: float = 640.0) -> pd.DataFrame:
    """Birds of Dream alone are heavier, by 0.8 of their standard deviation; of all that is under a quarter."""
    return some.assign(body_mass_g=some["body_mass_g"] + by_g * (some["island"] == "Dream"))


@lived
def live(loop: str) -> World:
    made = World()
    made.publish(loop)
    made.drop("first.csv", csv(birds(2_000, 1)))
    made.live()
    made.ticks(10)
    return made


def newest(world: World) -> DataVersion:
    return queries.versions(unit_of_work.read(world.ports, "birds")).values[0]


def codes(verdict: Iterable[Reason]) -> set[Code]:
    return {code for why in verdict for code in why.codes()}


def test_a_drop_of_which_one_slice_moved_is_material_and_names_slice_and_column() -> None:
    world = live(sliced(LOOP))
    world.drop("moved.csv", csv(on_dream(birds(800, 2))))
    version = newest(world)
    said = "; ".join(map(say, version.verdict))
    assert "island=Dream: body_mass_g moved up by" in said, said
    assert "1 of 4 slices by island, sex moved, 1 with fewer than 30 rows on a side not judged" in said
    stored = json.loads(world.ports.documents.get(version.drift))
    assert not any(column["material"] for column in stored["columns"])
    assert stored["segments"]["island=Dream"]["material"] and stored["small"] == ["island=Torgersen"]
    assert [t.kind for t in world.release(2).triggers] == [TriggerKind.DRIFT]


def test_a_drop_like_the_training_data_says_that_no_slice_moved_and_starts_nothing() -> None:
    world = live(sliced(LOOP))
    world.drop("quiet.csv", csv(birds(800, 3)))
    assert "no slice by island, sex moved" in "; ".join(map(say, newest(world).verdict))
    assert world.state.next_release == 2 and newest(world).drift_material is False


def test_slices_that_are_named_after_the_model_was_trained_are_judged_from_the_next_release_on() -> None:
    world = live(LOOP)
    world.publish(sliced(LOOP))
    world.drop("moved.csv", csv(on_dream(birds(800, 2))))
    assert Code.SLICES_UNKNOWN in codes(newest(world).verdict)
    world.act("retrain")
    assert world.live() == 2
    world.drop("again.csv", csv(on_dream(birds(800, 4), by_g=1_300.0)))
    assert Code.SLICES_JUDGED in codes(newest(world).verdict)


def test_slices_that_are_no_longer_named_are_not_judged() -> None:
    world = live(sliced(LOOP))
    world.publish(LOOP)
    world.drop("moved.csv", csv(on_dream(birds(800, 2))))
    assert not {Code.SLICES_UNKNOWN, Code.SLICES_JUDGED} & codes(newest(world).verdict)
    assert newest(world).drift_material is False


@lived
def watched(loop: str) -> World:
    """As many quiet windows as ranks need."""
    made = live(loop)
    for number in range(QUIET):
        serve(made, birds(400, 100 + number))
    return made


def serve(world: World, some: pd.DataFrame, deployment: str = "r1-a1") -> None:
    """An hour of requests."""
    rows = world.ports.evidence.rows.setdefault(("birds", deployment), [])
    start = world.clock.now()
    given = some.drop(columns=["species", "row_id"])
    for index, row in enumerate(json.loads(given.to_json(orient="records"))):
        at = start + timedelta(seconds=3600 * index / len(some))
        rows.append({"id": f"{at.timestamp()}", "time": at.isoformat(), "inputs": row, "output": "Adelie"})
    world.clock.advance(3600)
    world.ticks(1)


def test_served_inputs_of_which_one_slice_moved_alarm_and_name_it() -> None:
    world = watched(sliced(HOURLY))
    quiet = world.state.served_verdict
    assert "no slice by island, sex moved" in say(quiet)
    serve(world, on_dream(birds(400, 200)))
    serve(
        world, on_dream(birds(400, 201), by_g=700.0)
    )  # else it is the second most unusual, which is no alarm
    close(world)
    verdict = told(world)[-1]["verdict"]
    assert "most in island=Dream: body_mass_g" in verdict, verdict
    assert (
        "island=Dream: body_mass_g moved up by" in verdict and "1 of 4 slices by island, sex moved" in verdict
    )
    newest = judged(world)[-1]
    stored = json.loads(world.ports.documents.get(newest.report))
    assert newest.material and not any(column["material"] for column in stored["columns"])
    assert [t.kind for t in world.state.waiting] == [TriggerKind.SERVED]


def test_without_slices_the_same_inputs_are_usual() -> None:
    world = watched(HOURLY)
    serve(world, on_dream(birds(400, 200)))
    serve(world, on_dream(birds(400, 201), by_g=700.0))
    close(world)
    assert not judged(world)[-1].material and world.state.waiting == ()


def test_inputs_that_do_not_name_the_slices_column_say_so() -> None:
    world = live(
        sliced(HOURLY).replace("ignore: [year]", "ignore: [year, sex]").replace("island, sex", "sex, island")
    )
    assert world.state.champion is not None
    serve(world, birds(400, 100).drop(columns=["sex"]))
    close(world)
    assert "slice by island moved" in say(world.state.served_verdict), "what is ignored makes no slices"


def test_what_strangers_send_as_a_slice_makes_no_more_profiles_than_there_may_be() -> None:
    world = live(sliced(HOURLY))
    some = birds(2_000, 100)
    serve(world, some.assign(island=[f"Ünfug {place} " * 50 for place in range(len(some))]))
    close(world)
    window = judged(world)[-1]
    kept = drift.Profile.from_bytes(world.ports.documents.get(window.profile))
    assert len(kept.segments) <= segments.MOST + 2 and all(len(name) < 80 for name in kept.segments)
    assert "sex=male" in json.loads(world.ports.documents.get(window.report))["segments"]


def test_the_stored_report_keeps_what_moved_whole_and_is_read_again() -> None:
    definition = loopfile.parse(sliced(LOOP), file="loop.yaml")
    kept = drift.profile(birds(2_000, 1).drop(columns=["row_id"]), by=definition.slices)
    now = drift.profile(on_dream(birds(800, 2)).drop(columns=["row_id"]), grid=kept)
    report = comparison.between(kept, now, definition)
    back = drift.Report.from_dict(json.loads(comparison.kept(report)))
    assert (
        comparison.material(back).keys()
        == comparison.material(report).keys()
        == {"island=Dream: body_mass_g"}
    )
    assert back.segments["island=Dream"]["body_mass_g"].tests and back.columns == report.columns
    assert len(comparison.kept(report)) < 0.7 * len(json.dumps(report.to_dict()))

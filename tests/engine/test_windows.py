"""What a release trains on is named, not copied: by how many calls, and what is left of a crash between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from shared.domain.reason import Code
from shared.domain.release import Phase, Release
from shared.domain.window import WindowKind
from shared.errors import InvariantBroken
from shared.ports import Row
from shared.release import effects
from shared.release import observations as obs
from shared.runtime import unit_of_work
from shared.state import rows
from tests.engine.test_calls import calls
from tests.engine.test_faults import LOOP, birds, served
from tests.faults import FAULTS
from tests.simulator.life import Life
from tests.simulator.reader import reading_in_process

MANY = 200
GB = 2**30
PART_OF_MANY = 50 * GB // MANY
ALL = LOOP.replace("window: newest", "window: all")
TWO = LOOP.replace("window: newest", "window: {last: 2}")
BESIDES = 12
"""Calls of an assembled window that are not for one of its versions."""


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


class Part(bytes):
    """A blob that counts as large as it says, and whose bytes nobody may touch."""

    size = PART_OF_MANY


def on_many(life: Life) -> tuple[unit_of_work.Unit, Release]:
    """A release on all versions of the loop, as if it had some of 50 GB together, each in a folder of its own."""
    stored, files = life.real.store.rows["birds"], life.real.versions.files
    first = unit_of_work.read(life.ports, "birds").version(1)[0]
    for n in range(1, MANY + 1):
        version = replace(first, number=n, path=f"birds/{n}", content_hash=f"{n:064d}", train_rows=2_500_000)
        stored[rows.version_key(n)] = Row(rows.version_key(n), rows.encode(version), f"v{n}")
        files[f"birds/{n}/train/part-00000.parquet"] = Part(b"rows")
    unit, versions = unit_of_work.read(life.ports, "birds"), tuple(range(1, MANY + 1))
    return unit, replace(life.release(1), number=2, phase=Phase.PREPARING, versions=versions)


def test_a_table_over_fifty_gigabytes_copies_no_byte_by_calls_that_do_not_grow_with_the_bytes() -> None:
    """Issue 17, proof 4."""
    life = served(plan=ALL, window=WindowKind.ROWS)
    unit, begun = on_many(life)
    before, seen = set(life.real.versions.files), []

    found = calls(
        life,
        lambda: seen.append(
            effects.perform(unit, begun, unit.published(begun.definition), obs.AssembleWindow())
        ),
    )

    assert isinstance(seen[0], obs.WindowSeen)
    (written,) = set(life.real.versions.files) - before
    named = [path["file"] for path in yaml.safe_load(life.real.versions.files[written])["paths"]]
    parts = [f"birds/{n}/train/part-00000.parquet" for n in range(1, MANY + 1)]
    assert named == [f"azureml://versions/{part}" for part in parts]
    held = [life.real.versions.files[part] for part in parts]
    assert sum(part.size for part in held if isinstance(part, Part)) == 50 * GB
    print(f"\na window of {MANY} versions: {sum(found.values())} calls, {dict(found)}")
    assert found["versions.assemble"] == found["versions.read"] == found["versions.write"] == 0, found
    assert found["versions.list"] == MANY, "are they all there still?"
    assert sum(found.values()) <= 2 * MANY + BESIDES, found


def test_a_folder_of_one_version_is_the_versions_own() -> None:
    life = served()
    before = Counter(life.calls)
    life.drop("2.csv", birds(2, 1.3))
    life.rest()

    release = life.release(2)
    name, _, version = release.window.removeprefix("azureml:").partition(":")
    asset = life.real.versions.assets[name, version]
    assert release.phase is Phase.LIVE
    own = unit_of_work.read(life.real, "birds").version(2)[0].path
    assert (asset.folder, asset.tags) == (f"{own}/train", {"versions": "2"})
    assert not (Counter(life.calls) - before)["versions.assemble"]
    assert not [path for path in life.real.versions.files if "/windows/" in path]


def test_a_folder_of_several_versions_is_made_of_copies_within_the_account() -> None:
    life = served(plan=TWO)
    life.drop("2.csv", birds(2, 1.3))
    life.rest()

    name, _, version = life.release(2).window.removeprefix("azureml:").partition(":")
    folder = life.real.versions.assets[name, version].folder
    assert [path.rpartition("/")[2][:6] for path in life.real.versions.list(f"{folder}/")] == [
        "v00001",
        "v00002",
    ]


@pytest.mark.parametrize("kind", [WindowKind.ROWS, WindowKind.FILES])
def test_training_and_checks_get_the_table(kind: WindowKind) -> None:
    life = served(plan=TWO.replace("gate: {", "gate: {checks: [qa.yml], "), window=kind)
    life.drop("2.csv", birds(2, 1.3))
    life.rest()

    release = life.release(2)
    assert release.phase is Phase.LIVE
    assert release.window.startswith(f"azureml:birds-window-{kind}:")
    for job in ("birds-r2-a1", "birds-r2-a1-c0"):
        spec = life.real.training.jobs[job].spec
        assert (spec.training_data, spec.window) == (release.window, kind)


def test_a_way_back_gives_its_checks_the_kind_that_they_ask_for_now() -> None:
    plan = TWO.replace("gate: {", "gate: {checks: [qa.yml], ")
    life = served(plan=plan, failing="none")
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    life.window = WindowKind.ROWS
    life.publish(plan)

    life.act("rollback", to=1, gate=True, id="back")
    life.rest()

    check = next(
        job.spec
        for name, job in life.real.training.jobs.items()
        if name.startswith("birds-r3") and "-c" in name
    )
    assert life.release(3).phase is Phase.LIVE
    assert life.release(3).window == life.release(1).window
    assert check.training_data.startswith("azureml:birds-window-rows:")


def test_a_table_whose_part_is_gone_is_not_made() -> None:
    life = served(plan=ALL, window=WindowKind.FILES)
    unit, begun = on_many(life)
    del life.real.versions.files["birds/7/train/part-00000.parquet"]
    with pytest.raises(InvariantBroken) as raised:
        effects.perform(unit, begun, unit.published(begun.definition), obs.AssembleWindow())
    assert raised.value.code is Code.VERSION_FILE_LOST


@pytest.mark.parametrize("kind", [*WindowKind])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_between_the_window_and_its_asset_it_is_made_once(
    kind: WindowKind, fault: str
) -> None:
    calm = told(kind)
    made = "versions.assemble" if kind is WindowKind.FOLDER else "versions.tabulate"
    for call in (made, "versions.register"):
        last = max(index for index, name in enumerate(calm.calls) if name == call)
        life = told(kind, {last: fault})
        assert life.release(2).phase is Phase.LIVE
        assert life.real.versions.files == calm.real.versions.files
        assert life.real.versions.assets == calm.real.versions.assets


def told(kind: WindowKind, faults: dict[int, str] | None = None) -> Life:
    life = served(plan=TWO, window=kind, failing="none", faults=faults or {})
    life.drop("2.csv", birds(2, 1.3))
    life.rest(limit=200)
    return life

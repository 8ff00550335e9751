"""`drift.reference: {version: n}` keeps one version as what every drop is compared with."""

from __future__ import annotations

import pytest

from shared import loopfile
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.runtime import unit_of_work
from tests.engine.world import LOOP, World, csv, season

FIXED = LOOP.replace("holdout:", "window: newest, holdout:")


def second_release(world: World, reference: str) -> World:
    """The first season trains the first model, a knocked scale the second; then a season like the first lands."""
    world.publish(FIXED.replace("drift: {", f"drift: {{reference: {reference}, "))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    for _ in range(60):
        world.ticks_with_traffic(1)
        if world.state.open_release is None and world.state.next_release > 2:
            break
    assert world.state.champion is not None and world.state.champion.release == 2
    world.ticks(10)
    world.drop("2008.csv", csv(season(2008)))
    return world


def seen(world: World, number: int) -> DataVersion:
    return unit_of_work.read(world.ports, "birds").version(number)[0]


def test_a_drop_like_the_fixed_version_has_not_drifted_whatever_was_trained_since(world: World) -> None:
    """The champion's own data are those of the knocked scale, from which it is far."""
    version = seen(second_release(world, "{version: 1}"), 3)
    assert version.drift_material is False
    assert Code.REFERENCE_NOT_THERE not in {why.code for why in version.verdict}


def test_a_version_that_is_not_there_yet_is_told_and_the_champion_s_data_take_its_place(world: World) -> None:
    world.publish(FIXED.replace("drift: {", "drift: {reference: {version: 9}, "))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    version = seen(world, 2)
    assert version.drift_material
    assert version.verdict[0].code is Code.REFERENCE_NOT_THERE


@pytest.mark.parametrize(
    "wrong", ["{version: 0}", "{version: first}", "{last: 61}", "{file: x.csv}", "version"]
)
def test_what_is_no_reference_is_refused(wrong: str) -> None:
    with pytest.raises(loopfile.LoopFileError, match=r"drift\.reference"):
        loopfile.parse(LOOP.replace("drift: {", f"drift: {{reference: {wrong}, "), file="loop.yaml")

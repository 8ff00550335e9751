"""A gate that did not decide waits for a person, and not for ever: newer labelled rows take its place."""

from __future__ import annotations

import pytest

from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.inbox import messages
from tests.engine.world import LOOP, World, csv, season

HOLDS = LOOP.replace("margin: 0.1, on_inconclusive: reject", "margin: 0.001, on_inconclusive: hold")


def held() -> World:
    """Release 1 is live; the rows do not decide whether release 2, which drift asked for, is as good."""
    world = World()
    world.publish(HOLDS)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    assert world.release(1).phase is Phase.LIVE
    world.ticks(10, seconds=30)
    world.drop("2008.csv", csv(season(2008, body_mass_g=3.0)))
    world.ticks(6)
    assert world.release(2).phase is Phase.HOLDING
    return world


def test_newer_labelled_rows_with_a_reason_take_the_place_of_what_nobody_decided() -> None:
    world = held()
    world.drop("2009.csv", csv(season(2009, body_mass_g=3.0)))
    world.ticks(20, seconds=30)
    ended, following = world.release(2), world.release(3)
    assert (ended.phase, ended.reason and ended.reason.code) == (Phase.REJECTED, Code.GATE_OVERTAKEN)
    assert ended.deployment not in world.ports.serving.endpoints["birds"].deployments
    assert 3 in following.versions
    assert following.phase is Phase.HOLDING, "and it waits for a person in its turn"
    world.act("approve", 3)
    assert world.live() == 3


@pytest.mark.parametrize("labelled", [True, False])
def test_without_a_reason_or_without_labels_a_person_is_waited_for(labelled: bool) -> None:
    world = held()
    rows = season(2009, body_mass_g=1.0 if labelled else 3.0)
    world.drop("2009.csv", csv(rows if labelled else rows.assign(species=None)))
    world.ticks(20, seconds=30)
    assert world.release(2).phase is Phase.HOLDING
    assert bool(world.state.waiting) is not labelled
    world.act("approve", 2)
    assert world.live() == 2


def test_a_paused_loop_gives_nothing_up() -> None:
    world = held()
    world.act("pause")
    world.drop("2009.csv", csv(season(2009, body_mass_g=3.0)))
    world.ticks(20, seconds=30)
    assert world.release(2).phase is Phase.HOLDING
    world.act("resume")
    world.ticks(20, seconds=30)
    assert world.release(2).phase is Phase.REJECTED


def test_a_release_that_a_person_asked_for_by_its_number_waits_for_a_person() -> None:
    world = held()
    world.act("approve", 2)
    assert world.live() == 2
    world.ticks(10, seconds=30)
    body = {"reason": "complaints", "to": 1, "gate": True}
    world.send(messages.act_message("rollback", "birds", body, "bob"))
    world.ticks(6)
    assert world.release(3).phase is Phase.HOLDING
    world.drop("2009.csv", csv(season(2009, body_mass_g=9.0)))
    world.alert()
    world.ticks(20, seconds=30)
    assert world.state.waiting
    assert world.release(3).phase is Phase.HOLDING

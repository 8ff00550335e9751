"""A loop trains again when its labelled data have grown by as much as it asks for, whatever the verdicts say."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from shared.domain.reason import Code
from shared.domain.release import Phase, TriggerKind
from shared.runtime import unit_of_work
from shared.words import say
from tests.engine.world import LOOP, World, csv, season

GROWS = LOOP.replace("retrain: {", "retrain: {on: [alert], new_data: 1, ")


def always_adelie(row: dict[str, object]) -> str:
    return "Adelie"


def birds(number: int) -> pd.DataFrame:
    """The same birds under other ids."""
    return season(2007).assign(row_id=lambda frame: frame["row_id"] + f"-{number}")


def landed(world: World, drops: int, *, labelled: bool = True) -> None:
    """As many quiet drops, and what follows from each."""
    for _ in range(drops):
        world.ticks(7)
        number = world.state.next_version
        rows = birds(number)
        world.drop(f"{number}.csv", csv(rows if labelled else rows.assign(species=None)))
        world.live()


def grown(drops: int) -> World:
    world = World()
    world.publish(GROWS)
    landed(world, drops)
    return world


def test_a_release_starts_whenever_the_data_have_doubled() -> None:
    world = grown(9)
    versions = [world.release(number).versions for number in range(1, world.state.next_release)]
    assert [max(one) for one in versions] == [1, 2, 4, 8], "log2 as many trainings as drops"
    (trigger,) = world.release(3).triggers
    assert trigger.kind is TriggerKind.NEW_DATA
    assert trigger.version == 4
    train = sum(unit_of_work.read(world.ports, "birds").version(number)[0].train_rows for number in (1, 2))
    assert f"the newest training, which had {train:,}" in say(trigger.reason)


def test_without_being_asked_nothing_starts() -> None:
    world = World()
    world.publish(GROWS.replace("new_data: 1, ", ""))
    landed(world, 3)
    assert world.state.next_release == 2


def test_rows_without_labels_do_not_count() -> None:
    world = grown(1)
    landed(world, 3, labelled=False)
    assert world.state.next_release == 2
    landed(world, 1)
    assert world.state.next_release == 3


def test_after_a_release_that_came_to_nothing_the_next_waits_for_more_data() -> None:
    world = World(models={"r2-a1": always_adelie})
    world.publish(GROWS)
    landed(world, 3)
    assert world.release(2).phase is Phase.REJECTED
    assert world.state.next_release == 3, "not with each drop"
    landed(world, 1)
    assert world.release(3).versions == (1, 2, 3, 4)
    assert world.release(3).phase is Phase.LIVE


def test_what_an_aborted_release_was_to_train_on_is_still_new() -> None:
    world = grown(1)
    world.ticks(7)
    world.ports.training.new_jobs_are = "running"
    world.drop("2.csv", csv(birds(2)))
    world.ticks(3)
    assert world.state.open_release == 2
    world.act("abort", 2)
    world.ports.training.new_jobs_are = "completed"
    world.ticks(7)
    world.drop("3.csv", csv(birds(3).iloc[::3]))
    assert Code.MUCH_NEW_DATA in {t.reason.code for t in world.release(3).triggers}, (
        "less than it was to have"
    )
    assert world.release(3).versions == (1, 2, 3)


def test_a_loop_that_trained_before_rows_were_counted_counts_from_its_champion() -> None:
    world = grown(1)
    before = unit_of_work.read(world.ports, "birds")
    before.commit(replace(before.state, trained_rows=0))
    landed(world, 1)
    assert world.release(2).versions == (1, 2)

"""`data.window: since_breach`: what the rows before a breach teach is not taught again."""

from __future__ import annotations

import pandas as pd

from shared.domain.release import Phase, TriggerKind
from tests.engine.world import LOOP, World, csv, season

TEXT = LOOP.replace("ignore: [year],", "ignore: [year], window: since_breach,")
QUIET = TEXT.replace("drift: {", "drift: {enabled: false, ").replace(
    "retrain: {", "retrain: {on: [metric, alert], "
)


def turned(row: dict[str, object]) -> str:
    """A model of the world after its concept has turned."""
    return "Adelie" if float(str(row["flipper_length_mm"])) > 206 else "Gentoo"


def birds(number: int, *, turn: bool = False) -> pd.DataFrame:
    """The same birds under other ids, by their names or by each other's."""
    rows = season(2007).assign(row_id=lambda frame: frame["row_id"] + f"-{number}")
    return rows.assign(species=rows.species.map({"Adelie": "Gentoo", "Gentoo": "Adelie"})) if turn else rows


def landed(world: World, *turns: bool) -> None:
    for turn in turns:
        world.ticks(7)
        number = world.state.next_version
        world.drop(f"{number}.csv", csv(birds(number, turn=turn)))
        world.live()


def asked(world: World) -> None:
    """A person asks for a release."""
    world.ticks(7)
    world.act("retrain")
    world.live()


def test_a_breach_begins_a_window_and_later_ones_go_on_from_there() -> None:
    world = World(models={"r3-a1": turned, "r4-a1": turned})
    world.publish(QUIET)
    landed(world, False, False)
    asked(world)
    assert world.release(2).versions == (1, 2), "all rows while nothing is breached"
    landed(world, True)
    ended = world.release(3)
    assert {t.kind for t in ended.triggers} == {TriggerKind.METRIC}
    assert (ended.versions, ended.phase) == ((3,), Phase.LIVE)
    landed(world, True)
    asked(world)
    assert world.release(4).versions == (3, 4), "and none of those before the breach"


def test_breached_drops_add_up_until_the_gate_lets_a_model_through() -> None:
    world = World(models={"r3-a1": turned})
    world.publish(QUIET)
    landed(world, False, True)
    assert (world.release(2).versions, world.release(2).phase) == ((2,), Phase.REJECTED), (
        "no better than the old"
    )
    landed(world, True)
    assert (world.release(3).versions, world.release(3).phase) == ((2, 3), Phase.LIVE)


def test_after_a_breach_that_led_nowhere_the_window_is_whole_again() -> None:
    world = World()
    world.publish(QUIET)
    landed(world, False, True, False)
    assert world.release(2).phase is Phase.REJECTED
    asked(world)
    assert world.release(3).versions == (1, 2, 3)


def test_a_drop_that_was_breached_against_another_model_is_not_one_of_the_row() -> None:
    """What release 2 was trained on it knows; that it fails on the next drop says that the world has turned again."""
    world = World(models={"r2-a1": turned})
    world.publish(QUIET)
    landed(world, False, True)
    assert world.state.champion is not None and world.state.champion.release == 2
    landed(world, False)
    assert world.release(3).versions == (3,)


def test_a_breach_of_the_model_before_takes_nothing_from_the_one_that_serves_now() -> None:
    """While release 2 is tried a drop breaches the old model once more; release 2 knows what that breach says."""
    world = World(models={"r2-a1": turned, "r3-a1": turned})
    world.publish(QUIET)
    landed(world, False)
    world.ticks(7)
    world.drop("2.csv", csv(birds(2, turn=True)))
    assert world.state.open_release == 2
    world.drop("3.csv", csv(birds(3, turn=True)))
    assert [(t.kind, t.version) for t in world.state.waiting] == [(TriggerKind.METRIC, 3)]
    world.live()
    assert world.state.champion is not None and world.state.champion.versions == (2,)
    world.ticks(14)
    assert world.release(3).versions == (2, 3)


def test_while_nothing_is_breached_a_file_counts_in_whatever_order_it_is_read() -> None:
    world = World()
    world.publish(QUIET)
    first = world.land("1.csv", csv(birds(1)))
    world.clock.advance(1)
    world.drop("2.csv", csv(birds(2)))
    world.live()
    world.send(first)
    asked(world)
    assert world.release(2).versions == (1, 2)

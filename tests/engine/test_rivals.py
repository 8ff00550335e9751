"""A command that writes a loop while the loop's worker does: it reads again and decides again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from shared.errors import Conflict
from shared.ports import Change
from shared.runtime import unit_of_work
from tests.engine.test_adopting import adopt
from tests.engine.test_adopting import world as served
from tests.engine.world import LOOP, World

__all__ = ["served"]


def rival(world: World, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Another writer comes before each of the next commits."""
    store: Any = world.ports.store
    commit: Callable[[str, Sequence[Change]], Mapping[str, str]] = store.commit
    left = [times]

    def late(loop: str, changes: Sequence[Change]) -> Mapping[str, str]:
        if left[0] and store.read(loop, "loop") is not None:
            left[0] -= 1
            current = unit_of_work.read(world.ports, loop)
            commit(loop, [unit_of_work.update(current.row, current.state)])
        return commit(loop, changes)

    monkeypatch.setattr(store, "commit", late)


def test_a_definition_takes_effect_though_the_worker_writes_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.publish()
    rival(world, monkeypatch, times=3)
    world.publish(LOOP.replace("bake_minutes: 1}", "bake_minutes: 60}"))
    published = unit_of_work.read(world.ports, "birds").published()
    assert published.definition.canary.bake_minutes == 60


def test_a_loop_is_adopted_though_the_worker_writes_in_between(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival(served, monkeypatch, times=2)
    adopt(served)
    assert served.state.champion is not None


def test_who_loses_every_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.publish()
    rival(world, monkeypatch, times=1000)
    with pytest.raises(Conflict):
        world.publish(LOOP.replace("bake_minutes: 1}", "bake_minutes: 60}"))

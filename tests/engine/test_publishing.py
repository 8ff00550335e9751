"""Who may publish beside whom."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from tests.engine.world import LOOP, World

OTHER = LOOP.replace("loop: birds", "loop: others")


def test_a_loop_on_another_loops_endpoint_is_refused() -> None:
    world = World()
    world.publish()

    with pytest.raises(ConfigurationError, match="endpoint birds belongs to loop birds; give others its own"):
        world.publish(OTHER.replace("landing/birds/", "landing/others/"))


@pytest.mark.parametrize("landing", ["landing/birds/", "landing/birds/young/"])
def test_a_loop_whose_drops_are_another_loops_is_refused(landing: str) -> None:
    world = World()
    world.publish()

    with pytest.raises(ConfigurationError, match=f"`data.landing` {landing} overlaps landing/birds/ of loop"):
        world.publish(OTHER.replace("landing/birds/", landing).replace("endpoint: birds", "endpoint: others"))


def test_a_loop_that_was_woken_before_it_was_published_is_in_nobodys_way() -> None:
    world = World()
    world.ports.store.wake("unknown", world.clock.now())

    world.publish()

    assert world.state.loop == "birds"

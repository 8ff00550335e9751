import pytest

from tests.engine.world import World


@pytest.fixture
def world() -> World:
    made = World()
    made.publish()
    return made

from collections.abc import Iterator

import pytest

from tests.engine.world import World
from tests.simulator.reader import comparing_once


@pytest.fixture
def world() -> World:
    made = World()
    made.publish()
    return made


@pytest.fixture(autouse=True, scope="module")
def compared_once() -> Iterator[None]:
    """Most tests compare the same seasons; what a comparison comes to is tested in tests/drift."""
    with comparing_once():
        yield

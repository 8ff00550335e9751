from collections.abc import Iterator

import pytest

from tests.simulator.reader import reading_in_process


@pytest.fixture
def reader() -> Iterator[None]:
    """The simulator's one stand-in: drops are read in this process."""
    with reading_in_process():
        yield

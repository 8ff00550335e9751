from collections.abc import Iterator

import pytest

from tests.simulator.reader import reading_in_process


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    """The one stand-in: drops are read in this process."""
    with reading_in_process():
        yield

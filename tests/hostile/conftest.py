from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from functions.telemetry import OneLine
from tests.simulator.reader import reading_in_process


@pytest.fixture(scope="module", autouse=True)
def reader() -> Iterator[None]:
    """Drops are read in this process, so that what it opens is seen."""
    with reading_in_process():
        yield


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What goes to the log, as the app writes it."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.addFilter(OneLine())
    monkeypatch.setattr(root, "level", logging.INFO)
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)

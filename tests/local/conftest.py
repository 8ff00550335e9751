"""What the tests of the local Azure share."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.azure import LocalAzure
from tests.local.hosted import App


@pytest.fixture
def app(local_azure: LocalAzure, tmp_path: Path) -> App:
    """A function app without functions, whose queue is there."""
    made = App(local_azure, tmp_path)
    made.queue().create_queue()
    return made

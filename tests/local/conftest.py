"""What the tests of the local Azure share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure import LocalAzure
from shared.ports import Ports
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.local.hosted import App


@pytest.fixture(scope="module")
def ports(local_azure: LocalAzure) -> Iterator[Ports]:
    """The app's own, with its rights."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in local_azure.environment("app").items():
            patch.setenv(key, value)
        yield azure_ports(Settings.from_environment(os.environ))


@pytest.fixture
def app(local_azure: LocalAzure, tmp_path: Path) -> App:
    """A function app without functions, whose queue is there."""
    made = App(local_azure, tmp_path)
    made.queue().create_queue()
    return made

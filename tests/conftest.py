"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure import LocalAzure


@pytest.fixture(scope="session")
def local_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure of its own for each test process; its settings are in the process's environment."""
    folder: Path = tmp_path_factory.mktemp("local-azure")
    with LocalAzure(folder) as azure:
        before = dict(os.environ)
        os.environ.update(azure.environment("app"))  # the ports are the app's: no test has more rights than it
        try:
            yield azure
        finally:
            os.environ.clear()
            os.environ.update(before)

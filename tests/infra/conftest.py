"""One compiler for all snapshots of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.compiler import Snapshots


@pytest.fixture(scope="session")
def snapshots() -> Iterator[Snapshots]:
    compiler = Snapshots()
    try:
        yield compiler
    finally:
        compiler.close()

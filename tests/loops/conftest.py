from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from rich.console import Console

from local.azure import LocalAzure
from tests.loops.driven import DrivenStage


@pytest.fixture
def stage(local_azure: LocalAzure) -> Iterator[Callable[[str], DrivenStage]]:
    """A stage for one loop; its live traffic, and being the publisher, end with the test."""
    before = dict(os.environ)
    with ExitStack() as stack:
        stack.callback(os.environ.update, before)

        def make(loop: str) -> DrivenStage:
            return stack.enter_context(DrivenStage(local_azure, Console(highlight=False), loop))

        yield make

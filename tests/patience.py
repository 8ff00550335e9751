"""How a test waits for what another process does: by looking, never by sleeping for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], within_s: float = 60) -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.05)
    return found

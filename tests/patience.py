"""How a test waits for what another process does: by looking, never by sleeping for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], within_s: float = 60) -> T:
    """The first true answer of `look`."""
    began = time.monotonic()
    while not (found := look()):
        assert time.monotonic() - began < within_s, f"did not come true within {within_s} s"
        rest(began)
    return found


def rest(began: float, most_s: float = 0.5) -> None:
    """Between two looks of a wait that began then: a tenth of it, for a look takes time from what is waited for."""
    time.sleep(min(most_s, max(0.05, (time.monotonic() - began) / 10)))

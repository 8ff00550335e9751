"""Nothing waits beyond its end: whatever waits asks first for how long it still may.

A function sets an end for all that it calls, a call of Azure one for its retries; the nearest counts. Without any, as
on a person's machine, the limits of each request are the only ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.errors import DependencyUnavailable

_ends: ContextVar[float] = ContextVar("ends", default=math.inf)


class TimeIsUp(DependencyUnavailable):
    """The end has come while something was still to be waited for; whoever comes next goes on."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All that is waited for below ends after `seconds`, or sooner where an end was set already."""
    before = _ends.set(min(_ends.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends.reset(before)


def over() -> bool:
    """Whether the end has come."""
    return time.monotonic() >= _ends.get()


def left_s(most: float) -> float:
    """How long may be waited: `most`, or less where the end is nearer. TimeIsUp when it has come."""
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise TimeIsUp("The time for this is used up; the next run goes on.")
    return min(most, left)

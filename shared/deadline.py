"""Nothing waits beyond its end: whatever waits asks first for how long it still may.

A function sets an end for all that it calls, a call of Azure one for its retries; the nearest counts. Without any, as
on a person's machine, the limits of each request are the only ones. Time in which a library is loaded is not waiting:
it moves all ends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.errors import DependencyUnavailable

_ends: ContextVar[float] = ContextVar("ends", default=math.inf)
_uncounted: ContextVar[float] = ContextVar("uncounted", default=0.0)


class TimeIsUp(DependencyUnavailable):
    """The end has come while something was still to be waited for; whoever comes next goes on."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All that is waited for below ends after `seconds`, or sooner where an end was set already."""
    before = _ends.set(min(_ends.get(), _now() + seconds))
    try:
        yield
    finally:
        _ends.reset(before)


@contextmanager
def uncounted() -> Iterator[None]:
    """What is done inside takes nothing of the time that may be waited: Azure was not asked yet."""
    began = time.monotonic()
    try:
        yield
    finally:
        _uncounted.set(_uncounted.get() + time.monotonic() - began)


def _now() -> float:
    return time.monotonic() - _uncounted.get()


def over() -> bool:
    """Whether the end has come."""
    return _now() >= _ends.get()


def left_s(most: float) -> float:
    """How long may be waited: `most`, or less where the end is nearer. TimeIsUp when it has come."""
    left = _ends.get() - _now()
    if left <= 0:
        raise TimeIsUp("The time for this is used up; the next run goes on.")
    return min(most, left)

"""Calls of Azure that do not wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context

AT_ONCE = 8
"""Of one client, which keeps ten connections open."""


def side_by_side(moves: Iterable[Callable[[], object]]) -> None:
    """Make all moves, by a few threads; the first error is raised once those that had begun have ended."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="azure") as pool:
        begun = [pool.submit(copy_context().run, move) for move in moves]  # a thread of its own knows no end
        wait(begun, return_when=FIRST_EXCEPTION)
        for one in begun:
            one.cancel()
    for one in begun:
        if not one.cancelled():
            one.result()

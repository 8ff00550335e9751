"""The outermost frame of every function: whoever asks the process to end has failed, and nothing more."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ProcessEnded(Exception):
    """Code below a function called `sys.exit`, or interrupted it."""


def ordinary(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose `SystemExit` and `KeyboardInterrupt` are failures like others.

    Microsoft's worker catches `Exception` alone: anything else hangs it, and with it every later invocation, until
    `functionTimeout` ends the process.
    """

    @functools.wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return function(*arguments, **named)
        except (SystemExit, KeyboardInterrupt) as end:
            raise ProcessEnded(f"{function.__name__}: {type(end).__name__} {end}".rstrip()) from end

    return run

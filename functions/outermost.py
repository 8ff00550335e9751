"""The outermost frame of every function: whoever asks the process to end has failed, and nothing more."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from shared import deadline

WORK_S, ANSWER_S = 480.0, 100.0
LIMITS_S = {
    "inbox": WORK_S,
    "run": WORK_S,
    "tick": WORK_S,
    "sweep": WORK_S,
    "alert": ANSWER_S,
    "split": ANSWER_S,
    "act": ANSWER_S,
    "root": ANSWER_S,
    "tower": ANSWER_S,
    "tower_act": ANSWER_S,
}
"""After so long nothing that a function calls waits any more: well before `functionTimeout` of host.json, which ends
the whole process, and before Azure's front end gives up on an answer (230 s)."""

P = ParamSpec("P")
R = TypeVar("R")


class ProcessEnded(Exception):
    """Code below a function called `sys.exit`, or interrupted it."""


def ordinary(function: Callable[P, R]) -> Callable[P, R]:
    """The same function with an end, whose `SystemExit` and `KeyboardInterrupt` are failures like others.

    Microsoft's worker catches `Exception` alone: anything else hangs it, and with it every later invocation, until
    `functionTimeout` ends the process.
    """

    @functools.wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            with deadline.within(LIMITS_S[function.__name__]):
                return function(*arguments, **named)
        except (SystemExit, KeyboardInterrupt) as end:
            raise ProcessEnded(f"{function.__name__}: {type(end).__name__} {end}".rstrip()) from end

    return run

"""Lives that differ by one fault have one past: it is told once, and forks where each of them goes its own way."""

from __future__ import annotations

import gc
import os
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulator.sweep import Case


class Forks(dict[int, str]):
    """The faults of a life, asked for at each call: those of the cases, each in a process of its own, and none in the
    life itself. It has no thread but its own, whose workers are greenlets, so that a fork is the whole of it."""

    def __init__(self, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__()
        self.answers: dict[tuple[int, str], str] = {}
        self.answer_to: int | None = None
        """In a process that has forked: where what was wrong is written to."""
        self._faults: dict[int, list[str]] = {}
        for point, fault in faults:
            self._faults.setdefault(point, []).append(fault)

    def get(self, point: int, default: str = "") -> str:  # type: ignore[override]
        if self.answer_to is not None:
            return super().get(point, default)
        for fault in self._faults.pop(point, ()):
            here, there = os.pipe()
            with tempfile.TemporaryDirectory(prefix="driftloop-branch-") as folder:
                if not (process := _fork()):
                    os.close(here)
                    gc.disable()  # to look for garbage would touch, and so copy, all that is shared
                    _leave_folders(folder)
                    self.answer_to = there
                    self[point] = fault
                    return fault
                os.close(there)
                with os.fdopen(here, encoding="utf-8") as answer:
                    told = answer.read()
                _, status = os.waitpid(process, 0)
            self.answers[point, fault] = told if status == 0 else f"{told} (its process ended with {status})"
        return default


def _fork() -> int:
    """Python 3.12 and newer warn of other threads, such as a test process has: none of them holds a lock of a life."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _leave_folders(own: str) -> None:
    """Where a drop is read belongs to the life that this one forked from, which reads on there."""
    tempfile.tempdir = own
    tempfile.TemporaryDirectory.cleanup = lambda folder: folder._finalizer.detach()  # type: ignore[attr-defined,method-assign]


def run(cases: Sequence[Case]) -> list[str]:
    """What was wrong in each of these cases, which differ by their one fault alone; empty where nothing was."""
    calls = _calls_of(replace(cases[0], faults=()))
    forks = Forks([case.faults[0] for case in cases])
    life = cases[0].life(forks)
    try:
        words = "; ".join(life.live())
    except BaseException:
        if forks.answer_to is None:
            raise
        words = traceback.format_exc()
    if forks.answer_to is not None:
        with os.fdopen(forks.answer_to, "w", encoding="utf-8") as answer:
            answer.write(words)
        os._exit(0)
    if words:
        return [f"without a fault: {words}" for _ in cases]
    if life.calls != calls:
        return [
            f"a fork was felt by what it came from: {len(life.calls)} calls, not {len(calls)}" for _ in cases
        ]
    if missed := [case.faults[0] for case in cases if case.faults[0] not in forks.answers]:
        return [f"the life has no call {missed}" for _ in cases]
    return [forks.answers[case.faults[0]] for case in cases]


@cache
def _calls_of(case: Case) -> list[str]:
    life = case.life()
    assert life.live() == []
    return life.calls

"""Workers that take turns at every call of a port, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

from greenlet import getcurrent, greenlet

from tests.faults import Crash


class Worker:
    """One process of the app, for one piece of work. It runs only when it is its turn."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self.sleeps_until = 0.0
        self.stale = False
        """Whether it has slept since it last read what is stored: what it does now, it decided long ago."""
        self._stack = greenlet(self._run)
        self._work = work

    def _run(self) -> None:
        with suppress(Crash):
            self._work()

    @property
    def done(self) -> bool:
        return self._stack.dead

    def pause(self) -> None:
        """Called by the worker itself before a call of a port: give the turn back."""
        self._stack.parent.switch()

    def turn(self) -> None:
        """Let it go on to its next call, or to its end; what it raises is raised here."""
        self._stack.parent = getcurrent()
        self._stack.switch()


class Crew:
    """The workers that are at work, and whose turn it is."""

    def __init__(self, random: Random, interleave: bool) -> None:
        self.current: Worker | None = None
        self._random, self._interleave = random, interleave
        self._workers: list[Worker] = []

    def hire(self, name: str, work: Callable[[], object]) -> None:
        self._workers.append(Worker(name, work))

    def before_call(self) -> None:
        if self.current is not None and self._interleave:
            self.current.pause()

    def work(self, now: float) -> None:
        """Until all are done, dead, or asleep beyond `now`."""
        while awake := [worker for worker in self._workers if worker.sleeps_until <= now]:
            worker = self._random.choice(awake) if self._interleave else awake[0]
            self.current = worker
            try:
                worker.turn()
            finally:
                self.current = None
                if worker.done:
                    self._workers.remove(worker)

    @property
    def asleep(self) -> bool:
        return bool(self._workers)

"""Workers that take turns at every call of a port, in an order that a seed decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

from shared.memory.faults import Crash


class Worker:
    """One process of the app, for one piece of work. It runs only when it is its turn."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self.sleeps_until = 0.0
        self.done = False
        self.error: BaseException | None = None
        self._go, self._back = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], object]) -> None:
        self._wait()
        try:
            work()
        except Crash:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by the crew, in the thread that told it to work
            self.error = error
        self.done = True
        self._back.set()

    def _wait(self) -> None:
        self._go.wait()
        self._go.clear()

    def pause(self) -> None:
        """Called by the worker itself before a call of a port: give the turn back."""
        self._back.set()
        self._wait()

    def turn(self) -> None:
        """Let it go on to its next call, or to its end."""
        self._go.set()
        self._back.wait()
        self._back.clear()


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
            worker.turn()
            self.current = None
            if worker.done:
                self._workers.remove(worker)
                if worker.error is not None:
                    raise worker.error

    @property
    def asleep(self) -> bool:
        return bool(self._workers)

"""Executors without Spark: each task in a process that knows what an executor knows, or in this one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from shared.files.place import FileUnavailable
from shared.reader.drop_plan import Plan
from shared.spark import span_task
from shared.spark.span_task import Outcome, Task

Thing = TypeVar("Thing")
CHECKOUT = Path(__file__).parents[2]
_PROGRAM = """
import pickle, sys
from shared.spark import span_task
plan, task = pickle.load(sys.stdin.buffer)
pickle.dump(span_task.run(plan, task, lambda size: None), sys.stdout.buffer)
"""


class Apart:
    """Two at a time, each in a process of its own: a clean environment, another folder."""

    slots = side_by_side = 2
    fetched = 0

    def __init__(self, folder: Path, bundle: Path) -> None:
        self._folder = folder
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "REQUESTS_CA_BUNDLE": str(bundle),
        }
        self.told: list[str] = []
        """What tasks wrote to their logs."""

    def each(self, plan: Plan, tasks: Sequence[Task]) -> Sequence[Outcome]:
        with ThreadPoolExecutor(self.slots) as pool:
            return list(pool.map(lambda task: self._one(plan, task), tasks))

    def _one(self, plan: Plan, task: Task) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=pickle.dumps((plan, task)),
            capture_output=True,
            check=False,
            cwd=self._folder,
            env=self._env,
        )
        self.told.append(done.stderr.decode())
        if done.returncode:
            raise FileUnavailable(done.stderr.decode().splitlines()[-1])
        return cast("Outcome", pickle.loads(done.stdout))  # noqa: S301  # our own


def again(thing: Thing) -> Thing:
    """As it arrives in another process."""
    return cast("Thing", pickle.loads(pickle.dumps(thing)))  # noqa: S301  # our own


class Here:
    """In this process, one after the other, the last first; so that bounds can be made small."""

    side_by_side = 1
    fetched = 0

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.tasks: list[span_task.Task] = []

    def each(self, plan: Plan, tasks: Sequence[Task]) -> Sequence[Outcome]:
        self.tasks += tasks
        found = [again(span_task.run(again(plan), task, lambda size: None)) for task in reversed(tasks)]
        return list(reversed(found))

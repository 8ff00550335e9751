"""The executors of a Spark application, as places where spans of a drop are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shared.files.place import FileUnavailable
from shared.spark import span_task
from shared.spark.span_task import Outcome, Task

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast
    from pyspark.sql import SparkSession

    from shared.reader.drop_plan import Plan


class SparkExecutors:
    """Spark carries the plan once to each executor, a task to each slot, and back what it came to; it sees no row.

    What a task may touch is in no plan and no page of Spark: it is a value of the data that tasks are made of.
    """

    def __init__(self, session: SparkSession) -> None:
        self._context = session.sparkContext
        self._fetched = self._context.accumulator(0)

    @property
    def slots(self) -> int:
        return self.side_by_side * self._said("spark.executor.instances")

    @property
    def side_by_side(self) -> int:
        return self._said("spark.executor.cores")

    def _said(self, setting: str) -> int:
        return int(self._context.getConf().get(setting, "1") or 1)

    @property
    def fetched(self) -> int:
        """Bytes that tasks have fetched, of those that have ended."""
        return int(self._fetched.value)

    def each(self, plan: Plan, tasks: Sequence[Task]) -> Sequence[Outcome]:
        from py4j.protocol import Py4JError

        known = self._context.broadcast(plan)
        try:
            given = self._context.parallelize(list(tasks), len(tasks))
            found: list[Outcome] = given.map(_reading(known, self._fetched)).collect()
            return found
        except Py4JError as error:
            last = str(error).partition("Driver stacktrace")[0].strip().splitlines()
            told = next(
                (line for line in reversed(last) if "SpanUnavailable" in line), last[0] if last else ""
            )
            raise FileUnavailable(f"a task failed each time it was tried: {told}") from None
        finally:
            known.destroy()


def _reading(plan: Broadcast[Plan], fetched: Accumulator[int]) -> Callable[[Task], Outcome]:
    return lambda task: span_task.run(plan.value, task, fetched.add)

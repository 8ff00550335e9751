"""loops/iris: unchanged steps are reused, changed ones are not: `make demo LOOP=iris` without its canary."""

from __future__ import annotations

from collections.abc import Callable

from demo import iris
from tests.loops.driven import DrivenStage


def test_unchanged_steps_are_reused_and_a_new_version_runs_them_all(
    stage: Callable[[str], DrivenStage],
) -> None:
    told = stage("iris")
    iris.first(told)
    assert told.weights() == {"r1-a1": 100}
    iris.again(told)
    iris.changed(told)
    iris.land_more(told)
    assert set(iris.only_trained(told, 4).values()) == {"ran"}
    assert told.weights() == {"r1-a1": 100}

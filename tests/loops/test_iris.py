"""loops/iris: unchanged steps are reused, changed ones are not: `make demo LOOP=iris` without its canary."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo import iris
from shared.domain.release import Phase
from tests.loops.driven import DrivenStage


@pytest.mark.soak  # `make demo LOOP=iris` tells the same story
def test_unchanged_steps_are_reused_and_a_new_version_runs_them_all(
    stage: Callable[[str], DrivenStage],
) -> None:
    told = stage("iris")
    iris.first(told)
    assert told.weights() == {"r1-a1": 100}
    iris.again(told)
    iris.land_more(told)
    told.wait("the job of release 3", lambda: iris.open_release(told, 3, Phase.REGISTERING))
    assert set(told.steps("iris-r3-a1").values()) == {"ran"}
    told.ask("abort", "only the steps were of interest", "3")
    told.ask("pause", "the test is done")
    assert told.weights() == {"r1-a1": 100}

"""loops/iris: unchanged steps are reused and changed ones are not; the story is the one of `make demo LOOP=iris`."""

from __future__ import annotations

from collections.abc import Callable

from demo import iris
from tests.loops.driven import DrivenStage


def test_iris_reuses_what_did_not_change_and_nothing_else(stage: Callable[[str], DrivenStage]) -> None:
    iris.tell(stage("iris"))

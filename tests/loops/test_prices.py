"""loops/prices: fetched, skipped when nothing is new, retrained when forecasts fail, judged in the order of time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo import prices
from demo.stage import StoryFailed
from tests.loops.driven import DrivenStage


@pytest.mark.soak  # `make demo LOOP=prices` tells the same story
def test_prices_are_fetched_and_a_better_forecaster_is_promoted(stage: Callable[[str], DrivenStage]) -> None:
    try:
        prices.data_folder()
    except StoryFailed as missing:
        pytest.skip(str(missing))
    prices.tell(stage("prices"))

"""loops/income: six variants by a sweep, fairness floors, a QA job, and nothing served before a person approves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo import income
from demo.stage import StoryFailed
from tests.loops.driven import DrivenStage


def test_the_best_of_six_variants_is_served_once_a_person_approves(
    stage: Callable[[str], DrivenStage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(income, "PEOPLE", 2500)
    try:
        income.people()
    except StoryFailed as missing:
        pytest.skip(str(missing))
    income.tell(stage("income"))

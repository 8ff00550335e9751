"""A sample of what `make soak` does in full: the open release goes on beside new data that can never be handled."""

from __future__ import annotations

import pytest

from shared.domain.release import Phase
from tests.simulator.beside import GOALS, Beside

ABOUT = (
    ("blobs.download_all", "", "lost race"),
    ("versions.register", "birds/3", "unclassed"),
    ("store.read", "birds/version-00000003", "foreign"),
    ("runs.put", "", "refused"),
)


@pytest.mark.parametrize(("name", "of", "fault"), ABOUT)
@pytest.mark.parametrize("goal", GOALS)
def test_what_cannot_be_done_about_new_data_keeps_nothing_else_waiting(
    goal: Phase, name: str, of: str, fault: str
) -> None:
    assert Beside(goal, (name, of), fault).run() == []

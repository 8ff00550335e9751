"""The story of `make demo SERVED=1`: it expects what it tells, and what it tells is there to read."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from demo import served
from demo.stage import StoryFailed

pytestmark = pytest.mark.soak


def test_what_is_asked_drifts_without_any_drop_and_is_told_retrained_and_shown() -> None:
    console = Console(file=StringIO(), width=200)
    served.tell(console)
    assert isinstance(console.file, StringIO)
    told = console.file.getvalue()
    knocked, landed = told.index("3. The balance"), told.index("4. Birds of that balance")
    assert "unusual for this model" not in told[:knocked]
    assert "the contract kept 2 of 602 rows out" in told[:knocked]
    assert told[:knocked].count("if only the inputs changed, metrics.harm is now") == 11
    assert "unusual for this model" in told[knocked:landed] and "body_mass_g moved up" in told[knocked:landed]
    assert "served inputs have no labels" in told[knocked:landed]
    assert "release 2 is live" in told[landed:]
    (row,) = (line for line in told.splitlines() if line.strip().startswith("body_mass_g ") and "■" in line)
    assert row


def test_a_story_that_goes_otherwise_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "knocked_scale", lambda birds: birds)
    monkeypatch.setattr(served, "KNOCKED", served.ENDS)
    monkeypatch.setattr(served, "quiet_days", lambda story: None)
    with pytest.raises(StoryFailed, match="should wait for labels"):
        served.tell(Console(file=StringIO()))

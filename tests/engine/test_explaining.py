"""The ledger alone tells why a loop did not retrain, and a release's whole story."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.cli.explaining import loop_story, release_story
from tests.engine.test_faults import birds, canaried, served
from tests.simulator.reader import reading_in_process


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def test_every_denial_is_told_with_who_asked_and_why_not() -> None:
    life = served()
    life.alert("birds-errors")
    life.rest()
    heading, lines = loop_story(life.real, "birds")
    assert heading.startswith("birds: 2 answers")
    assert ("trigger alert (Azure Monitor)" in lines[1][1], "nothing new" in lines[1][2]) == (True, True)
    assert lines[-1][1:] == ("now", life.state.denial)


def test_a_release_is_told_from_its_reason_to_its_end_with_what_came_in_meanwhile() -> None:
    life = canaried()
    life.drop("3.csv", birds(3, 1.7))
    life.round()
    life.act("abort", 2)
    life.rest()
    heading, lines = release_story(life.real, "birds", 2)
    assert heading.startswith("release birds/2 on versions 2, because of drift: mass moved")
    told = [what for _, what, _ in lines]
    for part in ("release.started", "gate: pass", "release.canary", "release.rolling back (by bob)"):
        assert part in told, told
    assert any("trigger drift" in what and "release 2 is open" in why for _, what, why in lines)
    assert told[-1] == "release.aborted"


def test_an_open_release_says_what_it_waits_for() -> None:
    life = canaried()
    assert release_story(life.real, "birds", 2)[1][-1][0] == "now"

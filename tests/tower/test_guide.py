"""What one sees has an answer: pages and terminal link into the chapter by code, and no link is dead."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from shared import guide
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase
from shared.intake import rejections
from shared.loopfile import Breaker
from shared.release.machine import PHASES
from shared.runtime import overview_row, unit_of_work
from tests.engine.world import World, csv, season
from tests.tower.conftest import PAGES
from tests.tower.test_events_doc import DOC as EVENTS
from tests.tower.tower import BASE, get, page, twin

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ANSWERS = [answer for part in guide.parts() for answer in part.answers]
FAILED = (Phase.FAILED, Phase.REJECTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK)


def test_each_row_of_the_document_is_shown() -> None:
    """A row that the reader does not understand would vanish from the pages."""
    rows = [line for line in OPERATIONS.split(guide.CHAPTER)[1].splitlines() if line.startswith("| <a ")]
    assert len(rows) == len(ANSWERS) > 60
    assert all(answer.why and answer.do for answer in ANSWERS)


def test_each_code_has_one_row() -> None:
    codes = [code for answer in ANSWERS for code in answer.codes]
    ids = [*codes, *(p.anchor for p in guide.parts()), *rejections.REMEDIES]
    assert len(ids) == len(set(ids))


def test_the_row_is_found_by_the_code_that_says_most() -> None:
    gone = reason(Code.DOCUMENT_LOST, text="document x is gone")
    assert guide.anchor(Reason(Code.LOOP_SET_ASIDE, because=(gone,))) == "document-lost"
    assert guide.anchor(Reason(Code.LOOP_SET_ASIDE)) == "loop-set-aside"
    assert guide.anchor(reason(Code.ASKED_FOR, why="cooldown"), "release.failed") == "release.failed"
    assert guide.anchor(None, "") == guide.anchor(reason(Code.NO_TRIGGER)) == ""


def test_every_event_that_needs_a_person_leads_to_what_to_do() -> None:
    marked = re.findall(
        r"^\| `([a-z_.]+)` \|.*\[\*\*needs a person\*\*\]\(operations\.md#([a-z._-]+)\)", EVENTS, re.MULTILINE
    )
    assert len(marked) == EVENTS.count("**needs a person**") >= 7
    assert [what for what, anchor in marked if what != anchor or not guide.find(anchor)] == []


@pytest.mark.parametrize(
    "phase", sorted(p for p, row in PHASES.items() if row.awaits_person or row.quick), ids=str
)
def test_whatever_asks_for_a_person_is_answered(world: World, phase: Phase) -> None:
    from dataclasses import replace

    state, now = unit_of_work.read(world.ports, "birds").state, world.clock.current
    release = replace(world.release(2), phase=phase, reason=None, waiting_for=None)
    calm = overview_row.needs_attention(state, release, (), release.phase_since_at, Breaker())
    late = overview_row.needs_attention(state, release, (), now + timedelta(days=1), Breaker())
    assert late and (guide.anchor(late), bool(calm)) in (
        ("needs-decision", True),
        ("phase-too-long", False),
        ("stuck", False),
    )
    paused = replace(state, paused=reason(Code.PAUSED_BY_PERSON, actor="bob", why="x"))
    assert guide.anchor(overview_row.needs_attention(paused, None, (), now, Breaker())) == "loop-paused"


@pytest.mark.parametrize("phase", FAILED, ids=str)
def test_a_release_that_did_not_go_live_says_what_to_do(phase: Phase) -> None:
    found = guide.find(f"release.{phase.value}")
    assert found and "retrain" in found.do


def test_every_link_into_the_guide_arrives(world: World, acting_world: World) -> None:
    html = page(world.ports, "/help")
    ids = set(re.findall(r' id="([^"]+)"', html))
    codes = {code for answer in ANSWERS for code in answer.codes}
    assert ids >= {*codes, *rejections.REMEDIES}
    anchors = set(re.findall(r'(?:name|id)="([^"]+)"', OPERATIONS))
    assert codes == anchors
    rejected = (ROOT / "docs" / "reference-rejections.md").read_text()
    assert set(re.findall(r'<a id="([^"]+)"', rejected)) == set(rejections.REMEDIES)
    acting_world.act("pause")
    acting_world.act("approve", 1)
    links = [
        link
        for ports, paths in ((world.ports, PAGES), (acting_world.ports, ("", "/loops/birds")))
        for path in paths
        for link in re.findall(rf'href="{BASE}/help#([^"]*)"', page(ports, path))
    ]
    assert set(links) <= ids
    assert {"empty-file", "missing-target", "loop-paused", "release-not-open"} <= set(links)
    assert {"release-open"} <= set(links)


def test_a_release_that_was_taken_back_links_to_its_row() -> None:
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(2, 120)
    world.drop("2009.csv", csv(season(2009, body_mass_g=0.8)))
    world.ticks_with_traffic(60, errors={"r2-a1": 0.9})
    assert twin(world.ports, "/loops/birds/releases/2")["help"] == "canary-rolled-back"
    assert f'href="{BASE}/help#canary-rolled-back"' in page(world.ports, "/loops/birds/releases/2")


def test_the_guide_has_a_twin(world: World) -> None:
    found = json.loads(get(world.ports, "/help.json").content)
    assert [part["anchor"] for part in found["parts"]] == [part.anchor for part in guide.parts()]


def test_the_terminal_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    from cli import session

    session.advise(reason(Code.PAUSED_BY_PERSON, actor="ann", why="x"))
    session.advise(reason(Code.NO_TRIGGER))
    session.advise(None)
    told = " ".join(capsys.readouterr().out.split())
    assert told == "what to do: driftloop resume (docs/operations.md#loop-paused)"

"""What one sees has an answer: the chapter is the code's words, pages and terminal link into it, no link is dead."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from shared import guide
from shared.domain.reason import Code, reason
from shared.domain.release import Phase
from shared.intake import rejections
from shared.release.machine import PHASES
from shared.runtime import outbox, unit_of_work
from tests.engine.world import World, csv, season
from tests.tower.conftest import PAGES
from tests.tower.test_events_doc import DOC as EVENTS
from tests.tower.test_events_doc import written
from tests.tower.tower import BASE, get, page, twin

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ANSWERS = [answer for part in guide.parts() for answer in part.answers]
FAILED = (Phase.FAILED, Phase.REJECTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK)


def test_the_chapter_is_carried_along_as_it_stands() -> None:
    assert guide.anchored(OPERATIONS) == OPERATIONS, "run: python -m shared.guide"
    assert json.loads(guide.stored(OPERATIONS)) == json.loads((ROOT / "shared" / "guide.json").read_text()), (
        "run: python -m shared.guide"
    )
    rows = [line for line in OPERATIONS.split(guide.CHAPTER)[1].splitlines() if line.startswith("| <a ")]
    assert len(rows) == len(ANSWERS) > 40


def test_each_row_says_what_the_code_says() -> None:
    """Each message is in the sources, word for word up to what is filled in; each kind of event is one of ours."""
    sources = "\n".join(
        path.read_text()
        for path in sorted(
            p for room in ("shared", "tower", "cli", "functions") for p in (ROOT / room).rglob("*.py")
        )
    )
    joined = re.sub(r'"\s*\n?\s*f?"', "", sources)
    seen = [words for answer in ANSWERS for words in answer.sees]
    assert [words for words in seen if words not in joined and words not in written()] == []
    assert all(answer.why and answer.do for answer in ANSWERS)


def test_anchors_are_unlike() -> None:
    anchors = [*(a.anchor for a in ANSWERS), *(p.anchor for p in guide.parts()), *rejections.REMEDIES]
    assert len(anchors) == len(set(anchors))


def test_the_row_that_tells_most_exactly_is_found() -> None:
    assert guide.anchor("paused: traffic was changed from outside to a 100 %") == ("traffic-adopted")
    assert guide.anchor("paused: we look into it") == "the-loop-is-paused"
    assert guide.anchor("nothing that anybody wrote of", "release.failed") == "release-failed"
    assert guide.anchor("nothing that anybody wrote of") == ""


def test_every_event_that_needs_a_person_leads_to_what_to_do() -> None:
    marked = re.findall(
        r"^\| `([a-z_.]+)` \|.*\[\*\*needs a person\*\*\]\(operations\.md#([a-z-]+)\)", EVENTS, re.MULTILINE
    )
    assert len(marked) == EVENTS.count("**needs a person**") >= 7
    assert [what for what, anchor in marked if guide.anchor(what) != anchor] == []


@pytest.mark.parametrize(
    "phase", sorted(p for p, row in PHASES.items() if row.awaits_person or row.quick), ids=str
)
def test_whatever_asks_for_a_person_is_answered(world: World, phase: Phase) -> None:
    from dataclasses import replace

    state, now = unit_of_work.read(world.ports, "birds").state, world.clock.current
    release = replace(world.release(2), phase=phase, reason=reason(Code.GATE_NO_ROWS), waiting_for=None)
    calm = outbox.attention(state, release, "", release.phase_since_at)
    late = outbox.attention(state, release, "", now + timedelta(days=1))
    assert late and (guide.anchor(late), bool(calm)) in (
        ("gate-inconclusive", True),
        ("release-stuck", False),
    )
    assert guide.anchor(outbox.attention(replace(state, paused="x"), None, "", now)) == "the-loop-is-paused"


@pytest.mark.parametrize("phase", FAILED, ids=str)
def test_a_release_that_did_not_go_live_says_what_to_do(phase: Phase) -> None:
    assert guide.anchor("whatever the reason", f"release.{phase.value}") in (
        "release-failed",
        "release-rejected",
        "release-rolling-back",
    )


def test_every_link_into_the_guide_arrives(world: World, acting_world: World) -> None:
    html = page(world.ports, "/help")
    ids = set(re.findall(r' id="([^"]+)"', html))
    assert ids >= {*(a.anchor for a in ANSWERS), *rejections.REMEDIES}
    anchors = set(re.findall(r'(?:name|id)="([^"]+)"', OPERATIONS))
    assert {a.anchor for a in ANSWERS} == anchors
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
    assert {"empty-file", "missing-target", "the-loop-is-paused", "is-not-open"} <= set(links)
    assert {"is-open-considered-again-when-it-ends"} <= set(links)


def test_a_release_that_was_taken_back_links_to_its_row() -> None:
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(2, 120)
    world.drop("2009.csv", csv(season(2009, body_mass_g=0.8)))
    world.ticks_with_traffic(60, errors={"r2-a1": 0.9})
    assert twin(world.ports, "/loops/birds/releases/2")["help"] == "release-rolling-back"
    assert f'href="{BASE}/help#release-rolling-back"' in page(world.ports, "/loops/birds/releases/2")


def test_the_guide_has_a_twin(world: World) -> None:
    found = json.loads(get(world.ports, "/help.json").content)
    assert [part["anchor"] for part in found["parts"]] == [part.anchor for part in guide.parts()]


def test_the_terminal_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    from cli import session

    session.advise("paused: we look into it")
    session.advise("nothing that anybody wrote of")
    told = " ".join(capsys.readouterr().out.split())
    assert told == "what to do: driftloop resume (docs/operations.md#the-loop-is-paused)"

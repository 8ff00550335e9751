"""Every loop in one line, and before them what needs a person: one read, however many loops there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared import guide
from shared.domain.loop import Overview
from shared.domain.release import Phase
from shared.state import queries
from tower.visit import Asking, clip, short
from tower.words import DOING

PAGE = 100
"""Loops on one page."""
FIRST = 20
"""Loops that need a person, shown above the others."""


@dataclass(frozen=True)
class LoopLine:
    """One loop."""

    loop: str
    attention: str
    help: str
    paused: bool
    live: int | None
    model: str
    live_at: datetime | None
    version: int | None
    judged: str
    verdict: str
    landed_at: datetime | None
    release: int | None
    doing: str
    waiting_for: str
    traffic: str


@dataclass(frozen=True)
class Stranger:
    """An event that belongs to no loop."""

    code: str
    text: str
    help: str
    received_at: str


@dataclass(frozen=True)
class OverviewPage:
    total: int
    shown_from: int
    wanted: str
    needs_a_person: int
    people_first: tuple[LoopLine, ...]
    loops: tuple[LoopLine, ...]
    strangers: tuple[Stranger, ...]
    next_from: int | None
    previous_from: int | None


def overview(asking: Asking) -> OverviewPage:
    """All loops by name; those whose name holds `q`, from the `from`th on."""
    wanted = asking.query.get("q", "").strip().casefold()[:64]
    found = [o for o in queries.loops(asking.ports) if wanted in o.loop]
    needing = [o for o in found if o.attention]
    start = min(asking.number("from"), max(0, len(found) - 1)) // PAGE * PAGE
    end = start + PAGE
    return OverviewPage(
        total=len(found),
        shown_from=start,
        wanted=wanted,
        needs_a_person=len(needing),
        people_first=tuple(_line(o) for o in needing[:FIRST]) if start == 0 else (),
        loops=tuple(_line(o) for o in found[start:end]),
        strangers=tuple(_stranger(one) for one in queries.strangers(asking.ports, last=5)),
        next_from=end if end < len(found) else None,
        previous_from=start - PAGE if start else None,
    )


def _line(found: Overview) -> LoopLine:
    facts = found.facts
    phase = facts.get("phase", "")
    return LoopLine(
        loop=found.loop,
        attention=clip(found.attention, 160),
        help=guide.anchor(found.attention) if found.attention else "",
        paused="paused" in facts,
        live=_number(facts.get("live", "")),
        model=short(facts.get("model", "")),
        live_at=_moment(facts.get("live_at", "")),
        version=_number(facts.get("version", "")),
        judged=facts.get("judged", ""),
        verdict=clip(facts.get("verdict", ""), 110),
        landed_at=_moment(facts.get("landed_at", "")),
        release=_number(facts.get("release", "")),
        doing=DOING[Phase(phase)] if phase else "",
        waiting_for=clip(facts.get("waiting_for", ""), 110),
        traffic=facts.get("traffic", ""),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _stranger(content: Mapping[str, str]) -> Stranger:
    text = str(content.get("text", ""))
    return Stranger(
        str(content.get("code", "")),
        clip(text, 240),
        guide.anchor(text),
        str(content.get("received_at", "")),
    )

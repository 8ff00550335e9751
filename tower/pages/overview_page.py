"""Every loop in one line, those that need a person first: one read, however many loops there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from shared import guide
from shared.domain.loop import Overview
from shared.domain.reason import NOBODY_SERVED
from shared.inbox.unrouted import Unrouted
from shared.state import queries
from shared.words import say, say_all
from tower.visit import Asking, clip
from tower.words import DOING, model, shares

PAGE = 100
"""Loops on one page."""
FIRST = 20
"""Loops that need a person, shown above the others."""

ONLY: dict[str, tuple[str, Callable[[Overview], bool]]] = {
    "": ("all loops", lambda _: True),
    "person": ("needing a person", lambda one: one.needs_attention is not None),
    "unserved": ("serving nobody", lambda one: _unserved(one)),
    "moved": ("whose newest data moved", lambda one: one.newest is not None and one.newest.judged == "moved"),
    "release": ("with a release under way", lambda one: one.under_way is not None),
    "paused": ("paused", lambda one: one.paused),
    "idle": ("idle", lambda one: one.under_way is None and not one.paused),
}
_NEVER = datetime.min.replace(tzinfo=UTC)
ORDERS: dict[str, tuple[str, Callable[[Overview], datetime]]] = {
    "": ("by name", lambda _: _NEVER),
    "data": ("newest data first", lambda one: (one.newest.landed_at if one.newest else None) or _NEVER),
    "live": ("newest model first", lambda one: (one.serving.live_at if one.serving else None) or _NEVER),
}


@dataclass(frozen=True)
class LoopLine:
    """One loop."""

    loop: str
    attention: str
    help: str
    paused: bool
    unserved: bool
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
    only: str
    order: str
    of: int
    """Loops in all."""
    onlys: tuple[tuple[str, str], ...]
    orders: tuple[tuple[str, str], ...]
    needs_a_person: int
    people_first: tuple[LoopLine, ...]
    loops: tuple[LoopLine, ...]
    strangers: tuple[Stranger, ...]
    next_from: int | None
    previous_from: int | None


def overview(asking: Asking) -> OverviewPage:
    """All loops by name; those matching `q` and `only`, as `order` says, from the `from`th on."""
    wanted = asking.query.get("q", "").strip().casefold()[:64]
    only, order = (asking.query.get(name, "") for name in ("only", "order"))
    only, order = only if only in ONLY else "", order if order in ORDERS else ""
    every = queries.loops(asking.ports)
    found = [one for one in every if wanted in one.loop and ONLY[only][1](one)]
    found.sort(key=ORDERS[order][1], reverse=True)  # stable: equals stay by name
    needing = [o for o in found if o.needs_attention]
    start = min(asking.number("from"), max(0, len(found) - 1)) // PAGE * PAGE
    end = start + PAGE
    return OverviewPage(
        total=len(found),
        shown_from=start,
        wanted=wanted,
        only=only,
        order=order,
        of=len(every),
        onlys=tuple((name, words) for name, (words, _) in ONLY.items()),
        orders=tuple((name, words) for name, (words, _) in ORDERS.items()),
        needs_a_person=len(needing),
        people_first=tuple(_line(o) for o in needing[:FIRST]) if start == 0 else (),
        loops=tuple(_line(o) for o in found[start:end]),
        strangers=tuple(_stranger(one) for one in queries.strangers(asking.ports, last=5)),
        next_from=end if end < len(found) else None,
        previous_from=start - PAGE if start else None,
    )


def _line(found: Overview) -> LoopLine:
    live, newest, open_release = found.serving, found.newest, found.under_way
    return LoopLine(
        loop=found.loop,
        attention=clip(say(found.needs_attention), 160),
        help=guide.anchor(found.needs_attention),
        paused=found.paused,
        unserved=_unserved(found),
        live=live.release if live else None,
        model=model(live.model) if live else "",
        live_at=live.live_at if live else None,
        version=newest.number if newest else None,
        judged=newest.judged if newest else "",
        verdict=clip(say_all(newest.verdict), 110) if newest else "",
        landed_at=newest.landed_at if newest else None,
        release=open_release.release if open_release else None,
        doing=DOING[open_release.phase] if open_release else "",
        waiting_for=clip(say(open_release.waiting_for), 110) if open_release else "",
        traffic=shares(open_release.traffic) if open_release else "",
    )


def _unserved(found: Overview) -> bool:
    return bool(found.needs_attention and found.needs_attention.code in NOBODY_SERVED)


def _stranger(event: Unrouted) -> Stranger:
    return Stranger(
        event.reason.code.value,
        clip(say(event.reason), 240),
        guide.anchor(event.reason),
        event.received_at.isoformat(),
    )

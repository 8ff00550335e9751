"""What several pages read and show alike: a loop, its ledger in words, versions, releases, drops and actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared import guide
from shared.domain.event import InboxRecord
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Code, Fact, Reason
from shared.domain.release import Phase, Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.inbox import rights
from shared.intake.rejections import REMEDIES
from shared.release.machine import PHASES, Undo
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.words import say, say_all
from tower.visit import Asking, NotFound, clip
from tower.words import DOING, because, headline, model

_ANSWERED = frozenset(
    {
        "retrain.denied",
        "retrain.coalesced",
        "action.refused",
        "source.given_up",
        "drop.quarantined",
        "traffic.adopted",
    }
)
"""Entries that the guide says more about."""


_ANSWERS = ("answer", "why", "note", "reason")
"""Where an entry's detail has what was answered."""


def read(asking: Asking, name: str) -> Unit:
    """The loop, or NotFound."""
    try:
        return unit_of_work.read(asking.ports, name)
    except ConfigurationError as error:
        raise NotFound(str(error)) from error


@dataclass(frozen=True)
class Told:
    """A ledger entry in words."""

    seq: int
    at: datetime
    what: str
    headline: str
    because: str
    subject: str
    actor: str
    help: str
    """Where the guide says what to do."""


def told(entries: Sequence[LedgerEntry], limit: int = 300) -> tuple[Told, ...]:
    """Entries in words; what the one before said already is not said again."""
    found: list[Told] = []
    before = ""
    for e in entries:
        why = because(e)
        shown = "" if why == before else clip(why, limit)
        advice = guide.anchor(*map(e.detail.get, _ANSWERS), e.what) if shown and e.what in _ANSWERED else ""
        subject, actor = clip(e.subject, 120), clip(e.actor, 120)
        found.append(Told(e.seq, e.at, e.what, headline(e), shown, subject, actor, advice))
        before = why
    return tuple(found)


@dataclass(frozen=True)
class VersionLine:
    number: int
    source: str
    rows: int
    created_at: datetime
    judged: str
    """moved, quiet, or how far it is."""
    verdict: str
    decision: str


@dataclass(frozen=True)
class ReleaseLine:
    number: int
    phase: str
    doing: str
    ended: bool
    because: str
    reason: str
    model: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Aside:
    """A drop that cannot be used, and why."""

    key: str
    source: str
    code: str
    note: str
    received_at: datetime
    replayable: bool
    help: str


@dataclass(frozen=True)
class Offer:
    """Something that a person may do here."""

    verb: str
    label: str
    words: str
    release: int | None = None
    drop: str = ""
    grave: bool = False
    to: int | None = None
    """The earlier release that `rollback` goes back to."""
    asks_model: bool = False
    """Whether the form has a field for a model, NAME:VERSION."""


@dataclass(frozen=True)
class Withheld:
    """Why this visitor may not take some actions, which it names."""

    why: str
    help: str


def permitted(
    asking: Asking, current: Unit, release: Release | None, found: Sequence[Offer]
) -> tuple[tuple[Offer, ...], tuple[Withheld, ...]]:
    """What the visitor may do of this, and why not the rest; neither where nobody visits, in an exported page."""
    kept: list[Offer] = []
    refused: dict[tuple[Code, Fact], list[Reason]] = {}
    for offer in found if asking.caller else ():
        no = rights.rules(current, offer.verb, release).refusal(offer.verb, asking.caller)
        if no is None:
            kept.append(offer)
        else:
            refused.setdefault((no.code, no.facts.get("roles")), []).append(no)
    return tuple(kept), tuple(map(_withheld, refused.values()))


def _withheld(alike: Sequence[Reason]) -> Withheld:
    verbs = ", ".join(str(why.facts["verb"]) for why in alike)
    why = replace(alike[0], facts={**alike[0].facts, "verb": verbs})
    return Withheld(clip(say(why)), guide.anchor(why))


def version_line(version: DataVersion) -> VersionLine:
    return VersionLine(
        number=version.number,
        source=clip(version.source, 200),
        rows=version.rows,
        created_at=version.created_at,
        judged=version.judged,
        verdict=clip(say_all(version.verdict), 260),
        decision=clip(say(version.decision), 200),
    )


def release_line(release: Release) -> ReleaseLine:
    return ReleaseLine(
        number=release.number,
        phase=release.phase.value,
        doing=DOING[release.phase],
        ended=release.ended,
        because=clip("; ".join(f"{t.kind.value}: {say(t.reason)}" for t in release.triggers), 260),
        reason=clip(say(release.shown), 300),
        model=model(release.model),
        started_at=release.started_at,
        ended_at=release.ended_at,
    )


def aside(record: InboxRecord, *, readable: bool) -> Aside:
    return Aside(
        key=record.key,
        source=clip(record.subject, 200),
        code=record.reason.code.value if record.reason else "",
        note=clip(say(record.reason), 300),
        received_at=record.received_at,
        replayable=readable and bool(record.blob),
        help=_help(record.reason),
    )


def _help(why: Reason | None) -> str:
    """Its row in the list of rejections, or in the guide."""
    return why.code.value if why and why.code in REMEDIES else guide.anchor(why)


ROLL_BACK = "Give all traffic back to the old deployment, which is still warm."


SKIPPED = frozenset({Phase.CANARY, Phase.BAKING})
"""Phases that wait for evidence; of a hold, approval is the same."""


def offers(release: Release, *, frozen: bool) -> tuple[Offer, ...]:
    """What a person can do about a release as it stands; while it is frozen, only take it back."""
    found = []
    number = release.number
    traits = PHASES.get(release.phase)
    if traits is None:
        return ()
    if traits.awaits_person and not frozen:
        found.append(Offer("approve", "Approve", "Let this release go on.", number))
    if release.phase in SKIPPED and not release.adopted and not frozen:
        found.append(Offer("skip", "Skip", "Go on without waiting for more evidence.", number))
    if release.phase is Phase.BAKING:
        found.append(Offer("rollback", "Roll back", ROLL_BACK, number, grave=True))
    elif traits.undo is not Undo.SETTLED:
        found.append(
            Offer(
                "abort", "Abort", "End this release; traffic goes back to the champion.", number, grave=True
            )
        )
    return tuple(found)

"""What several pages read and show alike: a loop, its ledger in words, versions, releases, drops and actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared import guide
from shared.domain.event import InboxRecord
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Reason
from shared.domain.release import Phase, Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.intake.rejections import REMEDIES
from shared.release.machine import PHASES, Undo
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.words import say
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
"""Entries that the guide says more of."""


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


def _code(entry: LedgerEntry) -> str:
    """Of its reason, where it has one."""
    why = entry.detail.get("reason")
    return why.code.value if isinstance(why, Reason) else ""


def told(entries: Sequence[LedgerEntry], limit: int = 300) -> tuple[Told, ...]:
    """Entries in words; what the one before said already is not said again."""
    found: list[Told] = []
    before = ""
    for e in entries:
        why = because(e)
        shown = "" if why == before else clip(why, limit)
        code = _code(e)
        advice = guide.anchor(code, why, e.what) if shown and e.what in _ANSWERED else ""
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


def version_line(version: DataVersion) -> VersionLine:
    moved = version.drift_material or version.metric_breached
    return VersionLine(
        number=version.number,
        source=clip(version.source, 200),
        rows=version.rows,
        created_at=version.created_at,
        judged="moved" if moved else "quiet" if version.drift else version.state.value,
        verdict=clip(version.verdict, 260),
        decision=clip(version.decision, 200),
    )


def release_line(release: Release) -> ReleaseLine:
    return ReleaseLine(
        number=release.number,
        phase=release.phase.value,
        doing=DOING[release.phase],
        ended=release.ended,
        because=clip("; ".join(f"{t.kind.value}: {t.reason}" for t in release.triggers), 260),
        reason=clip(say(release.reason if release.ended else release.waiting_for or release.reason), 300),
        model=model(release.model),
        started_at=release.started_at,
        ended_at=release.ended_at,
    )


def aside(record: InboxRecord) -> Aside:
    source = f"{record.body.get('container', '')}/{record.body.get('name', '')}".strip("/")
    return Aside(
        key=record.key,
        source=clip(source or record.kind.value, 200),
        code=clip(record.code, 60),
        note=clip(record.note, 300),
        received_at=record.received_at,
        replayable=bool(source),
        help=record.code if record.code in REMEDIES else guide.anchor(record.code, record.note),
    )


ROLL_BACK = "Give all traffic back to the old deployment, which is still warm."


def offers(release: Release) -> tuple[Offer, ...]:
    """What a person can do about a release as it stands."""
    found = []
    number = release.number
    traits = PHASES.get(release.phase)
    if traits is None:
        return ()
    if traits.awaits_person:
        found.append(Offer("approve", "Approve", "Let this release go on.", number))
    if release.phase is Phase.BAKING:
        found.append(Offer("rollback", "Roll back", ROLL_BACK, number, grave=True))
    elif traits.undo is not Undo.SETTLED:
        found.append(
            Offer(
                "abort", "Abort", "End this release; traffic goes back to the champion.", number, grave=True
            )
        )
    return tuple(found)

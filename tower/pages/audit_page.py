"""What was live at a moment, trained on what, by whom, why; answered from the ledger, which is checked here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.audit import answer
from shared.audit.differences import compare
from shared.audit.record import Record
from shared.errors import ConfigurationError
from shared.runtime.unit_of_work import Unit
from shared.state import ledger_pages
from shared.words import say
from tower.pages.lines import Told, read, told
from tower.visit import Asking, NotFound, clip
from tower.words import model

READ = 8000
"""Ledger entries that a page reads, around the moment or the release that it is about; the command reads them all."""
NAMED = 20
TOLD = 60


@dataclass(frozen=True)
class Shown:
    """What stands around a release's chain: links, and its ledger entries."""

    model: str
    model_link: str
    algorithm: str
    job_link: str
    data_count: int
    unknown: str
    """What is not known of its training."""
    commit: str
    origin: str
    until_known: bool
    """Whether `chain.until` is known: the entries in hand may end before the release did."""
    entries: tuple[Told, ...]
    hashes: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Check:
    """The ledger's check, and the comparison of everything else with it."""

    entries: int
    checked: int
    problems: tuple[str, ...]
    not_compared: tuple[str, ...]
    head: str
    whole: bool


@dataclass(frozen=True)
class AuditPage:
    loop: str
    at: datetime
    asked: str
    problem: str
    wanted_release: int | None
    chain: answer.Chain | None
    shown: Shown | None
    known: bool
    """Whether nobody served where `chain` is None: the entries in hand may begin after the promotion."""
    check: Check
    newest_release: int
    printed_at: datetime


def audit(asking: Asking, name: str) -> AuditPage:
    current = read(asking, name)
    now = asking.ports.clock.now()
    at, problem = _moment(asking.query.get("at", ""), now)
    wanted = asking.number("release") or None
    after, through = _stretch(current, _place(current, at, wanted))
    found = ledger_pages.shown_between(current, after, through)
    everything, proven = Record(found.values), answer.protected(current, found, through)
    service = proven.serving(at) if wanted is None else None
    if wanted is not None and wanted not in everything.releases:
        raise NotFound(f"{name} has no release {wanted} in its ledger; `driftloop status` lists them")
    number = service.release if service else wanted if wanted in proven.releases else None
    chain, shown = _chain(asking, current, proven, number, at) if number else (None, None)
    compared = compare(current, everything, [number] if number else [])
    problems = [*answer.check(current, found, after, through), *compared.differences]
    return AuditPage(
        loop=name,
        at=at,
        asked=clip(asking.query.get("at", ""), 40),
        problem=problem,
        wanted_release=wanted,
        chain=chain,
        shown=shown,
        known=answer.knows_all(proven, found),
        check=Check(
            current.state.ledger_seq,
            len(found.values),
            tuple(clip(say(problem)) for problem in problems[:20]),
            tuple(clip(say(why)) for why in compared.not_compared),
            current.state.ledger_head,
            len(found.values) + len(found.unread) >= current.state.ledger_seq,
        ),
        newest_release=current.state.next_release - 1,
        printed_at=now,
    )


def _moment(text: str, now: datetime) -> tuple[datetime, str]:
    if not text:
        return now, ""
    try:
        moment = datetime.fromisoformat(text[:40])
    except ValueError:
        return (
            now,
            f"{clip(text, 40)!r} is not an ISO 8601 moment; expected 2026-11-20T15:00:00Z. This shows now.",
        )
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), ""


def _place(current: Unit, at: datetime, wanted: int | None) -> int:
    """Number of the entry that the page is about. A row only says where to look, never what was."""
    if current.state.ledger_seq <= READ:
        return 0
    if wanted is None:
        return ledger_pages.seq_at(current, at)
    try:
        started = current.release(wanted)[0].started_at
    except ConfigurationError as error:
        raise NotFound(str(error)) from error
    return ledger_pages.seq_at(current, started - timedelta(milliseconds=1)) + READ // 2


def _origin(chain: answer.Chain) -> str:
    """Of a promoted model: what the other environment's ledger, which came along, says of it."""
    there = chain.origin
    if there is None:
        return ""
    job = f" by job {there.job}" if there.job else ""
    return clip(
        f"release {there.release} in {there.environment}, asked for by {there.asked_by}{job}, because of "
        f"{'; '.join(there.because)}; ledger hash there {chain.origin_hash}",
        600,
    )


def _stretch(current: Unit, place: int) -> tuple[int, int]:
    """Which entries are read: after one, up to another. Most lie before the place: they tell who serves then."""
    after = max(0, min(place - READ * 9 // 10, current.state.ledger_seq - READ))
    return after, min(after + READ, current.state.ledger_seq)


def _chain(
    asking: Asking, current: Unit, proven: Record, number: int, at: datetime
) -> tuple[answer.Chain, Shown]:
    release = proven.releases[number]
    spans = [s for s in proven.services if s.release == number]
    span = next((s for s in spans if s.since <= at and (s.until is None or at < s.until)), None)
    service = span or (spans[-1] if spans else None)
    chain = answer.served_chain(current, proven, number, service)
    last = release.entries[-TOLD:]
    shown = Shown(
        model=model(chain.model),
        model_link=asking.studio.model(chain.model) if chain.model else "",
        algorithm=model(chain.algorithm),
        job_link=asking.studio.job(chain.job) if chain.job else "",
        data_count=len(chain.versions),
        unknown=say(chain.unknown),
        commit=say(chain.commit),
        origin=_origin(chain),
        until_known=chain.until is not None or proven.entries[-1].seq >= current.state.ledger_seq,
        entries=told(last),
        hashes=tuple((e.seq, e.hash) for e in last),
    )
    bounded = replace(
        chain,
        asked_by=clip(chain.asked_by, 200),
        published_by=clip(chain.published_by, 120),
        data=tuple(replace(data, source=clip(data.source, 200)) for data in chain.data[-NAMED:]),
        versions=chain.versions[-NAMED:],
        because=tuple(clip(why, 300) for why in chain.because[:10]),
    )
    return bounded, shown

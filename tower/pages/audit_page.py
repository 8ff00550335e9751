"""What was live at a moment, trained on what, by whom, why; answered from the ledger, which is checked here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.ledger import LedgerEntry
from shared.domain.release import Phase, Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, queries
from shared.words import say
from tower.pages.lines import Told, read, told
from tower.visit import Asking, NotFound, clip
from tower.words import model

CHECKED = 5000
"""Ledger entries that a page checks; `driftloop audit` checks them all."""
NAMED = 20


@dataclass(frozen=True)
class Data:
    number: int
    source: str
    rows: int
    content_hash: str


@dataclass(frozen=True)
class Chain:
    """Model M was trained by P with algorithm A on data D; it went live in release R at time T, because of E."""

    model: str
    model_link: str
    trained_by: str
    published_by: str
    algorithm: str
    job: str
    job_link: str
    data: tuple[Data, ...]
    data_count: int
    release: int
    deployment: str
    live_at: datetime | None
    until: datetime | None
    because: tuple[str, ...]
    definition: str
    outcome: str
    entries: tuple[Told, ...]
    hashes: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Check:
    """The ledger's check."""

    entries: int
    checked: int
    problems: tuple[str, ...]
    head: str
    whole: bool


@dataclass(frozen=True)
class AuditPage:
    loop: str
    at: datetime
    asked: str
    problem: str
    wanted_release: int | None
    chain: Chain | None
    check: Check
    newest_release: int
    printed_at: datetime


def audit(asking: Asking, name: str) -> AuditPage:
    current = read(asking, name)
    now = asking.ports.clock.now()
    at, problem = _moment(asking.query.get("at", ""), now)
    wanted = asking.number("release") or None
    if wanted is not None:
        try:
            chain: Chain | None = _chain(asking, current, current.release(wanted)[0])
        except ConfigurationError as error:
            raise NotFound(str(error)) from error
    else:
        served = live_at(current, at)
        chain = _chain(asking, current, served) if served else None
    return AuditPage(
        loop=name,
        at=at,
        asked=clip(asking.query.get("at", ""), 40),
        problem=problem,
        wanted_release=wanted,
        chain=chain,
        check=_check(current),
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


def live_at(current: Unit, at: datetime) -> Release | None:
    """The release that served at `at`: the last one begun until then, unless it was not promoted yet, or no more."""
    newest = current.state.next_release - 1
    number = _last(newest, lambda n: current.release(n)[0].started_at <= at)
    if number == 0:
        return None
    release, _ = current.release(number)
    for entry in reversed(_entries(current, release, at)):
        if entry.what == "release.promoted":
            return release
        if entry.what == "release.rolling_back" and entry.before == Phase.BAKING.value:
            break
    return current.release(release.champion.release)[0] if release.champion else None


def _last(newest: int, holds: Callable[[int], bool]) -> int:
    """The last number from 1 for which `holds`, found by halves; 0 when none."""
    low, high = 0, newest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _entries(current: Unit, release: Release, until: datetime | None = None) -> list[LedgerEntry]:
    start = queries.seq_at(current, release.started_at - timedelta(milliseconds=1))
    found = queries.entries_after(current, start)
    return [
        e for e in found if e.subject == f"release {release.number}" and (until is None or e.at <= until)
    ][:60]


def _chain(asking: Asking, current: Unit, release: Release) -> Chain:
    entries = _entries(current, release)
    published = current.published(release.definition)
    versions: list[DataVersion] = [current.version(number)[0] for number in release.versions[-NAMED:]]
    promoted = next((e for e in entries if e.what == "release.promoted"), None)
    taken_back = next(
        (e.at for e in entries if e.what == "release.rolling_back" and e.before == "baking"), None
    )
    return Chain(
        model=model(release.model),
        model_link=asking.studio.model(release.model) if release.model else "",
        trained_by=clip(", ".join(sorted({t.actor for t in release.triggers})), 200),
        published_by=clip(published.published_by, 120),
        algorithm=model(published.assets.pipeline),
        job=release.job,
        job_link=asking.studio.job(release.job) if release.job else "",
        data=tuple(Data(v.number, clip(v.source, 200), v.rows, v.content_hash) for v in versions),
        data_count=len(release.versions),
        release=release.number,
        deployment=release.deployment,
        live_at=promoted.at if promoted else None,
        until=taken_back or (_succeeded_at(current, release) if promoted else None),
        because=tuple(clip(f"{t.kind.value}: {say(t.reason)}", 300) for t in release.triggers[:10]),
        definition=release.definition,
        outcome=release.phase.value,
        entries=told(entries),
        hashes=tuple((e.seq, e.hash) for e in entries),
    )


def _succeeded_at(current: Unit, release: Release) -> datetime | None:
    """When the next champion went live; None while this one serves. Looks a bounded number of releases ahead."""
    champion = current.state.champion
    if champion is None or champion.release == release.number:
        return None
    later = queries.releases(
        current, through=min(release.number + 200, current.state.next_release - 1), last=200
    )
    after = [r for r in reversed(later) if r.number > release.number and r.champion]
    for one in after:
        if one.champion and one.champion.release > release.number:
            return one.champion.live_at
    return champion.live_at if champion.release > release.number else None


def _check(current: Unit) -> Check:
    """The newest entries, up to the head in the loop's row; each page of them is one read."""
    state = current.state
    after = max(0, state.ledger_seq - CHECKED)
    entries: list[LedgerEntry] = []
    while page := queries.entries_after(current, entries[-1].seq if entries else after):
        entries += page
    found = hash_chain.problems(entries, state) if after == 0 else _tail(entries, current, after)
    return Check(state.ledger_seq, len(entries), tuple(found[:20]), state.ledger_head, after == 0)


def _tail(entries: list[LedgerEntry], current: Unit, after: int) -> list[str]:
    """The same check of the chain's end: its first entry is taken as it is, for a page cannot read what went before."""
    if not entries:
        return [f"the entries after {after} are missing"]
    found = []
    previous = entries[0].previous_hash
    for place, entry in enumerate(entries, start=after + 1):
        if entry.seq != place or entry.previous_hash != previous:
            found.append(f"entry {entry.seq} does not follow the entry before it")
        if hash_chain.entry_hash(entry) != entry.hash:
            found.append(f"entry {entry.seq} ({entry.what}) was changed after it was written")
        previous = entry.hash
    if (after + len(entries), previous) != (current.state.ledger_seq, current.state.ledger_head):
        found.append(
            f"the ledger does not end at the head that the loop's row names (entry {current.state.ledger_seq})"
        )
    return found

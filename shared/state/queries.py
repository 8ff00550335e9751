"""What people see of a loop, read once and never changed: for the terminal and for the pages alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.event import InboxRecord
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState, Overview
from shared.domain.reason import Code, Reason
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.inbox import unrouted
from shared.inbox.unrouted import Unrouted
from shared.intake import job_answers
from shared.ports import Ports
from shared.retraining import cost
from shared.runtime import serving_look, unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import ledger_pages, rows
from shared.state.rows import Read

RECENT = 50
"""Ledger entries that are looked through for what was not used."""

UNUSED = frozenset({"drop.duplicate", "drop.ignored", "drop.superseded"})

FEW = 200
"""Events without a loop that are looked at to show some; the newest days come first."""


@dataclass(frozen=True)
class LoopView:
    """One loop with its latest versions and releases, newest first, and what is quarantined."""

    overview: Overview
    state: LoopState
    versions: tuple[DataVersion, ...]
    releases: tuple[Release, ...]
    set_aside: tuple[InboxRecord, ...]
    traffic: Mapping[str, int] | None
    """As the endpoint has it now; None when the endpoint did not answer."""
    cost: Reason
    """Of releases, today and this month."""
    steps: Reason | None = None
    """What each step of the newest training took that has ended."""
    reading: Reason | None = None
    """The job that reads a drop."""
    unused: tuple[LedgerEntry, ...] = ()
    """Drops of late that became no version though nothing is wrong with them, newest first."""
    unread: tuple[Reason, ...] = ()
    """Rows that cannot be read, and are missing above."""


def loops(ports: Ports) -> list[Overview]:
    """Every loop's line."""
    return ports.store.overviews()


def loop(ports: Ports, name: str, *, last: int = 10) -> LoopView:
    """Everything that one page or screen about a loop shows."""
    current = unit_of_work.read(ports, name)
    overview = ports.store.overview(name)
    if overview is None:
        raise ConfigurationError(f"loop {name} has no overview; publish it again", code=Code.NOT_FOUND)
    release = open_release(current)
    under_way = next(iter(release.values), None)
    served = serving_look.now(current, under_way)
    state = replace(current.state, unserved=served.unserved)
    if served.unserved is not None:
        overview = replace(overview, needs_attention=served.unserved)
    newest, landed, aside, unused_ = (
        releases(current, last=last),
        versions(current, last=last),
        shown_aside(ports, name),
        unused(current),
    )
    definition, now = current.at_hand().definition, ports.clock.now()
    return LoopView(
        overview=overview,
        state=state,
        versions=landed.values,
        releases=newest.values,
        set_aside=aside.values,
        traffic=served.traffic,
        cost=cost.standing(state, under_way, definition, now),
        steps=_steps(current, newest.values),
        reading=job_answers.standing(state, definition, now),
        unused=unused_.values,
        unread=told(release, newest, landed, aside, unused_),
    )


def told(*reads: Read[object]) -> tuple[Reason, ...]:
    """Why rows among these cannot be read, each once."""
    return tuple({one.key: one.told for read in reads for one in read.unread}.values())


def open_release(current: Unit) -> Read[Release]:
    """The open release, or that it cannot be read; neither where none is open."""
    number = current.state.open_release
    row = current.ports.store.read(current.loop, rows.release_key(number)) if number is not None else None
    found = rows.read(Release, [row] if row is not None else [])
    return replace(found, values=tuple(one for one in found.values if not one.ended))


def _steps(current: Unit, newest: Sequence[Release]) -> Reason | None:
    release = next((one for one in newest if one.training_steps), None)
    if release is None:
        return None
    return cost.by_step(release, current.at_hand(release).definition)


def versions(current: Unit, *, through: int = 0, last: int = 25) -> Read[DataVersion]:
    """The newest versions up to number `through` (0: all), newest first, in one read."""
    newest = through or current.state.next_version - 1
    found = current.ports.store.range(
        current.loop, "version-", after=rows.version_key(max(0, newest - last)), limit=last
    )
    return rows.read(DataVersion, (row for row in reversed(found) if row.key <= rows.version_key(newest)))


def releases(current: Unit, *, through: int = 0, last: int = 25) -> Read[Release]:
    """The newest releases up to number `through` (0: all), newest first, in one read."""
    newest = through or current.state.next_release - 1
    found = current.ports.store.range(
        current.loop, "release-", after=rows.release_key(max(0, newest - last)), limit=last
    )
    return rows.read(Release, (row for row in reversed(found) if row.key <= rows.release_key(newest)))


def unused(current: Unit, *, last: int = 5) -> Read[LedgerEntry]:
    """The newest drops that became no version, though nothing is wrong with them; of a folder's parts only one."""
    newest = ledger_pages.shown_after(current, max(0, current.state.ledger_seq - RECENT), limit=RECENT)
    found: dict[str, LedgerEntry] = {}
    for entry in reversed(newest.values):
        if entry.what in UNUSED:
            part = entry.detail.get("code") == Code.FOLDER_PART.value
            found.setdefault(entry.subject.rpartition("/")[0] if part else entry.subject, entry)
    return Read(tuple(found.values())[:last], newest.unread)


def inbox(ports: Ports, name: str) -> list[InboxRecord]:
    """Every event of a loop, oldest first."""
    found = [rows.decode(InboxRecord, row) for row in rows.every(ports.store, name, "inbox-")]
    return sorted(found, key=lambda record: record.received_at)


def set_aside(ports: Ports, name: str, *, last: int = 20) -> list[InboxRecord]:
    """The newest events that are quarantined, with their reasons, oldest first."""
    return list(shown_aside(ports, name, last=last).values)


def shown_aside(ports: Ports, name: str, *, last: int = 20) -> Read[InboxRecord]:
    """The same with what cannot be read."""
    newest = ports.store.range(name, "aside-", limit=last)
    found = [ports.store.read(name, rows.inbox_key(row.doc)) for row in reversed(newest)]
    return rows.read(InboxRecord, (row for row in found if row is not None))


def event(ports: Ports, name: str, key: str) -> InboxRecord | None:
    """One event of a loop by its key."""
    row = ports.store.read(name, rows.inbox_key(key))
    return rows.decode(InboxRecord, row) if row is not None else None


def entries(ports: Ports, name: str) -> list[LedgerEntry]:
    """The whole ledger of a loop, in order."""
    return [rows.decode(LedgerEntry, row) for row in rows.every(ports.store, name, "ledger-")]


def ledger(ports: Ports, name: str) -> Read[LedgerEntry]:
    """The same for people: what cannot be read is told beside what can."""
    return rows.read(LedgerEntry, rows.every(ports.store, name, "ledger-"))


def strangers(ports: Ports, last: int) -> list[Unrouted]:
    """The newest events that belong to no loop and were not taken up since."""
    found = [event for _, event in unrouted.newest(ports, FEW)]
    waiting = [event for event in found if event.reason.code not in unrouted.TAKEN_UP]
    return sorted(waiting, key=lambda event: event.received_at, reverse=True)[:last]

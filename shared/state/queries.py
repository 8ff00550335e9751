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


def loops(ports: Ports) -> list[Overview]:
    """Every loop's line."""
    return ports.store.overviews()


def loop(ports: Ports, name: str, *, last: int = 10) -> LoopView:
    """Everything that one page or screen about a loop shows."""
    current = unit_of_work.read(ports, name)
    overview = ports.store.overview(name)
    if overview is None:
        raise ConfigurationError(f"loop {name} has no overview; publish it again", code=Code.NOT_FOUND)
    served = serving_look.now(current)
    state = replace(current.state, unserved=served.unserved)
    if served.unserved is not None and serving_look.serves_meanwhile(state, current.open_release()):
        overview = replace(overview, needs_attention=served.unserved)
    newest = releases(current, last=last)
    definition, now = current.at_hand().definition, ports.clock.now()
    return LoopView(
        overview=overview,
        state=state,
        versions=tuple(versions(current, last=last)),
        releases=tuple(newest),
        set_aside=tuple(set_aside(ports, name)),
        traffic=served.traffic,
        cost=cost.standing(state, current.open_release(), definition, now),
        steps=_steps(current, newest),
        reading=job_answers.standing(state, definition, now),
        unused=tuple(unused(current)),
    )


def _steps(current: Unit, newest: Sequence[Release]) -> Reason | None:
    release = next((one for one in newest if one.training_steps), None)
    if release is None:
        return None
    return cost.by_step(release, current.at_hand(release).definition)


def versions(current: Unit, *, through: int = 0, last: int = 25) -> list[DataVersion]:
    """The newest versions up to number `through` (0: all), newest first, in one read."""
    newest = through or current.state.next_version - 1
    found = current.ports.store.range(
        current.loop, "version-", after=rows.version_key(max(0, newest - last)), limit=last
    )
    return [version for row in reversed(found) if (version := rows.decode(DataVersion, row)).number <= newest]


def releases(current: Unit, *, through: int = 0, last: int = 25) -> list[Release]:
    """The newest releases up to number `through` (0: all), newest first, in one read."""
    newest = through or current.state.next_release - 1
    found = current.ports.store.range(
        current.loop, "release-", after=rows.release_key(max(0, newest - last)), limit=last
    )
    return [release for row in reversed(found) if (release := rows.decode(Release, row)).number <= newest]


def unused(current: Unit, *, last: int = 5) -> list[LedgerEntry]:
    """The newest drops that became no version, though nothing is wrong with them; of a folder's parts only one."""
    newest = ledger_pages.entries_after(current, max(0, current.state.ledger_seq - RECENT), limit=RECENT)
    found: dict[str, LedgerEntry] = {}
    for entry in reversed(newest):
        if entry.what in UNUSED:
            part = entry.detail.get("code") == Code.FOLDER_PART.value
            found.setdefault(entry.subject.rpartition("/")[0] if part else entry.subject, entry)
    return list(found.values())[:last]


def inbox(ports: Ports, name: str) -> list[InboxRecord]:
    """Every event of a loop, oldest first."""
    found = [rows.decode(InboxRecord, row) for row in rows.every(ports.store, name, "inbox-")]
    return sorted(found, key=lambda record: record.received_at)


def set_aside(ports: Ports, name: str, *, last: int = 20) -> list[InboxRecord]:
    """The newest events that are quarantined, with their reasons, oldest first."""
    found = []
    for row in ports.store.range(name, "aside-", limit=last):
        record = event(ports, name, row.doc)
        if record is not None:
            found.append(record)
    return found[::-1]


def event(ports: Ports, name: str, key: str) -> InboxRecord | None:
    """One event of a loop by its key."""
    row = ports.store.read(name, rows.inbox_key(key))
    return rows.decode(InboxRecord, row) if row is not None else None


def entries(ports: Ports, name: str) -> list[LedgerEntry]:
    """The whole ledger of a loop, in order."""
    return [rows.decode(LedgerEntry, row) for row in rows.every(ports.store, name, "ledger-")]


def strangers(ports: Ports, last: int) -> list[Unrouted]:
    """The newest events that belong to no loop and were not taken up since."""
    found = [event for _, event in unrouted.newest(ports, FEW)]
    waiting = [event for event in found if event.reason.code not in unrouted.TAKEN_UP]
    return sorted(waiting, key=lambda event: event.received_at, reverse=True)[:last]

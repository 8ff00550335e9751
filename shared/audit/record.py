"""What the ledger alone proves of a loop. Nothing here is read from a row that its chain does not protect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Reason
from shared.domain.release import Phase
from shared.release.machine import PHASES

PROMOTED = "release.promoted"
STARTED = "release.started"
PUBLISHED = "loop.published"
_TAKEN_BACK_FROM = frozenset(phase.value for phase, traits in PHASES.items() if traits.promoted)
_PHASES = frozenset(phase.value for phase in Phase)


@dataclass(frozen=True)
class Entries:
    """The ledger entries of one thing, in order."""

    entries: tuple[LedgerEntry, ...]

    def first(self, what: str) -> LedgerEntry | None:
        return next((entry for entry in self.entries if entry.what == what), None)

    def last(self, name: str) -> str:
        """The newest text that an entry has under `name`; empty when none has."""
        return next((text for entry in reversed(self.entries) if (text := text_of(entry, name))), "")

    def every(self, name: str) -> set[str]:
        return {text for entry in self.entries if (text := text_of(entry, name))}


@dataclass(frozen=True)
class ReleaseRecord(Entries):
    """One release, from its first entry in hand on."""

    number: int

    @property
    def begun(self) -> LedgerEntry | None:
        """Its start, or its adoption as it served; None where the entries in hand begin later."""
        start = self.entries[0]
        return start if start.what in (STARTED, PROMOTED) and not start.before else None

    @property
    def phase(self) -> Phase:
        return next(Phase(e.after) for e in reversed(self.entries) if e.after in _PHASES)

    @property
    def versions(self) -> tuple[int, ...]:
        start = self.first(STARTED)
        return tuple(int(text) for text in text_of(start, "versions").split(", ") if text) if start else ()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it was started."""
        start = self.begun
        why = start.detail.get("reasons") or start.detail.get("reason") if start else None
        return (why.because or (why,)) if isinstance(why, Reason) else ()


@dataclass(frozen=True)
class VersionRecord(Entries):
    """One data version."""

    number: int


@dataclass(frozen=True)
class Service:
    """A span of time in which one release had all traffic but a canary's share."""

    release: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Record:
    """Entries of a loop's ledger that follow one another."""

    entries: tuple[LedgerEntry, ...]

    @property
    def whole(self) -> bool:
        """Whether they begin with the first."""
        return not self.entries or self.entries[0].seq == 1

    @cached_property
    def releases(self) -> dict[int, ReleaseRecord]:
        return {number: ReleaseRecord(found, number) for number, found in self._of("release", _PHASES)}

    @cached_property
    def versions(self) -> dict[int, VersionRecord]:
        return {number: VersionRecord(found, number) for number, found in self._of("version")}

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Who served when, oldest first. A promotion that is rolled back gives the one before it back."""
        found: list[Service] = []
        stack: list[int] = []
        for entry in self.entries:
            if entry.what == PROMOTED:
                stack.append(_number(entry))
            elif _is_taken_back(entry):
                stack = stack[:-1]
            else:
                continue
            if found and found[-1].until is None:
                found[-1] = Service(found[-1].release, found[-1].since, entry.at)
            if stack:
                found.append(Service(stack[-1], entry.at, None))
        return tuple(found)

    def serving(self, at: datetime) -> Service | None:
        """Who served at a moment. None: nobody, or, where the record is not whole, nobody of whom it knows."""
        return next((s for s in self.services if s.since <= at and (s.until is None or at < s.until)), None)

    @cached_property
    def hashes(self) -> dict[int, str]:
        """Of each entry by its number."""
        return {entry.seq: entry.hash for entry in self.entries}

    @property
    def definition(self) -> str:
        """Document hash of the newest publication; empty when none is at hand."""
        return next((e.after for e in reversed(self.entries) if e.what == PUBLISHED), "")

    def definition_of(self, release: ReleaseRecord) -> str:
        """Document hash of the definition it ran with; an adopted release has the one that was published with it."""
        if found := release.last("definition"):
            return found
        first = release.entries[0].seq
        return next((e.after for e in reversed(self.entries) if e.what == PUBLISHED and e.seq < first), "")

    def _of(
        self, kind: str, states: frozenset[str] = frozenset()
    ) -> Iterator[tuple[int, tuple[LedgerEntry, ...]]]:
        """Entries by the number of the thing; of releases those that end in a phase, for others may only name it."""
        found: dict[int, list[LedgerEntry]] = {}
        for entry in self.entries:
            named, _, number = entry.subject.partition(" ")
            if named == kind and number.isdecimal() and (not states or entry.after in states):
                found.setdefault(int(number), []).append(entry)
        return ((number, tuple(entries)) for number, entries in found.items())


def text_of(entry: LedgerEntry, name: str) -> str:
    """A text of an entry's detail; empty when it has none, or a reason there."""
    found = entry.detail.get(name)
    return found if isinstance(found, str) else ""


def _number(entry: LedgerEntry) -> int:
    return int(entry.subject.partition(" ")[2])


def _is_taken_back(entry: LedgerEntry) -> bool:
    return entry.what == "release.rolling_back" and entry.before in _TAKEN_BACK_FROM

"""What the ledger alone proves of a loop. Nothing here is read from a row that its chain does not protect."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Reason
from shared.domain.release import ENDED, Phase
from shared.release import observations as obs
from shared.release.machine import PHASES, in_words

PROMOTED = "release.promoted"
STARTED = "release.started"
PUBLISHED = "loop.published"
_LONGEST_NUMBER = 18
"""Digits of the longest that any of ours has."""

_TAKEN_BACK_FROM = frozenset(phase.value for phase, traits in PHASES.items() if traits.promoted)
_MOVES_TRAFFIC = frozenset(phase for phase, traits in PHASES.items() if obs.TrafficIs in traits.sees)
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
        named = text_of(start, "versions").split(", ") if start else ()
        return tuple(number for text in named if (number := whole_number(text)))

    @property
    def end(self) -> Reason | None:
        """Why it ended as it did; None while it is open. Whether it helped is said later."""
        ended = next((entry for entry in self.entries if entry.after in ENDED), None)
        why = ended.detail.get("reason") if ended else None
        return why if isinstance(why, Reason) else None

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
    """A span of time without a break in which one release had all traffic but a canary's share."""

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

    def reaches(self, seq: int) -> bool:
        """Whether they go on to entry `seq`."""
        return bool(self.entries) and self.entries[-1].seq >= seq

    @cached_property
    def releases(self) -> dict[int, ReleaseRecord]:
        return {number: ReleaseRecord(found, number) for number, found in self._of("release", _PHASES)}

    @cached_property
    def versions(self) -> dict[int, VersionRecord]:
        return {number: VersionRecord(found, number) for number, found in self._of("version")}

    @cached_property
    def _course(self) -> _Course:
        course = _Course({number: one.last("deployment") for number, one in self.releases.items()})
        for entry in self.entries:
            course.goes_on(entry)
        return course

    @property
    def services(self) -> tuple[Service, ...]:
        """Who served when, oldest first. A rollback ends a service once the one before has the traffic again."""
        return tuple(self._course.services)

    @property
    def champion(self) -> int | None:
        """The release that is to serve at the end of the record; one that is rolled back no longer is."""
        return next(reversed(self._course.promoted), None)

    def champion_before(self, number: int) -> int | None:
        """The release that was to serve when this one was started."""
        return self._course.served_at_start.get(number)

    @property
    def paused(self) -> bool:
        """Whether the loop is paused at the end of the record: by a person, or for traffic that somebody else set."""
        return self._course.paused

    @property
    def published_by(self) -> str:
        """Who published last; empty when no publication is at hand."""
        return next((e.actor for e in reversed(self.entries) if e.what == PUBLISHED), "")

    @property
    def traffic(self) -> str:
        """The weights at the end of the record, in words; empty where none were given."""
        return self._course.traffic

    @property
    def open_release(self) -> ReleaseRecord | None:
        """The release that has not ended."""
        return next(
            (one for _, one in sorted(self.releases.items(), reverse=True) if one.phase not in ENDED), None
        )

    @property
    def moving(self) -> ReleaseRecord | None:
        """The open release where it is just setting weights: those from before are as right as those to come."""
        found = self.open_release
        return found if found is not None and found.phase in _MOVES_TRAFFIC else None

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
            if named == kind and whole_number(number) and (not states or entry.after in states):
                found.setdefault(whole_number(number), []).append(entry)
        return ((number, tuple(entries)) for number, entries in found.items())


_PAUSES = {"loop.paused", "traffic.adopted"}
_GOES_ON = {"loop.resumed", STARTED}
"""A restore alone starts in a loop that is paused, and ends that."""


@dataclass
class _Course:
    """Who has the traffic, as one entry after the other tells it."""

    deployments: Mapping[int, str]
    """Of each release."""
    services: list[Service] = field(default_factory=list)
    promoted: list[int] = field(default_factory=list)
    """Releases that were promoted and not taken back, the newest last."""
    holder: int | None = None
    """The release that has the traffic, where anybody is served."""
    lost: bool = False
    traffic: str = ""
    paused: bool = False
    served_at_start: dict[int, int | None] = field(default_factory=dict)
    """By a release, the one that was to serve when it was started."""

    def goes_on(self, entry: LedgerEntry) -> None:
        if entry.what in _PAUSES:
            self.paused = True
        elif entry.what in _GOES_ON:
            self.paused = False
        if entry.what == STARTED:
            self.served_at_start[_number(entry)] = next(reversed(self.promoted), None)
        match entry.what:
            case "release.promoted":
                self._promoted(_number(entry), entry.at)
            case "traffic.adopted" | "traffic.repaired":
                weights = _weights(entry)
                self.traffic = in_words(weights)
                self._given(self._heaviest(weights), entry.at)
            case "serving.lost" | "serving.back":
                self.lost = entry.what == "serving.lost"
                self._given(self.holder, entry.at)
            case _ if entry.after in _PHASES:
                self._release(entry)

    def _promoted(self, number: int, at: datetime) -> None:
        if number in self.deployments:
            self.promoted.append(number)
            self.traffic = in_words({self.deployments[number]: 100})
            self.lost = False
            self._given(number, at)

    def _release(self, entry: LedgerEntry) -> None:
        self.traffic = text_of(entry, "traffic") or self.traffic
        if _is_taken_back(entry):
            self.promoted = self.promoted[:-1]
        elif entry.before == Phase.ROLLING_BACK:
            self._given(next(reversed(self.promoted), None), entry.at)

    def _given(self, number: int | None, at: datetime) -> None:
        """It has the traffic from now on; nobody is served while the endpoint is lost."""
        self.holder, serves = number, None if self.lost else number
        last = self.services[-1] if self.services else None
        now = last.release if last and last.until is None else None
        if serves == now:
            return
        if last is not None and now is not None:
            self.services[-1] = replace(last, until=at)
        if serves is not None:
            self.services.append(Service(serves, at, None))

    def _heaviest(self, weights: Mapping[str, int]) -> int | None:
        """Whose deployment somebody gave most of the traffic; who has some of it keeps its name."""
        if self.holder is not None and weights.get(self.deployments[self.holder]):
            return self.holder
        name = max(weights, key=lambda name: weights[name], default="")
        return max((n for n, deployed in self.deployments.items() if deployed == name), default=None)


def _weights(entry: LedgerEntry) -> dict[str, int]:
    """What an adoption or a repair left; none where it cannot be read."""
    try:
        return dict(ast.literal_eval(entry.after))
    except (ValueError, SyntaxError, TypeError):
        return {}


def text_of(entry: LedgerEntry, name: str) -> str:
    """A text of an entry's detail; empty when it has none, or a reason there."""
    found = entry.detail.get(name)
    return found if isinstance(found, str) else ""


def _number(entry: LedgerEntry) -> int:
    """Of the release; 0 in an entry that somebody made name none."""
    return whole_number(entry.subject.partition(" ")[2])


def whole_number(text: str) -> int:
    """Of a version, a release, an entry, or of rows; 0 in a text that somebody made something else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else 0


def _is_taken_back(entry: LedgerEntry) -> bool:
    return entry.what == "release.rolling_back" and entry.before in _TAKEN_BACK_FROM

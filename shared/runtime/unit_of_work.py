"""One read and one write of a loop: its row, what changes with it, and the ledger entries that record it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError, Conflict, DriftloopError
from shared.loopfile.published import Published, stays_unreadable
from shared.ports import Change, Delete, Insert, Ports, Replace, Row
from shared.state import hash_chain, rows
from shared.state.hash_chain import Draft

Decided = TypeVar("Decided")

PAGE = 1000

MOST_RIVALS = 20
"""Lost races of one command; a worker writes a loop a few times a second at most."""

MOST_PUBLISHED = 2000

_published: dict[str, Published] = {}
"""By content hash, so it cannot grow stale; bounded, and never needed to be right."""


@dataclass
class Unit:
    """A loop as it was read; every write is under the ETag of that read."""

    ports: Ports
    row: Row
    state: LoopState
    spent: bool = False
    """Whether it was written: whoever decides next reads the loop again, or has what `commit` gave."""
    written: Mapping[str, Row] = field(default_factory=dict)
    """The rows that were written with it, as they are stored."""

    @property
    def loop(self) -> str:
        return self.state.loop

    def commit(
        self, state: LoopState | None = None, drafts: Sequence[Draft] = (), changes: Sequence[Change] = ()
    ) -> Unit | None:
        """The new state, its ledger entries and `changes`, in one transaction under the ETag that was read.

        The loop as it was left, for who goes on at once without reading it; None where the reply was lost.
        """
        now = self.ports.clock.now()
        sealed, entries = hash_chain.append(state or self.state, drafts, now)
        all_of_it: list[Change] = [
            Replace(rows.LOOP, rows.encode(sealed), self.row.etag),
            *(Insert(rows.ledger_key(entry.seq), rows.encode(entry)) for entry in entries),
            *changes,
        ]
        etags = self.ports.store.commit(self.loop, all_of_it)
        self.spent = True
        written = {
            change.key: Row(change.key, change.doc, etags[change.key])
            for change in all_of_it
            if not isinstance(change, Delete) and change.key in etags
        }
        return Unit(self.ports, written[rows.LOOP], sealed, written=written) if written else None

    def published(self, digest: str = "") -> Published:
        """The definition that the loop runs with, or the one of an earlier publication. Read once a process."""
        digest = digest or self.state.definition
        if digest not in _published:
            if len(_published) >= MOST_PUBLISHED:
                _published.clear()
            _published[digest] = Published.from_bytes(self.ports.documents.get(digest))
        return _published[digest]

    def at_hand(self, release: Release | None = None) -> Published:
        """The definition of a release, or of the loop; where that cannot be read the newest of the loop's that can, or
        what is known without any. So nobody waits for one who looks, or takes a release back."""
        own = release.definition if release is not None else ""
        for digest in dict.fromkeys(filter(None, (own, self.state.definition))):
            if (found := self._readable(digest)) is not None:
                return found
        champion = self.state.champion
        served = self._readable(self.release(champion.release)[0].definition) if champion else None
        return served or self._bare()

    def _readable(self, digest: str) -> Published | None:
        try:
            return self.published(digest)
        except DriftloopError as error:
            if not stays_unreadable(error):
                raise
            return None

    def _bare(self) -> Published:
        """Where the loop serves, as the overview and the endpoints say."""
        overview = self.ports.store.overview(self.loop)
        if overview is None or not overview.endpoint:
            return self.published()  # which says why not
        online = self.ports.server("online").endpoint_state(overview.endpoint) != "missing"
        return Published.bare(self.loop, overview.endpoint, "online" if online else "batch")

    @property
    def stands_still(self) -> bool:
        """Whether nothing may be spent or shifted: the loop is paused, or only observes; or nobody can read which."""
        if self.state.paused is not None or self.nobody_knows:
            return True
        return self.published().definition.mode == "observe"

    @property
    def nobody_knows(self) -> bool:
        """Whether the loop's definition stays unreadable until a person does something."""
        return self._readable(self.state.definition) is None

    def newest_labelled(self) -> int:
        """Number of the newest version that can be trained on; 0 when there is none."""
        if self.state.newest_labelled is not None:
            return self.state.newest_labelled
        return max((version.number for version in self.versions() if version.labelled), default=0)

    def release(self, number: int) -> tuple[Release, Row]:
        row = self.ports.store.read(self.loop, rows.release_key(number))
        if row is None:
            raise ConfigurationError(
                f"{self.loop} has no release {number}; `driftloop status` lists them", code=Code.NOT_FOUND
            )
        release = rows.decode(Release, row)
        if (release.loop, release.number) != (self.loop, number):
            raise rows.misplaced(row, f"release {release.number} of loop {release.loop}")
        return release, row

    def open_release(self) -> Release | None:
        """The open release; None also where another worker has ended it since the loop's row was read."""
        number = self.state.open_release
        release = self.release(number)[0] if number is not None else None
        return None if release is None or release.ended else release

    def version(self, number: int) -> tuple[DataVersion, Row]:
        key = rows.version_key(number)
        row = self.written.get(key) or self.ports.store.read(self.loop, key)
        if row is None:
            raise ConfigurationError(
                f"{self.loop} has no data version {number}; `driftloop status` lists them",
                code=Code.NOT_FOUND,
            )
        return _version(row), row

    def newest_columns(self) -> Mapping[str, str]:
        """Columns of the newest version, with their types; empty before the first."""
        newest = self.state.next_version - 1
        return self.version(newest)[0].columns if newest else {}

    def versions(self, numbers: Collection[int] = ()) -> list[DataVersion]:
        """These data versions, or all; oldest first, a thousand a call."""
        found: list[DataVersion] = []
        first, last = (min(numbers), max(numbers)) if numbers else (1, self.state.next_version - 1)
        after = rows.version_key(first - 1)
        while after < rows.version_key(last):
            limit = min(PAGE, last - int(after.removeprefix("version-")))
            page = self.ports.store.range(self.loop, "version-", after=after, limit=limit)
            if not page:
                break
            found += map(_version, page)
            after = page[-1].key
        return [version for version in found if not numbers or version.number in numbers]

    def version_pages(self) -> Iterator[list[DataVersion]]:
        """All data versions from the newest down, a page a call, so that who has enough reads no more."""
        last = self.state.next_version - 1
        while last > 0:
            first = max(0, last - PAGE)
            page = self.ports.store.range(
                self.loop, "version-", after=rows.version_key(first), limit=last - first
            )
            yield [*map(_version, reversed(page))]
            last = first


def _version(row: Row) -> DataVersion:
    version = rows.decode(DataVersion, row)
    if rows.version_key(version.number) != row.key:
        raise rows.misplaced(row, f"version {version.number}")
    return version


def read(ports: Ports, loop: str) -> Unit:
    """The loop as it is now."""
    row = ports.store.read(loop, rows.LOOP)
    if row is None:
        raise ConfigurationError(
            f"there is no loop {loop!r}; publish it with `driftloop publish loops/{loop}`",
            code=Code.NOT_FOUND,
        )
    return of_row(ports, loop, row)


def of_row(ports: Ports, loop: str, row: Row) -> Unit:
    """The loop as this row has it."""
    state = rows.decode(LoopState, row)
    if state.loop != loop:
        raise rows.misplaced(row, f"loop {state.loop}")
    return Unit(ports, row, state)


def until_won(decide: Callable[[], Decided]) -> Decided:
    """What `decide`, which reads a loop and writes it once, comes to where the loop's worker may write in between.

    A person's command reads again and decides again as a worker does, but is not tried again by a later run.
    """
    for _ in range(MOST_RIVALS):
        with suppress(Conflict):
            return decide()
    return decide()


def update(row: Row, value: object) -> Replace:
    """Replace a row by a new value under the ETag that was read."""
    return Replace(row.key, rows.encode(value), row.etag)


def traffic_changed(loop: str, traffic: Mapping[str, int], back: str) -> Reason:
    """Why a loop pauses whose traffic somebody else changed; `driftloop {back}` undoes the change."""
    seen = ", ".join(f"{name} {weight} %" for name, weight in sorted(traffic.items())) or "none"
    return reason(Code.TRAFFIC_CHANGED, loop=loop, traffic=seen, back=back)

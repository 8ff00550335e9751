"""1,000 loops, and one with 100,000 past versions, 4,000 releases and 300,000 ledger entries; no document twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from shared.domain.ledger import LedgerEntry
from shared.domain.loop import Overview, UnderWay
from shared.domain.reason import Code, reason
from shared.domain.release import Phase, Release
from shared.memory.store import MemoryStore
from shared.ports import Row
from shared.runtime import unit_of_work
from shared.state import hash_chain, rows
from shared.state.hash_chain import Draft
from tests.engine.world import World
from tests.tower.conftest import past

LOOPS, VERSIONS, RELEASES, ENTRIES = 1_000, 100_000, 4_000, 300_000


class SortedStore(MemoryStore):
    """The same store, with its keys sorted once: a table service does not sort at every query either."""

    def freeze(self) -> None:
        self._keys = {loop: sorted(found) for loop, found in self.rows.items()}

    def range(self, loop: str, prefix: str, *, after: str = "", limit: int = 1000) -> list[Row]:
        from bisect import bisect_left, bisect_right

        keys = self._keys[loop]
        start = max(bisect_left(keys, prefix), bisect_right(keys, after))
        found = [key for key in keys[start : start + limit] if key.startswith(prefix)]
        return [self.rows[loop][key] for key in found]


def crowded() -> World:
    """The loop with a past, grown: its newest version, release and ledger entry stand for all the others."""
    world = past()
    store = world.ports.store
    found = store.rows["birds"]
    state = unit_of_work.read(world.ports, "birds").state
    version = found[rows.version_key(3)].doc
    for number in range(state.next_version, VERSIONS + 1):
        key = rows.version_key(number)
        found[key] = Row(key, version.replace('"number": 3', f'"number": {number}'), "e")
    old = rows.decode(Release, found[rows.release_key(1)])
    later = rows.encode(replace(old, started_at=world.clock.current, versions=tuple(range(1, 400))))
    assert later.count('"number": 1,') == 1
    for number in range(state.next_release, RELEASES + 1):
        key = rows.release_key(number)
        found[key] = Row(key, later.replace('"number": 1,', f'"number": {number},'), "e")
    newest = rows.decode(LedgerEntry, found[rows.ledger_key(state.ledger_seq)])
    middle = rows.encode(replace(newest, at=newest.at - timedelta(seconds=1)))
    for seq in range(state.ledger_seq + 1, ENTRIES - 9_000):
        key = rows.ledger_key(seq)
        found[key] = Row(key, middle.replace(f'"seq": {state.ledger_seq}', f'"seq": {seq}'), "e")
    grown = replace(state, ledger_seq=ENTRIES - 9_001, next_version=VERSIONS + 1, next_release=RELEASES + 1)
    trained = ", ".join(map(str, range(1, 400)))
    detail = {"reasons": "x" * 500, "versions": trained}
    draft = Draft("release.started", f"release {RELEASES}", "driftloop", "", after="preparing", detail=detail)
    grown, entries = hash_chain.append(grown, [draft] * 9_001, world.clock.current)
    for entry in entries:
        found[rows.ledger_key(entry.seq)] = Row(rows.ledger_key(entry.seq), rows.encode(entry), "e")
    found[rows.LOOP] = Row(rows.LOOP, rows.encode(grown), "e")
    _unlike(world, grown.next_version, grown.next_release)
    line = store.overviews()[0]
    for number in range(LOOPS):
        needs = reason(Code.LOOP_WAITS, reason(Code.FINDING, text="w" * 300))
        longest = replace(_long(line), needs_attention=needs if number % 3 == 0 else None)
        store.describe(replace(longest, loop=f"loop-{number:04d}"))
    store.__class__ = SortedStore
    assert isinstance(store, SortedStore)
    store.freeze()
    return world


def _unlike(world: World, versions: int, releases: int) -> None:
    """No document stands twice: what one page shows has a report, a metric and a definition of its own in each line."""
    ports, found = world.ports, world.ports.store.rows["birds"]
    plain = unit_of_work.read(ports, "birds").version(3)[0]
    judged = world.release(2).judgements

    def another(digest: str, n: int) -> str:
        return ports.documents.put(
            json.dumps({**json.loads(ports.documents.get(digest)), "unlike": n}).encode()
        )

    for number in [*range(versions - 60, versions), *range(50_000 - 60, 50_001)]:
        drift, metric = another(plain.drift, number), another(plain.metric, number)
        key = rows.version_key(number)
        found[key] = Row(key, rows.encode(replace(plain, number=number, drift=drift, metric=metric)), "e")
    for number in range(releases - 60, releases):
        key = rows.release_key(number)
        release = rows.decode(Release, found[key])
        own = tuple(
            replace(j, evidence=another(j.evidence, 100 * number + n)) if j.evidence else j
            for n, j in enumerate(judged * 12)
        )
        release = replace(release, definition=another(release.definition, number), judgements=own)
        found[key] = Row(key, rows.encode(release), "e")


def _long(line: Overview) -> Overview:
    assert line.newest is not None
    newest = replace(line.newest, verdict=(reason(Code.FINDING, text="v" * 160),))
    return replace(
        line,
        newest=newest,
        under_way=UnderWay(2, Phase.CANARY, reason(Code.FINDING, text="w" * 160), {"r2-a1": 100}),
    )

"""With 1,000 loops and 100,000 past versions a page takes a bounded number of calls, and stays under 200 KB."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from shared import rows
from shared.core import ledger
from shared.core.ledger import Draft
from shared.engine import unit
from shared.memory.store import MemoryStore
from shared.model import Overview, Release
from shared.ports import Row
from tests.engine.world import World
from tests.tower.conftest import past
from tests.tower.tower import counting, get

LOOPS, VERSIONS, RELEASES, ENTRIES = 1_000, 100_000, 4_000, 300_000
LIMIT_BYTES = 200_000
CALLS = {
    "": 5,
    "?from=900": 5,
    "/loops/birds": 80,
    "/loops/birds?versions=50000&releases=2000": 80,
    f"/loops/birds/versions/{VERSIONS}": 40,
    "/loops/birds/versions/3": 40,
    f"/loops/birds/releases/{RELEASES}": 60,
    "/loops/birds/releases/2": 60,
    "/loops/birds/audit": 90,
    "/loops/birds/audit?at=2026-01-01T00:10:00": 90,
    "/loops/birds/audit?release=2": 90,
}


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
    state = unit.read(world.ports, "birds").state
    version = found[rows.version_key(3)].doc
    for number in range(state.next_version, VERSIONS + 1):
        key = rows.version_key(number)
        found[key] = Row(key, version.replace('"number": 3', f'"number": {number}'), "e")
    old = rows.decode(Release, found[rows.release_key(1)])
    for number in range(state.next_release, RELEASES + 1):
        later = replace(old, number=number, started_at=world.clock.current, versions=tuple(range(1, 400)))
        key = rows.release_key(number)
        found[key] = Row(key, rows.encode(later), "e")
    middle = found[rows.ledger_key(state.ledger_seq)].doc
    for seq in range(state.ledger_seq + 1, ENTRIES - 9_000):
        key = rows.ledger_key(seq)
        found[key] = Row(key, middle.replace(f'"seq": {state.ledger_seq}', f'"seq": {seq}'), "e")
    grown = replace(state, ledger_seq=ENTRIES - 9_001, next_version=VERSIONS + 1, next_release=RELEASES + 1)
    draft = Draft("release.started", f"release {RELEASES}", "driftloop", "", detail={"reasons": "x" * 500})
    grown, entries = ledger.append(grown, [draft] * 9_001, world.clock.current)
    for entry in entries:
        found[rows.ledger_key(entry.seq)] = Row(rows.ledger_key(entry.seq), rows.encode(entry), "e")
    found[rows.LOOP] = Row(rows.LOOP, rows.encode(grown), "e")
    line = store.overviews()[0]
    for number in range(LOOPS):
        needs = "w" * 300 if number % 3 == 0 else ""
        store.describe(replace(line, loop=f"loop-{number:04d}", attention=needs, facts=_long(line)))
    store.__class__ = SortedStore
    assert isinstance(store, SortedStore)
    store.freeze()
    return world


def _long(line: Overview) -> dict[str, str]:
    return {**line.facts, "verdict": "v" * 160, "waiting_for": "w" * 160}


@pytest.fixture(scope="module")
def world() -> World:
    return crowded()


def test_every_page_is_small_and_takes_few_calls(world: World) -> None:
    told = []
    for path, limit in CALLS.items():
        ports, counts = counting(world.ports)
        began = time.perf_counter()
        reply = get(ports, path)
        took_ms = 1000 * (time.perf_counter() - began)
        assert reply.status == 200, reply.content.decode()[-2000:]
        twin = get(world.ports, path, accept="application/json")
        told.append(f"{path or '/':45} {counts.total():3} calls {len(reply.content):7,} B {took_ms:6.0f} ms")
        assert counts.total() <= limit, (path, counts)
        assert len(reply.content) < LIMIT_BYTES, (path, len(reply.content))
        assert len(twin.content) < LIMIT_BYTES, (path, len(twin.content))
        assert json.loads(twin.content)
    print("\n".join(told))


def test_the_ledger_s_check_of_a_long_ledger_says_how_far_it_went(world: World) -> None:
    check = json.loads(get(world.ports, "/loops/birds/audit.json").content)["check"]
    assert (check["entries"], check["checked"], check["whole"], check["problems"]) == (
        ENTRIES,
        5000,
        False,
        [],
    )


def test_a_long_version_of_many_columns_stays_small(world: World) -> None:
    """2,000 columns with long names that all moved."""
    ports = world.ports
    version, row = unit.read(ports, "birds").version(3)
    report = json.loads(ports.documents.get(version.drift))
    column = report["columns"][0]
    many = [{**column, "name": f"{n:04d}" + "x" * 200, "words": "w" * 2000} for n in range(2000)]
    digest = ports.documents.put(json.dumps({**report, "columns": many}).encode())
    long = replace(version, drift=digest, verdict="; ".join("v" * 500 for _ in range(500)))
    ports.store.rows["birds"][row.key] = Row(row.key, rows.encode(long), "e")
    try:
        for path in ("/loops/birds/versions/3", f"/loops/birds?versions={3}"):
            for accept in ("text/html", "application/json"):
                assert len(get(ports, path, accept=accept).content) < LIMIT_BYTES, (path, accept)
    finally:
        ports.store.rows["birds"][row.key] = row

"""With 1,000 loops and 100,000 past versions a page takes a bounded number of calls, and stays under 200 KB."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from shared.domain.reason import Code, reason
from shared.ports import Row
from shared.runtime import unit_of_work
from shared.state import rows
from tests.engine.world import World
from tests.tower.crowd import ENTRIES, RELEASES, VERSIONS, crowded
from tests.tower.tower import counting, get

LIMIT_BYTES = 200_000
CALLS = {
    "": 3,
    "?from=900": 3,
    "?only=person&order=data&q=loop": 3,
    "/loops/birds": 64,
    "/loops/birds?versions=50000&releases=2000": 64,
    "/loops/birds/live?hours=168": 15,
    f"/loops/birds/versions/{VERSIONS}": 15,
    "/loops/birds/versions/3": 15,
    "/loops/birds/versions/diff?before=1&after=3": 15,
    "/loops/birds/releases/diff?before=2": 15,
    f"/loops/birds/releases/{RELEASES}": 40,
    "/loops/birds/releases/2": 40,
    "/loops/birds/releases/2/log": 15,
    "/loops/birds/audit": 45,
    "/loops/birds/audit?at=2026-01-01T00:10:00": 45,
    "/loops/birds/audit?release=2": 45,
    f"/loops/birds/audit?release={RELEASES}": 55,
}


@pytest.fixture(scope="module")
def world() -> World:
    return crowded()


def test_every_page_is_small_and_takes_few_calls(world: World) -> None:
    told = []
    for path, limit in CALLS.items():
        ports, counts = counting(
            world.ports
        )  # a wrapper of its own each: nothing that was read before is kept
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
        8000,
        False,
        [],
    )


def test_a_long_version_of_many_columns_stays_small(world: World) -> None:
    """2,000 columns with long names that all moved."""
    ports = world.ports
    version, row = unit_of_work.read(ports, "birds").version(3)
    report = json.loads(ports.documents.get(version.drift))
    column = report["columns"][0]
    many = [{**column, "name": f"{n:04d}" + "x" * 200, "words": "w" * 2000} for n in range(2000)]
    digest = ports.documents.put(json.dumps({**report, "columns": many}).encode())
    long = replace(
        version, drift=digest, verdict=tuple(reason(Code.FINDING, text="v" * 500) for _ in range(500))
    )
    ports.store.rows["birds"][row.key] = Row(row.key, rows.encode(long), "e")
    try:
        for path in (
            "/loops/birds/versions/3",
            "/loops/birds/versions/3?state=material&order=effect",
            f"/loops/birds?versions={3}",
        ):
            for accept in ("text/html", "application/json"):
                assert len(get(ports, path, accept=accept).content) < LIMIT_BYTES, (path, accept)
    finally:
        ports.store.rows["birds"][row.key] = row

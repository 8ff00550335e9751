"""How long the control tower's pages take among 1,000 loops and 100,000 past versions.

    python -m benchmarks.tower      prints the table and writes "Pages" of docs/benchmarks.md

Storage is in memory, so that the time is our own; the calls are those that Azure would be asked. Each call adds what
a call takes where it runs.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.document import write
from tests.engine.world import World
from tests.tower.crowd import ENTRIES, LOOPS, RELEASES, VERSIONS, crowded
from tests.tower.tower import counting, get

TIMES = 15
CALL_MS = 10.0
PAGES = {
    "overview, 100 of 1,000 loops": "",
    "loop, 24 versions": "/loops/birds",
    "version": f"/loops/birds/versions/{VERSIONS}",
    "release": f"/loops/birds/releases/{RELEASES}",
    "audit, now": "/loops/birds/audit",
    "audit, one release's chain": f"/loops/birds/audit?release={RELEASES}",
}


@dataclass(frozen=True)
class Measured:
    """One page: calls, and our own milliseconds, with nothing kept and with the documents kept."""

    size_kb: float
    calls: int
    own_ms: float
    calls_again: int
    own_again_ms: float


def measured(world: World, path: str) -> Measured:
    fresh: list[tuple[int, float]] = []
    again: list[tuple[int, float]] = []
    get(world.ports, path)  # imports and templates, which a process pays for once
    for _ in range(TIMES):
        ports, counts = counting(world.ports)  # documents are kept by port, so with this one nothing is
        for found in (fresh, again):
            counts.clear()
            began = time.perf_counter()
            reply = get(ports, path)
            found.append((counts.total(), 1000 * (time.perf_counter() - began)))
            assert reply.status == 200, path
    (calls, own), (calls_again, own_again) = (
        (found[0][0], statistics.median(ms for _, ms in found)) for found in (fresh, again)
    )
    return Measured(len(reply.content) / 1000, calls, own, calls_again, own_again)


def _told(calls: int, own_ms: float) -> str:
    return f"{calls} | {own_ms:.0f} ms | {own_ms + CALL_MS * calls:.0f} ms"


def section() -> str:
    world = crowded()
    rows = [
        f"| {name} | {one.size_kb:.0f} kB | {_told(one.calls, one.own_ms)} | "
        f"{_told(one.calls_again, one.own_again_ms)} |"
        for name, path in PAGES.items()
        for one in [measured(world, path)]
    ]
    table = "\n".join(rows)
    return f"""## Pages

`python -m benchmarks.tower`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores
with a load of {os.getloadavg()[0]:.1f} when it ended; medians of {TIMES}.

{LOOPS:,} loops; one of them has {VERSIONS:,} versions, {RELEASES:,} releases and {ENTRIES:,} ledger entries, and
of what a page shows no two lines have a document in common. Storage is in memory: *own* is what we take. *Whole*
adds {CALL_MS:.0f} ms for each storage call, one after the other, which is an assumption and no measurement. A document
is read once a process, so a page that refreshes takes what the last columns say.

| page | size | calls | own | whole | calls again | own again | whole again |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{table}

`tests/tower/test_bounds.py` holds the calls and keeps each page under 200 kB.

"""


if __name__ == "__main__":
    report = section()
    print(report)
    write(report)

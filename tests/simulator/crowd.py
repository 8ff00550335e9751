"""Many loops, and one of them noisy (F27): who waits how long, and what it takes, in time that calls of ports cost."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from shared import loopfile
from shared.inbox import recorder
from shared.loopfile.published import Assets, Published
from shared.memory import FakeClock, MemoryPorts, memory_ports
from shared.runtime import publication, tick, unit_of_work
from tests.faults import Call, watched
from tests.simulator.life import ACCOUNT, LOOP, birds

CALL_S = 0.01
"""What a call of a port takes, about as much as on Azure within a region."""

NOISY = "noisy"
PLAN = LOOP.replace("drift: {material: {numeric: 0.3}}", "drift: {enabled: false}")


@dataclass(frozen=True)
class Outcome:
    loops: int
    blobs: int
    versions: int
    quiet_done_s: float
    """When the last of the quiet loops had its version."""
    noisy_then: int
    """How many versions the noisy loop had by then."""
    longest_gap_s: float
    """The longest that a loop with work waited between two runs."""
    longest_run_calls: int
    peak_mb: float
    """The most memory that one tick took beyond what was held before it; 0 when not traced."""


class Crowd:
    """Loops whose training jobs run and run, so that each has work at every tick."""

    def __init__(self, loops: int, blobs: int) -> None:
        self.clock = FakeClock()
        self.real: MemoryPorts = memory_ports(self.clock)
        self.ports = watched(self.real, self._around)
        self.real.training.new_jobs_are = "running"
        self.names = [NOISY, *(f"quiet-{number}" for number in range(loops - 1))]
        self.blobs = blobs
        self.runs: Counter[str] = Counter()
        self.calls = 0
        self.longest_run = 0
        self._ran_at: dict[str, float] = {}
        self.gap_s = 0.0
        plan = loopfile.parse(PLAN, file="loop.yaml")
        for name in self.names:
            data = plan.data.model_copy(update={"landing": f"landing/{name}/"})
            serve = plan.serve.model_copy(update={"endpoint": name})
            named = plan.model_copy(update={"loop": name, "data": data, "serve": serve})
            assets = Assets(pipeline="azureml:training:1")
            publication.publish(self.real, Published(named, assets, "ann", self.clock.now()))

    def _around(self, call: Call, make: Callable[[], object]) -> object:
        self.calls += 1
        self.clock.advance(CALL_S)
        return make()

    @property
    def now_s(self) -> float:
        return (self.clock.now() - self._began).total_seconds()

    def land(self) -> None:
        """A thousand blobs at once in one loop, one in each of the others; each is told by its event."""
        drops = [(NOISY, number) for number in range(self.blobs)] + [(name, 0) for name in self.names[1:]]
        for name, number in drops:
            blob = self.real.blobs.upload("landing", f"{name}/{number}.csv", birds(number, 1.0, n=10))
            data = {"api": "PutBlob", "url": f"{ACCOUNT}/landing/{blob.name}", "eTag": blob.etag}
            text = json.dumps({"eventType": "Microsoft.Storage.BlobCreated", "data": data})
            recorder.receive(self.real, text, ACCOUNT)
        self._began = self.clock.now()
        self._ran_at = dict.fromkeys(self.names, 0.0)

    def versions(self, name: str) -> int:
        return unit_of_work.read(self.real, name).state.next_version - 1

    def tick(self) -> None:
        due = {one.loop for one in self.real.store.overviews(due_before=self.clock.now())}
        calls = self.calls
        for ran in tick.tick(self.ports):
            self.gap_s = max(self.gap_s, self.now_s - self._ran_at[ran.loop])
            self._ran_at[ran.loop] = self.now_s
            due.discard(ran.loop)
        self.longest_run = max(self.longest_run, self.calls - calls)
        self.clock.advance(1)


def run(loops: int, blobs: int, *, traced: bool = False) -> Outcome:
    """Land everything, then tick until all of it is versions."""
    crowd = Crowd(loops, blobs)
    crowd.land()
    quiet, peak = set(crowd.names[1:]), 0
    quiet_done_s, noisy_then = 0.0, 0
    if traced:
        tracemalloc.start()
    try:
        while quiet or crowd.versions(NOISY) < blobs:
            assert crowd.now_s < 86_400, f"{len(quiet)} loops wait, noisy has {crowd.versions(NOISY)}"
            before = tracemalloc.get_traced_memory()[0] if traced else 0
            if traced:
                tracemalloc.reset_peak()
            crowd.tick()
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before) if traced else 0
            if quiet:
                quiet = {name for name in quiet if not crowd.versions(name)}
                quiet_done_s, noisy_then = crowd.now_s, crowd.versions(NOISY)
    finally:
        if traced:
            tracemalloc.stop()
    done = sum(crowd.versions(name) for name in crowd.names)
    return Outcome(
        loops,
        blobs,
        done,
        round(quiet_done_s),
        noisy_then,
        round(crowd.gap_s, 1),
        crowd.longest_run,
        round(peak / 2**20, 1),
    )

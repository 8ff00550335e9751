"""What must be true after every effect, and at the end, told in words where it is not."""

from __future__ import annotations

import logging
from collections import Counter

from shared.audit import answer
from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.release import Release
from shared.errors import DriftloopError
from shared.memory import MemoryPorts
from shared.runtime import unit_of_work
from shared.state import rows
from shared.words import say
from tests.faults import Call, Foreign


class History(logging.Handler):
    """Looks at the world itself, behind all faults, and listens to what the app logs."""

    def __init__(self, ports: MemoryPorts, loop: str, steps: tuple[int, ...]) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.effects = 0
        self._ports, self._loop, self._steps = ports, loop, steps
        self._given: dict[str, list[int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """An error that nobody raised on purpose is a mistake of ours, though the app survives it."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, (DriftloopError, Foreign)):
            self.wrong.append(f"{record.getMessage()}: {type(error).__name__}: {error}")

    def after(self, call: Call, *, late: bool = False) -> None:
        """Called after each effect, whether or not its answer arrives.

        What a worker sets `late`, after a sleep, nothing can prevent: it is no step of the plan, and must be put right.
        """
        self.effects += 1
        if call.name == "serving.set_traffic" and not late:
            self._traffic()
        elif call.name == "store.commit":
            self._one_open_release()

    def _traffic(self) -> None:
        """P6: sums to 100, a canary rises by the plan's steps only, and never after it was taken back."""
        endpoint, weights = self._ports.serving.splits[-1]
        if weights and sum(weights.values()) != 100:
            self.wrong.append(f"the traffic of {endpoint} was set to {weights}")
        for name in {*self._given, *weights}:
            now, before = weights.get(name, 0), self._given.setdefault(name, [])
            if before and now > before[-1] and 0 in before:
                self.wrong.append(f"{name} was given {now} % after it had been taken back: {before}")
            if before and now > before[-1] and now not in (*self._steps, 100):
                self.wrong.append(f"{name} was raised to {now} %, which is no step")
            before.append(now)

    def _one_open_release(self) -> None:
        """P2, P4: at most one open release, and the loop's row names it."""
        stored = self._ports.store.rows.get(self._loop, {})
        found = [rows.decode(Release, row) for key, row in stored.items() if key.startswith("release-")]
        unfinished = [release.number for release in found if not release.ended]
        state = unit_of_work.read(self._ports, self._loop).state
        if unfinished != ([state.open_release] if state.open_release else []):
            self.wrong.append(f"open releases {unfinished}, the loop's row says {state.open_release}")

    def at_rest(self, jobs: int, versions: int) -> list[str]:
        """What is wrong once everything that was planned has come to rest."""
        found, ports = self.whatever_failed(), self._ports
        if sorted(ports.training.submitted) != [f"{self._loop}-r{n}-a1" for n in range(1, jobs + 1)]:
            found.append(f"jobs: {ports.training.submitted}")
        sources = [version.source for version in unit_of_work.read(ports, self._loop).versions()]
        if len(sources) != versions:
            found.append(f"{len(sources)} versions instead of {versions}: {sources}")
        return found

    def whatever_failed(self) -> list[str]:
        """What is wrong at rest, also where releases failed and drops were set aside; P1, P2, P3, P5, P9."""
        ports, found = self._ports, list(self.wrong)
        current = unit_of_work.read(ports, self._loop)
        state = current.state
        audited = answer.audit(ports, self._loop)
        found += map(say, (*audited.problems, *audited.not_compared))
        told = Counter(entry.seq for _, entry in ports.topic.published)
        found += [f"ledger entry {n} never went out" for n in range(1, state.ledger_seq + 1) if n not in told]
        begun = Counter(ports.training.submitted)
        found += [f"job {name} was begun {n} times" for name, n in begun.items() if n > 1]
        sources = Counter((version.source, version.etag) for version in current.versions())
        found += [f"{source} is {n} versions" for source, n in sources.items() if n > 1]
        given = Counter(name.rpartition("-read-")[2].partition("-")[0] for name in ports.readings.jobs)
        found += [f"drop {key} was given to {n} jobs" for key, n in given.items() if n > 1]
        inbox = [rows.decode(InboxRecord, row) for row in ports.store.range(self._loop, "inbox-")]
        found += [
            f"{one.body} was never finished"
            for one in inbox
            if one.state in (InboxState.NEW, InboxState.READING)
        ]
        drops = Counter((one.body["name"], one.body["etag"]) for one in inbox if one.kind is EventKind.BLOB)
        found += [f"{drop} is on record {n} times" for drop, n in drops.items() if n > 1]
        landed = [(blob.name, blob.etag) for blob in ports.blobs.list("landing", f"{self._loop}/")]
        found += [f"{drop} is not on record" for drop in landed if drop not in drops]
        found += [f"{row.key} is left over" for row in ports.store.range(self._loop, "todo-")]
        traffic = dict(ports.serving.traffic(self._loop)) if self._loop in ports.serving.endpoints else {}
        champion = {state.champion.deployment: 100} if state.champion else {}
        if traffic != champion:
            found.append(f"traffic is {traffic}, the champion's is {champion}")
        if state.champion and set(ports.serving.endpoints[self._loop].deployments) != set(champion):
            found.append(f"deployments {set(ports.serving.endpoints[self._loop].deployments)} are left")
        running = [name for name, job in ports.training.jobs.items() if job.status == "running"]
        found += [f"job {name} runs for nobody" for name in running]
        if state.paused:
            found.append(f"paused: {state.paused}")
        return found

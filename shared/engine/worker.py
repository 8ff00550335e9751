"""A loop is taken forward one step at a time until nothing can be done now; whatever dies, the next tick goes on."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import rows
from shared.core import policy
from shared.engine import acting, advancing, announcing, intake, scheduling, starting, unit
from shared.engine.unit import Unit, update
from shared.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    DriftloopError,
    InvariantBroken,
    OutcomeUnknown,
)
from shared.model import EventKind, InboxRecord, InboxState
from shared.ports import Ports, Row

log = logging.getLogger("driftloop")

CLAIM = timedelta(seconds=20)
"""How long a dead worker keeps others from its loop."""

MAX_STEPS = 200
"""A bound on one run, so that no function call lasts for ever; the next tick goes on."""

MAX_ATTEMPTS = 5
"""Unexpected failures of one event before it is set aside."""

LOOK_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True)
class Ran:
    """What one run of a loop came to."""

    loop: str
    steps: int
    due_at: datetime | None
    problem: str = ""


def run(ports: Ports, loop: str) -> Ran:
    """Take `loop` forward as far as it goes now. Another worker on it: nothing is done, the tick comes again."""
    holder = uuid.uuid4().hex
    now = ports.clock.now()
    token = ports.store.claim(loop, holder, now, now + CLAIM)
    if token is None:
        ports.store.wake(loop, now + LOOK_AGAIN)
        return Ran(loop, 0, now + LOOK_AGAIN)
    steps, problem = 0, ""
    while steps < MAX_STEPS:
        try:
            moved = step(ports, loop)
        except (Conflict, OutcomeUnknown) as error:
            log.info("somebody wrote first, deciding again", extra={"loop": loop, "error": str(error)})
            steps += 1
            continue
        except DriftloopError as error:
            problem = str(error)
            log.warning("loop waits", extra={"loop": loop, "error": problem})
            break
        if not moved:
            break
        steps += 1
        if ports.clock.now() - now > CLAIM / 2:
            break
    return _settle(ports, loop, token, steps, problem)


def _settle(ports: Ports, loop: str, token: str, steps: int, problem: str) -> Ran:
    current = unit.read(ports, loop)
    due_at = scheduling.due_at(current, busy=bool(problem) or steps >= MAX_STEPS)
    announcing.describe(current, problem)
    ports.store.settle(loop, token, due_at)
    return Ran(loop, steps, due_at, problem)


def step(ports: Ports, loop: str) -> bool:
    """The first thing of this loop that can go forward; False when none can."""
    current = unit.read(ports, loop)
    if announcing.announce(current):
        return True
    for row in ports.store.range(loop, "todo-", limit=20):
        if _handle(current, row.doc):
            return True
    if scheduling.answer(current):
        return True
    if current.state.open_release is not None:
        return advancing.advance(current, current.state.open_release)
    return _reconsider(current)


HANDLERS: dict[EventKind, Callable[[Unit, InboxRecord, Row], None]] = {
    EventKind.BLOB: intake.take,
    EventKind.ALERT: acting.alert,
    EventKind.PERSON: acting.person,
}


def _handle(current: Unit, key: str) -> bool:
    row = current.ports.store.read(current.loop, rows.inbox_key(key))
    if row is None:
        raise InvariantBroken(f"{current.loop}: todo {key} has no inbox record; run `driftloop doctor`")
    record = rows.decode(InboxRecord, row)
    try:
        HANDLERS[record.kind](current, record, row)
    except (Conflict, OutcomeUnknown, DependencyUnavailable, ConfigurationError):
        raise
    except Exception as error:
        if record.attempts + 1 < MAX_ATTEMPTS:
            current.commit(changes=[update(row, replace(record, attempts=record.attempts + 1))])
            raise DependencyUnavailable(
                f"event {key} failed ({type(error).__name__}: {error}); tried again"
            ) from error
        log.exception("event set aside", extra={"loop": current.loop, "event": key})
        note = f"failed {MAX_ATTEMPTS} times, last with {type(error).__name__}: {error}"
        intake.close(current, record, row, InboxState.QUARANTINED, note, code="unexpected-failure")
    return True


def _reconsider(current: Unit) -> bool:
    """Triggers that waited for a release to end, or for the loop to go on, are put to the policy again."""
    state = current.state
    if not state.waiting or state.paused:
        return False
    now = current.ports.clock.now()
    published = current.published()
    triggers = state.waiting
    decision = policy.decide(
        replace(state, waiting=()),
        triggers,
        published.definition,
        now,
        newest_version=acting.newest_labelled(current),
    )
    outcome = starting.apply(current, replace(state, waiting=()), decision, published, now)
    current.commit(outcome.state, outcome.drafts, outcome.changes)
    return True

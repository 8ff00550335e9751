"""Schedules and ages come due once each, however often and however late the clock is looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, reason
from shared.domain.release import UNLABELLED, Release, Trigger, TriggerKind
from shared.intake import folders, job_orders, source
from shared.release.machine import PHASES
from shared.retraining import cron, policy, start
from shared.runtime.unit_of_work import Unit
from shared.verdict import final_labels, served_inputs, served_predictions

if TYPE_CHECKING:
    from shared.loopfile import Definition

LOOK_AGAIN = timedelta(seconds=2)
"""How soon a loop with work under way is looked at again; ticks come less often on Azure."""

LOOK_PATIENTLY = timedelta(minutes=1)
"""How soon where only a person can go on: the act itself wakes the loop."""

TIMER_SLACK = timedelta(milliseconds=1)
"""An occurrence is past only after its moment."""


def answer(current: Unit) -> bool:
    """Put a schedule that has come due, or a champion grown too old, to the policy; True when one was."""
    definition, now = current.published().definition, current.ports.clock.now()
    found = _scheduled(current.state, definition, now) or _aged(current.state, definition, now)
    if found is None:
        return False
    trigger, state = found
    start.answer(current, state, [trigger]).commit(current)
    return True


def _scheduled(state: LoopState, definition: Definition, now: datetime) -> tuple[Trigger, LoopState] | None:
    """The newest occurrence since the last one answered: missed ones collapse into it."""
    expression = definition.retrain.schedule
    if not expression:
        return None
    due = cron.last_before(expression, now)
    if due <= (state.schedule_from or state.published_at):
        return None
    why = reason(Code.SCHEDULE_DUE, schedule=expression, due=due.isoformat())
    trigger = Trigger(TriggerKind.SCHEDULE, why, "driftloop", f"schedule-{due.isoformat()}", now)
    return trigger, replace(state, schedule_from=due)


def _aged(state: LoopState, definition: Definition, now: datetime) -> tuple[Trigger, LoopState] | None:
    """A champion past its maximum age, asked about once a day."""
    limit, champion = definition.retrain.max_age, state.champion
    if limit is None or champion is None or now - champion.live_at < limit:
        return None
    if state.aged_asked_at is not None and now - state.aged_asked_at < policy.DAY:
        return None
    why = reason(Code.CHAMPION_TOO_OLD, since=champion.live_at.isoformat())
    trigger = Trigger(TriggerKind.MAX_AGE, why, "driftloop", f"age-{now:%Y-%m-%d}", now)
    return trigger, replace(state, aged_asked_at=now)


def unlabelled(current: Unit) -> bool:
    """Whether what waits can do nothing before labels land, which is an event."""
    state = current.state
    asks = any(trigger.kind in UNLABELLED for trigger in state.waiting)
    return asks and policy.waits_for_labels(state, state.waiting, current.newest_labelled())


def _untraced(current: Unit) -> bool:
    """Whether the lineage tool, where there is one, is still to be told of something."""
    return current.ports.lineage is not None and current.state.traced_seq < current.state.ledger_seq


def due_at(current: Unit, release: Release | None, *, wait_s: float | None, events: bool) -> datetime | None:
    """When a tick has work here: soon while something is under way, else at the next occurrence, else never.

    `wait_s` is how long what failed in this run asks to be left alone, None when nothing did; `events` says
    whether there may be some that were not handled.
    """
    state, now = current.state, current.ports.clock.now()
    moments = []
    if wait_s is not None:
        moments.append(now + timedelta(seconds=wait_s))
    elif events or state.announced_seq < state.ledger_seq or _untraced(current):
        moments.append(now + LOOK_AGAIN)
    if release is not None:
        patient = release.adopted or PHASES[release.phase].awaits_person
        moments.append(release.retry_at or now + (LOOK_PATIENTLY if patient else LOOK_AGAIN))
    elif state.waiting and not state.paused and not unlabelled(current):
        moments.append(max(state.waiting_until or now, now + LOOK_AGAIN))
    definition = current.published().definition
    if release is None and wait_s is None and (at := served_predictions.next_at(state, definition)):
        moments.append(at)
    if wait_s is None and (at := served_inputs.next_at(state, definition, now)):
        moments.append(at)
    if definition.data.source is not None and wait_s is None:
        moments.append(source.next_at(definition.data.source, state.source, now))
    if wait_s is None and (at := final_labels.next_at(state, definition)):
        moments.append(at)
    if wait_s is None and (at := folders.next_at(current)):
        moments.append(at)
    if wait_s is None and state.reading is not None:
        moments.append(now + job_orders.LOOK_AGAIN)
    retrain = definition.retrain
    if retrain.schedule:
        moments.append(cron.next_after(retrain.schedule, now) + TIMER_SLACK)
    if retrain.max_age and state.champion:
        asked = state.aged_asked_at + policy.DAY if state.aged_asked_at else now
        moments.append(max(state.champion.live_at + retrain.max_age, asked))
    return min(moments, default=None)

"""Reasons in, one decision out: start a release, wait for the open one, or no, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.model import LoopState, Trigger, TriggerKind

if TYPE_CHECKING:
    from shared.loopfile import Definition

DAY = timedelta(days=1)
ALWAYS_HEARD = frozenset({TriggerKind.FIRST, TriggerKind.PERSON})
"""Kinds that `retrain.on` cannot switch off."""


@dataclass(frozen=True)
class Start:
    """Begin a release for these reasons."""

    triggers: tuple[Trigger, ...]


@dataclass(frozen=True)
class Coalesce:
    """A release is open: the reasons wait for its end, none is dropped."""

    triggers: tuple[Trigger, ...]
    reason: str


@dataclass(frozen=True)
class Deny:
    """No, with the reason in words."""

    reason: str


Decision = Start | Coalesce | Deny


def decide(
    state: LoopState,
    triggers: Sequence[Trigger],
    definition: Definition,
    now: datetime,
    *,
    newest_version: int,
) -> Decision:
    """What the loop does about `triggers`; `newest_version` is the newest labelled one, 0 when there is none."""
    heard = tuple(t for t in triggers if t.kind in ALWAYS_HEARD or t.kind.value in definition.retrain.on)
    if not heard:
        kinds = ", ".join(sorted({t.kind.value for t in triggers}))
        return Deny(f"`retrain.on` does not name {kinds}")
    if state.open_release is not None:
        return Coalesce(heard, f"release {state.open_release} is open; considered again when it ends")
    if state.paused:
        return Coalesce(heard, f"the loop is paused: {state.paused}")
    return _denial(state, heard, definition, now, newest_version) or Start(heard)


def _denial(
    state: LoopState, triggers: Sequence[Trigger], definition: Definition, now: datetime, newest_version: int
) -> Deny | None:
    kinds = {t.kind for t in triggers}
    if newest_version == 0:
        return Deny("there is no labelled data version to train on")
    if TriggerKind.PERSON in kinds:
        return None
    if newest_version <= state.trained_through:
        return Deny(
            f"nothing new: release {state.next_release - 1} was trained through version "
            f"{state.trained_through}, and none has landed since"
        )
    if state.champion is not None and (until := cooldown_until(state, definition)) and now < until:
        return Deny(_cooldown_text(state, until))
    budget = definition.retrain.budget.runs_per_day
    if len(recent_starts(state, now)) >= budget:
        free_at = min(recent_starts(state, now)) + DAY
        return Deny(f"the budget of {budget} runs a day is used up until {free_at:%Y-%m-%d %H:%M} UTC")
    return None


def recent_starts(state: LoopState, now: datetime) -> tuple[datetime, ...]:
    """Starts within the last day."""
    return tuple(at for at in state.starts if now - at < DAY)


def cooldown_until(state: LoopState, definition: Definition) -> datetime | None:
    """When the rest after the last release is over; None when there was no release."""
    return state.last_ended_at + definition.retrain.cooldown if state.last_ended_at else None


def _cooldown_text(state: LoopState, until: datetime) -> str:
    return (
        f"cooldown until {until:%Y-%m-%d %H:%M:%S} UTC, because release {state.next_release - 1} "
        f"ended {state.last_outcome.replace('_', ' ')} at {state.last_ended_at:%H:%M:%S}"
    )


def next_chance(state: LoopState, definition: Definition, now: datetime) -> str:
    """Why the loop will not try again at once, in words; empty when it would."""
    reasons = [f"a version newer than {state.trained_through} must land"]
    if (until := cooldown_until(state, definition)) and now < until:
        reasons.append(_cooldown_text(state, until))
    return "no new attempt by itself: " + "; ".join(reasons)


def persistent(recent: Sequence[bool], breaches: int, of: int) -> bool:
    """Whether at least `breaches` of the last `of` versions since the last retrain breached."""
    return sum(recent[-of:]) >= breaches

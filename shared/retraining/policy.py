"""Triggers in, one decision out: start a release, wait, or no; with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, bounded, reason
from shared.domain.release import UNLABELLED, JudgementKind, Phase, Release, Trigger, TriggerKind
from shared.retraining import cost
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.loopfile import Breaker, Budget, Definition

DAY = timedelta(days=1)
ALWAYS_HEARD = frozenset(
    {TriggerKind.FIRST, TriggerKind.MAX_AGE, TriggerKind.NEW_DATA, TriggerKind.PERSON, TriggerKind.MODEL}
)
"""Kinds that `retrain.on` cannot switch off: a maximum age and new data are asked for by naming one, so are models."""

MAX_WAITING = 50
"""Beyond this, of the kind that waits most often the oldest makes room."""


LONGEST_TEXT, MOST_RESTS = 1_000, 10
"""Of a trigger that waits: characters of a text, and findings that it rests on."""


@dataclass(frozen=True)
class Start:
    """Begin a release for these reasons."""

    triggers: tuple[Trigger, ...]


@dataclass(frozen=True)
class Coalesce:
    """Not now: the triggers wait, none is dropped."""

    triggers: tuple[Trigger, ...]
    reason: Reason
    until: datetime | None = None
    """When they are considered again; None: when the open release ends, or the pause."""


@dataclass(frozen=True)
class Deny:
    """No."""

    reason: Reason


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
        return Deny(reason(Code.NOT_NAMED, kinds=", ".join(sorted({t.kind.value for t in triggers}))))
    if definition.train.only_in and {t.kind for t in heard} != {TriggerKind.MODEL}:
        return Deny(reason(Code.TRAINED_ELSEWHERE, loop=state.loop, environment=definition.train.only_in))
    if state.open_release is not None:
        return Coalesce(heard, reason(Code.RELEASE_OPEN, release=state.open_release))
    if state.paused:
        return Coalesce(heard, reason(Code.LOOP_PAUSED, state.paused))
    if waits_for_labels(state, heard, newest_version):
        return Coalesce(heard, reason(Code.WAITS_FOR_LABELS, version=state.trained_through))
    no = _denial(state, heard, newest_version) or _delay(state, heard, definition, now)
    return no or _begin(state, heard, definition)


def waits_for_labels(state: LoopState, triggers: Sequence[Trigger], newest_version: int) -> bool:
    """Served inputs that drifted bring no labels: what they ask for waits until some have landed."""
    kinds = {t.kind for t in triggers}
    asked = kinds & {TriggerKind.PERSON, TriggerKind.MODEL}
    return bool(UNLABELLED & kinds) and not asked and newest_version <= state.trained_through


def _begin(state: LoopState, triggers: tuple[Trigger, ...], definition: Definition) -> Start | Deny:
    if definition.mode == "act":
        return Start(triggers)
    kinds = ", ".join(dict.fromkeys(trigger.kind.value for trigger in triggers))
    return Deny(reason(Code.WOULD_START, release=state.next_release, kinds=kinds))


def _denial(state: LoopState, triggers: Sequence[Trigger], newest_version: int) -> Deny | None:
    kinds = {t.kind for t in triggers}
    if newest_version == 0:
        return Deny(reason(Code.NO_LABELLED_VERSION))
    if kinds & {TriggerKind.PERSON, TriggerKind.MODEL}:
        return None
    if newest_version <= state.trained_through:
        release, version = state.next_release - 1, state.trained_through
        return Deny(reason(Code.NOTHING_NEW, release=release, version=version))
    return None


def _delay(
    state: LoopState, triggers: tuple[Trigger, ...], definition: Definition, now: datetime
) -> Coalesce | None:
    if any(t.kind is TriggerKind.PERSON for t in triggers):
        return None
    if state.champion is not None and (until := cooldown_until(state, definition)) and now < until:
        return Coalesce(triggers, _cooldown(state, until), until)
    return (
        _breaker(state, triggers, definition.retrain.breaker, now)
        or _over_budget(state, triggers, definition.retrain.budget, now)
        or _overdrawn(state, triggers, definition, now)
    )


def _overdrawn(
    state: LoopState, triggers: tuple[Trigger, ...], definition: Definition, now: datetime
) -> Coalesce | None:
    over = cost.over_budget(state, definition, now)
    return Coalesce(triggers, *over) if over else None


def _breaker(
    state: LoopState, triggers: tuple[Trigger, ...], breaker: Breaker, now: datetime
) -> Coalesce | None:
    """After many releases that failed, or mended nothing: rests that double, from a day on. It never stops for good."""
    found = [(state.failed_in_row, breaker.failed, Code.FAILED_IN_ROW)]
    if {t.kind for t in triggers} <= {TriggerKind.DRIFT, TriggerKind.METRIC, *UNLABELLED}:
        found.append((state.unhelped_in_row, breaker.unhelped, Code.UNHELPED_IN_ROW))
    for releases, most, code in found:
        if releases < most or state.last_ended_at is None:
            continue
        until = state.last_ended_at + min(DAY * 2 ** min(releases - most, 9), breaker.longest_rest)
        if now < until:
            why = reason(code, releases=releases, loop=state.loop, until=until.isoformat())
            return Coalesce(triggers, why, until)
    return None


def _over_budget(
    state: LoopState, triggers: tuple[Trigger, ...], budget: Budget, now: datetime
) -> Coalesce | None:
    starts, spent = recent_starts(state, now), recent_spending(state, now)
    if len(starts) >= budget.runs_per_day:
        free_at = sorted(starts)[-budget.runs_per_day] + DAY
        used_up = reason(Code.RUNS_USED_UP, runs=budget.runs_per_day, until=free_at.isoformat())
        return Coalesce(triggers, used_up, free_at)
    limit, took = budget.compute_per_day, timedelta(seconds=sum(seconds for _, seconds in spent))
    if limit is None or not spent or took < limit:
        return None
    left = took
    for at, seconds in sorted(spent):
        free_at, left = at + DAY, left - timedelta(seconds=seconds)
        if left < limit:
            break
    used_up = reason(
        Code.COMPUTE_USED_UP,
        limit=limit.total_seconds(),
        took=took.total_seconds(),
        until=free_at.isoformat(),
    )
    return Coalesce(triggers, used_up, free_at)


OWN_EFFECTS = frozenset({TriggerKind.ALERT, TriggerKind.METRIC, *UNLABELLED})
"""Kinds that what the champion does may set off."""


def depth(state: LoopState, triggers: Sequence[Trigger]) -> int:
    """How many releases in a row, the next one included, only the model before them has asked for. What a person, a
    clock or a landed version asks for begins anew."""
    own = state.champion is not None and all(t.kind in OWN_EFFECTS and t.version is None for t in triggers)
    return state.depth + 1 if own else 0


def coalesced(waiting: Sequence[Trigger], more: Sequence[Trigger]) -> tuple[Trigger, ...]:
    """Both, once each, as briefly as the loop's own row has room for; no kind crowds out another."""
    briefly = (
        replace(one, reason=bounded(one.reason, LONGEST_TEXT, MOST_RESTS)) for one in (*waiting, *more)
    )
    found = list(dict.fromkeys(briefly))
    while len(found) > MAX_WAITING:
        most, _ = Counter(trigger.kind for trigger in found).most_common(1)[0]
        found.remove(next(trigger for trigger in found if trigger.kind is most))
    return tuple(found)


def ended(state: LoopState, release: Release, now: datetime) -> tuple[LoopState, list[Draft]]:
    """The loop once its open release has ended, and what the ledger records about the triggers that waited for it.

    An alert that is the release's own echo is dropped: were it a reason to retrain, the loop would feed itself. So is
    what the inputs of a model asked for that this release has replaced.
    """
    alive = release.phase is Phase.LIVE
    failed = 0 if alive else state.failed_in_row + (release.phase is not Phase.ABORTED)
    echoes = [t for t in state.waiting if t.kind is TriggerKind.ALERT and is_echo(release, t.at)]
    replaced = [t for t in state.waiting if alive and t.kind in UNLABELLED and _before(state, t.at)]
    after = replace(
        state,
        open_release=None,
        last_ended_at=now,
        last_outcome=release.phase.value,
        failed_in_row=failed,
        waiting=tuple(t for t in state.waiting if t not in (*echoes, *replaced)),
    )
    if (
        release.phase is Phase.ABORTED and release.trained_before is not None
    ):  # its versions are as new as before
        before, rows = release.trained_before, release.trained_rows_before
        after = replace(after, trained_through=before, trained_rows=rows)
    answers = [(trigger, Code.ECHO) for trigger in echoes] + [(t, Code.SERVED_ANOTHER) for t in replaced]
    return after, [answered(trigger, reason(code, release=release.number)) for trigger, code in answers]


def _before(state: LoopState, at: datetime) -> bool:
    return state.champion is None or at <= state.champion.live_at


def is_echo(ended: Release, at: datetime) -> bool:
    """Whether an alert of that moment fired while this release's challenger had traffic that was then taken back."""
    gate = ended.judgement(JudgementKind.GATE) or ended.judgement(JudgementKind.SMOKE)
    if gate is None or not ended.asked or ended.phase is Phase.LIVE:
        return False
    return gate.at <= at and (ended.ended_at is None or at <= ended.ended_at)


def answered(trigger: Trigger, answer: Reason, what: str = "retrain.denied") -> Draft:
    """The ledger's entry for a trigger that starts nothing, or nothing yet."""
    return Draft(
        what,
        f"trigger {trigger.kind.value}",
        trigger.actor,
        trigger.cause,
        detail={"reason": trigger.reason, "answer": answer},
    )


def recent_starts(state: LoopState, now: datetime) -> tuple[datetime, ...]:
    """Starts within the last day."""
    return tuple(at for at in state.starts if now - at < DAY)


def recent_spending(state: LoopState, now: datetime) -> tuple[tuple[datetime, float], ...]:
    """Jobs that ended within the last day, and the seconds that each took."""
    return tuple((at, seconds) for at, seconds in state.spent if now - at < DAY)


def charged(state: LoopState, took: timedelta, now: datetime) -> LoopState:
    """The loop after a job that took so long, from its submission to its end."""
    return replace(state, spent=(*recent_spending(state, now), (now, took.total_seconds())))


def cooldown_until(state: LoopState, definition: Definition) -> datetime | None:
    """When the rest after the last release is over; None when there was no release."""
    return state.last_ended_at + definition.retrain.cooldown if state.last_ended_at else None


def _cooldown(state: LoopState, until: datetime) -> Reason:
    return reason(
        Code.COOLDOWN,
        until=until.isoformat(),
        release=state.next_release - 1,
        outcome=state.last_outcome,
        ended=state.last_ended_at.isoformat() if state.last_ended_at else None,
    )


def next_chance(state: LoopState, definition: Definition, now: datetime) -> Reason:
    """Why the loop does not try again by itself after a release that did not go live."""
    until = cooldown_until(state, definition)
    rests = (_cooldown(state, until),) if until and now < until else ()
    return reason(Code.NEWER_VERSION_NEEDED, *rests, version=state.trained_through)


def persistent(recent: Sequence[bool], breaches: int, of: int) -> bool:
    """Whether at least `breaches` of the last `of` versions since the last retrain breached."""
    return sum(recent[-of:]) >= breaches

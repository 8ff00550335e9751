"""The open release is observed, taken at most one step, and written down with what that means for the loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from shared.canary import challenger_size
from shared.domain.loop import LoopState, UnfinalRelease
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Champion, JudgementKind, Outcome, Phase, Release
from shared.errors import Conflict, DependencyUnavailable, DriftloopError, OutcomeUnknown
from shared.intake import labels
from shared.ports import Change, Row
from shared.redaction import reason_of
from shared.release import effects, frozen, machine
from shared.release import observations as obs
from shared.release.machine import PHASES, Undo, place
from shared.retraining import cost as costs
from shared.retraining import policy, start
from shared.runtime.unit_of_work import Unit, traffic_changed, update
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.loopfile import Definition

WRITTEN_AS = {Phase.BAKING: "promoted"}
"""Where what happened has a better name than the phase that begins with it."""

log = logging.getLogger("driftloop")

STUCK_AFTER = 10
"""Observations of a release that fail in a row before a person should look."""

HOPELESS = frozenset({Code.COMPONENT_UNFIT, Code.MODEL_UNSERVABLE, Code.ASSET_NOT_OURS})
"""Errors that last for as long as the release does: it keeps its definition, its job and its names. It ends once it is
stuck, so that what is mended has a release of its own."""

LONGEST_WAIT_S = 60.0
"""Between observations that fail; longer only where the service asks for it."""

MOST_UNFINAL = 10
"""Releases whose labels are waited for at once."""

MOST_ASKED_S = 3600.0
"""No service is believed that asks for more."""


def advance(current: Unit, number: int) -> bool:
    """Observe the open release once and take it at most one step."""
    release, row = current.release(number)
    if not _due(current, release):
        return False
    still = False
    try:
        still = current.stands_still
        after = _observed(current, release, still=still)
    except (Conflict, OutcomeUnknown):
        raise
    except Exception as error:  # whatever it is, this release waits and shows it; other work goes on
        if not isinstance(error, DriftloopError):
            log.exception("observing a release failed", extra={"loop": current.loop, "release": number})
        return _failed(current, release, row, error, still=still)
    return store(current, release, row, after)


def _observed(current: Unit, release: Release, *, still: bool) -> Release:
    """What one look makes of it: while the loop stands still it stands too."""
    over = release.ended or PHASES[release.phase].undo is Undo.SETTLED  # which waits for no definition
    published = current.at_hand(release) if over else current.published(release.definition)
    clock = current.ports.clock
    sound = replace(release, failures=0, failing_since=None, stuck=False, retry_at=None)
    if still:
        seen = effects.perform(current, release, published, frozen.action(release, published.definition))
        return frozen.fold(sound, seen, published.definition, clock.now())
    sound = frozen.thawed(sound, clock.now())
    seen = effects.perform(current, sound, published, machine.action(sound, published.definition))
    if seen is None:
        return machine.unsuspected(sound)
    now = clock.now()
    after = machine.fold(sound, seen, published.definition, now)
    failed = isinstance(seen, obs.CanarySeen | obs.BakeSeen) and seen.judgement.outcome is Outcome.ERROR
    return _counted(after, release, now) if failed and place(after) == place(release) else after


def _counted(after: Release, before: Release, now: datetime) -> Release:
    """One look more that saw nothing."""
    failures = before.failures + 1
    since = before.failing_since or now
    return replace(after, failures=failures, failing_since=since, stuck=failures >= STUCK_AFTER)


def _due(current: Unit, release: Release) -> bool:
    """Whether the pause after a failed observation is over; a clock that was set back does not prolong it."""
    if release.retry_at is None:
        return True
    left = (release.retry_at - current.ports.clock.now()).total_seconds()
    return left <= 0 or left > MOST_ASKED_S * 1.25


def store(
    current: Unit,
    before: Release,
    row: Row,
    after: Release,
    *,
    actor: str = "driftloop",
    cause: str = "",
    also: Sequence[Change] = (),
    state: LoopState | None = None,
    told: Sequence[Draft] = (),
) -> bool:
    """Write a release's step with its ledger entry and what it means for the loop, which is `state` already where
    something else led to the step, as `told`; False when nothing changed."""
    if after == before:
        return False
    state, now = state or current.state, current.ports.clock.now()
    drafts = list(told)
    if moved := place(after) != place(before):
        definition = current.at_hand(before).definition
        after, state = costs.counted(before, after, state, definition, now)
        drafts.append(_entry(before, after, actor, cause, definition))
    if moved and PHASES[before.phase].costs_job:
        state = policy.charged(state, now - before.phase_since_at, now)
    if after.phase is Phase.BAKING and before.phase is Phase.PROMOTING:
        state = replace(state, champion=champion_of(after, now), unserved=None)
    if PHASES[before.phase].promoted and after.phase is Phase.ROLLING_BACK:
        state = replace(state, champion=before.champion)
    if after.phase is Phase.LIVE:
        definition = current.at_hand(after).definition
        state = replace(state, unfinal=_unfinal(state, after, definition, now))
    if after.adopted and not before.adopted:
        drafts.append(_adopted(before, after))
        state = _paused(state, after)
    if after.ended:
        if after.kept and dict(after.traffic) != start.expected_traffic(state):
            state = replace(state, adopted=dict(after.traffic))
        state, echoes = policy.ended(state, after, now)
        drafts += echoes
        if state.paused is not None and state.paused.code is Code.TRAFFIC_CHANGED:
            drafts.append(_given_back(state, after))
            state = replace(state, paused=None)
        state = replace(state, denial=_why_not_again(current, state, after))
    current.commit(state, drafts, [update(row, after), *also])
    return moved


def _unfinal(
    state: LoopState, after: Release, definition: Definition, now: datetime
) -> tuple[UnfinalRelease, ...]:
    """With this release, where it went live on labels that had not matured; the oldest make room."""
    last, delay = after.judgement(JudgementKind.CANARY), labels.maturity(state, definition)
    decides = definition.data.labels is not None and definition.canary.margins.label_error is not None
    if not decides or last is None or not last.evidence or (delay is not None and now >= last.at + delay):
        return state.unfinal
    return (*state.unfinal, UnfinalRelease(after.number, last.at))[-MOST_UNFINAL:]


def champion_of(release: Release, now: datetime) -> Champion:
    """What serves once this release is promoted."""
    return Champion(
        release=release.number,
        deployment=release.deployment,
        model=release.model,
        versions=release.versions,
        profile=release.profile,
        live_at=now,
    )


def _why_not_again(current: Unit, state: LoopState, after: Release) -> Reason | None:
    if after.phase in (Phase.LIVE, Phase.ABORTED):  # after an abort, the next reason starts another
        return None
    return policy.next_chance(state, current.at_hand().definition, current.ports.clock.now())


def _entry(before: Release, after: Release, actor: str, cause: str, definition: Definition) -> Draft:
    detail: dict[str, str | Reason] = {"attempt": str(after.attempt)}
    if after.reason is not None:
        detail["reason"] = after.reason
    for name in ("job", "model", "deployment", "window"):
        if value := getattr(after, name):
            detail[name] = value
    if after.profile != before.profile:
        detail["profile"] = after.profile
    if after.traffic != before.traffic:
        detail["traffic"] = machine.in_words(after.traffic)
        if definition.canary.instances is not None and (given := after.traffic.get(after.deployment)):
            detail["machines"] = str(challenger_size.machines(definition, given))
    if after.judgements != before.judgements:
        detail["evidence"] = after.judgements[-1].evidence
    if after.explained is not None and before.explained != after.explained:
        detail |= {"explained": after.explained, "explanation": after.explanation}
    if after.training_steps != before.training_steps and (told := costs.by_step(after, definition)):
        detail["steps"] = told
    if after.ended and (after.took.jobs_s or after.took.deployed_s):
        detail["cost"] = costs.told(after, definition)
    return Draft(
        f"release.{WRITTEN_AS.get(after.phase, after.phase.value)}",
        f"release {after.number}",
        actor,
        cause or (after.triggers[0].cause if after.triggers else ""),
        before=before.phase.value,
        after=after.phase.value,
        detail=detail,
    )


def _failed(current: Unit, before: Release, row: Row, error: Exception, *, still: bool) -> bool:
    """An observation that failed: counted and shown, the phase stays, and the next one comes later each time."""
    now = current.ports.clock.now()
    after = _counted(replace(before, frozen=before.frozen or still), before, now)
    asked = error.retry_after_s if isinstance(error, DependencyUnavailable) else None
    wait_s = max(min(2.0 ** min(after.failures, 10), LONGEST_WAIT_S), min(asked or 0.0, MOST_ASKED_S))
    jitter = 1 + crc32(f"{current.loop} {after.failures}".encode()) % 256 / 1024
    why = reason(Code.OBSERVATION_FAILED, reason_of(error))
    after = replace(
        after,
        waiting_for=reason(Code.RELEASE_STUCK, why, failures=after.failures) if after.stuck else why,
        retry_at=now + timedelta(seconds=wait_s * jitter),
    )
    if place(ended := _given_up(current, after, error, now, still=still)) != place(before):
        return store(current, before, row, ended)
    current.commit(changes=[update(row, after)])
    return False


def _given_up(current: Unit, release: Release, error: Exception, now: datetime, *, still: bool) -> Release:
    """What no further attempt can mend ends the release; and traffic goes back from a challenger that nobody has seen
    for long, also where that is for want of a definition. A loop that a person keeps still is left alone."""
    if not release.stuck:
        return release
    try:
        if still and (current.state.paused is not None or not current.nobody_knows):
            return release
        definition = current.at_hand(release).definition
    except DriftloopError:  # it passes
        return release
    seen: obs.Observation = obs.LooksFail(release.failing_since)
    if isinstance(error, DriftloopError) and error.code in HOPELESS:
        seen = obs.GivenUp(reason(Code.RELEASE_GIVEN_UP, reason_of(error), failures=STUCK_AFTER))
    return machine.fold(release, seen, definition, now)


def _adopted(before: Release, after: Release) -> Draft:
    return Draft(
        "traffic.adopted",
        f"release {after.number}",
        "somebody outside Driftloop",
        "",
        before=str(dict(before.traffic)),
        after=str(dict(after.traffic)),
    )


def _given_back(state: LoopState, after: Release) -> Draft:
    """The loop paused for weights that somebody set; with the end of their release they are the champion's again."""
    return Draft(
        "loop.resumed",
        f"loop {state.loop}",
        "driftloop",
        after.triggers[0].cause if after.triggers else "",
        before="paused",
        after="running",
        detail={"reason": after.reason} if after.reason else {},
    )


def _paused(state: LoopState, after: Release) -> LoopState:
    """People come first: the loop takes the traffic as it is, pauses, and says so. Nothing is set back."""
    if state.paused:
        return state
    back = f"abort {state.loop}/{after.number}"
    return replace(state, paused=traffic_changed(state.loop, after.traffic, back))

"""The loop's row in the overview: what serves, the newest version, the open release, and what needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState, NewestVersion, Overview, Serving, UnderWay
from shared.domain.reason import MOST_BECAUSE, Code, Reason, bounded, reason
from shared.domain.release import ENDED, Phase, Release
from shared.release.machine import PHASES, Frozen
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.loopfile import Breaker

SLOW = timedelta(hours=1)
"""A quick phase that lasts longer needs a person."""

DERIVED = frozenset(
    {
        Code.EVENT_SET_ASIDE,
        Code.NOT_SWEPT,
        Code.PAUSED_BY_PERSON,
        Code.PHASE_TOO_LONG,
        Code.STUCK,
        Code.TRAFFIC_CHANGED,
    }
)
"""What the loop's own rows say; beside these stands what failed in its last run, which nothing else says."""

NOT_LIVE = frozenset(phase.value for phase in ENDED - {Phase.LIVE, Phase.ABORTED})


def describe(current: Unit, release: Release | None = None, problems: Sequence[Reason] = ()) -> None:
    """Write the loop's row; `release` is the open one, `problems` is what failed in this run."""
    current.ports.store.describe(_made(current, release, problems))


def differs(current: Unit, release: Release | None) -> bool:
    """Whether the loop's row is gone, or says something else than the loop does. What failed in its last run, and when
    to look again, it alone knows."""
    is_now = current.ports.store.overview(current.loop)
    if is_now is None:
        return True
    of_runs = {name: getattr(is_now, name) for name in ("due_at", "run_asked", "swept_at", "needs_attention")}
    return replace(_made(current, release, ()), **of_runs) != is_now


def _made(current: Unit, release: Release | None, problems: Sequence[Reason]) -> Overview:
    definition = current.published().definition
    attention = needs_attention(
        current.state, release, problems, current.ports.clock.now(), definition.retrain.breaker
    )
    return Overview(
        loop=current.loop,
        landing=definition.data.landing,
        quiet=bool(definition.data.complete and definition.data.complete.quiet),
        manifest=(definition.data.complete.manifest if definition.data.complete else None) or "",
        labels=definition.data.labels or "",
        alerts=tuple(definition.retrain.alerts),
        endpoint=definition.serve.endpoint,
        models=definition.models.name if definition.models else "",
        model_tags=dict(definition.models.tags) if definition.models else {},
        needs_attention=bounded(attention) if attention else None,
        paused=current.state.paused is not None,
        serving=serving(current.state, release),
        newest=_newest(current),
        under_way=_under_way(release),
    )


def serving(state: LoopState, release: Release | None) -> Serving | None:
    """The champion; or, while the open release moves the traffic, who was last seen to have all of it: the one that is
    rolled back until that is done, and the one before where somebody gave it back."""
    champion = state.champion
    told = Serving(champion.release, champion.model, champion.live_at) if champion else None
    if release is None or not PHASES[release.phase].hands_over:
        return told
    before, given = release.champion, release.traffic.get(release.deployment, 0)
    kept = release.traffic.get(before.deployment, 0) if before else 0
    if before and kept and not given:
        return Serving(before.release, before.model, before.live_at)
    mine = champion is None or champion.release == release.number
    if given and not kept and not mine and before:
        return Serving(release.number, release.model, None)
    return told


def _newest(current: Unit) -> NewestVersion | None:
    if current.state.next_version == 1:
        return None
    version, _ = current.version(current.state.next_version - 1)
    verdict = tuple(map(bounded, version.verdict[:MOST_BECAUSE]))
    return NewestVersion(version.number, version.judged, verdict, version.created_at)


def _under_way(release: Release | None) -> UnderWay | None:
    if release is None:
        return None
    waiting_for = bounded(release.waiting_for) if release.waiting_for else None
    return UnderWay(release.number, release.phase, waiting_for, dict(release.traffic))


def needs_attention(
    state: LoopState,
    release: Release | None,
    problems: Sequence[Reason],
    now: datetime,
    breaker: Breaker,
) -> Reason | None:
    """What a person must do; None when no person is needed."""
    if state.unserved and state.champion is not None:
        return state.unserved
    if state.paused:
        beside = [*_beside_a_pause(state, release, now), *problems]
        return reason(Code.LOOP_WAITS, state.paused, *beside) if beside else state.paused
    if release is not None and (stuck := _stuck(release, now)):
        return stuck
    if release is None and (worse := _worse_by_its_labels(state)):
        return worse
    if state.unhelped_in_row >= breaker.unhelped and release is None:
        return reason(Code.NOT_HELPING, releases=state.unhelped_in_row, loop=state.loop)
    if state.champion is None and release is None and state.last_outcome in NOT_LIVE:
        return reason(Code.NO_FIRST_MODEL, release=state.next_release - 1, loop=state.loop)
    if state.unswept is not None and not problems:
        return reason(Code.NOT_SWEPT, state.unswept, loop=state.loop)
    aside = _in_quarantine(state)
    return reason(Code.LOOP_WAITS, *problems, *aside) if problems else next(iter(aside), None)


def _beside_a_pause(state: LoopState, release: Release | None, now: datetime) -> list[Reason]:
    """What a person must also know of in a loop where only the way back goes on."""
    traits = PHASES[release.phase] if release is not None else None
    told = []
    if release is not None and traits is not None and not traits.awaits_person:
        on_its_way = release.stuck or traits.frozen is Frozen.GOES_ON
        told += [why] if on_its_way and (why := _stuck(release, now)) else []
    if state.unswept is not None:
        told.append(reason(Code.NOT_SWEPT, state.unswept, loop=state.loop))
    return told


def _worse_by_its_labels(state: LoopState) -> Reason | None:
    """The champion went live, and labels that came later show it to be worse than the one before."""
    final, champion = state.final_labels, state.champion
    worse = final is not None and final.code is Code.LABELS_FINAL_WORSE
    return final if worse and champion and final and champion.release == final.facts["release"] else None


def _in_quarantine(state: LoopState) -> tuple[Reason, ...]:
    """The newest event that nobody has made good yet."""
    return tuple(
        reason(Code.EVENT_SET_ASIDE, one.reason, loop=state.loop, key=one.key, source=one.source)
        for one in state.set_aside[-1:]
    )


def _stuck(release: Release, now: datetime) -> Reason | None:
    traits, waits = PHASES[release.phase], (release.waiting_for,) if release.waiting_for else ()
    if traits.awaits_person:
        why = (release.reason,) if release.reason else ()
        return reason(Code.NEEDS_DECISION, *why, release=release.number)
    if release.stuck:
        return reason(Code.STUCK, *waits, release=release.number)
    if not traits.quick or release.scoring or now - release.phase_since_at <= SLOW:
        return None
    since = release.phase_since_at.isoformat()
    return reason(Code.PHASE_TOO_LONG, *waits, release=release.number, phase=release.phase.value, since=since)

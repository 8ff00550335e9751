"""The open release is looked at, taken at most one step, and written down with what that means for the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.core import policy
from shared.core import release as core
from shared.core.ledger import Draft
from shared.engine import releasing, unit
from shared.engine.unit import Unit, update
from shared.errors import ConfigurationError, DependencyUnavailable, InvariantBroken
from shared.model import LoopState, Phase, Release
from shared.ports import Change, Row

TOLD_AS = {Phase.BAKING: "promoted"}
"""Where what happened has a better name than the phase that begins with it."""

STUCK_AFTER = 10
"""Looks of a release that fail in a row before people are told."""


def advance(current: Unit, number: int) -> bool:
    """One look at the open release and at most one step of it."""
    release, row = current.release(number)
    published = current.published(release.definition)
    wanted = core.action(release, published.definition)
    try:
        seen = releasing.perform(current, release, published, wanted)
    except releasing.TrafficIsForeign as foreign:
        return _adopt(current, release, row, foreign)
    except DependencyUnavailable as error:
        return _waits(current, release, row, str(error))
    except (ConfigurationError, InvariantBroken) as error:
        return _waits(current, release, row, str(error))
    if seen is None:
        return False
    after = core.fold(release, seen, published.definition, current.ports.clock.now())
    return store(current, release, row, after)


def store(
    current: Unit,
    before: Release,
    row: Row,
    after: Release,
    *,
    actor: str = "driftloop",
    cause: str = "",
    also: Sequence[Change] = (),
) -> bool:
    """Write a release's step with its ledger entry and what it means for the loop; False when nothing changed."""
    if after == before:
        return False
    state = current.state
    drafts = []
    if moved := after.phase is not before.phase or after.attempt != before.attempt:
        drafts.append(_told(before, after, actor, cause))
    now = current.ports.clock.now()
    if after.phase is Phase.BAKING and before.phase is Phase.PROMOTING:
        state = replace(state, champion=core.champion_of(after, now))
    if before.phase is Phase.BAKING and after.phase is Phase.ROLLING_BACK:
        state = replace(state, champion=before.champion)
    if after.ended:
        state = replace(state, open_release=None, last_ended_at=now, last_outcome=after.phase.value)
        state = replace(state, denial=_why_not_again(current, state, after))
    current.commit(state, drafts, [update(row, after), *also])
    return moved or after.step != before.step


def _why_not_again(current: Unit, state: LoopState, after: Release) -> str:
    if after.phase is Phase.LIVE:
        return ""
    return policy.next_chance(state, current.published().definition, current.ports.clock.now())


def _told(before: Release, after: Release, actor: str, cause: str) -> Draft:
    detail = {"reason": after.reason, "attempt": str(after.attempt)}
    for name in ("job", "model", "deployment", "window"):
        if value := getattr(after, name):
            detail[name] = value
    if after.traffic != before.traffic:
        detail["traffic"] = ", ".join(f"{name} {pct} %" for name, pct in sorted(after.traffic.items()))
    if after.judgements != before.judgements:
        detail["evidence"] = after.judgements[-1].evidence
    return Draft(
        f"release.{TOLD_AS.get(after.phase, after.phase.value)}",
        f"release {after.number}",
        actor,
        cause or (after.triggers[0].cause if after.triggers else ""),
        before=before.phase.value,
        after=after.phase.value,
        detail=detail,
    )


def _waits(current: Unit, release: Release, row: Row, why: str) -> bool:
    """A look that failed: counted and shown, the phase stays."""
    failures = release.failures + 1
    stuck = f" ({failures} times in a row: a person should look)" if failures >= STUCK_AFTER else ""
    after = replace(release, failures=failures, waiting_for=f"{why}{stuck}")
    current.commit(changes=[update(row, after)])
    return False


def _adopt(current: Unit, release: Release, row: Row, foreign: releasing.TrafficIsForeign) -> bool:
    """People come first: the loop takes the traffic as it is, pauses, and says so. Nothing is set back."""
    if current.state.paused:
        return False
    after = replace(release, traffic=dict(foreign.weights), waiting_for=str(foreign))
    told = Draft(
        "traffic.adopted",
        f"release {release.number}",
        "somebody outside Driftloop",
        "",
        before=str(dict(release.traffic)),
        after=str(dict(foreign.weights)),
    )
    paused = unit.pause(
        current.state,
        f"{foreign}; go on with `driftloop resume {current.loop}` or abort release {release.number}",
    )
    current.commit(paused, [told], [update(row, after)])
    return True

"""What every release begins with that trains nothing: an earlier one's model, or one that somebody registered."""

from __future__ import annotations

from dataclasses import replace

from shared import assets
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase, Release, Trigger
from shared.ports import RegisteredModel
from shared.retraining import start
from shared.runtime.unit_of_work import Unit

GONE = frozenset({Code.ENDPOINT_GONE, Code.DEPLOYMENT_GONE, Code.NO_TRAFFIC, Code.DEPLOYMENT_SWAPPED})
"""Nobody serves beside whom a canary could be: `restore` comes first."""


def refusal(current: Unit, verb: str) -> Reason | None:
    """Why nothing may begin now; None when it may."""
    state = current.state
    if current.stands_still:
        return reason(Code.ACT_WHILE_FROZEN, verb=verb, loop=current.loop)
    if state.open_release is not None:
        phase = current.release(state.open_release)[0].phase.value
        return reason(Code.ANOTHER_RELEASE_OPEN, verb=verb, release=state.open_release, phase=phase)
    return alone(current, verb)


def alone(current: Unit, verb: str) -> Reason | None:
    """That nobody serves beside whom a canary could be; None when somebody does, or never did."""
    unserved = current.state.unserved
    if unserved is None or unserved.code not in GONE:
        return None
    return reason(Code.NOBODY_TO_COMPARE_WITH, unserved, verb=verb)


def model_refusal(verb: str, asset: str, model: RegisteredModel | None) -> Reason | None:
    """Why a model cannot be deployed, whatever is in it; None when it can."""
    name = assets.asset(asset).plain
    if model is None:
        return reason(Code.MODEL_GONE, verb=verb, model=name)
    return reason(Code.MODEL_ARCHIVED, verb=verb, model=name) if model.archived else None


def serving(current: Unit, model: str) -> Reason | None:
    """That this very model serves already; None when it does not."""
    champion = current.state.champion
    if champion is None or not assets.same_asset(champion.model, model):
        return None
    return reason(Code.MODEL_SERVES, model=assets.asset(model).plain, release=champion.release)


def newest_rows(current: Unit) -> tuple[int, ...]:
    """The versions that a training would get now: their holdout rows judge what was not trained on them."""
    definition, now = current.published().definition, current.ports.clock.now()
    usable = start.usable_versions(current, definition, now)
    return start.window(usable, definition, now, start.since(current.state, (), usable))


def beside(current: Unit, trigger: Trigger, model: str, phase: Phase) -> Release:
    """A release of `model` under today's definition, beside the champion."""
    state, now = current.state, current.ports.clock.now()
    release = Release(
        loop=state.loop,
        number=state.next_release,
        phase=phase,
        definition=state.definition,
        triggers=(trigger,),
        versions=(),
        started_at=now,
        phase_since_at=now,
        model=model,
        champion=state.champion,
        traffic=state.adopted or start.expected_traffic(state),
    )
    return replace(release, deployment=release.deployment_name)

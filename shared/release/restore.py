"""A champion whose deployment or traffic somebody took away is put back when a person asks for it, and only then."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase, Release, Trigger
from shared.loopfile.published import Published
from shared.release import effects
from shared.release.machine import PHASES, Frozen, Undo
from shared.retraining import start
from shared.retraining.start import Outcome
from shared.runtime import serving_look
from shared.runtime.unit_of_work import Unit


def restore(current: Unit, trigger: Trigger) -> Outcome | Reason:
    """A release that deploys the champion's model again, untrained, under its old name where that is free; or why
    there is none.

    It goes through smoke test and gate like any other, and ends with all traffic. An open release that waits for
    the champion, to go back to it, gets the deployment alone.
    """
    state = current.state
    if state.champion is None:
        return reason(Code.RESTORE_NO_MODEL, loop=state.loop)
    champion = current.release(state.champion.release)[0]
    published = current.published(champion.definition)
    if state.open_release is not None:
        return _beside(current, state.open_release, champion, published)
    actual = _traffic(current, published)
    gone = _gone(current, champion, published)
    swapped = (
        not gone and serving_look.swapped(current, published.definition.serve, state.champion) is not None
    )
    if actual == start.expected_traffic(state) and not gone and not swapped:
        return reason(Code.RESTORE_NOT_NEEDED, deployment=champion.deployment, release=champion.number)
    if champion.adopted_as_served:
        return _unknown(champion)
    release = Release(
        loop=state.loop,
        number=state.next_release,
        phase=Phase.DEPLOYING,
        definition=champion.definition,
        triggers=(trigger,),
        versions=champion.versions,
        started_at=trigger.at,
        phase_since_at=trigger.at,
        window=champion.window,
        profile=champion.profile,
        job=champion.job,
        model=champion.model,
        deployment=champion.deployment,
        traffic=actual,
        served_with=champion.served_with,
        promoted=champion.promoted,
        judged_on=champion.judged_on,
    )
    if swapped:  # what has its name stays, for whoever put it there, and gets no traffic
        release = replace(release, deployment=release.deployment_name)
    return start.begun(replace(state, paused=None), release)


def _traffic(current: Unit, published: Published) -> dict[str, int]:
    """None where the endpoint is gone: the release makes it again."""
    serve = published.definition.serve
    if _no_endpoint(current, published):
        return {}
    return dict(current.ports.server(serve.type).traffic(serve.endpoint))


def _no_endpoint(current: Unit, published: Published) -> bool:
    serve = published.definition.serve
    return current.ports.server(serve.type).endpoint_state(serve.endpoint) == "missing"


def _gone(current: Unit, champion: Release, published: Published) -> bool:
    serve = published.definition.serve
    return current.ports.server(serve.type).deployment_state(serve.endpoint, champion.deployment) == "missing"


def _beside(current: Unit, number: int, champion: Release, published: Published) -> Outcome | Reason:
    release = current.release(number)[0]
    if release.phase is not Phase.ROLLING_BACK or _no_endpoint(current, published):
        return _too_early(current, release)
    if champion.adopted_as_served:
        return _unknown(champion)
    serving = current.ports.server(published.definition.serve.type)
    seen = serving.ensure_deployment(effects.deployment_spec(current, champion, published))
    return Outcome(
        current.state,
        reason(Code.RESTORE_DEPLOYED, deployment=champion.deployment, state=seen.state, release=number),
    )


def _too_early(current: Unit, release: Release) -> Reason:
    """What has to be done first is said, and works: what an abort does not end does so by itself, once it goes on."""
    phase = release.phase.value
    if release.ended:  # by another worker, since the loop's row was read
        return reason(Code.RESTORE_RELEASE_ENDS, release=release.number, phase=phase)
    traits = PHASES[release.phase]
    if traits.undo is not Undo.SETTLED or release.adopted:
        return reason(Code.RESTORE_RELEASE_OPEN, loop=release.loop, release=release.number, phase=phase)
    if current.state.paused is not None and traits.frozen is Frozen.STANDS:
        return reason(Code.ACT_WHILE_FROZEN, verb="restore", loop=release.loop)
    return reason(Code.RESTORE_RELEASE_ENDS, release=release.number, phase=phase)


def _unknown(champion: Release) -> Reason:
    return reason(Code.RESTORE_UNKNOWN_DEPLOYMENT, release=champion.number, deployment=champion.deployment)

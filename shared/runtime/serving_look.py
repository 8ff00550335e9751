"""A loop is never called live while nobody is served: each sweep looks at its endpoint and records a change once; who
asks sooner is told what the endpoint says just then. In the hands of an open release any deployment may serve."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared import assets, deadline
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Champion, Release
from shared.errors import ConfigurationError, DependencyUnavailable, DriftloopError
from shared.loopfile.definition import Serve
from shared.release.machine import PHASES
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft

log = logging.getLogger("driftloop")

LASTING = frozenset({Code.ANSWERS_NOTHING, Code.DEPLOYMENT_SWAPPED})
"""What is not over because some deployment has traffic."""

OF_LATE = timedelta(minutes=15)

ENOUGH = 20
"""Requests that fail, all of them, before a model is said to answer none."""

ASKED_S = 10.0
"""How long a person who looks waits for the endpoint."""


@dataclass(frozen=True)
class Served:
    """Who is served, as the endpoint says."""

    traffic: Mapping[str, int] | None
    """Its weights; None when it did not answer."""
    unserved: Reason | None
    """Why nobody is served; None when somebody is."""


def serves_meanwhile(state: LoopState, release: Release | None) -> bool:
    """Whether the champion is to serve now: it is, unless the open release takes its place or deploys it again."""
    if state.champion is None:
        return False
    if release is None:
        return True
    return not PHASES[release.phase].hands_over and release.model != state.champion.model


def now(current: Unit, release: Release | None) -> Served:
    """What the endpoint says at this moment, for whoever looks before the next sweep; `release` is the open one.
    Nothing is written."""
    state = current.state
    if state.champion is None and state.open_release is None:
        return Served({}, None)
    serve = current.at_hand().definition.serve
    try:
        with deadline.within(ASKED_S):
            if state.champion is None or _hands_over(release):
                return _in_hands(current, serve)
            seen = _now(current, serve, state.champion)
            if serves_meanwhile(state, release):
                return seen
            return replace(seen, unserved=seen.unserved or state.unserved)
    except (DependencyUnavailable, ConfigurationError):
        return Served(None, state.unserved)


def _now(current: Unit, serve: Serve, champion: Champion) -> Served:
    seen, endpoint = _broken(current, serve, champion), serve.endpoint
    if seen is not None and seen.code is Code.ENDPOINT_GONE:
        return Served({}, seen)
    traffic = current.ports.server(serve.type).traffic(endpoint)
    if seen is None:
        seen = _without_traffic(current, endpoint, champion, traffic)
    was = current.state.unserved
    if seen is None and was is not None and was.code is Code.ANSWERS_NOTHING:
        seen = was  # only the traffic log says that it is over, and the sweep asks that
    return Served(traffic, seen)


def _hands_over(release: Release | None) -> bool:
    return release is not None and not release.ended and PHASES[release.phase].hands_over


def _in_hands(current: Unit, serve: Serve) -> Served:
    """While the open release sees to who serves, or before the first model does: whether anybody has traffic."""
    serving, endpoint, state = current.ports.server(serve.type), serve.endpoint, current.state
    if serving.endpoint_state(endpoint) == "missing":  # or not made yet
        gone = reason(Code.ENDPOINT_GONE, loop=current.loop, endpoint=endpoint)
        return Served({}, gone if state.champion is not None else None)
    traffic = serving.traffic(endpoint)
    if state.champion is None:
        return Served(traffic, None)
    if not traffic:
        return Served(traffic, reason(Code.NO_TRAFFIC, loop=current.loop, endpoint=endpoint))
    broken = [_deployment_broken(current, serve, name) for name, weight in traffic.items() if weight]
    if all(broken):
        return Served(traffic, next(iter(broken), None))
    lasts = state.unserved is not None and state.unserved.code in LASTING
    return Served(traffic, state.unserved if lasts else None)


def _without_traffic(
    current: Unit, endpoint: str, champion: Champion, traffic: Mapping[str, int]
) -> Reason | None:
    if not traffic:
        return reason(Code.NO_TRAFFIC, loop=current.loop, endpoint=endpoint)
    beside = current.state.open_release is not None  # which looks for itself whether somebody moved traffic
    if beside or traffic.get(champion.deployment) or dict(traffic) == dict(current.state.adopted):
        return None
    shown = ", ".join(f"{name} {weight} %" for name, weight in sorted(traffic.items()))
    return reason(Code.TRAFFIC_ELSEWHERE, loop=current.loop, release=champion.release, traffic=shown)


def look(current: Unit, endpoint: str) -> Mapping[str, int] | None:
    """The endpoint's traffic; None where there is none to speak of: no model yet, a release that takes the champion's
    place, or an endpoint or deployment that is gone or broken. Why nobody is served is committed as it changes."""
    state = current.state
    if state.champion is None:
        return None
    serve, release = current.at_hand().definition.serve, current.open_release()
    if _hands_over(release):
        _recorded(current, endpoint, _in_hands(current, serve).unserved)
        return None
    seen = _broken(current, serve, state.champion)
    if not serves_meanwhile(state, release):  # it is being deployed again: its promotion ends what was wrong
        _recorded(current, endpoint, seen or state.unserved)
        return None
    traffic = current.ports.server(serve.type).traffic(endpoint) if seen is None else None
    if traffic is not None and not traffic:
        seen = reason(Code.NO_TRAFFIC, loop=current.loop, endpoint=endpoint)
    elif seen is None and serve.type == "online":  # a batch endpoint's calls are in no log of requests
        seen = _failing(current, endpoint, state.champion.deployment)
    _recorded(current, endpoint, seen)
    return traffic


def _recorded(current: Unit, endpoint: str, seen: Reason | None) -> None:
    if seen == current.state.unserved:
        return
    what, told = ("serving.lost", seen) if seen else ("serving.back", reason(Code.SERVES_AGAIN))
    draft = Draft(what, f"endpoint {endpoint}", "driftloop", "", detail={"reason": told or ""})
    current.commit(replace(current.state, unserved=seen), [draft])


def _failing(current: Unit, endpoint: str, deployment: str) -> Reason | None:
    """Every request of late failed, and there were enough to say so; one that is answered well ends it. A log that says
    nothing changes nothing."""
    before, now = current.state.unserved, current.ports.clock.now()
    was = before if before is not None and before.code is Code.ANSWERS_NOTHING else None
    try:
        arm = current.ports.evidence.traffic(endpoint, now - OF_LATE, now).arms.get(deployment)
    except DriftloopError as error:
        log.warning("requests are not looked at", extra={"loop": current.loop, "error": str(error)})
        return was
    if arm is not None and arm.errors < arm.requests:
        return None
    if arm is None or arm.requests < ENOUGH:
        return was
    return reason(Code.ANSWERS_NOTHING, loop=current.loop, endpoint=endpoint, deployment=deployment)


def _broken(current: Unit, serve: Serve, champion: Champion) -> Reason | None:
    if current.ports.server(serve.type).endpoint_state(serve.endpoint) == "missing":
        return reason(Code.ENDPOINT_GONE, loop=current.loop, endpoint=serve.endpoint)
    return _deployment_broken(current, serve, champion.deployment) or swapped(current, serve, champion)


def _deployment_broken(current: Unit, serve: Serve, deployment: str) -> Reason | None:
    about = {"loop": current.loop, "endpoint": serve.endpoint, "deployment": deployment}
    match current.ports.server(serve.type).deployment_state(serve.endpoint, deployment):
        case "missing":
            return reason(Code.DEPLOYMENT_GONE, **about)
        case "failed":
            return reason(Code.DEPLOYMENT_BROKEN, **about)
    return None


def swapped(current: Unit, serve: Serve, champion: Champion) -> Reason | None:
    """That the champion's deployment has another model than the one that went live in it."""
    found = current.ports.server(serve.type).deployed_model(serve.endpoint, champion.deployment)
    if not found or assets.alike(found, champion.model):
        return None
    return reason(
        Code.DEPLOYMENT_SWAPPED,
        loop=current.loop,
        endpoint=serve.endpoint,
        deployment=champion.deployment,
        release=champion.release,
        model=found.rpartition("/models/")[2].replace("/versions/", ":"),
    )

"""A loop is never called live while nobody is served: each sweep looks at its endpoint, and records a change once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from shared.domain.reason import Code, Reason, reason
from shared.errors import DriftloopError
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft

log = logging.getLogger("driftloop")

OF_LATE = timedelta(minutes=15)

ENOUGH = 20
"""Requests that fail, all of them, before a model is said to answer none."""


def look(current: Unit, endpoint: str) -> Mapping[str, int] | None:
    """The endpoint's traffic; None where there is none to speak of: no model yet, an open release, which looks for
    itself, or an endpoint or deployment that is gone or broken. Why nobody is served is committed as it changes."""
    state = current.state
    if state.champion is None or state.open_release is not None:
        return None
    seen = _broken(current, endpoint, state.champion.deployment)
    traffic = current.ports.serving.traffic(endpoint) if seen is None else None
    if traffic is not None and not traffic:
        seen = reason(Code.NO_TRAFFIC, loop=current.loop, endpoint=endpoint)
    elif seen is None:
        seen = _failing(current, endpoint, state.champion.deployment)
    if seen != state.unserved:
        what, told = ("serving.lost", seen) if seen else ("serving.back", reason(Code.SERVES_AGAIN))
        draft = Draft(what, f"endpoint {endpoint}", "driftloop", "", detail={"reason": told or ""})
        current.commit(replace(state, unserved=seen), [draft])
    return traffic


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


def _broken(current: Unit, endpoint: str, deployment: str) -> Reason | None:
    loop, serving = current.loop, current.ports.serving
    if serving.endpoint_state(endpoint) == "missing":
        return reason(Code.ENDPOINT_GONE, loop=loop, endpoint=endpoint)
    match serving.deployment_state(endpoint, deployment):
        case "missing":
            return reason(Code.DEPLOYMENT_GONE, loop=loop, endpoint=endpoint, deployment=deployment)
        case "failed":
            return reason(Code.DEPLOYMENT_BROKEN, loop=loop, endpoint=endpoint, deployment=deployment)
    return None

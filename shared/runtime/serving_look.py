"""A loop is never called live while nobody is served: each sweep looks at its endpoint, and records a change once."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.reason import Code, Reason, reason
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft


def look(current: Unit, endpoint: str) -> Reason | None:
    """Why the champion serves nobody, committed as it changes; None when it can. An open release looks for itself."""
    state = current.state
    if state.champion is None or state.open_release is not None:
        return None
    seen = _seen(current, endpoint, state.champion.deployment)
    if seen != state.unserved:
        what, told = ("serving.lost", seen) if seen else ("serving.back", reason(Code.SERVES_AGAIN))
        draft = Draft(what, f"endpoint {endpoint}", "driftloop", "", detail={"reason": told or ""})
        current.commit(replace(state, unserved=seen), [draft])
    return seen


def _seen(current: Unit, endpoint: str, deployment: str) -> Reason | None:
    loop, serving = current.loop, current.ports.serving
    if serving.endpoint_state(endpoint) == "missing":
        return reason(Code.ENDPOINT_GONE, loop=loop, endpoint=endpoint)
    match serving.deployment_state(endpoint, deployment):
        case "missing":
            return reason(Code.DEPLOYMENT_GONE, loop=loop, endpoint=endpoint, deployment=deployment)
        case "failed":
            return reason(Code.DEPLOYMENT_BROKEN, loop=loop, endpoint=endpoint, deployment=deployment)
    if not serving.traffic(endpoint):
        return reason(Code.NO_TRAFFIC, loop=loop, endpoint=endpoint)
    return None

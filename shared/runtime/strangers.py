"""A model that somebody else deploys on a loop's endpoint is seen, told once, and left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from shared.assets import asset
from shared.domain.event import InboxRecord, InboxState
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.errors import ConfigurationError
from shared.ports import Change, Delete, Row
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft

MOST = 20
"""Deployments that are named; Azure has at most as many on an endpoint."""

_OURS = re.compile(r"r(\d+)-a\d+", re.IGNORECASE)


def take(unit: Unit, record: InboxRecord, row: Row) -> None:
    """An event says that a model was deployed on the endpoint: look which, and close the record."""
    why = reason(Code.DEPLOYMENTS_LOOKED_AT, endpoint=record.body["endpoint"])
    closed: list[Change] = [
        update(row, replace(record, state=InboxState.DONE, reason=why)),
        Delete(rows.todo_key(record)),
    ]
    state, told = _seen(unit, record.key)
    unit.commit(state, told, closed)


def look(unit: Unit) -> None:
    """The same by the sweep: no event is documented for each way in which a model is deployed, and one may be lost."""
    state, told = _seen(unit, "")
    if state != unit.state:
        unit.commit(state, told)


def _seen(unit: Unit, cause: str) -> tuple[LoopState, list[Draft]]:
    """While a release is open its deployments come and go: then nothing is said."""
    state = unit.state
    if state.champion is None or state.open_release is not None:
        return state, []
    serve = unit.published().definition.serve
    serving, endpoint = unit.ports.server(serve.type), serve.endpoint
    deployed = serving.deployments(endpoint) if serving.endpoint_state(endpoint) != "missing" else {}
    found = {name: _plain(model) for name, model in sorted(deployed.items())[:MOST] if not _ours(name, state)}
    if found == dict(state.strangers):
        return state, []
    told = told_of(endpoint, found)
    entry = Draft("deployment.found", f"endpoint {endpoint}", "driftloop", cause, detail={"reason": told})
    return replace(state, strangers=found), [entry]


def told_of(endpoint: str, found: Mapping[str, str]) -> Reason:
    if not found:
        return reason(Code.NO_STRANGERS, endpoint=endpoint)
    named = ", ".join(f"{name} ({model})" for name, model in found.items())
    return reason(Code.STRANGERS, endpoint=endpoint, deployments=named)


def _ours(name: str, state: LoopState) -> bool:
    named = _OURS.fullmatch(name)
    champion = state.champion is not None and name.casefold() == state.champion.deployment.casefold()
    return champion or (named is not None and int(named[1]) < state.next_release)


def _plain(model: str) -> str:
    try:
        return asset(model).plain
    except ConfigurationError:  # no id, or none that we know
        return model.rpartition("/")[2][:100] or "no model"

"""Every ledger entry goes out on the topic at least once, and the overview says what people need to see first."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState, Overview
from shared.domain.release import Release
from shared.release.machine import PHASES, in_words
from shared.retraining.policy import UNHELPED
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, rows
from shared.words import say

log = logging.getLogger(__name__)

BATCH = 50

SLOW = timedelta(hours=1)
"""A quick phase that lasts longer is stuck."""


def announce(current: Unit) -> bool:
    """Publish the entries that have not gone out; the ledger itself is the outbox. True when some were."""
    state = current.state
    if state.announced_seq >= state.ledger_seq:
        return False
    found = current.ports.store.range(
        state.loop, "ledger-", after=rows.ledger_key(state.announced_seq), limit=BATCH
    )
    entries = [rows.decode(LedgerEntry, row) for row in found]
    current.ports.topic.publish(state.loop, entries)
    for entry in entries:
        log.info(entry.what, extra=_told(state.loop, entry))
    current.commit(replace(state, announced_seq=entries[-1].seq))
    return True


def _told(loop: str, entry: LedgerEntry) -> dict[str, object]:
    """What the log says of an entry: no words of people or data, these are in the ledger."""
    about = {"loop": loop, "seq": entry.seq, "subject": entry.subject, "before": entry.before}
    operation = hash_chain.operation(loop, entry.cause)
    return {**about, "after": entry.after, "at": entry.at.isoformat(), "operation": operation}


def describe(current: Unit, release: Release | None = None, problem: str = "") -> None:
    """Write the loop's line in the overview; `release` is the open one."""
    definition = current.published().definition
    current.ports.store.describe(
        Overview(
            loop=current.loop,
            landing=definition.data.landing,
            labels=definition.data.labels or "",
            alerts=tuple(definition.retrain.alerts),
            endpoint=definition.serve.endpoint,
            summary=summary(current.state, release),
            attention=attention(current.state, release, problem, current.ports.clock.now()),
            facts=facts(current, release),
        )
    )


def facts(current: Unit, release: Release | None) -> dict[str, str]:
    """What the overview page shows of a loop without reading it: short values, none of them longer than a line."""
    state, found = current.state, {}
    if state.champion is not None:
        found["live"] = str(state.champion.release)
        found["model"] = state.champion.model.rpartition("/models/")[2].replace("/versions/", ":")
        found["live_at"] = state.champion.live_at.isoformat()
    if state.next_version > 1:
        version, _ = current.version(state.next_version - 1)
        moved = version.drift_material or version.metric_breached
        found["version"] = str(version.number)
        found["judged"] = "moved" if moved else "quiet" if version.drift else version.state.value
        found["verdict"] = version.verdict
        found["landed_at"] = version.created_at.isoformat()
    if release is not None:
        found["release"] = str(release.number)
        found["phase"] = release.phase.value
        found["waiting_for"] = say(release.waiting_for)
        found["traffic"] = in_words(release.traffic) if release.traffic else ""
    if state.paused:
        found["paused"] = state.paused
    return {name: text[:160] for name, text in found.items()}


def summary(state: LoopState, release: Release | None) -> str:
    """One line: what serves, and what is under way."""
    champion = state.champion
    live = f"release {champion.release} live" if champion else "no model yet"
    if release is None:
        return live
    waiting = f", waiting for {say(release.waiting_for)}" if release.waiting_for else ""
    return f"{live}; release {release.number} is {release.phase.value.replace('_', ' ')}{waiting}"


def attention(state: LoopState, release: Release | None, problem: str, now: datetime) -> str:
    """What a person must do, in words; empty when no person is needed."""
    if state.paused:
        return f"paused: {state.paused}"
    if release is not None and PHASES[release.phase].awaits_person:
        return f"release {release.number} waits for a person: {say(release.reason)}"
    if release is not None and release.stuck:
        return f"release {release.number} is stuck: {say(release.waiting_for)}"
    if release is not None and PHASES[release.phase].quick and now - release.phase_since_at > SLOW:
        return (
            f"release {release.number} is stuck: {release.phase.value.replace('_', ' ')} since "
            f"{release.phase_since_at:%Y-%m-%d %H:%M} UTC, waiting for {say(release.waiting_for) or 'Azure ML'}"
        )
    if state.unhelped_in_row >= UNHELPED and release is None:
        return f"the last {state.unhelped_in_row} releases went live and did not help: driftloop explain {state.loop}"
    return problem

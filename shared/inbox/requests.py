"""What people and alerts ask for, done once, with actor and reason in the ledger."""

from __future__ import annotations

import json
from dataclasses import replace

from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Reason
from shared.domain.release import Trigger, TriggerKind
from shared.ports import Change, Delete, Insert, Row
from shared.release import machine, restore, stepper
from shared.release.observations import PersonActed
from shared.retraining import policy, start
from shared.retraining.policy import Deny
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.verdict import breaches
from shared.words import say


def alert(current: Unit, record: InboxRecord, row: Row) -> None:
    """A fired alert is put to the policy; a breach that a monitor tells of, only when our own test confirms it."""
    details = f": {record.body['words']}" if record.body["words"] else ""
    if "breached" not in record.body:
        words = f"alert rule {record.body['rule']} fired{details}"
        ask(current, record, row, TriggerKind.ALERT, words, "Azure Monitor")
        return
    words = f"monitor signal {record.body['rule']} breached{details}"
    confirmed, found = breaches.retest(current, json.loads(record.body["breached"]))
    if confirmed:
        ask(current, record, row, TriggerKind.ALERT, f"{words}; {found}", "Azure ML model monitor")
        return
    now, published = current.ports.clock.now(), current.published()
    trigger = Trigger(TriggerKind.ALERT, words, "Azure ML model monitor", record.key, now)
    denial = Deny(f"the monitor's breach is not confirmed: {found}")
    denied = start.apply(current, current.state, [trigger], denial, published, now)
    current.commit(denied.state, denied.drafts, _done(record, row, denied.words))


def ask(current: Unit, record: InboxRecord, row: Row, kind: TriggerKind, words: str, actor: str) -> None:
    """Put one reason to the policy and close its record with the answer."""
    now = current.ports.clock.now()
    published = current.published()
    trigger = Trigger(kind, words, actor, record.key, now)
    decision = policy.decide(
        current.state, [trigger], published.definition, now, newest_version=current.newest_labelled()
    )
    outcome = start.apply(current, current.state, [trigger], decision, published, now)
    current.commit(outcome.state, outcome.drafts, [*_done(record, row, outcome.words), *outcome.changes])


def _done(record: InboxRecord, row: Row, note: str) -> list[Change]:
    return [
        update(row, replace(record, state=InboxState.DONE, note=note)),
        Delete(rows.todo_key(record)),
    ]


def person(current: Unit, record: InboxRecord, row: Row) -> None:
    """retrain, restore, approve, abort, rollback, pause, resume: what makes no sense now is answered, not done."""
    verb, actor = record.body["verb"], record.body["actor"]
    reason = record.body["reason"] or "no reason given"
    match verb:
        case "retrain":
            ask(current, record, row, TriggerKind.PERSON, reason, actor)
        case "pause":
            _set_pause(current, record, row, f"paused by {actor}: {reason}")
        case "resume":
            _set_pause(current, record, row, "")
        case "restore":
            _restore(current, record, row, actor, reason)
        case "replay":
            _replay(current, record, row, actor, reason)
        case _:
            _steer(current, record, row, verb, actor, reason)


def _steer(current: Unit, record: InboxRecord, row: Row, verb: str, actor: str, reason: str) -> None:
    number = int(record.body["release"] or current.state.open_release or 0)
    if number == 0 or number != current.state.open_release:
        _refuse(
            current, record, row, f"{verb} does nothing: release {number or ''} of {current.loop} is not open"
        )
        return
    release, release_row = current.release(number)
    definition = current.published(release.definition).definition
    act = PersonActed(verb, actor, reason)
    after = machine.fold(release, act, definition, current.ports.clock.now())
    if after == release:
        _refuse(current, record, row, f"{verb} does nothing while release {number} is {release.phase.value}")
        return
    done = _done(
        record, row, f"release {number}: {release.phase.value} -> {after.phase.value}".replace("_", " ")
    )
    stepper.store(current, release, release_row, after, actor=actor, cause=record.key, also=done)


def _restore(current: Unit, record: InboxRecord, row: Row, actor: str, reason: str) -> None:
    now = current.ports.clock.now()
    trigger = Trigger(TriggerKind.PERSON, f"restore: {reason}", actor, record.key, now)
    outcome = restore.restore(current, trigger)
    if isinstance(outcome, Reason):
        _refuse(current, record, row, say(outcome))
        return
    current.commit(outcome.state, outcome.drafts, [*_done(record, row, outcome.words), *outcome.changes])


def _replay(current: Unit, record: InboxRecord, row: Row, actor: str, reason: str) -> None:
    """A quarantined drop is work again: for when the loop file, not the file, was what needed mending."""
    key = record.body.get("drop", "")
    found = current.ports.store.read(current.loop, rows.inbox_key(key)) if key else None
    drop = rows.decode(InboxRecord, found) if found is not None else None
    if found is None or drop is None or drop.state is not InboxState.QUARANTINED:
        _refuse(current, record, row, f"replay does nothing: there is no quarantined drop {key[:64]!r}")
        return
    source = f"{drop.body.get('container', '')}/{drop.body.get('name', '')}".strip("/") or drop.kind.value
    told = Draft(
        "drop.replayed",
        source,
        actor,
        record.key,
        before=drop.state.value,
        after=InboxState.NEW.value,
        detail={"reason": reason, "was": f"{drop.code}: {drop.note}"},
    )
    again = replace(drop, state=InboxState.NEW, code="", note="", attempts=0)
    changes: list[Change] = [
        *_done(record, row, f"{source} is read again"),
        update(found, again),
        Insert(rows.todo_key(drop), drop.key),
        Delete(rows.aside_key(drop.received_at, drop.key)),
    ]
    current.commit(drafts=[told], changes=changes)


def _set_pause(current: Unit, record: InboxRecord, row: Row, paused: str) -> None:
    told = Draft(
        "loop.paused" if paused else "loop.resumed",
        f"loop {current.loop}",
        record.body["actor"],
        record.key,
        before=current.state.paused or "running",
        after=paused or "running",
        detail={"reason": record.body["reason"]},
    )
    changes = _done(record, row, told.what)
    if not paused and current.state.open_release is not None:
        release, release_row = current.release(current.state.open_release)
        definition = current.published(release.definition).definition
        act = PersonActed("resume", record.body["actor"], record.body["reason"])
        changes.append(update(release_row, machine.fold(release, act, definition, current.ports.clock.now())))
    current.commit(replace(current.state, paused=paused), [told], changes)


def _refuse(current: Unit, record: InboxRecord, row: Row, why: str) -> None:
    told = Draft(
        "action.refused", f"loop {current.loop}", record.body["actor"], record.key, detail={"why": why}
    )
    current.commit(drafts=[told], changes=_done(record, row, why))

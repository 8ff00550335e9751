"""What people and alerts ask for, done once, with actor and reason in the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from shared.assets import asset
from shared.domain.caller import Caller
from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase, Release, Trigger, TriggerKind
from shared.errors import ConfigurationError
from shared.inbox import alerts, recorder, rights
from shared.ports import Change, Delete, Insert, Row
from shared.redaction import words_of
from shared.release import earlier, foreign, frozen, machine, promoted, restore, stepper
from shared.release.observations import PersonActed
from shared.retraining import policy, start
from shared.retraining.policy import Deny
from shared.retraining.start import Outcome
from shared.runtime.unit_of_work import Unit, update
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.verdict import breaches


def alert(current: Unit, record: InboxRecord, row: Row) -> None:
    """A fired alert is put to the policy, and a resolved one withdraws what waits for it.

    A breach that a monitor reports is put to it only when our own test confirms it.
    """
    if "resolved" in record.body:
        _withdraw(current, record, row)
        return
    rule, details = record.body["rule"], record.body["words"]
    if "breached" not in record.body:
        _fired(current, record, row, reason(Code.ALERT_FIRED, rule=rule, details=details))
        return
    confirmed, found = breaches.retest(current, json.loads(record.body["breached"]))
    why = reason(Code.MONITOR_BREACHED, found, signal=rule, details=details or "no details")
    if confirmed:
        ask(current, record, row, TriggerKind.ALERT, why, "Azure ML model monitor")
        return
    trigger = Trigger(
        TriggerKind.ALERT,
        replace(why, because=()),
        "Azure ML model monitor",
        record.key,
        current.ports.clock.now(),
    )
    _deny(current, record, row, trigger, reason(Code.BREACH_NOT_CONFIRMED, found))


def _fired(current: Unit, record: InboxRecord, row: Row, why: Reason) -> None:
    """An alert of Azure Monitor, judged by when it fired, which may be long before it is heard."""
    if _over(current, record):
        current.commit(changes=_done(record, row, reason(Code.ALERT_RESOLVED)))
        return
    at = alerts.moment(record.body["at"], current.ports.clock.now())
    ended = _ended_last(current)
    if ended is not None and policy.is_echo(ended, at):
        trigger = Trigger(TriggerKind.ALERT, why, "Azure Monitor", record.key, at)
        _deny(current, record, row, trigger, reason(Code.ECHO, release=ended.number))
        return
    ask(current, record, row, TriggerKind.ALERT, why, "Azure Monitor", at=at)


def _ended_last(current: Unit) -> Release | None:
    """The newest release that has ended and did not go live."""
    state = current.state
    if state.last_ended_at is None or state.last_outcome == Phase.LIVE.value:
        return None
    return current.release((state.open_release or state.next_release) - 1)[0]


def _deny(current: Unit, record: InboxRecord, row: Row, trigger: Trigger, why: Reason) -> None:
    denied = start.apply(current, current.state, [trigger], Deny(why))
    denied.commit(current, _done(record, row, denied.reason))


def _over(current: Unit, record: InboxRecord) -> bool:
    """Whether its end came in before it."""
    key = recorder.alert_key(record.body["alert_id"], record.body["at"], fired=False)
    found = current.ports.store.read(current.loop, rows.inbox_key(key))
    return found is not None and rows.decode(InboxRecord, found).body["at"] > record.body["at"]


def _withdraw(current: Unit, record: InboxRecord, row: Row) -> None:
    """What a resolved alert asked for is dropped while it waits; a release that it started goes on."""
    gone = [t for t in current.state.waiting if t.kind is TriggerKind.ALERT and _is_of(current, t, record)]
    answer = reason(Code.ALERT_WITHDRAWN if gone else Code.ALERT_RESOLVED, rule=record.body["rule"])
    told = [policy.answered(trigger, answer) for trigger in gone]
    waiting = tuple(t for t in current.state.waiting if t not in gone)
    closed = replace(record, state=InboxState.IGNORED, reason=answer)
    current.commit(
        replace(current.state, waiting=waiting, denial=answer) if gone else None,
        told,
        [update(row, closed), Delete(rows.todo_key(record))],
    )


def _is_of(current: Unit, trigger: Trigger, resolved: InboxRecord) -> bool:
    found = current.ports.store.read(current.loop, rows.inbox_key(trigger.cause))
    body = rows.decode(InboxRecord, found).body if found is not None else {}
    return body.get("alert_id") == resolved.body["alert_id"] and body["at"] <= resolved.body["at"]


def model(current: Unit, record: InboxRecord, row: Row) -> None:
    """A model was registered that the loop's `models` asked for when it was heard; the event only names it."""
    named = asset(record.body["model"])
    found = current.ports.training.model(named.short)
    known = foreign.told(found) if found else {"model": named.plain}
    why, now = reason(Code.MODEL_REGISTERED, **known), current.ports.clock.now()
    trigger = Trigger(TriggerKind.MODEL, why, "Azure ML registry", record.key, now)
    outcome = foreign.heard(current, current.state, trigger, found)
    outcome.commit(current, _done(record, row, outcome.reason))


def ask(
    current: Unit,
    record: InboxRecord,
    row: Row,
    kind: TriggerKind,
    why: Reason,
    actor: str,
    *,
    at: datetime | None = None,
) -> None:
    """Put one reason, of that moment, to the policy and close its record with the answer."""
    trigger = Trigger(kind, why, actor, record.key, at or current.ports.clock.now())
    outcome = start.answer(current, current.state, [trigger])
    outcome.commit(current, _done(record, row, outcome.reason, refused=outcome.refused))


def _done(record: InboxRecord, row: Row, answer: Reason | None, *, refused: bool = False) -> list[Change]:
    return [
        update(row, replace(record, state=InboxState.DONE, reason=answer, refused=refused)),
        Delete(rows.todo_key(record)),
    ]


def person(current: Unit, record: InboxRecord, row: Row) -> None:
    """One of `messages.VERBS`: what makes no sense now is answered, not done."""
    verb, actor = record.body["verb"], record.body["actor"]
    why = record.body["reason"] or "no reason given"
    steers = verb in rights.ABOUT_A_RELEASE and not record.body.get(
        "to"
    )  # and asks with the release that it is about
    no = None if steers else _rules(current, verb).refusal(verb, rights.caller_of(record.body))
    if no is not None:
        _refuse(current, record, row, no)
        return
    match verb:
        case "retrain":
            ask(current, record, row, TriggerKind.PERSON, reason(Code.ASKED_FOR, why=why), actor)
        case "pause":
            _pause(current, record, row, reason(Code.PAUSED_BY_PERSON, actor=actor, why=why))
        case "resume":
            _resume(current, record, row)
        case "restore":
            _restore(current, record, row, why)
        case "release" if evidence := record.body.get("evidence", ""):
            _promote(current, record, row, evidence, why)
        case "release":
            named = record.body["model"]
            asked = reason(Code.MODEL_ASKED_FOR, model=asset(named).plain, why=why)
            _begin(current, record, row, foreign.asked(current, named, _wish(current, record, asked)))
        case "rollback" if to := record.body.get("to", ""):
            asked, gated = (
                reason(Code.ROLLBACK_ASKED_FOR, release=int(to), why=why),
                record.body["gate"] != "",
            )
            wish = _wish(current, record, asked)
            _begin(current, record, row, earlier.back_to(current, int(to), wish, gated=gated))
        case "replay":
            _replay(current, record, row, actor, why)
        case _:
            _steer(current, record, row, verb, actor, why)


def _rules(current: Unit, verb: str, release: Release | None = None) -> rights.Rules:
    """What is on record waits for a definition that it needs and that cannot be read, and is then done."""
    rules = rights.rules(current, verb, release)
    if rules.lost is not None:
        raise ConfigurationError(words_of(rules.lost), code=rules.lost.code) from rules.lost
    return rules


def _steer(current: Unit, record: InboxRecord, row: Row, verb: str, actor: str, why: str) -> None:
    number = int(record.body["release"] or current.state.open_release or 0)
    if number == 0 or number != current.state.open_release:
        closed = reason(Code.RELEASE_NOT_OPEN, verb=verb, release=number or "", loop=current.loop)
        _refuse(current, record, row, closed)
        return
    release, release_row = current.release(number)
    rules, caller = _rules(current, verb, release), rights.caller_of(record.body)
    definition = current.at_hand(release).definition
    if current.stands_still and verb not in frozen.STAYS_POSSIBLE:
        _refuse(current, record, row, reason(Code.ACT_WHILE_FROZEN, verb=verb, loop=current.loop))
        return
    if no := rules.refusal(verb, caller):
        _refuse(current, record, row, no)
        return
    act = PersonActed(verb, actor, why)
    after = machine.fold(release, act, definition, current.ports.clock.now())
    if after == release:
        phase = release.phase.value
        _refuse(current, record, row, reason(Code.ACT_OUT_OF_PLACE, verb=verb, release=number, phase=phase))
        return
    if caller is not None and rules.waits_for_another(verb, release, caller):
        _first_of_two(current, record, row, (release, release_row), caller)
        return
    answer = reason(Code.ACT_DONE, release=number, before=release.phase.value, after=after.phase.value)
    done = _done(record, row, answer)
    stepper.store(current, release, release_row, after, actor=actor, cause=record.key, also=done)


def _first_of_two(
    current: Unit, record: InboxRecord, row: Row, stored: tuple[Release, Row], caller: Caller
) -> None:
    """On record with their name; the second person's act is the one that is done."""
    release, release_row = stored
    verb, actor, now = record.body["verb"], record.body["actor"], current.ports.clock.now()
    after = rights.first_of_two(release, verb, caller, actor, now)
    if isinstance(after, Reason):
        _refuse(current, record, row, after)
        return
    told = Draft(
        "release.first_of_two",
        f"release {release.number}",
        actor,
        record.key,
        detail={"verb": verb, "reason": record.body["reason"]},
    )
    changes = [*_done(record, row, after.waiting_for), update(release_row, after)]
    current.commit(drafts=[told], changes=changes)


def _restore(current: Unit, record: InboxRecord, row: Row, why: str) -> None:
    if current.published().definition.mode == "observe":
        _refuse(current, record, row, reason(Code.ACT_WHILE_FROZEN, verb="restore", loop=current.loop))
        return
    wish = _wish(current, record, reason(Code.RESTORE_ASKED_FOR, why=why))
    _begin(current, record, row, restore.restore(current, wish))


def _promote(current: Unit, record: InboxRecord, row: Row, evidence: str, why: str) -> None:
    tested = promoted.read(current, evidence)
    if isinstance(tested, Reason):
        _refuse(current, record, row, tested)
        return
    wish = _wish(current, record, promoted.told(tested, evidence, why))
    _begin(current, record, row, promoted.asked(current, tested, evidence, wish))


def _wish(current: Unit, record: InboxRecord, asked: Reason) -> Trigger:
    return Trigger(TriggerKind.PERSON, asked, record.body["actor"], record.key, current.ports.clock.now())


def _begin(current: Unit, record: InboxRecord, row: Row, outcome: Outcome | Reason) -> None:
    """A release that trains nothing, with what asked for it; or why there is none."""
    if isinstance(outcome, Reason):
        _refuse(current, record, row, outcome)
        return
    outcome.commit(current, _done(record, row, outcome.reason))


def _replay(current: Unit, record: InboxRecord, row: Row, actor: str, why: str) -> None:
    """A quarantined drop is work again: for when the loop file, not the file, was what had to be fixed."""
    key = record.body.get("drop", "")
    found = current.ports.store.read(current.loop, rows.inbox_key(key)) if rows.is_key(key) else None
    drop = rows.decode(InboxRecord, found) if found is not None else None
    if found is None or drop is None or drop.state is not InboxState.QUARANTINED:
        _refuse(current, record, row, reason(Code.NO_QUARANTINED_DROP, drop=key[:64]))
        return
    told = Draft(
        "drop.replayed",
        drop.subject,
        actor,
        record.key,
        before=drop.state.value,
        after=InboxState.NEW.value,
        detail={"reason": why, **({"was": drop.reason} if drop.reason else {})},
    )
    again = replace(drop, state=InboxState.NEW, reason=None, attempts=0, by_job="", failed_jobs=0)
    changes: list[Change] = [
        *_done(record, row, reason(Code.READ_AGAIN, source=drop.subject)),
        update(found, again),
        Insert(rows.todo_key(drop), drop.key),
        Delete(rows.aside_key(drop.received_at, drop.key)),
    ]
    left = tuple(one for one in current.state.set_aside if one.key != drop.key)
    current.commit(replace(current.state, set_aside=left), [told], changes)


def _pause(current: Unit, record: InboxRecord, row: Row, why: Reason) -> None:
    if current.state.paused is not None:  # why it is paused says what ends it
        already = reason(Code.PAUSED_ALREADY, current.state.paused, loop=current.loop)
        _refuse(current, record, row, already)
        return
    told = _told(current, record, "loop.paused")
    current.commit(replace(current.state, paused=why), [told], _done(record, row, why))


def _resume(current: Unit, record: InboxRecord, row: Row) -> None:
    """The loop continues, and a release whose traffic was changed from outside with it."""
    if current.state.paused is None:
        _refuse(current, record, row, reason(Code.NOT_PAUSED, loop=current.loop))
        return
    actor, why = record.body["actor"], record.body["reason"]
    done = _done(record, row, reason(Code.RESUMED, actor=actor))
    state, told = replace(current.state, paused=None), [_told(current, record, "loop.resumed")]
    release, release_row = current.release(state.open_release) if state.open_release else (None, None)
    if release is None or release_row is None or not release.adopted:
        current.commit(state, told, done)
        return
    definition, now = current.at_hand(release).definition, current.ports.clock.now()
    after = machine.fold(release, PersonActed("resume", actor, why), definition, now)
    cause = record.key
    stepper.store(
        current, release, release_row, after, actor=actor, cause=cause, also=done, state=state, told=told
    )


def _told(current: Unit, record: InboxRecord, what: str) -> Draft:
    return Draft(
        what,
        f"loop {current.loop}",
        record.body["actor"],
        record.key,
        before="paused" if current.state.paused else "running",
        after="paused" if what == "loop.paused" else "running",
        detail={"reason": record.body["reason"]},
    )


def _refuse(current: Unit, record: InboxRecord, row: Row, why: Reason) -> None:
    told = Draft(
        "action.refused", f"loop {current.loop}", record.body["actor"], record.key, detail={"why": why}
    )
    current.commit(drafts=[told], changes=_done(record, row, why, refused=True))

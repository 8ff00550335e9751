"""Every event is on record, once, before it is acknowledged; then its loop is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from shared import events, rows
from shared.errors import Conflict, InputRejected
from shared.events import Act, AlertRaised, Incoming, Landed, MonitorBreached, RunChanged, Uninteresting
from shared.model import EventKind, InboxRecord, InboxState, Overview
from shared.ports import Change, Insert, Ports

FOLDER_END = "_SUCCESS"


def key_of(*parts: str) -> str:
    """Identity of what happened: the same for every delivery of it."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


def receive(ports: Ports, message: str, account_url: str) -> list[str]:
    """Put one queue message on record; the loops that now have work."""
    concerned: list[str] = []
    for event in events.parts(message):
        try:
            incoming = events.parse(event, account_url)
        except InputRejected as rejection:
            _unrouted(ports, event, rejection.code, str(rejection))
            continue
        concerned += route(ports, incoming, event)
    return list(dict.fromkeys(concerned))


def route(ports: Ports, incoming: Incoming, message: str = "") -> list[str]:
    """Give what came in to the loops that it concerns."""
    overviews = ports.store.overviews()
    match incoming:
        case Landed():
            owners = [o for o in overviews if landing_of(o, incoming.container, incoming.name) is not None]
            for owner in owners:
                land(ports, owner, incoming)
            if not owners:
                where = f"{incoming.container}/{incoming.name}"
                _unrouted(ports, message or where, "no-loop", f"no loop's landing prefix covers {where}")
            return [owner.loop for owner in owners]
        case AlertRaised():
            concerned = [o for o in overviews if any(fnmatchcase(incoming.rule, glob) for glob in o.alerts)]
            for overview in concerned:
                _alert(ports, overview, incoming)
            if not concerned:
                _unrouted(
                    ports,
                    message,
                    "no-loop",
                    f"no loop's `retrain.alerts` matches alert rule {incoming.rule!r}",
                )
            return [overview.loop for overview in concerned]
        case MonitorBreached():
            return _breach(ports, overviews, incoming, message)
        case RunChanged():
            loop = events.loop_of_run(incoming.run)
            return [o.loop for o in overviews if o.loop == loop]
        case Act():
            if not any(o.loop == incoming.loop for o in overviews):
                _unrouted(ports, message, "no-loop", f"there is no loop {incoming.loop!r}")
                return []
            _act(ports, incoming)
            return [incoming.loop]
        case Uninteresting():
            return []


def landing_of(overview: Overview, container: str, name: str) -> str | None:
    """The blob's name below the loop's landing prefix; None when it is not the loop's."""
    home, _, prefix = overview.landing.partition("/")
    return (
        name[len(prefix) :]
        if container == home and name.startswith(prefix) and len(name) > len(prefix)
        else None
    )


def land(ports: Ports, overview: Overview, landed: Landed) -> bool:
    """Put a landed blob on record for its loop; False when it was already."""
    below = landing_of(overview, landed.container, landed.name) or landed.name
    folder, _, base = below.rpartition("/")
    record = InboxRecord(
        key=key_of("blob", landed.container, landed.name, landed.etag),
        kind=EventKind.BLOB,
        received_at=ports.clock.now(),
        body={
            "container": landed.container,
            "name": landed.name,
            "etag": landed.etag,
            "sequencer": landed.sequencer,
        },
    )
    if base != FOLDER_END:
        if folder:
            return put(
                ports,
                overview.loop,
                _ignored(record, f"part of the folder {folder}/; it counts when {FOLDER_END} lands"),
            )
        if base.startswith(("_", ".")):
            return put(ports, overview.loop, _ignored(record, "names that start with _ or . are not data"))
    elif not folder:
        return put(
            ports,
            overview.loop,
            _ignored(record, f"{FOLDER_END} ends a folder; it lies in the landing prefix itself"),
        )
    return put(ports, overview.loop, record)


def _ignored(record: InboxRecord, why: str) -> InboxRecord:
    return replace(record, state=InboxState.IGNORED, note=why)


def put(ports: Ports, loop: str, record: InboxRecord) -> bool:
    """Create the inbox row, and the work that it is, if absent; False when it was there."""
    changes: list[Change] = [Insert(rows.inbox_key(record.key), rows.encode(record))]
    if record.state is InboxState.NEW:
        ports.store.wake(loop, record.received_at)
        changes.append(Insert(rows.todo_key(record), record.key))
    try:
        ports.store.commit(loop, changes)
    except Conflict:
        return False
    return True


def _alert(ports: Ports, overview: Overview, alert: AlertRaised) -> None:
    record = InboxRecord(
        key=key_of("alert", alert.alert_id or alert.rule, alert.at, str(alert.fired)),
        kind=EventKind.ALERT,
        received_at=ports.clock.now(),
        body={"rule": alert.rule, "at": alert.at, "words": alert.words},
    )
    put(ports, overview.loop, record if alert.fired else _ignored(record, "the alert is resolved, not fired"))


def _breach(
    ports: Ports, overviews: Sequence[Overview], breached: MonitorBreached, message: str
) -> list[str]:
    """Each breached signal for each loop whose `retrain.alerts` names the monitor or the signal, once a run."""
    loops = []
    for signal in breached.signals:
        for overview in overviews:
            names = (breached.monitor, signal.signal)
            if not any(fnmatchcase(name, glob) for name in names for glob in overview.alerts):
                continue
            record = InboxRecord(
                key=key_of("breach", breached.run, signal.signal),
                kind=EventKind.ALERT,
                received_at=ports.clock.now(),
                body={
                    "rule": signal.signal,
                    "monitor": breached.monitor,
                    "run": breached.run[:256],
                    "at": "",
                    "words": "; ".join(map(str, signal.features[:10])),
                    "breached": json.dumps(sorted({f.feature for f in signal.features} - {""})),
                },
            )
            put(ports, overview.loop, record)
            loops.append(overview.loop)
    if not loops:
        text = f"no loop's `retrain.alerts` matches monitor {breached.monitor!r} or its signals"
        _unrouted(ports, message, "no-loop", text)
    return loops


def _act(ports: Ports, act: Act) -> None:
    put(
        ports,
        act.loop,
        InboxRecord(
            key=key_of("act", act.id),
            kind=EventKind.PERSON,
            received_at=ports.clock.now(),
            body={
                "verb": act.verb,
                "release": str(act.release or ""),
                "actor": act.actor,
                "reason": act.reason,
                "drop": act.drop,
            },
        ),
    )


def keep_poison(ports: Ports, message: str) -> None:
    """An event that failed five times: kept, with what is known, for a person or the sweep."""
    _unrouted(
        ports,
        message,
        "poison",
        "handling this event failed five times; the log of function `inbox` says why",
    )


def _unrouted(ports: Ports, message: str, code: str, text: str) -> None:
    document = {
        "code": code,
        "text": text,
        "received_at": ports.clock.now().isoformat(),
        "message": message[:4096],
    }
    ports.store.record_unrouted(key_of("unrouted", message), json.dumps(document, ensure_ascii=False))

"""Every event is on record, once, before it is acknowledged; then its loop is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from fnmatch import fnmatchcase

from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.loop import Overview
from shared.errors import Conflict, InputRejected
from shared.inbox import messages
from shared.inbox.messages import (
    Act,
    AlertRaised,
    Incoming,
    Landed,
    MonitorBreached,
    RunChanged,
    Uninteresting,
)
from shared.ports import Change, Insert, Ports
from shared.redaction import redacted_message
from shared.state import rows

FOLDER_END = "_SUCCESS"

MOST_UNROUTED = 10_000
"""Events without a loop that a sweep looks at, the newest days first."""


def key_of(*parts: str) -> str:
    """Identity of what happened: the same for every delivery of it."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


def receive(ports: Ports, message: str, account_url: str) -> list[str]:
    """Put one queue message on record; the loops that now have work."""
    concerned: list[str] = []
    for event in messages.parts(message):
        try:
            incoming = messages.parse(event, account_url)
        except InputRejected as rejection:
            _unrouted(ports, event, rejection.code, str(rejection))
            continue
        concerned += route(ports, incoming, event)
    return list(dict.fromkeys(concerned))


def route(ports: Ports, incoming: Incoming, message: str = "") -> list[str]:
    """Give what came in to the loops that it concerns; what concerns none is kept, with its reason."""
    owners = concerned(ports.store.overviews(), incoming)
    for owner in owners:
        match incoming:
            case Landed():
                land(ports, owner, incoming)
            case AlertRaised():
                _alert(ports, owner, incoming)
            case MonitorBreached():
                _breach(ports, owner, incoming)
            case RunChanged():
                wake(ports, owner)
            case Act():
                _act(ports, owner, incoming)
    if not owners and (why := _nobody(incoming)):
        _unrouted(ports, message or why, "no-loop", why)
    return [owner.loop for owner in owners]


def concerned(overviews: Sequence[Overview], incoming: Incoming) -> list[Overview]:
    """The loops that this is for."""
    match incoming:
        case Landed():
            return [o for o in overviews if place_of(o, incoming.container, incoming.name) is not None]
        case AlertRaised():
            return [o for o in overviews if _listens(o, incoming.rule)]
        case MonitorBreached():
            names = (incoming.monitor, *(signal.signal for signal in incoming.signals))
            return [o for o in overviews if incoming.signals and _listens(o, *names)]
        case RunChanged():
            loop = messages.loop_of_run(incoming.run)
            return [o for o in overviews if o.loop == loop]
        case Act():
            return [o for o in overviews if o.loop == incoming.loop]
        case Uninteresting():
            return []


def _listens(overview: Overview, *names: str) -> bool:
    return any(fnmatchcase(name, glob) for name in names for glob in overview.alerts)


def _nobody(incoming: Incoming) -> str:
    """What people are told of an event that is for no loop; empty when there is nothing to tell."""
    match incoming:
        case Landed():
            return f"no loop's landing prefix covers {incoming.container}/{incoming.name}, nor its place for labels"
        case AlertRaised():
            return f"no loop's `retrain.alerts` matches alert rule {incoming.rule!r}"
        case MonitorBreached():
            return f"no loop's `retrain.alerts` matches monitor {incoming.monitor!r} or its signals"
        case Act():
            return f"there is no loop {incoming.loop!r}"
        case _:
            return ""


def wake(ports: Ports, overview: Overview) -> None:
    """A tick must look at this loop; one that waits already keeps its place."""
    now = ports.clock.now()
    ports.store.wake(overview.loop, min(now, overview.due_at or now))


def place_of(overview: Overview, container: str, name: str) -> tuple[EventKind, str] | None:
    """What a blob is to the loop, and its name below the prefix where such blobs land; None: it is not the loop's."""
    for kind, place in ((EventKind.BLOB, overview.landing), (EventKind.LABELS, overview.labels)):
        home, _, prefix = place.partition("/")
        if container == home and name.startswith(prefix) and len(name) > len(prefix):
            return kind, name[len(prefix) :]
    return None


def blob_key(container: str, name: str, etag: str) -> str:
    """Identity of a landed blob, however its landing is told of."""
    return key_of("blob", container, name, etag)


def land(ports: Ports, overview: Overview, landed: Landed) -> bool:
    """Put a landed blob on record for its loop; False when it was already."""
    kind, below = place_of(overview, landed.container, landed.name) or (EventKind.BLOB, landed.name)
    record = InboxRecord(
        key=blob_key(landed.container, landed.name, landed.etag),
        kind=kind,
        received_at=ports.clock.now(),
        body={
            "container": landed.container,
            "name": landed.name,
            "etag": landed.etag,
            "sequencer": landed.sequencer,
            **({"written": landed.written} if landed.written else {}),
        },
    )
    why = _no_drop(below)
    return put(ports, overview, _ignored(record, why) if why else record)


def _no_drop(below: str) -> str:
    """Why a blob of this name below the landing prefix is no drop; empty when it is one."""
    folder, _, base = below.rpartition("/")
    if base == FOLDER_END:
        return "" if folder else f"{FOLDER_END} ends a folder; it lies in the landing prefix itself"
    if folder:
        return f"part of the folder {folder}/; it counts when {FOLDER_END} lands"
    return "names that start with _ or . are not data" if base.startswith(("_", ".")) else ""


def _ignored(record: InboxRecord, why: str) -> InboxRecord:
    return replace(record, state=InboxState.IGNORED, note=why)


def put(ports: Ports, overview: Overview, record: InboxRecord) -> bool:
    """Create the inbox row, and the work that it is, if absent; False when it was there."""
    changes: list[Change] = [Insert(rows.inbox_key(record.key), rows.encode(record))]
    if record.state is InboxState.NEW:
        wake(ports, overview)
        changes.append(Insert(rows.todo_key(record), record.key))
    try:
        ports.store.commit(overview.loop, changes)
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
    put(ports, overview, record if alert.fired else _ignored(record, "the alert is resolved, not fired"))


def _breach(ports: Ports, overview: Overview, breached: MonitorBreached) -> None:
    """Each breached signal whose monitor or name `retrain.alerts` names, once a run."""
    for signal in breached.signals:
        if not _listens(overview, breached.monitor, signal.signal):
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
        put(ports, overview, record)


def _act(ports: Ports, overview: Overview, act: Act) -> None:
    put(
        ports,
        overview,
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


REPLAYED = "replayed"

UNDELIVERED = "dead-letter"

TAKEN_UP = frozenset({REPLAYED, UNDELIVERED})
"""Codes of what needs nobody any more."""

_WORTH_ANOTHER_TRY = frozenset({"poison", "no-loop"})


def replay(ports: Ports, overviews: Sequence[Overview], account_url: str) -> int:
    """Put events on record that failed five times, or came before their loop was published; how many were."""
    found = 0
    for row in ports.store.unrouted(limit=MOST_UNROUTED):
        try:
            document = json.loads(row.doc)
            if document["code"] not in _WORTH_ANOTHER_TRY or document.get("altered"):
                continue
            incoming = messages.parse(document["message"], account_url)
        except (InputRejected, ValueError, KeyError, TypeError):
            continue  # it is shown as it is
        if owners := concerned(overviews, incoming):
            route(ports, incoming, document["message"])
            text = (
                f"put on record again for {', '.join(owner.loop for owner in owners)}; was {document['code']}"
            )
            ports.store.record_unrouted(row.key, json.dumps(document | {"code": REPLAYED, "text": text}))
            found += 1
    return found


def _unrouted(ports: Ports, message: str, code: str, text: str) -> None:
    key = unrouted_key(ports.clock.now(), "unrouted", message)
    keep(ports, key, code, text, messages.decoded(message[: messages.MAX_MESSAGE_BYTES]))


def keep(ports: Ports, key: str, code: str, text: str, message: str = "") -> None:
    """Tell people of what belongs to no loop. `message` can be tried again, unless it is another one without its
    secrets."""
    kept = redacted_message(message)
    document = {"code": code, "text": text, "received_at": ports.clock.now().isoformat(), "message": kept}
    if kept != message and _meant(kept) != _meant(message):
        document["altered"] = "yes"
    ports.store.record_unrouted(key, json.dumps(document, ensure_ascii=False))


def _meant(message: str) -> Incoming | str:
    try:
        return messages.parse(message, "")
    except InputRejected as rejection:
        return rejection.code


def unrouted_key(day: datetime, *parts: str) -> str:
    """The newest day first, so that who reads a few reads the newest; within a day what is the same is kept once."""
    return f"{date.max.toordinal() - day.toordinal():07d}-{key_of(*parts)}"

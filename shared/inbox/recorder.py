"""Every event is recorded, once, before it is acknowledged; then a run of its loop is asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from shared.assets import asset
from shared.domain.caller import Caller
from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.loop import Overview
from shared.domain.reason import Code, Reason, reason
from shared.errors import Conflict, DriftloopError, InputRejected
from shared.files.passed_over import is_hidden, is_unfinished
from shared.inbox import messages, renames, rights, unrouted
from shared.inbox.alerts import AlertRaised
from shared.inbox.blob_events import Landed, Renamed, Uninteresting
from shared.inbox.landings import FOLDER_END, Landings, covering, folder_of, place_of
from shared.inbox.messages import (
    Act,
    Incoming,
    ModelDeployed,
    ModelRegistered,
    MonitorBreached,
    RunChanged,
)
from shared.port_rules import is_loop
from shared.ports import Change, Insert, Ports
from shared.redaction import reason_of, redacted, words_of
from shared.state import rows
from shared.state.rows import key_of
from shared.tables.snapshot import commit_of

log = logging.getLogger("driftloop")


def submit(ports: Ports, message: str, by: Caller | None = None) -> None:
    """What our own functions and commands send: on record at once, and in the queue, which wakes its loop. Either of
    the two is enough, so nothing waits for a message that somebody who died had received.

    `by` is whom the platform vouches for. Only the record says so: where it cannot be made, nothing is sent.
    """
    try:
        incoming = messages.parse(message, "")
        if isinstance(incoming, Act):
            incoming = replace(incoming, by=by)
        recorded = record(ports, _owners(ports, Landings(), incoming), incoming)
    except DriftloopError as error:
        if by is not None:
            raise
        log.warning("not recorded at once", extra={"error": str(error)})
        recorded = []
    try:
        ports.queue.put(message)
    except DriftloopError as error:
        if not recorded:
            raise
        log.warning("on record, but not in the queue: the tick takes it up", extra={"error": str(error)})


def receive(ports: Ports, message: str, account_url: str, landings: Landings | None = None) -> list[str]:
    """Record one queue message; the loops that now have work. What concerns no loop is kept, with its reason."""
    found: list[str] = []
    landings = landings or Landings()
    for event in messages.parts(message):
        try:
            incoming = messages.parse(event, account_url)
            loops = record(ports, _owners(ports, landings, incoming), incoming)
        except InputRejected as rejection:
            unrouted.keep(ports, event, reason_of(rejection))
            continue
        if not loops and (why := _nobody(incoming)):
            alike = f"model {incoming.name}" if isinstance(incoming, ModelRegistered) else ""
            unrouted.keep(ports, event, why, alike)
        found += loops
    return list(dict.fromkeys(found))


def record(ports: Ports, owners: Sequence[Overview], incoming: Incoming) -> list[str]:
    """Record what came in for each loop that it concerns; their names."""
    for owner in owners:
        match incoming:
            case Landed():
                land(ports, owner, incoming)
            case Renamed():
                for each in renames.landed(ports, owner, incoming):
                    land(ports, owner, each)
            case AlertRaised():
                _alert(ports, owner, incoming)
            case MonitorBreached():
                _breach(ports, owner, incoming)
            case RunChanged():
                wake(ports, owner)
            case ModelRegistered():
                registered(ports, owner, incoming.name, incoming.version)
            case ModelDeployed():
                _deployed(ports, owner, incoming)
            case Act():
                _act(ports, owner, incoming)
    return [owner.loop for owner in owners]


def _owners(ports: Ports, landings: Landings, incoming: Incoming) -> list[Overview]:
    """The loops that this is for. Any loop's patterns may name an alert, so all are read for one; for what names its
    loop or its place, only that loop's row."""
    match incoming:
        case Landed() | Renamed():
            return landings.owners(ports, incoming.container, incoming.name)
        case AlertRaised() | MonitorBreached() | ModelRegistered() | ModelDeployed():
            return concerned(ports.store.overviews(), incoming)
        case RunChanged():
            loop = messages.loop_of_run(incoming.run)
        case Act():
            loop = incoming.loop
        case Uninteresting():
            return []
    found = ports.store.overview(loop) if is_loop(loop) else None
    return [found] if found is not None else []


def concerned(overviews: Sequence[Overview], incoming: Incoming) -> list[Overview]:
    """Of these loops, those that this is for."""
    match incoming:
        case Landed() | Renamed():
            return covering(overviews, incoming.container, incoming.name)
        case AlertRaised():
            return [o for o in overviews if _listens(o, incoming.rule)]
        case MonitorBreached():
            names = (incoming.monitor, *(signal.signal for signal in incoming.signals))
            return [o for o in overviews if incoming.signals and _listens(o, *names)]
        case RunChanged():
            loop = messages.loop_of_run(incoming.run)
            return [o for o in overviews if o.loop == loop]
        case ModelRegistered():
            return [o for o in overviews if _asks_for(o, incoming)]
        case ModelDeployed():
            return [o for o in overviews if o.endpoint.casefold() == incoming.endpoint.casefold()]
        case Act():
            return [o for o in overviews if o.loop == incoming.loop]
        case Uninteresting():
            return []


def _listens(overview: Overview, *names: str) -> bool:
    return any(fnmatchcase(name, glob) for name in names for glob in overview.alerts)


def _asks_for(overview: Overview, incoming: ModelRegistered) -> bool:
    named = overview.models.casefold() == incoming.name.casefold()
    return named and overview.model_tags.items() <= incoming.tags.items() and not incoming.ours


def find_model(ports: Ports, overview: Overview, since: datetime) -> bool:
    """Record the newest model that the loop asks for, where no event told of it: one may be lost, and a tag that is set
    later sends none. Of those from before `since` nobody wants to hear."""
    newest = ports.training.newest_model(overview.models) if overview.models else None
    if newest is None or newest.archived or newest.made_at is None or newest.made_at <= since:
        return False
    named = asset(newest.asset)
    found = ModelRegistered(named.name, named.version, newest.tags)
    return _asks_for(overview, found) and registered(ports, overview, found.name, found.version)


def _nobody(incoming: Incoming) -> Reason | None:
    """Why an event concerns no loop; None when there is nothing to say about it."""
    match incoming:
        case Landed() | Renamed():
            return reason(Code.NO_LANDING, blob=redacted(f"{incoming.container}/{incoming.name}"))
        case AlertRaised():
            return reason(Code.NO_ALERT_PATTERN, rule=redacted(incoming.rule))
        case MonitorBreached():
            return reason(Code.NO_MONITOR_PATTERN, monitor=redacted(incoming.monitor))
        case ModelRegistered() if not incoming.ours:
            return reason(Code.NO_MODEL_KEY, model=redacted(f"{incoming.name}:{incoming.version}"))
        case Act():
            return reason(Code.NO_LOOP, loop=redacted(incoming.loop))
        case _:
            return None


def wake(ports: Ports, overview: Overview) -> None:
    """A tick must look at this loop; one that waits already keeps its place, and one that was due when a run of it was
    asked for is so until that run begins."""
    if overview.run_asked:
        return
    now = ports.clock.now()
    ports.store.wake(overview.loop, min(now, overview.due_at or now))


def known(ports: Ports, loop: str) -> set[str]:
    """Keys of all inbox records."""
    return {row.key.removeprefix("inbox-") for row in rows.every(ports.store, loop, "inbox-")}


def blob_key(container: str, name: str, etag: str) -> str:
    """Identity of a landed blob, however its landing is reported."""
    return key_of("blob", container, name, etag)


def land(ports: Ports, overview: Overview, landed: Landed) -> bool:
    """Record a landed blob for its loop; False when it was recorded already."""
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
    drops = kind is EventKind.BLOB
    why = _no_drop(below, (drops and overview.manifest) or FOLDER_END)
    if why is None or why.code is not Code.FOLDER_PART or not drops:
        return put(ports, overview, _ignored(record, why) if why else record)
    place = f"{landed.container}/{landed.name.removesuffix(below)}{folder_of(below)}"
    if overview.quiet:
        return put(ports, overview, replace(record, body={**record.body, "part_of": place}))
    read = ports.store.read(overview.loop, rows.folder_key(place))
    again = read and reason(Code.FOLDER_READ_ONCE, folder=place, version=int(read.doc), end=why.facts["end"])
    return put(ports, overview, _ignored(record, again or why))


def _no_drop(below: str, end: str) -> Reason | None:
    """Why a blob of this name below the landing prefix is not a drop; None when it is one. `end` ends a folder."""
    folder, _, base = below.rpartition("/")
    if base == end:
        return None if folder else reason(Code.FOLDER_END_ALONE, name=end)
    commit = commit_of(below)
    if commit is not None and not commit[0]:
        return reason(Code.DELTA_AT_LANDING)
    if is_hidden((commit[0] if commit else below).split("/")):
        return reason(Code.HIDDEN_NAME)
    if commit is not None:
        return None
    if is_unfinished(base):
        return reason(Code.UNFINISHED_NAME)
    return reason(Code.FOLDER_PART, folder=folder, end=end) if folder else None


def _ignored(record: InboxRecord, why: Reason) -> InboxRecord:
    return replace(record, state=InboxState.IGNORED, reason=why)


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


def registered(ports: Ports, overview: Overview, name: str, version: str) -> bool:
    """Record a registered model for its loop; False when it was recorded already."""
    record = InboxRecord(
        key=key_of("model", name, version),
        kind=EventKind.MODEL,
        received_at=ports.clock.now(),
        body={"model": f"azureml:{name}:{version}"},
    )
    return put(ports, overview, record)


def _deployed(ports: Ports, overview: Overview, deployed: ModelDeployed) -> None:
    record = InboxRecord(
        key=key_of("deployed", deployed.endpoint, deployed.models, deployed.at),
        kind=EventKind.DEPLOYED,
        received_at=ports.clock.now(),
        body={"endpoint": overview.endpoint},
    )
    put(ports, overview, record)


def _alert(ports: Ports, overview: Overview, alert: AlertRaised) -> None:
    identity = key_of("alert", alert.alert_id or alert.rule)  # only ever compared, and it may hold anything
    body = {"rule": redacted(alert.rule), "at": alert.at, "words": alert.words, "alert_id": identity}
    if not alert.fired:
        body["resolved"] = "yes"
    record = InboxRecord(
        key=alert_key(identity, alert.at if alert.fired else alert.fired_at or alert.at, fired=alert.fired),
        kind=EventKind.ALERT,
        received_at=ports.clock.now(),
        body=body,
    )
    put(ports, overview, record)


def alert_key(identity: str, fired_at: str, *, fired: bool) -> str:
    """Of an alert that fired then, or of its end: the end is found by its beginning, whichever comes first."""
    return key_of("alert", identity, fired_at, str(fired))


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
                "rule": redacted(signal.signal),
                "monitor": redacted(breached.monitor),
                "run": redacted(breached.run[:256]),
                "at": "",
                "words": redacted("; ".join(map(str, signal.features[:10]))),
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
                "model": act.model,
                "evidence": act.evidence,
                "to": str(act.to or ""),
                "gate": "yes" if act.gate else "",
                **rights.kept(act.by),
            },
        ),
    )


def keep_poison(ports: Ports, message: str) -> None:
    """An event that failed five times: kept for a person, or for the sweep to try again."""
    names = sorted(_TAKEN_NAMES & _top_level_names(message))
    why = reason(Code.POISON_TAKEN_NAMES, keys=", ".join(names)) if names else reason(Code.POISON)
    unrouted.keep(ports, message, why)


def take_poison(ports: Ports) -> int:
    """Keep what failed five times, then remove it; how many messages. Dying in between keeps it twice, as one."""
    poisoned = ports.queue.poisoned()
    for one in poisoned:
        keep_poison(ports, one.text)
        ports.queue.remove(one)
    return len(poisoned)


_TAKEN_NAMES = frozenset({"dequeuecount", "expirationtime", "insertiontime", "nextvisibletime"})
"""Keys of a plain JSON message that take the place of the trigger's metadata, in whatever case they are written."""


def _top_level_names(message: str) -> set[str]:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return set()
    return {name.casefold() for name in content} if isinstance(content, dict) else set()


def replay(ports: Ports, overviews: Sequence[Overview], account_url: str) -> int:
    """Record events that failed five times, or came before their loop was published; how many there were."""

    def take(message: str) -> list[str]:
        try:
            incoming = messages.parse(message, account_url)
            return record(ports, concerned(overviews, incoming), incoming)
        except InputRejected:
            return []  # it stays as it is shown
        except DriftloopError as error:  # the next sweep tries this one again
            log.warning("an event waits", extra={"error": words_of(error)})
            return []

    return unrouted.try_again(ports, take)

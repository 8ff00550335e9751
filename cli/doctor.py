"""doctor: what is wrong with a deployment, seen from outside, and how to fix it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import typer

from cli import doctor_platform, idle_nodes
from cli.diagnosis import BROKEN, OK, ROLES_FIX, WARNING, Finding, guarded
from cli.session import Json, out, print_json, shown
from cli.status import summary
from shared import accounts
from shared.domain.reason import NOBODY_SERVED
from shared.errors import ConfigurationError
from shared.inbox.landings import FOLDER_END
from shared.port_rules import DEAD_LETTERS
from shared.state import queries
from shared.tables.snapshot import commit_of
from shared.words import say, say_all

if TYPE_CHECKING:
    from shared.azure.client import Workspace
    from shared.checkup.checkup import Checkup, QueueSeen
    from shared.domain.loop import Overview
    from shared.ports import Ports
    from shared.settings import Settings

EXIT_CODES = {OK: 0, BROKEN: 1, WARNING: 3}

CONTAINERS = ("landing", "labels", "versions", "documents", "quarantine", "readings", DEAD_LETTERS)
SKEW_WARNING = timedelta(seconds=30)
SKEW_BROKEN = timedelta(minutes=5)
SETTLED = timedelta(hours=1)
FRESH = timedelta(days=1)
NEWEST = 1000
"""Entries of a ledger that are checked."""
NOT_OURS = "the app reads that container by its own role; you need Storage Blob Data Reader there to look"
LATE = timedelta(minutes=5)
"""Work that is due for longer, or a message that waits for longer, means that the app does not run."""
UNSWEPT = timedelta(minutes=30)
"""Each loop has its turn in the sweep every ten minutes."""
FEW = 3


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: Json = False) -> None:
    """Check every part of a deployment and say what to fix. Exit code 0 well, 1 broken, 3 warnings only."""
    findings = list(examine())
    print_json(findings) if as_json else _print(findings)
    states = {finding.state for finding in findings}
    raise typer.Exit(EXIT_CODES[BROKEN if BROKEN in states else WARNING if WARNING in states else OK])


def examine() -> Iterator[Finding]:
    """Every finding, also the good ones. A look that fails is a finding; the others go on."""
    from shared.settings import Settings

    try:
        settings = Settings.from_environment(os.environ)
    except ConfigurationError as error:
        yield Finding("settings", BROKEN, str(error), "azd env get-values >.env, then export them")
        return
    yield Finding("settings", OK, "every setting is present")
    yield from _examined(settings)


def _examined(settings: Settings) -> Iterator[Finding]:
    from shared.azure.client import Workspace, credential
    from shared.checkup.checkup import Checkup
    from shared.wiring import azure_ports

    ml, ports = Workspace(settings, credential()), azure_ports(settings)
    checkup = Checkup(settings, ml)
    for container in CONTAINERS:
        yield from guarded(f"container {container}", partial(_container, checkup, container))
    yield from guarded("clock", lambda: _clock(checkup))
    yield from guarded("queue", lambda: _queue("queue", checkup.queue(settings.queue), settings.queue))
    yield from guarded("runs", lambda: _queue("runs", checkup.queue(settings.runs), settings.runs))
    yield from guarded("poison", lambda: _poison(checkup.queue(f"{settings.queue}-poison")))
    yield from guarded("dead letters", lambda: _dead_letters(checkup))
    yield from guarded("datastore", lambda: _datastore(checkup, settings))
    yield from guarded("logs", lambda: _logs(ports))
    yield from guarded("unrouted", lambda: _unrouted(ports))
    overviews: list[Overview] = []
    yield from guarded("table", lambda: _table(ports, overviews))
    for overview in overviews:
        yield from guarded(f"loop {overview.loop}", partial(_loop, ports, overview))
        yield from guarded(f"ledger of {overview.loop}", partial(_ledger, ports, overview))
        yield from guarded(f"events of {overview.loop}", partial(_events, ports, overview))
        of_others = bool(accounts.split(overview.landing.partition("/")[0])[0])
        refused, fix = (WARNING, NOT_OURS) if of_others else (BROKEN, ROLES_FIX)
        yield from guarded(
            f"folders of {overview.loop}", partial(_folders, ports, overview), refused=refused, fix=fix
        )
        yield from guarded(f"endpoint {overview.endpoint}", partial(_endpoint, checkup, ports, overview))
        yield from guarded(f"compute of {overview.loop}", partial(_compute, ml, ports, overview))
        yield from guarded(f"deployments of {overview.endpoint}", partial(_strangers, ports, overview))
        yield from guarded(f"traffic log of {overview.endpoint}", partial(_traffic_log, ports, overview))
    yield from doctor_platform.examined(settings, ports, overviews)


def _container(checkup: Checkup, name: str) -> Iterator[Finding]:
    if checkup.container(name) is None:
        yield Finding(f"container {name}", BROKEN, "does not exist", "azd provision makes it")
    else:
        yield Finding(f"container {name}", OK, "exists")


def _clock(checkup: Checkup) -> Iterator[Finding]:
    theirs = checkup.container("landing")
    if theirs is None:
        return
    skew = abs(datetime.now(UTC) - theirs)
    state = BROKEN if skew > SKEW_BROKEN else WARNING if skew > SKEW_WARNING else OK
    words = f"this machine and the storage service differ by {skew.total_seconds():.0f} s"
    yield Finding("clock", state, words, "set this machine's clock by NTP; tokens and ages depend on it")


def _queue(check: str, seen: QueueSeen | None, name: str) -> Iterator[Finding]:
    if seen is None:
        yield Finding(check, BROKEN, f"queue {name} does not exist", "azd provision makes it")
        return
    waits = datetime.now(UTC) - seen.oldest_at if seen.oldest_at else timedelta()
    if waits > LATE:
        words = (
            f"{seen.waiting} messages wait, the oldest for {_minutes(waits)}: the app does not process them"
        )
        yield Finding(check, BROKEN, words, "azd deploy; then look at the app's log in Application Insights")
    else:
        yield Finding(check, OK, f"{seen.waiting} messages wait")


def _poison(seen: QueueSeen | None) -> Iterator[Finding]:
    if seen is not None and seen.waiting:
        words = f"{seen.waiting} messages failed five times and are not on record yet"
        yield Finding("poison", WARNING, words, "the app keeps them with their reason: driftloop status")
    else:
        yield Finding("poison", OK, "no poison message waits")


def _dead_letters(checkup: Checkup) -> Iterator[Finding]:
    count, reason = checkup.dead_letters(datetime.now(UTC) - FRESH)
    if count:
        words = f"Event Grid could not deliver {count} events since yesterday; the last one: {reason}"
        fix = "the sweep finds the drops; see the findings `events of` and `identity` for what is in the way"
        yield Finding("dead letters", WARNING, words, fix)
    else:
        yield Finding("dead letters", OK, "Event Grid delivered every event since yesterday")


def _is_batch(ports: Ports, overview: Overview) -> bool:
    from shared.runtime import unit_of_work

    return unit_of_work.read(ports, overview.loop).published().definition.serve.type == "batch"


def _compute(ml: Workspace, ports: Ports, overview: Overview) -> Iterator[Finding]:
    from shared.runtime import unit_of_work

    definition = unit_of_work.read(ports, overview.loop).published().definition
    yield from idle_nodes.examined(f"compute of {overview.loop}", ml, definition)


def _strangers(ports: Ports, overview: Overview) -> Iterator[Finding]:
    from shared.runtime import strangers, unit_of_work

    check = f"deployments of {overview.endpoint}"
    found = unit_of_work.read(ports, overview.loop).state.strangers
    if not found:
        yield Finding(check, OK, "none that somebody else made, as the last sweep saw")
        return
    kind = "batch" if _is_batch(ports, overview) else "online"
    fix = (
        f"az ml {kind}-deployment delete -e {overview.endpoint} -n NAME, if nobody needs it; "
        f"driftloop release {overview.loop} MODEL:VERSION takes its model through gate and canary"
    )
    yield Finding(check, WARNING, say(strangers.told_of(overview.endpoint, found)), fix)


def _datastore(checkup: Checkup, settings: Settings) -> Iterator[Finding]:
    container = checkup.datastore()
    if container is None:
        words = f"workspace {settings.workspace} has no datastore {settings.datastore}"
        yield Finding("datastore", BROKEN, words, "azd provision makes it")
    elif container != "versions":
        words = f"datastore {settings.datastore} points to container {container}, not to versions"
        yield Finding("datastore", BROKEN, words, "delete it in Azure ML studio, then azd provision")
    else:
        yield Finding("datastore", OK, f"{settings.datastore} points to the data versions")


def _logs(ports: Ports) -> Iterator[Finding]:
    now = ports.clock.now()
    ports.evidence.traffic("doctor", now - timedelta(minutes=5), now)
    yield Finding("logs", OK, "the traffic log answers")


def _unrouted(ports: Ports) -> Iterator[Finding]:
    since = ports.clock.now() - FRESH
    lost = [one for one in queries.strangers(ports, queries.FEW) if one.received_at >= since]
    if lost:
        words = f"{len(lost)} events since yesterday belong to no loop"
        yield Finding("unrouted", WARNING, words, "driftloop status shows each with its reason")
    else:
        yield Finding("unrouted", OK, "every event since yesterday belongs to a loop")


def _table(ports: Ports, overviews: list[Overview]) -> Iterator[Finding]:
    from shared.runtime.forgotten import forgotten

    overviews += ports.store.overviews()
    yield Finding("table", OK, f"the state can be read; it has {len(overviews)} loops")
    for name in forgotten(ports.store, [one.loop for one in overviews]):
        words = "has rows and no overview: no event, no tick and no list finds it"
        fix = f"the sweep makes it anew, driftloop publish loops/{name} does at once"
        yield Finding(f"loop {name}", BROKEN, words, fix)


def _events(ports: Ports, overview: Overview) -> Iterator[Finding]:
    """An event brings the sequencer; a record without one was made by the sweep, or is of a folder that was quiet."""
    from shared.runtime import unit_of_work
    from shared.state import queries

    check = f"events of {overview.loop}"
    for version in queries.versions(unit_of_work.read(ports, overview.loop), last=1).values:
        record = queries.event(ports, overview.loop, version.inbox_key)
        if record is None or "folder" in record.body or record.body.get("sequencer"):
            yield Finding(check, OK, "an event reported the newest drop")
            return
        words = f"no event reported the drop {version.source}; the sweep found it"
        fix = (
            "azd provision makes the Event Grid subscription, which covers the containers landing and labels, and "
            "those of DRIFTLOOP_LANDINGS"
        )
        yield Finding(check, WARNING, words, fix)


def _folders(ports: Ports, overview: Overview) -> Iterator[Finding]:
    """Parts without an end are no drop yet, however long they lie there; one that is being written is such, too."""
    if overview.quiet:  # a folder that nothing lands in any more needs no end
        return
    end_name = overview.manifest or FOLDER_END
    container, _, prefix = overview.landing.partition("/")
    names = [blob.name.removeprefix(prefix) for blob in ports.blobs.list(container, prefix)]
    ended = [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == end_name]
    ended += {commit[0].rstrip("/") for name in names if (commit := commit_of(name)) is not None}
    folders = {name.rpartition("/")[0] for name in names if "/" in name}
    waiting = sorted(
        folder for folder in folders if not any(f"{folder}/".startswith(f"{end}/") for end in ended)
    )
    check = f"folders of {overview.loop}"
    if waiting:
        words = (
            f"{len(waiting)} folders below {overview.landing} have no {end_name}, for example {waiting[-1]}/"
        )
        yield Finding(check, WARNING, words, f"write {end_name} into it, last: then it is read")
    else:
        yield Finding(check, OK, f"each folder below {overview.landing} is ended")


def _traffic_log(ports: Ports, overview: Overview) -> Iterator[Finding]:
    """No canary passes without it. Only asked where a champion has served for a while."""
    from shared.runtime import unit_of_work

    champion, now = unit_of_work.read(ports, overview.loop).state.champion, ports.clock.now()
    if champion is None or now - champion.live_at < SETTLED or _is_batch(ports, overview):
        return
    if ports.evidence.traffic(overview.endpoint, now - SETTLED, now).watermark_at is None:
        words = f"it has no request of the last hour: it is off, or nobody calls {overview.endpoint}"
        fix = f"azd env set DRIFTLOOP_ENDPOINTS {overview.endpoint}, then azd provision"
        yield Finding(f"traffic log of {overview.endpoint}", WARNING, words, fix)
    else:
        yield Finding(f"traffic log of {overview.endpoint}", OK, "it has requests of the last hour")


def _loop(ports: Ports, overview: Overview) -> Iterator[Finding]:
    from shared.runtime import serving_look, unit_of_work

    current = unit_of_work.read(ports, overview.loop)
    check, state, healthy = f"loop {overview.loop}", current.state, True
    overdue = ports.clock.now() - overview.due_at if overview.due_at else timedelta()
    if overdue > LATE:
        healthy = False
        words = f"due for {_minutes(overdue)}: the tick does not run"
        yield Finding(check, BROKEN, words, "azd deploy; then look at the function `tick` in the portal")
    unswept = ports.clock.now() - overview.swept_at if overview.swept_at else timedelta()
    if unswept > UNSWEPT:
        healthy = False
        words = f"the sweep has not looked after it for {_minutes(unswept)}: lost events are not made good"
        yield Finding(
            check, WARNING, words, "look at the function `sweep` in the portal, and at its schedule"
        )
    if state.ledger_seq > state.announced_seq and overdue > LATE:
        words = f"{state.ledger_seq - state.announced_seq} ledger entries have not gone out on the topic"
        fix = "does the app have the role 'EventGrid Data Sender' on the topic? azd provision gives it"
        yield Finding(check, BROKEN, words, fix)
    release = queries.open_release(current)
    for why in queries.told(release, queries.versions(current), queries.releases(current)):
        healthy = False
        yield Finding(check, BROKEN, say(why), "restore the row from the table's backup")
    under_way = next(iter(release.values), None)
    attention = serving_look.now(current, under_way).unserved or overview.needs_attention
    if attention:
        healthy = False
        state_of = BROKEN if attention.code in NOBODY_SERVED else WARNING
        yield Finding(check, state_of, say(attention), f"driftloop status {overview.loop}")
    if healthy:
        yield Finding(check, OK, summary(overview))


def _ledger(ports: Ports, overview: Overview) -> Iterator[Finding]:
    """Its newest entries, in one read: all of it takes long where it is long, and `driftloop audit` reads it."""
    from shared.runtime import unit_of_work
    from shared.state import hash_chain, ledger_pages

    current = unit_of_work.read(ports, overview.loop)
    last, after = current.state.ledger_seq, max(0, current.state.ledger_seq - NEWEST)
    found = ledger_pages.shown_between(current, after, last)
    numbers, head = {one.number for one in found.unread}, (last, current.state.ledger_head)
    problems = hash_chain.problems(found.values, head, after=after, unread=numbers)
    problems = [*queries.told(found), *problems]
    check = f"ledger of {overview.loop}"
    if problems:
        yield Finding(
            check, BROKEN, say_all(problems[:3]), f"driftloop audit {overview.loop} shows what it proves"
        )
    else:
        yield Finding(check, OK, f"the newest {len(found.values)} entries are whole")


def _endpoint(checkup: Checkup, ports: Ports, overview: Overview) -> Iterator[Finding]:
    check = f"endpoint {overview.endpoint}"
    states = checkup.endpoint(overview.endpoint, batch=_is_batch(ports, overview))
    if states is None:
        if overview.serving is None:
            yield Finding(check, OK, "not there yet; the first release creates it")
        else:
            yield Finding(
                check, BROKEN, "does not exist", f"driftloop restore {overview.loop} makes it again"
            )
        return
    for name, state in states.items():
        if state == "Failed":
            fix = f"driftloop status {overview.loop} says why; quota and the endpoint's identity are usual"
            yield Finding(check, BROKEN, f"{name} has failed", fix)
    if "Failed" not in states.values():
        many = len(states) - 1
        yield Finding(check, OK, f"healthy, {many} deployment{'' if many == 1 else 's'}")


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} min"


def _print(findings: list[Finding]) -> None:
    colours = {OK: "green", WARNING: "yellow", BROKEN: "red"}
    for finding in findings:
        out.print(
            f"[{colours[finding.state]}]{finding.state:8}[/] {shown(finding.check)}: {shown(finding.what)}"
        )
        if finding.state != OK and finding.fix:
            out.print(f"         fix: {shown(finding.fix)}")

"""status: what is live, what is under way, what waits for whom, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import records, session
from cli.session import Json, advise, out, print_json, shown, table
from shared.domain.event import InboxRecord
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import Overview
from shared.domain.reason import NOBODY_SERVED, Code, Reason, reason
from shared.runtime import strangers
from shared.runtime.forgotten import forgotten
from shared.state import queries
from shared.words import say


def add_to(app: typer.Typer) -> None:
    app.command("status")(status)


def status(
    loop: Annotated[str, typer.Argument(help="The loop; every loop otherwise.")] = "", as_json: Json = False
) -> None:
    """Show loops, versions, releases and traffic. With a loop also what was quarantined, and why."""
    if loop:
        view = queries.loop(session.ports(), loop)
        print_json(view) if as_json else _loop(view)
        session.tell_unread(view.unread)
        return
    overviews = queries.loops(session.ports())
    if as_json:
        print_json(overviews)
        return
    lost = forgotten(session.ports().store, []) if not overviews else []
    for name in lost:
        out.print(f"{shown(name)}: it has rows and no overview, which the next sweep makes anew")
    if not overviews and not lost:
        out.print("no loops yet; publish one, for example: driftloop publish loops/penguins")
    for overview in overviews:
        out.print(f"[bold]{overview.loop}[/]  {shown(summary(overview))}")
        _advised(overview.needs_attention)
    if strangers := queries.strangers(session.ports(), last=10):
        out.print("\nevents that belong to no loop, the newest first:")
        for one in strangers:
            words = f"{one.received_at:%Y-%m-%dT%H:%M}  {one.reason.code}: {say(one.reason)}"
            out.print(f"  {shown(words)}")


def _loop(view: queries.LoopView) -> None:
    out.print(f"[bold]{view.state.loop}[/]  {shown(summary(view.overview))}")
    for why in (view.overview.needs_attention, view.state.denial):
        _advised(why)
    if view.state.served_verdict is not None:
        out.print(f"  served: {shown(say(view.state.served_verdict))}")
    if view.state.final_labels is not None:
        out.print(f"  labels: {shown(say(view.state.final_labels))}")
    if view.reading is not None:
        out.print(f"  reading: {shown(say(view.reading))}")
    out.print(f"  cost of releases: {shown(say(view.cost))}")
    if view.steps is not None:
        out.print(f"  newest training, {shown(say(view.steps))}")
    if view.state.strangers:
        told = strangers.told_of(view.overview.endpoint, view.state.strangers)
        out.print(f"  [yellow]{shown(say(told))}[/]")
    if view.traffic is None:
        out.print("  traffic: unknown: the endpoint did not answer")
    elif view.traffic:
        out.print("  traffic: " + ", ".join(f"{name} {pct} %" for name, pct in sorted(view.traffic.items())))
    if view.versions:
        rows = [(number, *rest) for number, _, *rest in map(records.version_cells, view.versions)]
        table(("no.", "source", "rows", "verdict", "answer"), rows, "versions")
    if view.releases:
        rows = [(number, *rest) for number, _, *rest in map(records.release_cells, view.releases)]
        table(("no.", "because of", "phase", "why"), rows, "releases")
    if view.set_aside:
        table(("at", "what", "code", "why"), map(_aside_cells, view.set_aside[-10:]), "quarantined")
    if view.unused:
        table(("at", "what", "code", "why"), map(_unused_cells, view.unused), "not used")


def _aside_cells(record: InboxRecord) -> tuple[str, ...]:
    code = record.reason.code.value if record.reason else ""
    return f"{record.received_at:%H:%M:%S}", record.subject, code, say(record.reason)


def _unused_cells(entry: LedgerEntry) -> tuple[str, ...]:
    note = entry.detail.get("note")
    why = say(note) if isinstance(note, Reason) else ""
    return f"{entry.at:%H:%M:%S}", entry.subject, str(entry.detail.get("code", "")), why


def summary(overview: Overview) -> str:
    """One line: what serves, and what is under way."""
    live, open_release = overview.serving, overview.under_way
    first = reason(Code.SERVES, release=live.release) if live else reason(Code.NO_MODEL_YET)
    if (why := overview.needs_attention) and why.code in NOBODY_SERVED:
        first = why
    if open_release is None:
        return say(first)
    release, phase, waiting = open_release.release, open_release.phase.value, say(open_release.waiting_for)
    under_way = say(reason(Code.UNDER_WAY, release=release, phase=phase))
    return f"{say(first)}; {under_way}{f', waiting for {waiting}' if waiting else ''}"


def _advised(why: Reason | None) -> None:
    """What the summary says in its first words is not said twice."""
    if why is not None:
        if why.code not in NOBODY_SERVED:
            out.print(f"  [yellow]{shown(say(why))}[/]")
        advise(why)

"""status and audit: what is live, what is under way, what waits for whom, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import session
from cli.session import advise, out
from shared.domain.event import InboxRecord
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.state import queries
from shared.words import say

Json = Annotated[bool, typer.Option("--json", help="The same as JSON.")]


def add_to(app: typer.Typer) -> None:
    app.command("status")(status)
    app.command("audit")(audit)


def status(
    loop: Annotated[str, typer.Argument(help="The loop; every loop otherwise.")] = "", as_json: Json = False
) -> None:
    """Loops, versions, releases, traffic, and what was set aside with its reason."""
    if loop:
        view = queries.loop(session.ports(), loop)
        releases = [with_words(one) for one in view.releases]
        _as_json({**asdict(view), "releases": releases}) if as_json else _loop(view)
        return
    overviews = queries.loops(session.ports())
    if as_json:
        _as_json([asdict(overview) for overview in overviews])
        return
    if not overviews:
        out.print("no loops yet; publish one, for example: driftloop publish loops/penguins")
    for overview in overviews:
        out.print(f"[bold]{overview.loop}[/]  {escape(overview.summary)}")
        if overview.attention:
            out.print(f"  [yellow]{escape(printable(overview.attention))}[/]")
            advise(overview.attention)
    if strangers := queries.strangers(session.ports(), last=10):
        out.print("\nevents that belong to no loop, the newest first:")
        for one in strangers:
            words = f"{one.get('received_at', '')[:16]}  {one['code']}: {one['text']}"
            out.print(f"  {escape(printable(words))}")


def _loop(view: queries.LoopView) -> None:
    out.print(f"[bold]{view.state.loop}[/]  {escape(view.overview.summary)}")
    for line in (view.overview.attention, view.state.denial):
        if line:
            out.print(f"  [yellow]{escape(printable(line))}[/]")
            advise(line)
    if view.traffic is None:
        out.print("  traffic: the endpoint could not be asked")
    elif view.traffic:
        out.print("  traffic: " + ", ".join(f"{name} {pct} %" for name, pct in sorted(view.traffic.items())))
    if view.versions:
        out.print(_versions(view.versions))
    if view.releases:
        out.print(_releases(view.releases))
    if view.set_aside:
        out.print(_set_aside(view.set_aside))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if index == 0 else "left")
    return table


def _versions(versions: tuple[DataVersion, ...]) -> Table:
    table = _table("versions", "no.", "source", "rows", "verdict", "answer")
    for version in versions:
        cells = (version.source, str(version.rows), version.verdict or version.state.value, version.decision)
        table.add_row(str(version.number), *(escape(printable(cell)) for cell in cells))
    return table


def _releases(releases: tuple[Release, ...]) -> Table:
    table = _table("releases", "no.", "because of", "phase", "why")
    for release in releases:
        because = ", ".join(trigger.kind.value for trigger in release.triggers)
        why = say(release.reason if release.ended else release.waiting_for or release.reason)
        cells = (because, release.phase.value.replace("_", " "), why)
        table.add_row(str(release.number), *(escape(printable(cell)) for cell in cells))
    return table


def _set_aside(records: tuple[InboxRecord, ...]) -> Table:
    table = _table("set aside", "at", "what", "code", "why")
    for record in records[-10:]:
        what = (
            f"{record.body.get('container', '')}/{record.body.get('name', '')}".strip("/")
            or record.kind.value
        )
        cells = (what, record.code, record.note)
        table.add_row(f"{record.received_at:%H:%M:%S}", *(escape(printable(cell)) for cell in cells))
    return table


def with_words(release: Release) -> dict[str, object]:
    """A release for JSON: its reasons as codes for programs and as sentences for people."""
    found = asdict(release)
    for name, why in (("reason", release.reason), ("waiting_for", release.waiting_for)):
        found |= {name: say(why), f"{name}_code": why.code if why else ""}
    return found


def printable(text: str) -> str:
    """Names and messages are other people's text: what could steer a terminal is shown, not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def audit(
    loop: Annotated[str, typer.Argument(help="The loop.")],
    at: Annotated[
        str, typer.Option(help="A moment in ISO 8601, UTC when it names no zone; now otherwise.")
    ] = "",
    as_json: Json = False,
) -> None:
    """What is (or was) live, trained on what, by whom, why; and whether the ledger is whole. Exit code 1 if not."""
    found = queries.audit(session.ports(), loop, _moment(at))
    if as_json:
        _as_json(asdict(found))
    else:
        _audit(found)
    if found.problems:
        raise typer.Exit(1)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--at {text!r} is no ISO 8601 moment; write 2026-11-20T15:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _audit(found: queries.Audit) -> None:
    served = found.served
    if served is None:
        out.print(f"nothing was live at {found.at:%Y-%m-%d %H:%M:%S} UTC")
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        until = f" until {served.until:%Y-%m-%d %H:%M:%S} UTC" if served.until else ", and still is"
        rows = (
            ("model", served.model),
            ("trained by", served.trained_by),
            ("algorithm", served.algorithm),
            ("job", served.job),
            ("data", "\n".join(served.data)),
            ("release", f"{served.loop}/{served.release} as deployment {served.deployment}"),
            ("live since", f"{served.live_at:%Y-%m-%d %H:%M:%S} UTC{until}"),
            ("because of", "\n".join(served.because)),
        )
        for name, value in rows:
            table.add_row(name, escape("\n".join(printable(line) for line in value.split("\n"))))
        out.print(table)
    for problem in found.problems:
        out.print(f"[red]ledger: {escape(problem)}[/]")
    if not found.problems:
        out.print(f"ledger: {found.entries} entries, the chain is whole")


def _as_json(content: object) -> None:
    out.print_json(json.dumps(content, default=str, ensure_ascii=False))

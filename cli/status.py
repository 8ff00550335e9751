"""status and audit: what is live, what is under way, what waits for whom, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import session
from cli.session import Json, advise, out, printable
from shared.audit import answer
from shared.domain.event import InboxRecord
from shared.domain.loop import Overview
from shared.domain.reason import NOBODY_SERVED, Code, Reason, reason
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.state import queries
from shared.words import plain, say, say_all


def add_to(app: typer.Typer) -> None:
    app.command("status")(status)
    app.command("audit")(audit)


def status(
    loop: Annotated[str, typer.Argument(help="The loop; every loop otherwise.")] = "", as_json: Json = False
) -> None:
    """Loops, versions, releases, traffic, and what was quarantined with its reason."""
    if loop:
        view = queries.loop(session.ports(), loop)
        _as_json(view) if as_json else _loop(view)
        return
    overviews = queries.loops(session.ports())
    if as_json:
        _as_json(overviews)
        return
    if not overviews:
        out.print("no loops yet; publish one, for example: driftloop publish loops/penguins")
    for overview in overviews:
        out.print(f"[bold]{overview.loop}[/]  {escape(summary(overview))}")
        _advised(overview.needs_attention)
    if strangers := queries.strangers(session.ports(), last=10):
        out.print("\nevents that belong to no loop, the newest first:")
        for one in strangers:
            words = f"{one.received_at:%Y-%m-%dT%H:%M}  {one.reason.code}: {say(one.reason)}"
            out.print(f"  {escape(printable(words))}")


def _loop(view: queries.LoopView) -> None:
    out.print(f"[bold]{view.state.loop}[/]  {escape(summary(view.overview))}")
    for why in (view.overview.needs_attention, view.state.denial):
        _advised(why)
    if view.traffic is None:
        out.print("  traffic: unknown: the endpoint did not answer")
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
        verdict = say_all(version.verdict) or version.state.value
        cells = (version.source, str(version.rows), verdict, say(version.decision))
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
    table = _table("quarantined", "at", "what", "code", "why")
    for record in records[-10:]:
        what = (
            f"{record.body.get('container', '')}/{record.body.get('name', '')}".strip("/")
            or record.kind.value
        )
        cells = (what, record.reason.code.value if record.reason else "", say(record.reason))
        table.add_row(f"{record.received_at:%H:%M:%S}", *(escape(printable(cell)) for cell in cells))
    return table


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
    if why is not None:
        out.print(f"  [yellow]{escape(printable(say(why)))}[/]")
        advise(why)


def audit(
    loop: Annotated[str, typer.Argument(help="The loop.")],
    at: Annotated[
        str, typer.Option(help="A moment in ISO 8601, UTC when it names no zone; now otherwise.")
    ] = "",
    as_json: Json = False,
) -> None:
    """What is (or was) live, trained on what, by whom, why; whether the hash chain is intact. Exit code 1 if not."""
    found = answer.audit(session.ports(), loop, _moment(at))
    if as_json:
        _as_json(found)
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
            f"--at {text!r} is not an ISO 8601 moment; expected 2026-11-20T15:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _audit(found: answer.Audit) -> None:
    if found.served is None:
        out.print(f"nothing was live at {found.at:%Y-%m-%d %H:%M:%S} UTC")
    else:
        _chain(found.served)
    for problem in found.problems:
        out.print(f"[red]{escape(printable(say(problem)))}[/]")
    for why in found.not_compared:
        out.print(f"[yellow]{escape(printable(say(why)))}[/]")
    if not found.problems:
        out.print(
            f"ledger: {found.entries} entries, hash chain verified"
            + ("" if found.not_compared else "; rows, documents, models and endpoint agree with it")
        )


def _chain(served: answer.Chain) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    until = f" until {served.until:%Y-%m-%d %H:%M:%S} UTC" if served.until else ", and still is"
    rows = (
        ("model", served.model),
        ("trained by", served.trained_by),
        ("algorithm", served.algorithm),
        ("job", served.job),
        ("data", "\n".join(d.line for d in served.data)),
        ("release", f"{served.loop}/{served.release} as deployment {served.deployment}"),
        ("live since", f"{served.live_at:%Y-%m-%d %H:%M:%S} UTC{until}"),
        ("because of", "\n".join(served.because)),
    )
    for name, value in rows:
        table.add_row(name, escape("\n".join(printable(line) for line in value.split("\n"))))
    out.print(table)


def _as_json(content: object) -> None:
    out.print_json(json.dumps(plain(content), default=str, ensure_ascii=False))

"""audit: what is or was live, trained on what, by whom, why; and whether the ledger that says so is intact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from cli.session import Json, Loop, out, ports, print_json, shown
from shared.audit import answer
from shared.errors import ConfigurationError
from shared.words import say


def add_to(app: typer.Typer) -> None:
    app.command("audit")(audit)


def audit(
    loop: Loop,
    at: Annotated[
        str, typer.Option(help="A moment in ISO 8601, UTC when it names no zone; now otherwise.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show what is or was live, and why. Includes its data, its job and who asked; verifies the hash chain.

    Exit code 1 when the ledger is not intact, or when a row, a document, a model or the endpoint differs from it.
    """
    found = answer.audit(ports(), loop, _moment(at))
    print_json(found) if as_json else _print(found)
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


def _print(found: answer.Audit) -> None:
    if found.served is None:
        told = "nothing was live" if found.known else "the ledger does not prove what was live"
        out.print(f"{told} at {found.at:%Y-%m-%d %H:%M:%S} UTC")
    else:
        _chain(found.served, found.agrees)
    for problem in found.problems:
        out.print(f"[red]{shown(say(problem))}[/]")
    for why in found.not_compared:
        out.print(f"[yellow]{shown(say(why))}[/]")
    if not found.problems:
        out.print(
            f"ledger: {found.entries} entries, hash chain verified"
            + ("; rows, documents, models and endpoint agree with it" if found.agrees else "")
        )


def _chain(served: answer.Chain, agrees: bool) -> None:
    still = ", and still is" if agrees else ", and still is as far as the ledger says"
    until = f" until {served.until:%Y-%m-%d %H:%M:%S} UTC" if served.until else still
    _told(served, until)
    if (there := served.origin) is not None:
        out.say(f"promoted from {there.environment}, as its own ledger tells (hash {served.origin_hash}):")
        _told(there, "")


def _by(served: answer.Chain) -> str:
    if served.origin is not None:
        return "promoted by"
    return "released by" if served.unknown else "trained by"


def _told(served: answer.Chain, until: str) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = (
        ("model", served.model),
        (_by(served), served.trained_by),
        ("algorithm", served.algorithm),
        ("published from", say(served.commit)),
        ("job", served.job),
        (
            "data",
            "\n".join(d.line for d in served.data) or ", ".join(f"version {n}" for n in served.versions),
        ),
        ("not known", say(served.unknown)),
        ("environment", served.environment),
        ("release", f"{served.loop}/{served.release} as deployment {served.deployment}"),
        ("live since", f"{served.live_at:%Y-%m-%d %H:%M:%S} UTC{until}"),
        ("reason", "\n".join(served.because)),
    )
    for name, value in filter(all, rows):
        table.add_row(name, "\n".join(map(shown, value.split("\n"))))
    out.print(table)

"""versions and releases: a loop's past, newest first, as far back as asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import session
from cli.session import Json, out, printable
from shared.state import queries
from shared.words import plain, say, say_all

Loop = Annotated[str, typer.Argument(help="The loop.")]
Last = Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="How many.")]
Through = Annotated[int, typer.Option("--through", min=0, help="From this number back; 0: from the newest.")]


def add_to(app: typer.Typer) -> None:
    app.command("versions")(versions)
    app.command("releases")(releases)


def versions(loop: Loop, last: Last = 20, through: Through = 0, as_json: Json = False) -> None:
    """Data versions with their source, verdict, and what the policy answered."""
    from shared.runtime import unit_of_work

    found = queries.versions(unit_of_work.read(session.ports(), loop), through=through, last=last)
    if as_json:
        out.print_json(json.dumps(plain(found), default=str, ensure_ascii=False))
        return
    rows = [
        (
            str(v.number),
            f"{v.created_at:%Y-%m-%d %H:%M}",
            v.source,
            f"{v.rows:,}",
            say_all(v.verdict) or v.state.value,
            say(v.decision),
        )
        for v in found
    ]
    _table(("no.", "at", "source", "rows", "verdict", "answer"), rows, "nothing has landed yet")


def releases(loop: Loop, last: Last = 20, through: Through = 0, as_json: Json = False) -> None:
    """Releases with what they were for, how far they came, and why they ended."""
    from shared.runtime import unit_of_work

    found = queries.releases(unit_of_work.read(session.ports(), loop), through=through, last=last)
    if as_json:
        out.print_json(json.dumps(plain(found), default=str, ensure_ascii=False))
        return
    rows = [
        (
            str(r.number),
            f"{r.started_at:%Y-%m-%d %H:%M}",
            ", ".join(t.kind.value for t in r.triggers),
            r.phase.value.replace("_", " "),
            say(r.reason if r.ended else r.waiting_for or r.reason),
        )
        for r in found
    ]
    _table(("no.", "began", "because of", "phase", "why"), rows, "there is no release yet")


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    if not rows:
        out.print(nothing)
        return
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if index == 0 else "left")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    out.print(table)

"""versions and releases: a loop's past, newest first, as far back as asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cli.session import Json, Loop, out, ports, print_json, table, tell_unread
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.runtime import unit_of_work
from shared.state import queries
from shared.state.rows import Read
from shared.words import say, say_all

Last = Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="How many.")]
Through = Annotated[int, typer.Option("--through", min=0, help="From this number back; 0: from the newest.")]


def add_to(app: typer.Typer) -> None:
    app.command("versions")(versions)
    app.command("releases")(releases)


def versions(loop: Loop, last: Last = 20, through: Through = 0, as_json: Json = False) -> None:
    """List data versions. Each with its source, its verdict, and what the policy answered."""
    found = queries.versions(unit_of_work.read(ports(), loop), through=through, last=last)
    columns = ("no.", "at", "source", "rows", "verdict", "answer")
    _show(found, as_json, columns, list(map(version_cells, found.values)), "nothing has landed yet")


def releases(loop: Loop, last: Last = 20, through: Through = 0, as_json: Json = False) -> None:
    """List releases. Each with its trigger, its phase, and why it ended."""
    found = queries.releases(unit_of_work.read(ports(), loop), through=through, last=last)
    columns = ("no.", "began", "because of", "phase", "why")
    _show(found, as_json, columns, list(map(release_cells, found.values)), "no release yet")


def version_cells(version: DataVersion) -> tuple[str, ...]:
    at, verdict = f"{version.created_at:%Y-%m-%d %H:%M}", say_all(version.verdict) or version.state.value
    rows = f"{version.rows:,}" + (f" ({version.rejected_rows:,} rejected)" if version.rejected_rows else "")
    return str(version.number), at, version.source, rows, verdict, say(version.decision)


def release_cells(release: Release) -> tuple[str, ...]:
    at, because = f"{release.started_at:%Y-%m-%d %H:%M}", ", ".join(t.kind.value for t in release.triggers)
    return str(release.number), at, because, release.phase.value.replace("_", " "), say(release.shown)


def _show(
    found: Read[DataVersion] | Read[Release],
    as_json: bool,
    columns: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    nothing: str,
) -> None:
    if as_json:
        print_json(found.values)
    elif rows or found.unread:
        table(columns, rows)
    else:
        out.print(nothing)
    tell_unread([one.told for one in found.unread])

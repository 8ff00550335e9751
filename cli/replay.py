"""replay: a release's verdicts judged anew from stored evidence, to see that they are what they were."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from cli import session
from cli.acts import release_of
from cli.session import out
from cli.status import Json, printable


def add_to(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    release: Annotated[str, typer.Argument(help="LOOP/NUMBER, as `driftloop status` shows it.")],
    as_json: Json = False,
) -> None:
    """Judge a release's stored evidence anew: smoke test, gate, canary. Exit code 1 on a difference.

    Reads rows and documents only, so it works without Azure ML.
    """
    from shared.release import evidence_replay

    loop, number = release_of(release)
    replayed = evidence_replay.replay(session.ports(), loop, int(number))
    if as_json:
        out.print_json(json.dumps([asdict(one) | {"same": one.same} for one in replayed], default=str))
    elif not replayed:
        out.print(f"{release} has no verdict yet")
    for one in () if as_json else replayed:
        verdict = "[green]same[/]" if one.same else "[red]different[/]"
        out.print(f"{verdict}  {escape(one.kind)}: {one.outcome.replace('_', ' ')}  ({one.evidence[:12]})")
        for words in one.differences:
            out.print(f"  {escape(printable(words))}")
    if not all(one.same for one in replayed):
        raise typer.Exit(1)

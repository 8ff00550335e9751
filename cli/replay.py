"""replay: a release's verdicts judged anew from stored evidence, to see that they are what they were."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli import session
from cli.acts import release_of
from cli.session import Json, out, printable
from shared.words import say, titled

if TYPE_CHECKING:
    from shared.release.evidence_replay import Replayed


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
        out.print_json(json.dumps([_plain(one) for one in replayed], default=str))
    elif not replayed:
        out.print(f"{release} has no verdict yet")
    for one in () if as_json else replayed:
        verdict = "[green]same[/]" if one.same else "[red]different[/]"
        was = one.judgement
        name, outcome = titled(was), was.outcome.value.replace("_", " ")
        out.print(f"{verdict}  {escape(name)}: {outcome}  ({was.evidence[:12]})")
        for difference in one.differences:
            out.print(f"  {escape(printable(say(difference)))}")
    if not all(one.same for one in replayed):
        raise typer.Exit(1)


def _plain(one: Replayed) -> dict[str, object]:
    was = one.judgement
    return {
        "kind": was.kind.value,
        "name": titled(was),
        "outcome": was.outcome.value,
        "evidence": was.evidence,
        "differences": [{**asdict(each), "words": say(each)} for each in one.differences],
        "same": one.same,
    }

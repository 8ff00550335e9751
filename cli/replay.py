"""replay: a release's verdicts judged again from the stored evidence, to see that nothing differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli import export
from cli.session import Json, out, print_json, shown
from shared.words import say, titled

if TYPE_CHECKING:
    from shared.audit.evidence_replay import Replayed


def add_to(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    release: Annotated[str, typer.Argument(help="LOOP/NUMBER, or a file of `driftloop export`.")],
    as_json: Json = False,
) -> None:
    """Judge a release's stored evidence again. Smoke test, gate and canary; exit code 1 on a difference.

    Reads rows and documents only, so it works without Azure ML; of an exported file without Azure and settings.
    """
    from shared.audit import evidence_replay

    found = export.opened(release)
    replayed = evidence_replay.replay(found.ports, found.loop, found.number)
    if as_json:
        verdicts = [_plain(one) for one in replayed]
        print_json({"verdicts": verdicts, **export.plain(found.proof)} if found.proof else verdicts)
    elif not replayed:
        out.print(f"{release} has no verdict yet")
    for one in () if as_json else replayed:
        verdict = "[green]same[/]" if one.same else "[red]different[/]"
        was = one.judgement
        name, outcome = titled(was), was.outcome.value.replace("_", " ")
        out.print(f"{verdict}  {shown(name)}: {outcome}  ({was.evidence[:12]})")
        for difference in one.differences:
            out.print(f"  {shown(say(difference))}")
    if not as_json:
        export.tell(found.proof)
    if not all(one.same for one in replayed) or (found.proof and found.proof.problems):
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

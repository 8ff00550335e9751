"""log: what a release's training and its deployment have printed, without a way round by Azure ML studio."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import session
from cli.session import Json, out, print_json, shown
from shared.errors import ConfigurationError
from shared.runtime import unit_of_work
from shared.words import of_log

MOST_LINES = 2_000


def add_to(app: typer.Typer) -> None:
    app.command("log")(log)


def log(
    what: Annotated[
        str, typer.Argument(help="LOOP for its newest release, or LOOP/NUMBER.", metavar="RELEASE")
    ],
    step: Annotated[str, typer.Option(help="One step of the training, or the deployment, by its name.")] = "",
    lines: Annotated[int, typer.Option(min=1, max=MOST_LINES, help="Lines of each, at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the logs of a release's training and deployment.

    Of each training step and of the deployment's container, their end, as Azure ML has them just now: of a step the
    last 32 KB can be seen, of a deployment the last 500 lines.
    """
    from shared.state import release_logs

    loop, number = session.release_of(what) if "/" in what else (what, 0)
    session.overview(loop)
    current = unit_of_work.read(session.ports(), loop)
    newest = current.state.next_release - 1
    if not number and not newest:
        raise ConfigurationError(f"{loop} has no release yet; drop data first")
    release = current.release(number or newest)[0]
    found = release_logs.of(current, release, lines)
    logs = [each for each in found.logs if step in ("", each.step)]
    if as_json:
        print_json({"release": release.number, "logs": logs, "lost": found.lost})
        return
    for why in found.lost:
        out.say(f"not to be had: {why}")
    if step and not logs and found.logs:
        steps = ", ".join(each.step for each in found.logs)
        raise ConfigurationError(f"release {loop}/{release.number} has no step {step!r}; it has {steps}")
    if not found.logs and not found.lost:
        out.say(f"release {loop}/{release.number} has printed nothing yet")
    for each in logs:
        out.print(f"[bold]{shown(each.step)}[/]  {shown(of_log(each))}")
        for line in each.end.splitlines():
            out.say(line)

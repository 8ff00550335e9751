"""What people ask for: put on record and in the queue, done by the loop, kept in its ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import session
from cli.session import Json, out
from shared.errors import ConfigurationError

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the ledger.")]
Loop = Annotated[str, typer.Argument(help="The loop.")]
Release = Annotated[str, typer.Argument(help="LOOP/NUMBER, as `driftloop status` shows it.")]


def add_to(app: typer.Typer) -> None:
    for command in (retrain, restore, approve, skip, abort, rollback, pause, resume):
        app.command(command.__name__)(command)
    app.command("read-again")(read_again)


def retrain(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Start a release now, whatever the schedule says."""
    _ask("retrain", loop, "", reason, as_json=as_json)


def restore(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Deploy the champion's model again and give it all traffic, after somebody took either away."""
    _ask("restore", loop, "", reason, as_json=as_json)


def approve(release: Release, reason: Reason = "", as_json: Json = False) -> None:
    """Let a release continue that waits for a decision."""
    _ask("approve", *release_of(release), reason, as_json=as_json)


def skip(release: Release, reason: Reason = "", as_json: Json = False) -> None:
    """Take a release past what it waits for now: a hold, a canary step or the bake. An approval is not skipped."""
    _ask("skip", *release_of(release), reason, as_json=as_json)


def abort(release: Release, reason: Reason = "", as_json: Json = False) -> None:
    """End a release; traffic goes back to the champion, what was made for it is removed."""
    _ask("abort", *release_of(release), reason, as_json=as_json)


def rollback(release: Release, reason: Reason = "", as_json: Json = False) -> None:
    """Roll a release back while its old deployment is still warm."""
    _ask("rollback", *release_of(release), reason, as_json=as_json)


def pause(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Start nothing new and freeze the open release until the loop is resumed; proven harm is still rolled back."""
    _ask("pause", loop, "", reason, as_json=as_json)


def resume(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Go on after a pause."""
    _ask("resume", loop, "", reason, as_json=as_json)


def read_again(
    loop: Loop,
    drop: Annotated[str, typer.Argument(help="Key of the drop, as `driftloop status LOOP --json` has it.")],
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Read a quarantined drop again: for when the loop file, not the file, was what had to be fixed."""
    _ask("replay", loop, "", reason, drop, as_json=as_json)


def release_of(text: str) -> tuple[str, str]:
    """Loop and number of LOOP/NUMBER."""
    loop, _, number = text.partition("/")
    if not number.isdigit():
        raise ConfigurationError(f"{text!r} is not a release; expected LOOP/NUMBER, for example penguins/3")
    return loop, number


def _ask(verb: str, loop: str, release: str, reason: str, drop: str = "", *, as_json: bool) -> None:
    from shared.inbox import messages, recorder

    session.overview(loop)
    message = messages.act_message(
        verb, loop, {"release": release, "reason": reason, "drop": drop}, session.who()
    )
    recorder.submit(session.ports(), message)
    if as_json:
        out.print_json(message)
        return
    out.print(
        f"Queued: {verb} {loop}{'/' + release if release else ''}. Follow it with: driftloop status {loop}"
    )

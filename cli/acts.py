"""What people ask for: put on record and in the queue, done by the loop, kept in its ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import session
from cli.session import Json, Loop, ReleaseName, out, release_of

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the ledger.")]


def add_to(app: typer.Typer) -> None:
    for command in (retrain, restore, approve, skip, abort, rollback, pause, resume):
        app.command(command.__name__)(command)
    app.command("read-again")(read_again)


def retrain(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Start a release now. Does not wait for a trigger or the schedule."""
    _ask("retrain", loop, None, reason, as_json=as_json)


def restore(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Bring the champion back into service. Deploys its model again if needed, and gives it all traffic."""
    _ask("restore", loop, None, reason, as_json=as_json)


def approve(release: ReleaseName, reason: Reason = "", as_json: Json = False) -> None:
    """Let a release that waits for a decision go on."""
    _ask("approve", *release_of(release), reason, as_json=as_json)


def skip(release: ReleaseName, reason: Reason = "", as_json: Json = False) -> None:
    """Skip what a release waits for. A hold, a canary step or the bake; an approval cannot be skipped."""
    _ask("skip", *release_of(release), reason, as_json=as_json)


def abort(release: ReleaseName, reason: Reason = "", as_json: Json = False) -> None:
    """Abort a release. Traffic goes back to the champion, and what was made for the release is removed."""
    _ask("abort", *release_of(release), reason, as_json=as_json)


def rollback(release: ReleaseName, reason: Reason = "", as_json: Json = False) -> None:
    """Roll back a release. Possible while the old deployment is still warm."""
    _ask("rollback", *release_of(release), reason, as_json=as_json)


def pause(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Pause a loop. Nothing new starts and the open release is frozen; proven harm is still rolled back."""
    _ask("pause", loop, None, reason, as_json=as_json)


def resume(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Resume a paused loop."""
    _ask("resume", loop, None, reason, as_json=as_json)


def read_again(
    loop: Loop,
    drop: Annotated[str, typer.Argument(help="Key of the drop, as `driftloop status LOOP --json` has it.")],
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Read a quarantined drop again. For when the loop file had to be fixed, not the drop."""
    _ask("replay", loop, None, reason, drop, as_json=as_json)


def _ask(verb: str, loop: str, release: int | None, reason: str, drop: str = "", *, as_json: bool) -> None:
    from shared.inbox import messages, recorder

    session.overview(loop)
    message = messages.act_message(
        verb, loop, {"release": release, "reason": reason, "drop": drop}, session.who()
    )
    recorder.submit(session.ports(), message)
    if as_json:
        out.print_json(message)
        return
    about = loop if release is None else f"{loop}/{release}"
    out.say(f"Queued: {verb} {about}. Follow it with: driftloop status {loop}")

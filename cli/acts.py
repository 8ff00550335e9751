"""What people ask for: put on record and in the queue, done by the loop, kept in its ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import session
from cli.session import Json, Loop, ReleaseName, out, release_of

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the ledger.")]


def add_to(app: typer.Typer) -> None:
    for command in (retrain, release, restore, approve, skip, abort, rollback, pause, resume):
        app.command(command.__name__)(command)
    app.command("read-again")(read_again)


def retrain(loop: Loop, reason: Reason = "", as_json: Json = False) -> None:
    """Start a release now. Does not wait for a trigger or the schedule."""
    _ask("retrain", loop, None, reason, as_json=as_json)


def release(
    loop: Loop,
    model: Annotated[
        str, typer.Argument(metavar="MODEL:VERSION", help="A model of the workspace's registry.")
    ],
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Release a registered model, whoever trained it. It passes the same gate and canary as the loop's own."""
    _ask("release", loop, None, reason, as_json=as_json, model=model)


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


def rollback(
    release: Annotated[
        str, typer.Argument(help="LOOP/NUMBER, as `driftloop status` shows it; with --to the LOOP alone.")
    ],
    to: Annotated[
        int | None,
        typer.Option(min=1, help="Deploy this earlier release again, behind a canary of its own."),
    ] = None,
    gate: Annotated[bool, typer.Option("--gate", help="With --to: pass the gate first.")] = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Roll back a release while the old deployment is still warm. With --to: go back to any earlier release."""
    if to is not None:
        _ask("rollback", release, None, reason, as_json=as_json, to=to, gate=gate)
    elif gate:
        raise typer.BadParameter("needs --to", param_hint="--gate")
    else:
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
    _ask("replay", loop, None, reason, as_json=as_json, drop=drop)


def _ask(
    verb: str, loop: str, release: int | None, reason: str, *, as_json: bool, **more: str | int | bool
) -> None:
    from shared.errors import ConfigurationError
    from shared.inbox import messages, recorder, rights
    from shared.words import say

    session.overview(loop)
    if no := rights.rules_of(session.ports(), loop, verb).refusal(verb, None):
        raise ConfigurationError(say(no), code=no.code)
    body = {"release": release, "reason": reason, **more}
    message = messages.act_message(verb, loop, body, session.who())
    recorder.submit(session.ports(), message)
    if as_json:
        out.print_json(message)
        return
    about = loop if release is None else f"{loop}/{release}"
    said = {"model": " {}", "to": " --to {}"}
    about += "".join(said[name].format(value) for name, value in more.items() if name in said)
    out.say(f"Queued: {verb} {about}. Follow it with: driftloop status {loop}")

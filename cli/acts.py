"""What people ask for: put on record and in the queue, done by the loop, kept in its ledger."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli import session
from cli.session import Json, Loop, ReleaseName, out, release_of

if TYPE_CHECKING:
    from shared.domain.event import InboxRecord
    from shared.ports import Ports

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the ledger.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for what becomes of it.")]

WAIT_S = 60.0
"""How long a command waits for its loop: a cold app takes up to half a minute."""
POLL_S = 0.5


def add_to(app: typer.Typer) -> None:
    for command in (retrain, release, restore, approve, skip, abort, rollback, pause, resume):
        app.command(command.__name__)(command)
    app.command("read-again")(read_again)


def retrain(loop: Loop, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False) -> None:
    """Start a release now. Does not wait for a trigger or the schedule."""
    ask("retrain", loop, None, reason, no_wait=no_wait, as_json=as_json)


def release(
    loop: Loop,
    model: Annotated[
        str, typer.Argument(metavar="MODEL:VERSION", help="A model of the workspace's registry.")
    ],
    reason: Reason = "",
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Release a registered model, whoever trained it. It passes the same gate and canary as the loop's own."""
    ask("release", loop, None, reason, no_wait=no_wait, as_json=as_json, model=model)


def restore(loop: Loop, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False) -> None:
    """Bring the champion back into service. Deploys its model again if needed, and gives it all traffic."""
    ask("restore", loop, None, reason, no_wait=no_wait, as_json=as_json)


def approve(
    release: ReleaseName, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False
) -> None:
    """Let a release that waits for a decision go on."""
    ask("approve", *release_of(release), reason, no_wait=no_wait, as_json=as_json)


def skip(release: ReleaseName, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False) -> None:
    """Skip what a release waits for. A hold, a canary step or the bake; an approval cannot be skipped."""
    ask("skip", *release_of(release), reason, no_wait=no_wait, as_json=as_json)


def abort(release: ReleaseName, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False) -> None:
    """Abort a release. Traffic goes back to the champion, and what was made for the release is removed."""
    ask("abort", *release_of(release), reason, no_wait=no_wait, as_json=as_json)


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
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Roll back a release while the old deployment is still warm. With --to: go back to any earlier release."""
    if to is not None:
        ask("rollback", release, None, reason, no_wait=no_wait, as_json=as_json, to=to, gate=gate)
    elif gate:
        raise typer.BadParameter("needs --to", param_hint="--gate")
    else:
        ask("rollback", *release_of(release), reason, no_wait=no_wait, as_json=as_json)


def pause(loop: Loop, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False) -> None:
    """Pause a loop. Nothing new starts and the open release is frozen; proven harm is still rolled back."""
    ask("pause", loop, None, reason, no_wait=no_wait, as_json=as_json)


def resume(loop: Loop, reason: Reason = "", no_wait: NoWait = False, as_json: Json = False) -> None:
    """Resume a paused loop."""
    ask("resume", loop, None, reason, no_wait=no_wait, as_json=as_json)


def read_again(
    loop: Loop,
    drop: Annotated[str, typer.Argument(help="Key of the drop, as `driftloop status LOOP --json` has it.")],
    reason: Reason = "",
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Read a quarantined drop again. For when the loop file had to be fixed, not the drop."""
    ask("replay", loop, None, reason, no_wait=no_wait, as_json=as_json, drop=drop)


def ask(
    verb: str,
    loop: str,
    release: int | None,
    reason: str,
    *,
    no_wait: bool,
    as_json: bool,
    **more: str | int | bool,
) -> None:
    from shared.errors import ConfigurationError
    from shared.inbox import messages, recorder, rights
    from shared.words import say

    session.overview(loop)
    if no := rights.rules_of(session.ports(), loop, verb).refusal(verb, None):
        raise ConfigurationError(say(no), code=no.code)
    body = {"release": release, "reason": reason, **more}
    message = messages.act_message(verb, loop, body, session.who())
    ports = session.ports()
    recorder.submit(ports, message)
    asked = json.loads(message)
    answer = None if no_wait else _answer(ports, loop, asked["act_id"])
    if as_json:
        session.print_json(asked | ({"outcome": answer.reason, "refused": answer.refused} if answer else {}))
    else:
        _tell(verb, loop, release, answer, no_wait=no_wait, more=more)
    if answer is not None and answer.refused:
        raise typer.Exit(1)


def _answer(ports: Ports, loop: str, id: str) -> InboxRecord | None:
    """What the loop made of it; None where it has not taken it up in a minute."""
    from shared.domain.event import InboxState
    from shared.state import queries, rows

    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        record = queries.event(ports, loop, rows.key_of("act", id))
        if record is not None and record.state is not InboxState.NEW:
            return record
        time.sleep(POLL_S)
    return None


def _tell(
    verb: str,
    loop: str,
    release: int | None,
    answer: InboxRecord | None,
    *,
    no_wait: bool,
    more: dict[str, str | int | bool],
) -> None:
    from shared.words import say

    said = {"model": " {}", "to": " --to {}", "evidence": " by evidence {:.12}"}
    about = loop if release is None else f"{loop}/{release}"
    about += "".join(said[name].format(value) for name, value in more.items() if name in said)
    if answer is not None:
        words = say(answer.reason) if answer.reason else "done"
        out.say(f"{'Refused' if answer.refused else 'Done'}: {verb} {about}: {words}")
    elif no_wait:
        out.say(f"Queued: {verb} {about}. Follow it with: driftloop status {loop}")
    else:
        out.say(
            f"Queued: {verb} {about}, and not taken up within {WAIT_S:.0f} s: the app may be starting, or be stopped "
            f"(driftloop doctor). It stays on record. Follow it with: driftloop status {loop}"
        )

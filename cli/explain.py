"""explain: why a loop does not retrain, or everything that happened to a release, from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli import explained_row, export, session
from cli.session import Json, advise, out, print_json, shown
from shared.assets import asset
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Reason
from shared.domain.release import Release
from shared.errors import ConfigurationError, InvariantBroken
from shared.ports import Ports
from shared.redaction import reason_of
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import queries
from shared.state.rows import Unreadable
from shared.words import say, spoken, titled

if TYPE_CHECKING:
    from shared.audit.exported_release import Proof

Line = tuple[str, str, str]
"""When, what, and why."""

Story = tuple[str, list[Line], Reason | str | None, tuple[Reason, ...]]
"""Its heading, its lines, the code that it comes to, and which rows cannot be read."""

ANSWERS = frozenset({"retrain.denied", "retrain.coalesced", "release.started", "action.refused"})
MOST = 30


def add_to(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    what: Annotated[
        str,
        typer.Argument(
            help="LOOP for every trigger and its answer; LOOP/NUMBER or an exported file: a release."
        ),
    ],
    row: Annotated[
        str,
        typer.Option(
            help="One row: JSON, a file of it, - for standard input, or the id of a request that was served."
        ),
    ] = "",
    days: Annotated[float, typer.Option(min=0.001, help="How far back such a request is looked for.")] = 1,
    as_json: Json = False,
) -> None:
    """Explain why a loop did not retrain. With LOOP/NUMBER: the whole story of a release, from trigger to end.

    With --row: why the model that serves, or that of LOOP/NUMBER, answers as it does for one row.

    A file of `driftloop export` needs no Azure and no settings; exit code 1 when it is not intact.
    """
    if row:
        explained_row.explain_row(session.ports(), what, row, days, as_json=as_json)
        return
    found = export.opened(what) if "/" in what or export.is_file(what) else None
    told = (
        release_story(found.ports, found.loop, found.number) if found else loop_story(session.ports(), what)
    )
    _print(told, found.proof if found else None, as_json=as_json)


def _print(told: Story, proof: Proof | None, *, as_json: bool) -> None:
    heading, lines, last, unread = told
    if as_json:
        story = [{"at": at, "what": what, "why": why} for at, what, why in lines]
        print_json({"about": heading, "told": story, **export.plain(proof)})
        session.tell_unread(unread)
        raise typer.Exit(1 if proof and proof.problems else 0)
    out.print(f"[bold]{shown(heading)}[/]")
    for at, what, why in lines:
        out.print(f"{at}  {shown(what)}")
        if why:
            out.print(f"{' ' * len(at)}  [dim]{shown(why)}[/]")
    advise(last)
    export.tell(proof)
    session.tell_unread(unread)


def loop_story(ports: Ports, loop: str) -> Story:
    """Every trigger and the policy's answer, the newest last; then what it comes to now."""
    state = unit_of_work.read(ports, loop).state
    ledger = queries.ledger(ports, loop)
    entries = ledger.values
    answers = [entry for entry in entries if entry.what in ANSWERS]
    lines = [_answer(entry) for entry in answers[-MOST:]]
    lines += [_labels(entry) for entry in entries if entry.what == "labels.joined"][-1:]
    lines.sort(key=lambda line: line[0])
    now = f"{ports.clock.now():%Y-%m-%d %H:%M:%S}"
    if state.served_verdict is not None:
        lines.append((now, "what is served", say(state.served_verdict)))
    newest = f", the last {MOST}" if len(answers) > MOST else ""
    heading = f"{loop}: {len(answers)} answer{'' if len(answers) == 1 else 's'}{newest}"
    told = [*lines, (now, "now", _now(state))]
    return heading, told, state.paused or state.denial, queries.told(ledger)


def _answer(entry: LedgerEntry) -> Line:
    detail = spoken(entry.detail)
    if entry.what == "release.started":
        return _at(entry), f"{entry.subject} was started", detail.get("reasons", "")
    if entry.what == "action.refused":
        return _at(entry), f"{entry.actor} was refused", detail.get("why", "")
    asked = f"{entry.subject} ({entry.actor}): {detail.get('reason', '')}"
    return _at(entry), asked, detail.get("answer", "")


def _labels(entry: LedgerEntry) -> Line:
    """What the newest label file says of the model that serves, by slice where the loop names some."""
    return _at(entry), f"late labels: {entry.subject}", spoken(entry.detail).get("verdict", "")


def _now(state: LoopState) -> str:
    if state.paused:
        return f"{say(state.paused)}; continue with: driftloop resume {state.loop}"
    if state.open_release is not None:
        return f"release {state.open_release} is open: driftloop explain {state.loop}/{state.open_release}"
    if state.waiting:
        until = f" until {state.waiting_until:%Y-%m-%d %H:%M:%S} UTC" if state.waiting_until else ""
        kinds = ", ".join(sorted({trigger.kind.value for trigger in state.waiting}))
        return f"{len(state.waiting)} triggers ({kinds}) wait{until}: {say(state.denial)}"
    return say(state.denial) or "no trigger fired"


def release_story(ports: Ports, loop: str, number: int) -> Story:
    """Each entry of the ledger that is about this release, and what came in while it was open."""
    current, ledger = unit_of_work.read(ports, loop), queries.ledger(ports, loop)
    steps = [_step(entry) for entry in _during(ledger.values, number)]
    try:
        release = current.release(number)[0]
    except Unreadable as error:
        return f"release {loop}/{number}", steps, None, (reason_of(error), *queries.told(ledger))
    lines = [*_published(current, release), *steps]
    judged = [
        (
            f"{j.at:%Y-%m-%d %H:%M:%S}",
            f"{titled(j)}: {j.outcome.value.replace('_', ' ')}",
            "; ".join(say(one) for one in j.reasons),
        )
        for j in release.judgements
    ]
    ordered = sorted([*lines, *judged], key=lambda line: line[0])
    now = [] if release.ended else [("now", _phase(release), _waits(release))]
    code = f"release.{release.phase.value}"
    return _heading(release), [*ordered, *now], code, queries.told(ledger)


def _published(current: Unit, release: Release) -> Iterator[Line]:
    """From which commit, where its definition, whose hash the ledger has, says so; an audit tells one that is lost."""
    try:
        found = current.published(release.definition)
    except (InvariantBroken, ConfigurationError):
        return
    if found.commit is not None:
        at, commit = f"{found.published_at:%Y-%m-%d %H:%M:%S}", say(found.commit.told)
        yield at, f"loop.published (by {found.published_by})", f"commit: {commit}"


def _heading(release: Release) -> str:
    because = "; ".join(f"{trigger.kind.value}: {say(trigger.reason)}" for trigger in release.triggers)
    if release.back_to:
        made_of = f"back to release {release.back_to}"
    elif release.versions:
        made_of = f"on versions {', '.join(map(str, release.versions))}"
    else:
        made_of = f"of model {asset(release.model).plain}"
    return f"release {release.loop}/{release.number} {made_of}, because of {because}"


def _during(entries: Sequence[LedgerEntry], number: int) -> Iterator[LedgerEntry]:
    """Entries of the release; between its first and its last also what is about the loop's reasons, or by people."""
    own = [entry.seq for entry in entries if entry.subject == f"release {number}"]
    for entry in entries:
        about = entry.what in ANSWERS or entry.what.startswith("loop.") or entry.actor != "driftloop"
        if entry.subject == f"release {number}" or (own and own[0] < entry.seq < own[-1] and about):
            yield entry


def _step(entry: LedgerEntry) -> Line:
    if entry.what in ANSWERS and entry.what != "release.started":
        return _answer(entry)
    by = "" if entry.actor == "driftloop" else f" (by {entry.actor})"
    detail = spoken(entry.detail)
    known = {
        name: detail[name]
        for name in (
            "reason",
            "reasons",
            "estimate",
            "explained",
            "job",
            "steps",
            "traffic",
            "machines",
            "cost",
        )
        if detail.get(name)
    }
    return _at(entry), f"{entry.what.replace('_', ' ')}{by}", "; ".join(f"{n}: {v}" for n, v in known.items())


def _phase(release: Release) -> str:
    return f"{release.phase.value.replace('_', ' ')} since {release.phase_since_at:%Y-%m-%d %H:%M:%S} UTC"


def _waits(release: Release) -> str:
    return f"waits for {say(release.waiting_for)}" if release.waiting_for else ""


def _at(entry: LedgerEntry) -> str:
    return f"{entry.at:%Y-%m-%d %H:%M:%S}"

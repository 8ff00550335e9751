"""diff: two versions or two releases of a loop, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.table import Table

from cli.session import Json, Loop, out, ports, print_json, shown
from shared.diff import release_diff, version_diff
from shared.diff.definition_diff import Change
from shared.diff.release_diff import Measured, ReleaseDiff
from shared.diff.version_diff import VersionDiff
from shared.domain.release import Judgement
from shared.errors import ConfigurationError
from shared.runtime import unit_of_work
from shared.words import in_words, plain, say_all, titled


def add_to(app: typer.Typer) -> None:
    app.command("diff")(diff)


def diff(
    loop: Loop,
    before: Annotated[int, typer.Argument(min=0, help="A number; 0: the one before the other.")] = 0,
    after: Annotated[int, typer.Argument(min=0, help="Another number; 0: the newest.")] = 0,
    releases: Annotated[
        bool, typer.Option("--releases", help="Two releases, not two data versions.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare two data versions, or with --releases two releases.

    Of versions: facts, schema, contract, and drift by column, the first being the reference. Of releases: what was
    decided, metric by slice, training data, definition, code, environment, and what the models go by.
    """
    current = unit_of_work.read(ports(), loop)
    newest = (current.state.next_release if releases else current.state.next_version) - 1
    if newest < 1:
        raise ConfigurationError(f"{loop} has no {'release' if releases else 'data version'} yet")
    after = after or newest
    before = before or max(1, after - 1)
    if releases:
        found = release_diff.releases(current, before, after)
        print_json(found) if as_json else _releases(found)
        return
    seen = version_diff.versions(current, before, after)
    print_json(_plain(seen)) if as_json else _versions(seen)


def _plain(found: VersionDiff) -> dict[str, object]:
    """Without the profiles, which are no answer."""
    sides = {name: plain(getattr(found, name)) for name in ("before", "after", "facts", "schema", "contract")}
    return {**sides, "report": found.report.to_dict() if found.report else None, "lost": found.lost}


def _versions(found: VersionDiff) -> None:
    names = f"version {found.before.number}", f"version {found.after.number}"
    _table("fact", names, _changed(found.facts))
    if found.schema:
        _table("column", names, ((c.what, in_words(c.before), in_words(c.after)) for c in found.schema))
    else:
        out.say("schema: the same columns, of the same types")
    if found.contract is None:
        out.say("contract: what one of them found is lost")
    elif found.contract:
        without = "not in its contract"
        _table(
            "rule",
            names,
            ((r.rule, *(without if s is None else s for s in (r.before, r.after))) for r in found.contract),
        )
    if found.report is None:
        out.print(f"[red]{shown(found.lost)}[/]")
        return
    from cli.compare import tell

    tell(found.report, found.report.findings)


def _releases(found: ReleaseDiff) -> None:
    names = f"release {found.before.number}", f"release {found.after.number}"
    for lost in found.lost:
        out.print(f"[red]{shown(lost)}[/]")
    _table("fact", names, _changed(found.facts))
    _table("verdict", names, ((titled(d.named), _told(d.before), _told(d.after)) for d in found.decisions))
    _metrics(found, names)
    alone = [", ".join(map(str, numbers)) or "none" for numbers in (found.only_before, found.only_after)]
    both = f"trained on {found.both} {'version' if found.both == 1 else 'versions'} that both have"
    out.say(f"{both}; {names[0]} alone on {alone[0]}, {names[1]} alone on {alone[1]}")
    if found.definition:
        _table("key", names, ((c.what, in_words(c.before), in_words(c.after)) for c in found.definition))
    elif found.definition is not None:
        out.say("definition: the same in every key")
    for change in found.code or ():
        out.print(f"[bold]{shown(change.file)}[/]")
        for line in change.lines:
            out.say(line.expandtabs(4))
    _importance(found, names)


def _metrics(found: ReleaseDiff, names: tuple[str, str]) -> None:
    if not found.metrics.sides:
        return
    out.say("metric of both models, each on the holdout rows of its own gate, not tested against each other")
    titles = [
        ": ".join(filter(None, pair))
        for pair in zip(names, (found.metrics.before, found.metrics.after), strict=True)
    ]
    _table(
        "rows",
        titles,
        (
            (side.name or "all rows", _measured(side.before), _measured(side.after))
            for side in found.metrics.sides
        ),
    )


def _measured(found: Measured | None) -> str:
    if found is None or found.interval.value is None:
        return ""
    low, high = found.interval.low, found.interval.high
    between = f" ({low:.4f} to {high:.4f})" if low is not None and high is not None else ""
    return f"{found.interval.value:.4f}{between}, {found.rows:,} rows"


def _importance(found: ReleaseDiff, names: tuple[str, str]) -> None:
    both = found.importance
    if not both.columns:
        return
    if both.agreement is not None:
        out.say(f"importance: {both.after}; agreement {both.agreement:.2f} of 1")
    elif both.before and both.after:
        out.say(
            f"importance, measured otherwise, so not to be held beside each other: {both.before}; {both.after}"
        )
    _table("column", names, ((c.what, in_words(c.before), in_words(c.after)) for c in both.columns))


def _changed(found: Iterable[Change]) -> Iterable[tuple[str, str, str]]:
    """Lines of the facts that differ, then how many are alike."""
    alike = []
    for change in found:
        if change.same:
            alike.append(change.what.replace("_", " "))
        else:
            yield change.what.replace("_", " "), in_words(change.before), in_words(change.after)
    if alike:
        yield "the same", ", ".join(alike), ""


def _told(found: Judgement | None) -> str:
    return f"{found.outcome.value.replace('_', ' ')}: {say_all(found.reasons)}" if found else ""


def _table(first: str, names: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    drawn = Table(box=None, pad_edge=False)
    for column in (first, *names):
        drawn.add_column(shown(column), overflow="fold")
    for row in rows:
        drawn.add_row(*map(shown, row))
    if drawn.row_count:
        out.print(drawn)
        out.print()

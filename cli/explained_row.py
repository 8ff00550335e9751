"""explain --row: why a deployed model answers as it does for one row."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cli import session
from cli.session import out, print_json, shown
from shared.errors import ConfigurationError
from shared.runtime import unit_of_work
from shared.words import say

if TYPE_CHECKING:
    from shared.domain.release import Release
    from shared.ports import Ports
    from shared.runtime.unit_of_work import Unit
    from shared.verdict.attribution import Attribution, Part

MOST_SERVED = 1_000_000
"""Collected rows among which one is looked for."""

_MEASURED = {
    "number": "its answer",
    "probability": "the probability that it states for {answer}",
    "share": "how often it answers {answer}",
}


def explain_row(ports: Ports, what: str, row: str, days: float, *, as_json: bool) -> None:
    """`what` is LOOP, for the model that serves, or LOOP/NUMBER for any that is deployed."""
    from shared.verdict import attribution

    loop, _, number = what.partition("/")
    current = unit_of_work.read(ports, loop)
    release = current.release(session.release_of(what)[1] if number else _serving(current))[0]
    found = attribution.of_row(current, release, _row(current, release, row, days))
    if isinstance(found, attribution.Unanswered):
        why = "; ".join(map(say, found.problems)) or "it answers null, or no number"
        raise ConfigurationError(
            f"the model of release {loop}/{release.number} gave no answer to {found.rows} of {found.asked} rows, which "
            f"mix this one with rows of its holdout ({why}): what refuses such rows cannot be explained"
        )
    if as_json:
        print_json(_document(release, found))
    else:
        _print(release, found)


def _serving(current: Unit) -> int:
    if current.state.champion is None:
        raise ConfigurationError(f"no model of {current.loop} serves yet; name a release as LOOP/NUMBER")
    return current.state.champion.release


def _row(current: Unit, release: Release, text: str, days: float) -> Mapping[str, object]:
    """As it was typed, from a file or from standard input; else it is the id of a request that was served."""
    if text.lstrip().startswith(("{", "[")):
        return _read(text, "--row")
    if text == "-":
        return _read(sys.stdin.read(), "standard input")
    if os.path.isfile(text):  # noqa: PTH113 - of a long id Path.is_file raises
        return _read(Path(text).read_text(errors="replace"), text)
    return _served(current, release, text, days)


def _read(text: str, where: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f'{where} is not one JSON object, such as {{"age": 41, "city": "Bern"}}')
    return found


def _served(current: Unit, release: Release, wanted: str, days: float) -> Mapping[str, object]:
    """What was asked under this id, as the data collector has it; of the newest hour where it was asked in several."""
    definition = current.published(release.definition).definition
    until = current.ports.clock.now()
    column = definition.data.id or ""
    found = current.ports.evidence.inputs(
        definition.serve.endpoint,
        release.deployment,
        until - timedelta(days=days),
        until,
        MOST_SERVED,
        id=column,
    )
    for row in reversed(found):
        if str(row["id"]) == wanted and isinstance(row["inputs"], Mapping):
            return row["inputs"]
    named = f"with {column} {wanted}" if column else f"of the id {wanted}"
    raise ConfigurationError(
        f"{wanted} is no file, and {release.deployment} was asked no row {named} within {days:g} days, or several in "
        "one hour, as far as the data collector has them; --days N looks further back, or give the row as JSON"
    )


def _document(release: Release, found: Attribution) -> dict[str, object]:
    return {
        "release": f"{release.loop}/{release.number}",
        "deployment": found.deployment,
        "answer": found.answer,
        "measured": found.measured,
        "said": found.said,
        "base": found.base,
        "columns": [
            {"column": part.column, "value": part.value, "adds": part.adds, "standard_error": part.error}
            for part in found.parts
        ],
        "reference_rows": found.references,
        "rows_asked": found.asked,
    }


def _print(release: Release, found: Attribution) -> None:
    answer = str(found.answer)
    what = _MEASURED[found.measured].format(answer=answer)
    out.print(f"[bold]{shown(f'release {release.loop}/{release.number} answers {answer}')}[/]")
    out.say(
        f"{what} is {found.said:.4g}; it is {found.base:.4g} on average for {found.references} rows of its holdout. "
        f"The columns of this row add the difference:"
    )
    session.table(("adds", "±", "column", "value"), [_cells(part) for part in found.parts])
    out.print(
        f"[dim]What a column adds is its Shapley value, estimated from {found.asked:,} rows that mix this one with "
        "those of the holdout; ± is two standard errors. It tells what the model goes by, not what causes anything. "
        "Columns that say the same share what they add.[/]"
    )


def _cells(part: Part) -> tuple[str, str, str, str]:
    return f"{part.adds:+.4g}", f"{2 * part.error:.2g}", part.column, str(part.value)

"""A broken schema is rejected before any statistics: what a model needs must be there, in the type that it had."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping

from shared.files.drop_files import ReadSpec
from shared.intake.rejections import listed, quoted, rejected
from shared.values.column_kinds import DATETIME, INTEGER, LONG, NOTHING, NUMBER, STRING, join

Findings = list[str]
Guess = Callable[[str, list[str]], str]
"""(missing column, candidates) -> the candidate that it may be now, or nothing."""
Odd = Callable[[str, str], str]
"""(column, type before) -> a value that is none of this type, with its file and line; or nothing."""


def settle(
    found: Mapping[str, str], texts: Collection[str], spec: ReadSpec, guess: Guess, odd: Odd
) -> tuple[dict[str, str], Findings]:
    """The type of every column of this version, in the order of the version before, and what people should know.

    `found` are the types that the data suggest; `texts` are columns that come from text, which can stay text.
    """
    _check_named(found, spec)
    added = [name for name in found if name not in spec.known_columns]
    _check_missing(found, added, spec, guess)
    findings = [f"column {quoted(name)} is new" for name in added if spec.known_columns]
    columns = {}
    for name in [*(known for known in spec.known_columns if known in found), *added]:
        kind = _settled(name, found[name], name in texts, spec, odd)
        before = spec.known_columns.get(name, NOTHING)
        if found[name] == NOTHING:
            findings.append(valueless(name))
        elif before != NOTHING and kind != before:
            findings.append(f"column {quoted(name)} was {before} and is {kind} now")
        columns[name] = kind
    return columns, findings


def valueless(name: str) -> str:
    """What is said of a column that no row has a value in."""
    return f"column {quoted(name)} has no value at all"


def _check_named(found: Mapping[str, str], spec: ReadSpec) -> None:
    if spec.time and spec.time in found and found[spec.time] not in (DATETIME, NOTHING):
        kind = found[spec.time]
        raise rejected("no-time", f"column {quoted(spec.time)} (data.time) is {kind}, not a time")
    wanted = [
        ("missing-target", spec.target, "target"),
        ("missing-id", spec.id, "id"),
        ("missing-origin", spec.origin, "origin.column"),
    ]
    wanted += [
        ("missing-column", spec.time, "time"),
        ("missing-column", spec.holdout_column, "holdout.column"),
    ]
    for code, name, key in wanted:
        if name and name not in found:
            close = difflib.get_close_matches(name, found, n=1, cutoff=0.7)
            hint = f" (did {quoted(close[0])} take its place?)" if close else f" among {listed(list(found))}"
            raise rejected(code, f"there is no column {quoted(name)} (data.{key}){hint}")


def _check_missing(found: Mapping[str, str], added: list[str], spec: ReadSpec, guess: Guess) -> None:
    missing = [name for name in spec.known_columns if name not in found and name not in spec.ignore]
    if not missing:
        return
    guesses = []
    for old in missing:
        fitting = [name for name in added if join(found[name], spec.known_columns[old]) is not None]
        if new := guess(old, fitting):
            guesses.append(f"{quoted(new)} may be {quoted(old)} renamed")
    hint = f" ({'; '.join(guesses)})" if guesses else ""
    raise rejected("missing-column", f"the version before had {listed(missing)}, this drop does not{hint}")


def _settled(name: str, kind: str, text: bool, spec: ReadSpec, odd: Odd) -> str:
    before = spec.known_columns.get(name, NOTHING)
    if kind == NOTHING:
        return before
    kind = STRING if kind == LONG else kind
    if before == NOTHING or kind == before or name in spec.columns:
        return kind
    if text and before == STRING:
        return STRING
    if {kind, before} == {NUMBER, INTEGER}:
        return NUMBER
    if name in spec.ignore or (name == spec.id and {kind, before} <= {INTEGER, NUMBER, STRING}):
        return kind
    why = odd(name, before) if kind == STRING else ""
    raise rejected("retyped-column", f"column {quoted(name)} was {before} and is {kind} now{why}")

"""Broken is told from drifted before any statistics: columns added, dropped, retyped, renamed, reordered."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from drift.categories import Counts
from drift.grid import Grid
from drift.profiles import ColumnProfile, Profile

_LIKE = 0.1
_RUN = 20


@dataclass(frozen=True)
class Finding:
    """One difference of schema or quality.

    Attributes
    ----------
    code
        ``added``, ``dropped``, ``renamed``, ``retyped``, ``reordered``, ``emptied``, ``constant``,
        ``infinite`` or ``no_rows``.
    column
        The column, as the reference names it where it does.
    breaking
        Whether a model trained on the reference cannot be fed with the current data.
    words
        What happened and what to do.
    """

    code: str
    column: str
    breaking: bool
    words: str


def check_schema(reference: Profile, current: Profile) -> tuple[Finding, ...]:
    """What is broken, or at least suspicious, in the current data; breaking findings first.

    A dropped column whose values are found again in an added one of the same kind is told as renamed.
    """
    findings = list(_columns(reference, current))
    for name, before in reference.columns.items():
        if name in current.columns and current.rows:
            findings += _values(before, current.columns[name])
    if not current.rows:
        findings.append(Finding("no_rows", "", True, "there is not one row; check the export"))
    return tuple(sorted(findings, key=lambda f: not f.breaking))


def _columns(reference: Profile, current: Profile) -> Iterator[Finding]:
    dropped = [n for n in reference.columns if n not in current.columns]
    added = [n for n in current.columns if n not in reference.columns]
    for name in list(dropped):
        new = next((a for a in added if _same(reference.columns[name], current.columns[a])), None)
        if new is not None:
            dropped.remove(name)
            added.remove(new)
            yield Finding(
                "renamed", name, True, f"{name} is now called {new}; rename it back, or adopt the new name"
            )
    for name in dropped:
        yield Finding("dropped", name, True, f"{name} is missing; export it again, or train without it")
    for name in added:
        yield Finding("added", name, False, f"{name} is new; it is ignored until a model is trained with it")
    common = [n for n in reference.columns if n in current.columns]
    order = [n for n in current.columns if n in reference.columns]
    if order != common:
        moved = next(n for n, o in zip(common, order, strict=True) if n != o)
        yield Finding(
            "reordered",
            moved,
            False,
            f"the columns come in another order, from {moved} on; read them by name",
        )


def _values(before: ColumnProfile, after: ColumnProfile) -> Iterator[Finding]:
    name = before.name
    if after.nulls == after.rows or after.kind == "empty":
        if before.kind != "empty" and before.nulls < before.rows:
            yield Finding("emptied", name, True, f"{name} holds nulls only; check its source")
        return
    if before.kind not in (after.kind, "empty") and not {before.kind, after.kind} <= {
        "text",
        "category",
        "id",
    }:
        words = (
            f"{name} was {before.kind} ({before.type}) and is {after.kind} ({after.type}); mend the export"
        )
        yield Finding("retyped", name, True, words)
        return
    if _constant(after) and not _constant(before) and after.rows - after.nulls >= _RUN:
        yield Finding("constant", name, False, f"{name} has one value in every row; check its source")
    if (
        after.grid is not None
        and after.grid.infinite
        and before.grid is not None
        and not before.grid.infinite
    ):
        words = f"{name} has {after.grid.infinite} infinite values, and had none; check its source"
        yield Finding("infinite", name, False, words)


def _constant(column: ColumnProfile) -> bool:
    values = column.parts.get("values")
    if isinstance(values, Grid):
        return bool(values.rows > 0 and values.low == values.high)
    return isinstance(values, Counts) and bool(values.closed) and len(values.keys) == 1


def _same(before: ColumnProfile, after: ColumnProfile) -> bool:
    """Whether two columns hold about the same values."""
    if before.kind != after.kind or before.kind not in ("numeric", "category", "boolean"):
        return False
    a, b = before.parts["values"], after.parts["values"]
    if isinstance(a, Grid) and isinstance(b, Grid):
        if not a.rows or not b.rows:
            return False
        edges = np.union1d(a.edges, b.edges)
        gap = np.cumsum(a.on(edges).counts) / a.rows - np.cumsum(b.on(edges).counts) / b.rows
        return float(np.abs(gap).max()) < _LIKE
    if isinstance(a, Counts) and isinstance(b, Counts):
        ours, theirs = (
            {k: n / max(c.rows, 1) for k, n in zip(c.keys, c.counts.tolist(), strict=True)} for c in (a, b)
        )
        shared = sum(min(share, theirs.get(key, 0.0)) for key, share in ours.items())
        return bool(shared > 1 - _LIKE)
    return False

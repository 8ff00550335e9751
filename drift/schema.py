"""Broken is told from drifted before any statistics: columns added, dropped, retyped, renamed, reordered."""

from collections.abc import Iterator

import numpy as np

from .categories import Counts
from .grid import Grid
from .hypergeometric import log_choose
from .profiles import ColumnProfile, Profile
from .report import Code, Finding

_LIKE = 0.1
_RUN = 20
_CHANCE = 0.001
"""What a sample of the reference's rows shows less often than this is told."""


def check_schema(reference: Profile, current: Profile) -> tuple[Finding, ...]:
    """What is broken, or at least suspicious, in the current data; breaking findings first.

    A dropped column whose values are found again in an added one of the same kind is told as renamed.
    """
    findings = list(_columns(reference, current))
    for name, before in reference.columns.items():
        if name in current.columns and current.rows:
            findings += _values(before, current.columns[name])
    if not current.rows:
        findings.append(Finding(Code.NO_ROWS, "", True, "there is not one row; check the export"))
    if not reference.rows:
        findings.append(
            Finding(Code.NO_ROWS, "", True, "the reference has not one row; give another reference")
        )
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
                Code.RENAMED, name, True, f"{name} is now called {new}; rename it back, or adopt the new name"
            )
    for name in dropped:
        yield Finding(Code.DROPPED, name, True, f"{name} is missing; export it again, or train without it")
    for name in added:
        yield Finding(
            Code.ADDED, name, False, f"{name} is new; it is ignored until a model is trained with it"
        )
    common = [n for n in reference.columns if n in current.columns]
    order = [n for n in current.columns if n in reference.columns]
    if order != common:
        moved = next(n for n, o in zip(common, order, strict=True) if n != o)
        yield Finding(
            Code.REORDERED,
            moved,
            False,
            f"the columns come in another order, from {moved} on; read them by name",
        )


def _values(before: ColumnProfile, after: ColumnProfile) -> Iterator[Finding]:
    name = before.name
    if after.nulls == after.rows or after.kind == "empty":
        known = before.rows - before.nulls
        if before.kind != "empty" and known and _unlikely(known, before.rows, after.rows):
            yield Finding(Code.EMPTIED, name, True, f"{name} holds nulls only; check its source")
        return
    if before.kind not in (after.kind, "empty") and not {before.kind, after.kind} <= {
        "text",
        "category",
        "id",
    }:
        words = (
            f"{name} was {before.kind} ({before.type}) and is {after.kind} ({after.type}); repair the export"
        )
        yield Finding(Code.RETYPED, name, True, words)
        return
    rows = after.rows - after.nulls
    others = before.rows - before.nulls - _same_value(before, after)
    if rows >= _RUN and _constant(after) and others and _unlikely(others, before.rows - before.nulls, rows):
        yield Finding(Code.CONSTANT, name, False, f"{name} has one value in every row; check its source")
    if (
        after.grid is not None
        and after.grid.infinite
        and before.grid is not None
        and not before.grid.infinite
    ):
        words = f"{name} has {after.grid.infinite} infinite values, and had none; check its source"
        yield Finding(Code.INFINITE, name, False, words)


def _unlikely(others: int, rows: int, drawn: int) -> bool:
    """Whether ``drawn`` current rows hold none of a kind that ``others`` of the reference's rows are, by chance."""
    total = rows + drawn
    return float(log_choose(total - others, drawn) - log_choose(total, drawn)) < float(np.log(_CHANCE))


def _same_value(before: ColumnProfile, after: ColumnProfile) -> int:
    """Rows of the reference that hold the one value of a constant column, at most."""
    a, b = before.parts.get("values"), after.parts.get("values")
    if isinstance(a, Grid) and isinstance(b, Grid):
        return int(a.counts[np.searchsorted(a.edges, b.low, side="left")]) if len(a.edges) else 0
    if isinstance(a, Counts) and isinstance(b, Counts):
        return int(dict(zip(a.keys, a.counts.tolist(), strict=True)).get(b.keys[0], 0)) if b.keys else 0
    return 0


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

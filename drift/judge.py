"""One column of two profiles in, its evidence and its effects out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from . import categorical, categories, distances, effects, grid, numeric, shares, significance
from .categories import Counts
from .distances import Bounds
from .grid import Grid
from .hypergeometric import smallest_alarm
from .policy import ColumnPolicy, Policy
from .profiles import ColumnProfile
from .report import Effect, Kind
from .significance import Evidence

_TWO_WEEKS_S = 14 * 86_400


@dataclass(frozen=True)
class Judged:
    """A column before the adjustment for how many columns there are."""

    name: str
    kind: Kind
    evidence: Evidence
    effects: tuple[Effect, ...]
    distances: Mapping[str, float] = field(default_factory=dict)
    importance: float = 1.0
    bounds: Bounds = field(default_factory=dict)
    rows: tuple[int, int] = (0, 0)
    known: int = 0
    """The reference's rows off the usual value, where others are rare."""

    def smallest(self, level: float) -> int | None:
        """No fewer current rows off the usual value, or of a value never seen, have so small a p-value."""
        return smallest_alarm(self.known, self.rows, level) if all(self.rows) else None


@dataclass(frozen=True)
class _Piece:
    evidence: Evidence
    effects: tuple[Effect, ...] = ()
    distances: Mapping[str, float] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=dict)
    known: int = 0


@dataclass(frozen=True)
class _Scales:
    """A column's tolerances, its importance applied, and the normal quantile of its intervals."""

    numeric: float
    categorical: float
    nulls: float
    range: float
    odds: float
    z: float
    tests: tuple[str, ...] = ()
    """By which the column is judged; all where empty."""

    @classmethod
    def of(cls, column: str, policy: Policy) -> "_Scales":
        own = policy.columns.get(column, ColumnPolicy())
        weight = max(policy.weight(column), 0.01)
        return cls(
            (policy.material_numeric if own.tolerance is None else own.tolerance) / weight,
            (policy.material_categorical if own.tolerance is None else own.tolerance) / weight,
            (policy.material_nulls if own.nulls is None else own.nulls) / weight,
            (policy.material_range if own.range is None else own.range) / weight,
            math.log(policy.material_ratio if own.ratio is None else own.ratio) / weight,
            effects.interval(policy.confidence),
            own.tests,
        )


def unfit(first: ColumnProfile | None, second: ColumnProfile | None) -> str:
    """Why a column cannot be compared; empty where it can."""
    if first is None:
        return "not in the reference"
    if second is None:
        return "not in the current data"
    kinds = {first.kind, second.kind}
    if not first.rows or not second.rows:
        return "no rows"
    if "id" in kinds:
        return "an id: it names rows, or what they are about"
    if "other" in kinds:
        return f"values of type {first.type} are not compared"
    if kinds == {"empty"}:
        return "empty on both sides"
    if len(kinds - {"empty"}) > 1:
        return f"was {first.kind} ({first.type}) and is {second.kind} ({second.type})"
    return ""


def judge(first: ColumnProfile, second: ColumnProfile, policy: Policy) -> Judged:
    """The evidence that a column changed, and how much it did."""
    scales = _Scales.of(first.name, policy)
    parts = _parts(first, second)
    pieces = {name: _part(name, first, second, scales) for name in parts if _fits(first.parts[name], scales)}
    if parts and not pieces:
        raise ValueError(f"{', '.join(scales.tests)}: no test of its kind ({first.kind})")
    if not pieces:
        pieces = {"nulls": _nulls_only(first, second)}
    nulls = shares.of_nulls((first.nulls, second.nulls), (first.rows, second.rows), scales.nulls, scales.z)
    main = next((pieces[name] for name in ("values", "length") if name in pieces), _Piece(Evidence(1.0, {})))
    return Judged(
        first.name,
        second.kind if first.kind == "empty" else first.kind,
        _joined({name: piece.evidence for name, piece in pieces.items()}),
        (*(e for name, piece in pieces.items() for e in _told(name, piece.effects)), nulls),
        main.distances,
        policy.weight(first.name),
        main.bounds,
        (first.rows, second.rows),
        main.known if main.evidence.tests else next(iter(pieces.values())).known,
    )


def _parts(first: ColumnProfile, second: ColumnProfile) -> list[str]:
    names = [name for name in first.parts if name in second.parts]
    if first.kind != "datetime":
        return names
    # Later data come later, which is no drift: what is judged is when in the week and the day they fall.
    long = all(c.grid is not None and c.grid.high - c.grid.low > _TWO_WEEKS_S for c in (first, second))
    return [name for name in names if name != "values"] if long else []


def _part(name: str, first: ColumnProfile, second: ColumnProfile, scales: _Scales) -> _Piece:
    a, b = first.parts[name], second.parts[name]
    if isinstance(a, Grid) and isinstance(b, Grid):
        return _numbers(a, b, (first.rows, second.rows), scales)
    assert isinstance(a, Counts)
    assert isinstance(b, Counts)
    rows = (a.rows, b.rows) if name == "language" else (first.rows, second.rows)  # of a sample of the rows
    return _categories(a, b, rows, scales)


def _fits(part: Grid | Counts, scales: _Scales) -> bool:
    """Whether one of the column's own tests is of this kind of values."""
    battery = numeric.BATTERY if isinstance(part, Grid) else categorical.BATTERY
    return bool(battery.only(scales.tests).weights)


def _told(part: str, found: tuple[Effect, ...]) -> tuple[Effect, ...]:
    if part == "values":
        return found
    if part == "word":  # by hash, so that no category has a name
        return tuple(replace(e, name="words", words=f"{e.value:.1%} of rows use other words") for e in found)
    return tuple(
        Effect(f"{part} {e.name}", e.value, e.low, e.high, e.unit, e.tolerance, f"by {part}: {e.words}")
        for e in found
    )


def _joined(pieces: Mapping[str, Evidence]) -> Evidence:
    """Parts are few and may hang together in any way: Bonferroni."""
    plain = ("values", "nulls")
    tests = {
        (t if part in plain else f"{part} {t}"): v for part, e in pieces.items() for t, v in e.tests.items()
    }
    number = len(pieces)
    floor = min(1.0, number * min(e.floor for e in pieces.values()))
    return Evidence(min(1.0, number * min(e.p_value for e in pieces.values())), tests, floor)


def _nulls_only(first: ColumnProfile, second: ColumnProfile) -> _Piece:
    a, b = (np.array([c.rows - c.nulls, c.nulls], np.int64) for c in (first, second))
    return _Piece(significance.weigh(numeric.NULLS, a, b), known=significance.off_usual(a, b))


def _numbers(a: Grid, b: Grid, rows: tuple[int, int], scales: _Scales) -> _Piece:
    a, b = grid.union(a, b)
    ours, theirs = (np.append(g.counts, r - g.rows) for g, r in zip((a, b), rows, strict=True))
    found = significance.weigh(numeric.BATTERY.only(scales.tests), ours, theirs)
    known = significance.off_usual(ours, theirs)
    if not a.rows or not b.rows:
        return _Piece(found, known=known)
    changes = effects.of_numbers(a, b, scales.numeric, scales.range, scales.z)
    changes += [e for e in [effects.of_usual(a, b, scales.odds, scales.z)] if e is not None]
    return _Piece(found, tuple(changes), *_gauges(a, b, scales.z), known)


def _gauges(a: Grid, b: Grid, z: float) -> tuple[Mapping[str, float], Bounds]:
    total = a.counts + b.counts
    middle = (np.cumsum(total) - total / 2) / total.sum()
    starts = np.flatnonzero(np.diff(np.floor(middle * 10).astype(np.int64), prepend=-1))
    ours, theirs = (np.add.reduceat(g.counts, starts) for g in (a, b))
    gap = np.cumsum(a.counts) / a.rows - np.cumsum(b.counts) / b.rows
    filled = total > 0
    values = np.maximum.accumulate((a.sums + b.sums)[filled] / total[filled])
    apart = distances.wasserstein(a.counts[filled], b.counts[filled], values)
    ks = float(np.abs(gap).max())
    told = {**distances.between(ours, theirs), "ks": ks, "wasserstein": apart / (a.sd() or b.sd() or 1.0)}
    return told, {**distances.bounds(ours, theirs, z), "ks": distances.ks_bounds(ks, (a.rows, b.rows), z)}


def _categories(a: Counts, b: Counts, rows: tuple[int, int], scales: _Scales) -> _Piece:
    names, ours, theirs = categories.union(a, b)
    tables = [np.append(c, r - c.sum()) for c, r in zip((ours, theirs), rows, strict=True)]
    found = significance.weigh(categorical.BATTERY.only(scales.tests), *tables)
    known = significance.off_usual(*tables)
    if not ours.sum() or not theirs.sum():
        return _Piece(found, known=known)
    moved = shares.of_categories(names, ours, theirs, a, scales.categorical, scales.z)
    odds = shares.of_odds(names, ours, theirs, scales.odds, scales.z)
    changes = (moved,) if odds is None else (moved, odds)
    told, bounds = distances.between(ours, theirs), distances.bounds(ours, theirs, scales.z)
    return _Piece(found, changes, told, bounds, known)

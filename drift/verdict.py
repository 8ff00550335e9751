"""Two profiles in, one report out: what changed beyond chance, and which of it matters.

A report that compares two samples of one population detects something with probability at most
``Policy.false_alarm_rate``, all columns and all tests together. Assumed: rows are exchangeable between the
two sides. Rows that hang together (a time series, many rows of one person) break this; see
docs/statistics-drift.md for what to do then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drift import categorical, categories, distances, effects, evidence, grid, numeric
from drift.categories import Counts
from drift.evidence import Evidence
from drift.grid import Grid
from drift.policy import ColumnPolicy, Policy
from drift.profiler import profile
from drift.profiles import ColumnProfile, Profile
from drift.report import ColumnVerdict, Effect, Report, TestResult

_QUIET = "no change beyond chance"


@dataclass(frozen=True)
class _Judged:
    """A column before the adjustment for how many columns there are."""

    name: str
    kind: str
    evidence: Evidence
    effects: tuple[Effect, ...]
    distances: Mapping[str, float]
    importance: float


def compare(reference: Profile | Any, current: Profile | Any, policy: Policy | None = None) -> Report:
    """Tell whether the current rows differ from the reference's, in what, by how much, and if it matters.

    Parameters
    ----------
    reference, current
        Profiles, or whatever `drift.profile` takes. A current source is counted on the reference's grid.
    policy
        What counts as an alarm and as material.

    Returns
    -------
    Report
        One bad column never stops it: the column is among ``skipped`` with its reason.
    """
    policy = policy or Policy()
    if not isinstance(reference, Profile):
        reference = profile(reference, ignore=policy.ignore)
    if not isinstance(current, Profile):
        current = profile(current, grid=reference, ignore=policy.ignore)
    judged: list[_Judged] = []
    skipped: list[tuple[str, str]] = []
    for name in dict.fromkeys([*reference.columns, *current.columns]):
        if name in policy.ignore:
            continue
        reason = _unfit(reference.columns.get(name), current.columns.get(name))
        if reason:
            skipped.append((name, reason))
            continue
        try:
            judged.append(_judge(reference.columns[name], current.columns[name], policy))
        except (ArithmeticError, ValueError, IndexError, KeyError, AssertionError) as error:
            skipped.append((name, f"could not be judged: {type(error).__name__}: {error}"))
    return _report(reference, current, judged, skipped, policy)


def _unfit(first: ColumnProfile | None, second: ColumnProfile | None) -> str:
    if first is None:
        return "not in the reference"
    if second is None:
        return "not in the current data"
    if "id" in (first.kind, second.kind):
        return "an id: its values are all different"
    if "other" in (first.kind, second.kind):
        return f"values of type {first.type} are not compared"
    if first.kind == second.kind == "empty":
        return "empty on both sides"
    if first.kind != second.kind and "empty" not in (first.kind, second.kind):
        return f"was {first.kind} ({first.type}) and is {second.kind} ({second.type})"
    if not first.rows or not second.rows:
        return "no rows"
    return ""


def _judge(first: ColumnProfile, second: ColumnProfile, policy: Policy) -> _Judged:
    own = policy.columns.get(first.name, ColumnPolicy())
    z = effects.interval(policy.confidence)
    weight = max(policy.weight(first.name), 0.01)
    null_tolerance = policy.material_nulls if own.nulls is None else own.nulls
    nulls = effects.of_nulls(
        (first.nulls, second.nulls), (first.rows, second.rows), null_tolerance / weight, z
    )
    found, gauges = [nulls], dict[str, float]()
    pieces: dict[str, Evidence] = {}
    kind = second.kind if first.kind == "empty" else first.kind
    parts = _parts(first, second)
    for part, (a, b) in parts.items():
        judge = _numbers if isinstance(a, Grid) else _categories
        piece, changes, gauge = judge(a, b, first, second, part, policy, own, weight, z)  # type: ignore[arg-type] # both of one class
        pieces[part] = piece
        found += changes
        gauges |= gauge if part in ("values", "length") else {}
    if not pieces:
        pieces["nulls"] = _nulls_only(first, second)
    return _Judged(first.name, kind, _joined(pieces), tuple(found), gauges, policy.weight(first.name))


def _parts(first: ColumnProfile, second: ColumnProfile) -> dict[str, tuple[Grid | Counts, Grid | Counts]]:
    names = [n for n in first.parts if n in second.parts]
    if first.kind == "datetime":  # later data come later: only when in the week and the day is judged
        names = [n for n in names if n != "values"] if _whole_weeks(first) and _whole_weeks(second) else []
    return {n: (first.parts[n], second.parts[n]) for n in names}


def _whole_weeks(column: ColumnProfile) -> bool:
    return (
        column.grid is not None and column.grid.rows > 0 and column.grid.high - column.grid.low > 14 * 86_400
    )


def _joined(pieces: Mapping[str, Evidence]) -> Evidence:
    tests = {
        f"{part}: {t}" if part not in ("values", "nulls") else t: v
        for part, e in pieces.items()
        for t, v in e.tests.items()
    }
    return Evidence(min(1.0, len(pieces) * min(e.p_value for e in pieces.values())), tests)


def _nulls_only(first: ColumnProfile, second: ColumnProfile) -> Evidence:
    tables = [np.array([c.rows - c.nulls, c.nulls], np.int64) for c in (first, second)]
    return evidence.weigh(lambda t, b: {"nulls": numeric.nulls(t, b)}, *tables, {"nulls": 1.0})


def _nulls_of(column: ColumnProfile, counted: int) -> int:
    return max(column.rows - counted, 0)


def _numbers(
    a: Grid, b: Grid, first: ColumnProfile, second: ColumnProfile, part: str, policy: Policy, own: ColumnPolicy, weight: float, z: float
) -> tuple[Evidence, list[Effect], Mapping[str, float]]:  # fmt: skip
    a, b = grid.union(a, b)
    tables = [np.append(g.counts, _nulls_of(c, g.rows)) for g, c in ((a, first), (b, second))]
    piece = evidence.weigh(numeric.evaluate, *tables, numeric.WEIGHTS)
    if not a.rows or not b.rows:
        return piece, [], {}
    tolerance = policy.material_numeric if own.tolerance is None else own.tolerance
    beyond = policy.material_range if own.range is None else own.range
    changes = effects.of_numbers(a, b, tolerance / weight, beyond / weight, z)
    return piece, changes, _gauges(a, b)


def _gauges(a: Grid, b: Grid) -> Mapping[str, float]:
    total = a.counts + b.counts
    middle = (np.cumsum(total) - total / 2) / total.sum()
    starts = np.flatnonzero(np.diff(np.floor(middle * 10).astype(np.int64), prepend=-1))
    tenths = [np.add.reduceat(g.counts, starts) for g in (a, b)]
    gap = np.cumsum(a.counts) / a.rows - np.cumsum(b.counts) / b.rows
    sd = a.sd() or 1.0
    filled = total > 0
    values = np.maximum.accumulate(((a.sums + b.sums)[filled]) / total[filled])
    apart = distances.wasserstein(a.counts[filled], b.counts[filled], values) / sd
    return {**distances.between(*tenths), "ks": float(np.abs(gap).max()), "wasserstein": apart}


def _categories(
    a: Counts, b: Counts, first: ColumnProfile, second: ColumnProfile, part: str, policy: Policy, own: ColumnPolicy, weight: float, z: float
) -> tuple[Evidence, list[Effect], Mapping[str, float]]:  # fmt: skip
    names, ours, theirs = categories.union(a, b)
    tables = [np.append(rows, _nulls_of(c, int(rows.sum()))) for rows, c in ((ours, first), (theirs, second))]
    piece = evidence.weigh(categorical.evaluate, *tables, categorical.WEIGHTS)
    if not ours.sum() or not theirs.sum():
        return piece, [], {}
    tolerance = policy.material_categorical if own.tolerance is None else own.tolerance
    change = effects.of_categories(names, ours, theirs, a, tolerance / weight, z)
    return piece, [change], distances.between(ours, theirs)


def _report(
    reference: Profile,
    current: Profile,
    judged: list[_Judged],
    skipped: list[tuple[str, str]],
    policy: Policy,
) -> Report:
    p_values = evidence.adjusted([j.evidence.p_value for j in judged])
    columns = [_verdict(j, float(p), policy) for j, p in zip(judged, p_values, strict=True)]
    columns.sort(key=lambda c: (not c.material, not c.detected, -_relative(c.effect) if c.detected else 0.0, c.p_value, c.name))  # fmt: skip
    return Report(
        detected=any(c.detected for c in columns),
        material=any(c.material for c in columns),
        rows_reference=reference.rows,
        rows_current=current.rows,
        false_alarm_rate=policy.false_alarm_rate,
        columns=tuple(columns),
        skipped=tuple(skipped),
        headline=_headline(columns, current.rows),
    )


def _relative(effect: Effect) -> float:
    return effect.size / max(effect.tolerance, 1e-9)


def _leading(effects_: Sequence[Effect]) -> Effect:
    """The effect to tell first: a material shift, else what is furthest beyond its tolerance."""
    shift = next((e for e in effects_ if e.name in ("shift", "moved") and e.material), None)
    if shift is not None:
        return shift
    plain = [e for e in effects_ if e.name != "distance"]
    worded = [e for e in plain if e.material] or [e for e in effects_ if e.material]
    return max(worded or plain, key=lambda e: (_relative(e), abs(e.value) / max(e.tolerance, 1e-9)))


def _verdict(judged: _Judged, p_value: float, policy: Policy) -> ColumnVerdict:
    effect = _leading(judged.effects)
    detected = p_value <= policy.false_alarm_rate
    material = detected and judged.importance > 0 and any(e.material for e in judged.effects)
    words = _QUIET
    if detected:
        words = f"{judged.name} {effect.words}; tolerance {effect.tolerance:.3g}"
        others = [e.words for e in judged.effects if e.material and e is not effect and e.name != "distance"]
        words = "; ".join([words, *others[:2]])
    return ColumnVerdict(
        name=judged.name,
        kind=judged.kind,
        detected=detected,
        material=material,
        p_value=p_value,
        effect=effect,
        tests=tuple(TestResult(name, *values) for name, values in judged.evidence.tests.items()),
        distances=dict(judged.distances),
        words=words,
        effects=judged.effects,
        importance=judged.importance,
    )


def _headline(columns: list[ColumnVerdict], rows: int) -> str:
    material = [c.name for c in columns if c.material]
    detected = [c.name for c in columns if c.detected and not c.material]
    if material:
        return f"material drift in {_listed(material)}: {columns[0].words}"
    if detected:
        return f"{_listed(detected)} changed, but within the tolerances"
    return f"no drift: {rows} rows in {len(columns)} columns look like the reference"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more columns"

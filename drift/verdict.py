"""Two profiles in, one report out: what changed beyond chance, and which of it matters.

A report that compares two samples of one population detects something with probability at most
``Policy.false_alarm_rate``, all columns and all tests together. Assumed: rows are exchangeable between the
two sides. Rows that hang together (a time series, many rows of one person) break this; see
docs/statistics-drift.md for what to do then.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import dependence, findings, significance, vectors
from .combination import harmonic
from .effects import interval
from .judge import Judged, judge, unfit
from .policy import Policy
from .profiler import profile
from .profiles import Profile, stored
from .report import ColumnVerdict, Effect, Report, TestResult

DEPENDENCE = "dependence between columns"
"""The name under which a report tells how columns hang together."""

_QUIET = "no change beyond chance"
_UNJUDGED = "cannot be judged at these sizes"


def compare(
    reference: Profile | Any,
    current: Profile | Any,
    policy: Policy | None = None,
    *,
    ignore: Collection[str] = (),
) -> Report:
    """Tell whether the current rows differ from the reference's, in what, by how much, and if it matters.

    Parameters
    ----------
    reference, current
        Profiles, files that hold a stored one, or whatever `drift.profile` takes. A current source is counted
        on the reference's grid, by its segments.
    policy
        What counts as an alarm and as material.
    ignore
        Columns to leave out, beside those of the policy.

    Returns
    -------
    Report
        One bad column never stops it: the column is among ``skipped`` with its reason.
    """
    policy = policy or Policy()
    policy = replace(policy, ignore=tuple(dict.fromkeys([*policy.ignore, *ignore])))
    if not isinstance(reference, Profile):
        reference = _stored(reference) or profile(reference, ignore=policy.ignore)
    if not isinstance(current, Profile):
        current = _stored(current) or profile(current, grid=reference, ignore=policy.ignore)
    there = [name for name in reference.segments if name in current.segments]
    both = [n for n in there if _fewest(reference, current, n) >= policy.segment_rows]
    pairs = [(reference, current), *((reference.segments[n], current.segments[n]) for n in both)]
    judged = [_judged(*pair, policy) for pair in pairs]
    outcomes = iter(_family([j.evidence for one in judged for j in one.columns], policy.false_alarm_rate))
    reports = [_report(pair, one, outcomes, policy) for pair, one in zip(pairs, judged, strict=True)]
    whole = replace(reports[0], findings=findings.of(reference, current, reports[0].columns, policy.ignore))
    whole = replace(whole, headline=findings.headline(whole))
    if not reference.by or not current.by:
        return whole
    small = tuple(name for name in there if name not in both)
    segments = dict(zip(both, reports[1:], strict=True))
    return replace(_with_segments(whole, segments, reference, current), small=small)


def _fewest(reference: Profile, current: Profile, segment: str) -> int:
    return min(side.segments[segment].rows for side in (reference, current))


@dataclass(frozen=True)
class _Outcome:
    """One part of the family: its adjusted p-value, and the level at which it would have been detected alone."""

    p_value: float
    level: float
    judgeable: bool


def _family(found: Sequence[significance.Evidence], rate: float) -> list[_Outcome]:
    floors = np.array([e.floor for e in found])
    able = significance.testable(floors, rate)
    level = rate / max(int(able.sum()), 1)
    p_values = significance.adjusted([e.p_value for e in found], floors, rate)
    return [_Outcome(float(p), level, bool(a)) for p, a in zip(p_values, able, strict=True)]


def _stored(source: Any) -> Profile | None:
    return stored(source) if isinstance(source, str | os.PathLike) else None


@dataclass(frozen=True)
class _Judged:
    columns: list[Judged]
    skipped: list[tuple[str, str]]


def _judged(reference: Profile, current: Profile, policy: Policy) -> _Judged:
    judged: list[Judged] = []
    skipped: list[tuple[str, str]] = []
    together = {name for vector in policy.vectors.values() for name in vector}
    for name in dict.fromkeys([*reference.columns, *current.columns]):
        if name in policy.ignore or name in reference.ignored or name in together:
            continue
        reason = unfit(reference.columns.get(name), current.columns.get(name))
        if reason:
            if name in current.columns:  # a missing one is a finding
                skipped.append((name, reason))
            continue
        try:
            judged.append(judge(reference.columns[name], current.columns[name], policy))
        except (ArithmeticError, ValueError, LookupError, AssertionError) as error:
            skipped.append((name, f"could not be judged: {type(error).__name__}: {error}"))
    judged += _dependence(reference, current, judged, policy)
    for name, columns in policy.vectors.items():
        found = vectors.judge(name, columns, (reference.sample, current.sample), policy)
        if isinstance(found, Judged):
            judged.append(found)
        else:
            skipped.append((name, found))
    return _Judged(judged, skipped)


def _dependence(
    reference: Profile, current: Profile, judged: Sequence[Judged], policy: Policy
) -> list[Judged]:
    level = policy.false_alarm_rate / max(len(judged), 1)
    moved = {j.name for j in judged if j.evidence.p_value <= level}
    known = {j.name for j in judged}
    ours, theirs = ({n: v for n, v in p.sample.items() if n in known} for p in (reference, current))
    z = interval(policy.confidence)
    pair, tests = dependence.of(ours, theirs, moved, z)
    if not tests:
        return []
    p_values = {name: np.array([p]) for name, (_, p) in tests.items()}
    joint = float(harmonic(p_values, dependence.WEIGHTS)[0])
    words = "values come together in another way, and no pair of columns says how"
    effect = Effect("joint", 0.0, 0.0, 0.0, "rank correlation", policy.material_dependence, words)
    if pair is not None:
        words = f"rank correlation of {pair.first} and {pair.second} went from {pair.before:.2f} to {pair.after:.2f}"
        change = pair.after - pair.before
        effect = Effect("correlation", change, pair.low, pair.high, effect.unit, effect.tolerance, words)
    return [Judged(DEPENDENCE, "dependence", significance.Evidence(joint, tests), (effect,))]


def _report(
    sides: tuple[Profile, Profile], judged: _Judged, outcomes: Iterator[_Outcome], policy: Policy
) -> Report:
    """The report of the whole or of a segment; takes as many outcomes as it has columns."""
    columns = [_verdict(j, next(outcomes), policy) for j in judged.columns]
    columns.sort(key=_worst_first)
    return Report(
        detected=any(c.detected for c in columns),
        material=any(c.material for c in columns),
        rows_reference=sides[0].rows,
        rows_current=sides[1].rows,
        false_alarm_rate=policy.false_alarm_rate,
        columns=tuple(columns),
        skipped=tuple(judged.skipped),
        headline=findings.drifted(columns, sides[1].rows),
    )


def _with_segments(
    whole: Report, segments: Mapping[str, Report], reference: Profile, current: Profile
) -> Report:
    notes = [f"{n} is new" for n in current.segments if n not in reference.segments]
    notes += [f"{n} is gone" for n in reference.segments if n not in current.segments]
    headline = whole.headline
    moved = [n for n, r in segments.items() if r.material] or [n for n, r in segments.items() if r.detected]
    if moved and not whole.material:
        headline = f"{headline}; in {findings.listed(moved, 'segments')}: {segments[moved[0]].headline}"
    return replace(
        whole,
        detected=whole.detected or any(r.detected for r in segments.values()),
        material=whole.material or any(r.material for r in segments.values()),
        headline=headline,
        notes=tuple(notes),
        segments=segments,
    )


def _worst_first(column: ColumnVerdict) -> tuple[bool, bool, float, float, str]:
    size = -_relative(column.effect) if column.detected else 0.0
    return (not column.material, not column.detected, size, column.p_value, column.name)


def _relative(effect: Effect) -> float:
    return effect.size / max(effect.tolerance, 1e-9)


def _leading(effects: Sequence[Effect]) -> Effect:
    """The effect to tell first: a material shift, else what is furthest beyond its tolerance."""
    shift = next((e for e in effects if e.name in ("shift", "moved") and e.material), None)
    if shift is not None:
        return shift
    plain = [e for e in effects if not e.name.endswith("distance")]
    told = [e for e in plain if e.material] or [e for e in effects if e.material] or plain
    return max(told, key=lambda e: (_relative(e), abs(e.value) / max(e.tolerance, 1e-9)))


def _verdict(judged: Judged, outcome: _Outcome, policy: Policy) -> ColumnVerdict:
    effect = _leading(judged.effects)
    detected = outcome.judgeable and outcome.p_value <= policy.false_alarm_rate
    smallest = judged.smallest(outcome.level)
    return ColumnVerdict(
        name=judged.name,
        kind=judged.kind,
        detected=detected,
        material=detected and judged.importance > 0 and any(e.material for e in judged.effects),
        p_value=outcome.p_value,
        effect=effect,
        tests=tuple(TestResult(name, *values) for name, values in judged.evidence.tests.items()),
        distances=dict(judged.distances),
        words=_words(judged, effect) if detected else _quiet(judged, outcome, smallest),
        effects=judged.effects,
        importance=judged.importance,
        bounds=dict(judged.bounds),
        smallest=smallest,
        judgeable=outcome.judgeable,
    )


def _quiet(judged: Judged, outcome: _Outcome, smallest: int | None) -> str:
    if not outcome.judgeable or (judged.known and smallest is None):
        return _UNJUDGED
    if judged.known:
        return f"{_QUIET}; no fewer than {smallest} rows off the usual value could alarm"
    return _QUIET


def _words(judged: Judged, leading: Effect) -> str:
    others = [
        e for e in judged.effects if e.material and e is not leading and not e.name.endswith("distance")
    ]
    name = "" if judged.kind == "dependence" else f"{judged.name} "
    first = f"{name}{leading.words}; tolerance {leading.tolerance:.3g}"
    return "; ".join([first, *(e.words for e in others[:2])])

"""A challenger passes only when it is shown not to be worse than the champion by more than the margin.

Both models predicted the same holdout rows, which neither has seen. "Shown" means a one-sided confidence
bound at `confidence`: with 0.95 at most one challenger in twenty that is worse by more than the margin
passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.release.gate.holdout import (
    LEAST_ROWS,
    GateEvidence,
    GatePolicy,
    GateVerdict,
    Interval,
    Outcome,
    SlicePolicy,
    SliceVerdict,
    unusable,
)
from shared.stats.calibration import judge_calibration
from shared.stats.metrics import METRICS, Metric, class_name

if TYPE_CHECKING:
    from shared.stats.intervals import Bounds, Sample

__all__ = [
    "GateEvidence",
    "GatePolicy",
    "GateVerdict",
    "Interval",
    "Outcome",
    "SlicePolicy",
    "SliceVerdict",
    "judge_gate",
]

Finding = tuple[Outcome, str, int | None]
"""One check: its outcome, why, and how many rows would settle it where it is inconclusive."""


def judge_gate(evidence: GateEvidence, policy: GatePolicy, metric: Metric | None = None) -> GateVerdict:
    """Judge a challenger. `metric` is given only for one that METRICS does not know (a user's own).

    Fails when one check fails, passes when all pass, is inconclusive otherwise. As all have to pass, no check
    needs a correction for the others' sake: a challenger for which any single one should not pass gets
    through at most as often as that one errs.
    """
    chosen = metric or METRICS[policy.metric]
    rows = len(evidence.y_true)
    fault = unusable(evidence, chosen)
    if fault:
        return GateVerdict(fault[0], (fault[1],), chosen.name, rows)
    if rows < (1 if chosen.name == "accuracy" else LEAST_ROWS):
        words = f"{rows} holdout rows are too few to judge {chosen.name}; it takes {LEAST_ROWS} at least"
        return GateVerdict(Outcome.INCONCLUSIVE, (words,), chosen.name, rows, rows_needed=LEAST_ROWS)
    judged = _Rows(chosen, policy, evidence.y_true, evidence.challenger, evidence.champion)
    challenger = judged.bounds(0)
    champion = None if evidence.champion is None else judged.bounds(1)
    difference = None if evidence.champion is None else judged.bounds(None)
    findings = [] if difference is None else [_against_champion(judged, difference)]
    if policy.floor is not None:
        findings.append(_against_floor(judged, challenger, policy.floor))
    slices, slice_findings = _judge_slices(evidence, policy, chosen)
    findings += slice_findings
    if chosen.task == "classification":
        findings += judge_calibration(
            evidence.y_true, evidence.challenger, evidence.stated, policy.calibration, policy.confidence
        )
    if not findings:
        findings = [(Outcome.PASS, "first model and no floor is set: compared with nothing", None)]
    outcome = _worst(finding[0] for finding in findings)
    needed = [finding[2] for finding in findings if finding[0] is Outcome.INCONCLUSIVE]
    return GateVerdict(
        outcome,
        tuple(words for _, words, _ in sorted(findings, key=lambda finding: _SEVERITY[finding[0]])),
        chosen.name,
        rows,
        None if champion is None else _interval(champion),
        _interval(challenger),
        None if difference is None else _interval(difference),
        slices,
        _worst_slice(slices, chosen),
        None if outcome is not Outcome.INCONCLUSIVE or None in needed else max(n for n in needed if n),
    )


_SEVERITY = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}


def _worst(outcomes: Iterable[Outcome]) -> Outcome:
    return min(outcomes, key=_SEVERITY.__getitem__)


@dataclass(frozen=True)
class _Rows:
    """The rows of one question (all, or a slice), with what it takes to compute bounds on them."""

    metric: Metric
    policy: GatePolicy
    y_true: Sequence[object]
    challenger: Sequence[object]
    champion: Sequence[object] | None

    def sample(self) -> Sample | None:
        """None for a user's own metric, which knows no weights."""
        from shared.stats.intervals import is_known, sample_of

        predictions = [self.challenger] if self.champion is None else [self.challenger, self.champion]
        return sample_of(self.metric, self.y_true, *predictions) if is_known(self.metric) else None

    def bounds(self, model: int | None, factor: float = 1.0) -> Bounds:
        """Of one model (0: challenger, 1: champion) or the difference; as if on `factor` times the rows."""
        from shared.stats.intervals import bounds, custom_bounds

        sample, level = self.sample(), self.policy.confidence
        if sample is None:
            both = [self.challenger, *([] if self.champion is None else [self.champion])]
            chosen = both if model is None else [both[model]]
            return custom_bounds(self.metric, self.y_true, chosen, level, self.policy.seed)
        chosen_sample = sample if model is None else sample.of(model)
        resamples = self.policy.resamples if factor == 1 else min(1000, self.policy.resamples)
        return bounds(chosen_sample.times(factor), level, resamples, self.policy.seed)

    def rows_needed(self, settles: Callable[[Bounds], bool], model: int | None) -> int | None:
        from shared.stats.intervals import rows_until

        if self.sample() is None:
            return None
        return rows_until(lambda factor: settles(self.bounds(model, factor)), len(self.y_true))


def _interval(found: Bounds) -> Interval:
    return Interval(
        *(bound if math.isfinite(bound) else None for bound in (found.value, found.low, found.high))
    )


def _against_champion(rows: _Rows, difference: Bounds) -> Finding:
    """H0 of a pass: worse by more than the margin (superiority: not better). Of a fail: the opposite."""
    policy = rows.policy
    pass_above = 0.0 if policy.superiority else -policy.margin
    fail_below = policy.margin if policy.superiority else -policy.margin
    wanted = "better than" if policy.superiority else f"not worse by more than {policy.margin:g} than"
    seen = (
        f"{rows.metric.name} on {len(rows.y_true)} rows: the challenger is {abs(difference.value):.4f} "
        f"{'worse' if difference.value < 0 else 'better'} than the champion "
        f"({difference.low:+.4f} to {difference.high:+.4f})"
    )
    if difference.low > pass_above:
        return Outcome.PASS, f"{seen}, shown to be {wanted} it", None
    if difference.high < fail_below:
        shown = (
            "not to be better by the margin" if policy.superiority else "to be worse by more than the margin"
        )
        return Outcome.FAIL, f"{seen}, shown {shown}", None
    needed = rows.rows_needed(lambda found: found.low > pass_above or found.high < fail_below, None)
    return Outcome.INCONCLUSIVE, f"{seen}, not shown to be {wanted} it{_more(needed)}", needed


def _more(needed: int | None) -> str:
    if needed is None:
        return "; no realistic number of rows would settle it"
    return f"; about {needed:,} such rows would settle it"


def _against_floor(rows: _Rows, found: Bounds, floor: float) -> Finding:
    sign, metric = rows.metric.sign, rows.metric.name
    word = "floor" if sign > 0 else "ceiling"
    seen = f"{metric} of the challenger is {found.value:.4f} ({found.low:.4f} to {found.high:.4f})"
    if (found.low if sign > 0 else -found.high) >= sign * floor:
        return Outcome.PASS, f"{seen}, shown to keep the {word} {floor:g}", None
    if (found.high if sign > 0 else -found.low) < sign * floor:
        return Outcome.FAIL, f"{seen}, shown to miss the {word} {floor:g}", None
    needed = rows.rows_needed(lambda now: now.low >= floor or now.high <= floor, 0)
    return Outcome.INCONCLUSIVE, f"{seen}, not shown to keep the {word} {floor:g}{_more(needed)}", needed


def _judge_slices(
    evidence: GateEvidence, policy: GatePolicy, metric: Metric
) -> tuple[tuple[SliceVerdict, ...], list[Finding]]:
    """A slice fails when it is shown to miss the floor, corrected for how many are judged (Bonferroni).

    It passes when its value keeps the floor; one below it that may be chance is inconclusive. Slices are few
    rows: to show each of them to keep its floor would take more rows than most loops have.
    """
    if policy.slices is None:
        return (), []
    groups: dict[tuple[str, str], list[int]] = {}
    findings: list[Finding] = []
    for column in policy.slices.by:
        values = evidence.slices.get(column)
        if values is None or len(values) != len(evidence.y_true):
            findings.append((Outcome.INCONCLUSIVE, f"the holdout has no column {column!r} to slice by", None))
            continue
        for row, value in enumerate(values):
            groups.setdefault((column, class_name(value)), []).append(row)
    judged = max(1, sum(len(rows) >= policy.slices.min_rows for rows in groups.values()))
    verdicts = []
    for (column, name), rows in sorted(groups.items()):
        verdict, finding = _judge_slice(evidence, policy, metric, column, name, rows, judged)
        verdicts.append(verdict)
        findings += [finding] if finding else []
    return tuple(verdicts), findings


def _judge_slice(
    evidence: GateEvidence,
    policy: GatePolicy,
    metric: Metric,
    column: str,
    name: str,
    at: Sequence[int],
    judged: int,
) -> tuple[SliceVerdict, Finding | None]:
    assert policy.slices is not None
    floor, sign = policy.slices.floor, metric.sign
    rows = _Rows(
        metric,
        replace(policy, confidence=1 - (1 - policy.confidence) / judged),
        [evidence.y_true[row] for row in at],
        [evidence.challenger[row] for row in at],
        None,
    )
    found = rows.bounds(0)
    if len(at) < policy.slices.min_rows:
        return SliceVerdict(column, name, len(at), _interval(found), None), None
    seen = f"slice {column}={name}: {metric.name} {found.value:.4f} on {len(at)} rows, floor {floor:g}"
    if sign * found.value >= sign * floor:
        finding: Finding = (Outcome.PASS, seen, None)
    elif (found.high if sign > 0 else -found.low) < sign * floor:
        finding = (Outcome.FAIL, f"{seen}: shown to miss it", None)
    else:
        needed = rows.rows_needed(lambda now: (now.high if sign > 0 else -now.low) < sign * floor, 0)
        rows_in_all = None if needed is None else math.ceil(needed * len(evidence.y_true) / len(at))
        words = f"{seen}: below it, which may be chance{_more(rows_in_all)}"
        finding = (Outcome.INCONCLUSIVE, words, rows_in_all)
    return SliceVerdict(column, name, len(at), _interval(found), finding[0]), finding


def _worst_slice(slices: Sequence[SliceVerdict], metric: Metric) -> str | None:
    judged = [one for one in slices if one.outcome is not None and one.interval.value is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda one: metric.sign * (one.interval.value or 0.0))
    return f"{worst.column}={worst.name}"

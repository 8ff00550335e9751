"""A challenger passes only when it is shown not to be worse than the champion by more than the margin.

Both models predicted the same holdout rows, which neither has seen. "Shown" means a one-sided confidence
bound at `confidence`: with 0.95 at most one challenger in twenty that is worse by more than the margin
passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Fact, reason
from shared.domain.release import Outcome
from shared.gate.calibration import judge_calibration
from shared.gate.gate_record import (
    ALL_ROWS,
    Finding,
    GateEvidence,
    GatePolicy,
    GateRecord,
    GateVerdict,
    Interval,
    OwnFound,
    ParityPolicy,
    SlicePolicy,
    SliceVerdict,
    least_rows,
    own_fault,
    slice_confidence,
    slice_groups,
    slice_name,
    thin_class,
    unscored,
    unusable,
    without_cost,
)
from shared.gate.own_checks import judge_functions
from shared.gate.parity import judge_parity
from shared.stats.metrics import Metric, class_name, metric_of, row_costs

if TYPE_CHECKING:
    from shared.stats.bounds import Bounds
    from shared.stats.intervals import Sample

__all__ = [
    "GateEvidence",
    "GatePolicy",
    "GateRecord",
    "GateVerdict",
    "Interval",
    "Outcome",
    "ParityPolicy",
    "SlicePolicy",
    "SliceVerdict",
    "judge_gate",
]


def judge_gate(evidence: GateEvidence, policy: GatePolicy) -> GateVerdict:
    """Judge a challenger.

    Fails when one check fails, passes when all pass, is inconclusive otherwise. As all have to pass, no check
    needs a correction for the others' sake: a challenger for which any single one should not pass gets
    through at most as often as that one errs.
    """
    chosen = metric_of(policy.metric, policy.costs, policy.own)
    rows = len(evidence.y_true)
    fault = unusable(evidence, chosen)
    if fault is None and chosen.of_probabilities:
        fault = unscored(evidence, chosen, policy.positive)
    if fault is None and chosen.costs:
        fault = without_cost(evidence, chosen)
    if fault is None and policy.own:
        fault = own_fault(evidence)
    if fault:
        return GateVerdict(fault[0], (fault[1],), chosen.name, rows)
    if rows < (least := least_rows(chosen)):
        few = reason(Code.GATE_TOO_FEW_ROWS, rows=rows, metric=chosen.name, least=least)
        return GateVerdict(Outcome.INCONCLUSIVE, (few,), chosen.name, rows, rows_needed=least)
    judged = _rows(evidence, policy, chosen)
    challenger = judged.bounds(0)
    champion = None if evidence.champion is None else judged.bounds(1)
    difference = None if evidence.champion is None else judged.bounds(None)
    slices, of_slices = _judge_slices(evidence, judged)
    findings = [*_findings(evidence, judged, challenger, difference), *of_slices]
    findings += judge_functions(evidence, policy)
    if policy.parity is not None:
        findings += judge_parity(evidence, policy.parity, policy.confidence)
    if chosen.task == "classification":
        findings += judge_calibration(
            evidence.y_true, evidence.challenger, evidence.stated, policy.calibration, policy.confidence
        )
    findings = findings or [(Outcome.PASS, reason(Code.GATE_FIRST_MODEL), None)]
    outcome = _worst(finding[0] for finding in findings)
    needed = [finding[2] for finding in findings if finding[0] is Outcome.INCONCLUSIVE]
    return GateVerdict(
        outcome,
        tuple(why for _, why, _ in sorted(findings, key=lambda finding: _SEVERITY[finding[0]])),
        chosen.name,
        rows,
        None if champion is None else _interval(champion),
        _interval(challenger),
        None if difference is None else _interval(difference),
        slices,
        _worst_slice(slices, chosen),
        None if outcome is not Outcome.INCONCLUSIVE or None in needed else max(n for n in needed if n),
    )


def _findings(
    evidence: GateEvidence, rows: _Rows, challenger: Bounds, difference: Bounds | None
) -> list[Finding]:
    """On all rows: against the champion and the floor, and whether a class is too rare for either."""
    found = [] if difference is None else [_against_champion(rows, difference)]
    if rows.policy.floor is not None:
        found.append(_against_floor(rows, challenger, rows.policy.floor))
    thin = thin_class(evidence, rows.metric, rows.policy.positive) if found else None
    return [*found, (Outcome.INCONCLUSIVE, *thin)] if thin else found


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
    given: OwnFound | None = None
    """Of a function of the loop's own: what was found of these rows where it was run."""

    def defined(self, at: Sequence[int]) -> bool:
        """Whether the metric says anything of these rows: a ranking needs some of each side."""
        return not self.metric.ranks or len({self.y_true[row] for row in at}) == 2

    def some(self, at: Sequence[int], confidence: float, given: OwnFound | None) -> _Rows:
        """Some of the rows, of which a function of the loop's own found this."""
        sides = (self.y_true, self.challenger, self.champion)
        y_true, answers, before = ([side[row] for row in at] if side is not None else None for side in sides)
        assert y_true is not None and answers is not None
        return _Rows(self.metric, replace(self.policy, confidence=confidence), y_true, answers, before, given)

    @cached_property
    def sample(self) -> Sample:
        from shared.stats.intervals import sample_of

        predictions = [self.challenger] if self.champion is None else [self.challenger, self.champion]
        return sample_of(self.metric, self.y_true, *predictions)

    def bounds(self, model: int | None, factor: float = 1.0) -> Bounds:
        """Of one model (0: challenger, 1: champion) or the difference; as if on `factor` times the rows."""
        from shared.stats.intervals import bounds

        if self.metric.given:
            return _given(self.given, model)
        chosen = self.sample if model is None else self.sample.of(model)
        resamples = self.policy.resamples if factor == 1 else min(1000, self.policy.resamples)
        return bounds(chosen.times(factor), self.policy.confidence, resamples, self.policy.seed)

    def rows_needed(self, settles: Callable[[Bounds], bool], model: int | None) -> int | None:
        from shared.stats.intervals import rows_until

        if self.metric.given:
            return None
        return rows_until(lambda factor: settles(self.bounds(model, factor)), len(self.y_true))


def _given(found: OwnFound | None, model: int | None) -> Bounds:
    from shared.stats.bounds import Bounds

    each = (found.challenger, found.champion, found.difference) if found else (None, None, None)
    one = each[2 if model is None else model]
    ends = (one.value, one.low, one.high) if one else (None, None, None)
    return Bounds(*(math.nan if end is None else end for end in ends))


def _rows(evidence: GateEvidence, policy: GatePolicy, metric: Metric) -> _Rows:
    """Answers; of a metric of probabilities what was stated, and whether a row is of the positive class; or costs, or
    what a function of the loop's own answered."""
    if policy.own and evidence.own and metric.span:
        now, was = (*evidence.own.rows, None)[:2]
        return _Rows(metric, policy, evidence.y_true, now or (), was)
    if metric.given:
        found = evidence.own.found.get(ALL_ROWS) if evidence.own else None
        return _Rows(metric, policy, evidence.y_true, evidence.challenger, evidence.champion, found)
    if metric.costs:
        paid, before = (
            None if answers is None else row_costs(metric.costs, evidence.y_true, answers)
            for answers in (evidence.challenger, evidence.champion)
        )
        return _Rows(metric, policy, evidence.y_true, paid or (), before)
    if not metric.of_probabilities:
        return _Rows(metric, policy, evidence.y_true, evidence.challenger, evidence.champion)
    positive = [class_name(value) == policy.positive for value in evidence.y_true]
    champion = None if evidence.champion is None else evidence.champion_scores
    return _Rows(metric, policy, positive, evidence.scores, champion)


def _interval(found: Bounds) -> Interval:
    return Interval(
        *(float(bound) if math.isfinite(bound) else None for bound in (found.value, found.low, found.high))
    )


def _facts(found: Bounds) -> dict[str, Fact]:
    interval = _interval(found)
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _against_champion(rows: _Rows, difference: Bounds) -> Finding:
    """H0 of a pass: worse by more than the margin (superiority: not better). Of a fail: the opposite."""
    policy, needed = rows.policy, None
    pass_above = 0.0 if policy.superiority else -policy.margin
    fail_below = policy.margin if policy.superiority else -policy.margin
    outcome = Outcome.INCONCLUSIVE
    if difference.low > pass_above:
        outcome = Outcome.PASS
    elif difference.high < fail_below:
        outcome = Outcome.FAIL
    else:
        needed = rows.rows_needed(lambda found: found.low > pass_above or found.high < fail_below, None)
    why = reason(
        Code.GATE_DIFFERENCE,
        metric=rows.metric.name,
        rows=len(rows.y_true),
        **_facts(difference),
        margin=policy.margin,
        superiority=policy.superiority,
        outcome=outcome.value,
        rows_needed=needed,
    )
    return outcome, why, needed


def _against_floor(rows: _Rows, found: Bounds, floor: float) -> Finding:
    sign, outcome, needed = rows.metric.sign, Outcome.INCONCLUSIVE, None
    if (found.low if sign > 0 else -found.high) >= sign * floor:
        outcome = Outcome.PASS
    elif (found.high if sign > 0 else -found.low) < sign * floor:
        outcome = Outcome.FAIL
    else:
        needed = rows.rows_needed(lambda now: now.low >= floor or now.high <= floor, 0)
    why = reason(
        Code.GATE_FLOOR,
        metric=rows.metric.name,
        **_facts(found),
        floor=floor,
        ceiling=sign < 0,
        outcome=outcome.value,
        rows_needed=needed,
    )
    return outcome, why, needed


def _judge_slices(evidence: GateEvidence, judged: _Rows) -> tuple[tuple[SliceVerdict, ...], list[Finding]]:
    """A slice fails when it is shown to miss the floor, corrected for how many are judged (Bonferroni).

    It passes when its value keeps the floor; one below it that may be chance is inconclusive. Slices are few
    rows: to show each of them to keep its floor would take more rows than most loops have.
    """
    policy = judged.policy.slices
    if policy is None:
        return (), []
    findings: list[Finding] = []
    whole = []
    for column in policy.by:
        values = evidence.slices.get(column)
        if values is None or len(values) != len(evidence.y_true):
            findings.append((Outcome.INCONCLUSIVE, reason(Code.GATE_SLICE_COLUMN, column=column), None))
            continue
        whole.append(column)
    found = evidence.own.found if evidence.own else {}
    groups = slice_groups(evidence.slices, whole)
    large = {
        where: at
        for where, at in groups.items()
        if len(at) >= policy.min_rows
        and (slice_name(*where) in found if judged.metric.given else judged.defined(at))
    }
    level = slice_confidence(judged.policy, len(large), champion=judged.champion is not None)
    verdicts = []
    for where, at in sorted(groups.items()):
        part = judged.some(at, level, found.get(slice_name(*where)))
        verdict, finding = _judge_slice(part, policy, where, len(judged.y_true), judge=where in large)
        verdicts.append(verdict)
        findings += [finding] if finding else []
    if policy.margin is not None and judged.champion is not None and large:
        parts = {
            slice_name(*where): judged.some(at, level, found.get(slice_name(*where)))
            for where, at in large.items()
        }
        findings += _beside_champion(parts, policy.margin)
    return tuple(verdicts), findings


def _beside_champion(slices: Mapping[str, _Rows], margin: float) -> list[Finding]:
    """Each slice in which the challenger is shown to be worse by more than the margin; else the one that comes nearest.

    H0 in each slice: not worse by more than the margin. Bonferroni over the slices, for this question and the floor.
    """
    found: list[tuple[float, Finding]] = []
    for name, rows in sorted(slices.items()):
        seen = rows.bounds(None)
        if not math.isfinite(seen.value):
            continue
        outcome = Outcome.FAIL if seen.high < -margin else Outcome.PASS
        facts = {**_facts(seen), "rows": len(rows.y_true), "margin": margin, "outcome": outcome.value}
        why = reason(Code.GATE_SLICE_DIFFERENCE, slice=name, metric=rows.metric.name, **facts)
        found.append((seen.value, (outcome, why, None)))
    worst = [finding for _, finding in sorted(found, key=lambda one: one[0])]
    return [one for one in worst if one[0] is Outcome.FAIL] or worst[:1]


def _judge_slice(
    part: _Rows, policy: SlicePolicy, where: tuple[str, str], of_all: int, *, judge: bool
) -> tuple[SliceVerdict, Finding | None]:
    """`of_all`: how many rows there are besides the slice's; without `judge` it is listed only."""
    floor, metric, sign = policy.floor, part.metric, part.metric.sign
    rows, size = replace(part, champion=None), len(part.y_true)
    found = rows.bounds(0)
    if not judge:
        return SliceVerdict(*where, size, _interval(found), None), None
    outcome, needed = Outcome.INCONCLUSIVE, None
    if sign * found.value >= sign * floor:
        outcome = Outcome.PASS
    elif (found.high if sign > 0 else -found.low) < sign * floor:
        outcome = Outcome.FAIL
    else:
        of_slice = rows.rows_needed(lambda now: (now.high if sign > 0 else -now.low) < sign * floor, 0)
        needed = None if of_slice is None else math.ceil(of_slice * of_all / size)
    why = reason(
        Code.GATE_SLICE,
        slice=slice_name(*where),
        metric=metric.name,
        value=_interval(found).value,
        rows=size,
        floor=floor,
        outcome=outcome.value,
        rows_needed=needed,
    )
    return SliceVerdict(*where, size, _interval(found), outcome), (outcome, why, needed)


def _worst_slice(slices: Sequence[SliceVerdict], metric: Metric) -> str | None:
    judged = [one for one in slices if one.outcome is not None and one.interval.value is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda one: metric.sign * (one.interval.value or 0.0))
    return slice_name(worst.column, worst.name)

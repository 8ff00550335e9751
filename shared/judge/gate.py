"""A challenger passes only when it is shown not to be worse than the champion by more than the margin.

Both models predicted the same holdout rows, which neither has seen. "Shown" means a one-sided confidence
bound at `confidence`: with 0.95 at most one challenger in twenty that is worse by more than the margin
passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.judge.document import Document
from shared.judge.metrics import METRICS, Metric, class_name

if TYPE_CHECKING:
    from shared.judge.intervals import Bounds, Sample

LEAST_ROWS = 20
"""Below it only accuracy is judged, whose bounds are exact; a bootstrap of fewer rows says nothing."""


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105  # an outcome's name, not a password
    """Shown to be good enough."""
    FAIL = "fail"
    """Shown not to be good enough, or the answers are broken."""
    INCONCLUSIVE = "inconclusive"
    """Neither is shown; `rows_needed` says how many rows would settle it."""


@dataclass(frozen=True)
class SlicePolicy(Document):
    """Every value of each column in `by` with at least `min_rows` holdout rows must not be below `floor`."""

    by: tuple[str, ...]
    floor: float
    min_rows: int = 30


@dataclass(frozen=True)
class GatePolicy(Document):
    """`margin` and `floor` are in the metric's own units; for "lower is better" the floor is a ceiling."""

    metric: str
    margin: float = 0.02
    superiority: bool = False
    floor: float | None = None
    confidence: float = 0.95
    slices: SlicePolicy | None = None
    resamples: int = 4000
    seed: int = 20070101


@dataclass(frozen=True)
class GateEvidence(Document):
    """Row by row: truth, both models' answers, slice columns. `champion` is None for a loop's first model."""

    ids: tuple[str, ...]
    y_true: tuple[object, ...]
    challenger: tuple[object, ...]
    champion: tuple[object, ...] | None = None
    slices: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    malformed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Interval(Document):
    """A value with one-sided bounds, each at the policy's confidence; None where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SliceVerdict(Document):
    column: str
    name: str
    rows: int
    interval: Interval
    outcome: Outcome | None
    """None: fewer rows than `min_rows`, so not judged."""


@dataclass(frozen=True)
class GateVerdict(Document):
    outcome: Outcome
    reasons: tuple[str, ...]
    metric: str
    rows: int
    champion: Interval | None = None
    challenger: Interval | None = None
    difference: Interval | None = None
    """Challenger minus champion, turned so that positive is better, whatever the metric's direction."""
    slices: tuple[SliceVerdict, ...] = ()
    worst_slice: str | None = None
    rows_needed: int | None = None


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
    unusable = _unusable(evidence, chosen)
    if unusable:
        return GateVerdict(unusable[0], (unusable[1],), chosen.name, rows)
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


def _unusable(evidence: GateEvidence, metric: Metric) -> tuple[Outcome, str] | None:
    """Why no statistic may be computed: the challenger's fault fails, anybody else's settles nothing."""
    rows = len(evidence.y_true)
    if evidence.malformed:
        return Outcome.FAIL, f"malformed answers: {'; '.join(evidence.malformed[:3])}"
    if len(evidence.challenger) != rows:
        return Outcome.FAIL, f"the challenger answered {len(evidence.challenger)} of {rows} rows"
    bad = bad_values(evidence.challenger, metric.task)
    if bad:
        return Outcome.FAIL, f"{bad} of the challenger's {rows} answers are not usable predictions"
    if not rows:
        return Outcome.INCONCLUSIVE, "there are no holdout rows"
    for name, values in (("truth", evidence.y_true), ("champion", evidence.champion)):
        if values is not None and (len(values) != rows or bad_values(values, metric.task)):
            return Outcome.INCONCLUSIVE, f"the {name}'s values cannot be used: missing, or not usable"
    if metric.name == "mape" and any(float(str(value)) == 0 for value in evidence.y_true):
        return Outcome.INCONCLUSIVE, "mape is not defined: the truth has rows that are 0"
    return None


def bad_values(values: Sequence[object], task: str) -> int:
    """How many values are no class, or no finite number."""
    if task == "classification":
        return sum(value is None or value != value or class_name(value).strip() == "" for value in values)
    return sum(
        isinstance(value, bool | str) or not isinstance(value, int | float) or not math.isfinite(value)
        for value in values
    )


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
        from shared.judge.intervals import is_known, sample_of

        predictions = [self.challenger] if self.champion is None else [self.challenger, self.champion]
        return sample_of(self.metric, self.y_true, *predictions) if is_known(self.metric) else None

    def bounds(self, model: int | None, factor: float = 1.0, confidence: float | None = None) -> Bounds:
        """Of one model (0: challenger, 1: champion), or of the difference; as if on `factor` times the
        rows."""
        from shared.judge.intervals import bounds, custom_bounds

        sample, level = self.sample(), confidence or self.policy.confidence
        if sample is None:
            both = [self.challenger, *([] if self.champion is None else [self.champion])]
            chosen = both if model is None else [both[model]]
            return custom_bounds(self.metric, self.y_true, chosen, level, self.policy.seed)
        chosen_sample = sample if model is None else sample.of(model)
        resamples = self.policy.resamples if factor == 1 else min(1000, self.policy.resamples)
        return bounds(chosen_sample.times(factor), level, resamples, self.policy.seed)

    def rows_needed(self, settles: Callable[[Bounds], bool], model: int | None) -> int | None:
        from shared.judge.intervals import rows_until

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
    needed = rows.rows_needed(lambda now: now.low >= floor or now.high < floor, 0)
    if sign < 0:
        needed = rows.rows_needed(lambda now: now.high <= floor or now.low > floor, 0)
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

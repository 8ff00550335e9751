"""What a gate is given and what it answers: holdout rows, policy, verdict; and whether the rows can be used."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.reason import Code, Fact, Reason, reason
from shared.domain.release import Outcome
from shared.release.document import Document
from shared.stats.metrics import Costs, Metric, OwnMetric, class_name, uncosted
from shared.verdict.check_verdict import Check

MACRO = frozenset({"f1_macro", "balanced_accuracy", "recall_macro", "precision_macro"})
"""Means over the classes: one with a handful of rows counts as much as one with thousands."""
LEAST_OF_CLASS = 5
"""Holdout rows of each class, for those. Below it the bounds were measured to pass a worse challenger too often."""
LEAST_FOR_OWN = 30
"""The same for a function of the loop's own that answers one number, whatever it is a mean of."""
LEAST_ROWS = 20
"""Below it only accuracy is judged, whose bounds are exact; a bootstrap of fewer rows says nothing."""

Finding = tuple[Outcome, Reason, int | None]
"""One check: its outcome, why, and how many rows would settle it where it is inconclusive."""


@dataclass(frozen=True)
class SlicePolicy(Document):
    """Every value of each column in `by` with at least `min_rows` holdout rows must not be below `floor`, nor be shown
    to be worse than the champion by more than `margin`."""

    by: tuple[str, ...]
    floor: float
    min_rows: int = 30
    margin: float | None = None
    """None: the slices are not compared with the champion's."""


@dataclass(frozen=True)
class ParityPolicy(Document):
    """How far the groups of each column in `by` may be apart, by measure (`parity.MEASURES`)."""

    by: tuple[str, ...]
    positive: str
    """The class whose share counts."""
    limits: Mapping[str, float]
    min_rows: int = 30
    """Groups with fewer rows of the kind are told, not compared."""


@dataclass(frozen=True)
class GatePolicy(Document):
    """`margin` and `floor` are in the metric's own units; for "lower is better" the floor is a ceiling."""

    metric: str
    margin: float = 0.02
    superiority: bool = False
    floor: float | None = None
    confidence: float = 0.95
    slices: SlicePolicy | None = None
    parity: ParityPolicy | None = None
    calibration: float | None = None
    """How far stated probabilities may be off; None: for information only."""
    positive: str = ""
    """The class that a ranking metric looks for; empty for every other metric, and where it is not known."""
    costs: Costs = field(default_factory=dict)
    """Of the metric `cost`; empty for every other one, and in documents of before."""
    own: OwnMetric | None = None
    """Of a metric of the loop's own; None for every other one, and in documents of before."""
    functions: tuple[str, ...] = ()
    """Functions of checks.py that must let the challenger pass; empty in documents of before."""
    resamples: int = 4000
    seed: int = 20070101


@dataclass(frozen=True)
class Interval(Document):
    """A value with one-sided bounds, each at the policy's confidence; None where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class OwnFound(Document):
    """What a function of the loop's own came to on some rows, with bounds from the process that ran it."""

    challenger: Interval
    champion: Interval | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class OwnSeen(Document):
    """What a function of the loop's own answered: numbers a row for each model, or what was found of each group of
    rows; or why there is neither."""

    rows: tuple[tuple[float, ...], ...] = ()
    found: Mapping[str, OwnFound] = field(default_factory=dict)
    """By slice, `column=value`; `ALL_ROWS` for all."""
    fault: Reason | None = None


@dataclass(frozen=True)
class FunctionsSeen(Document):
    """What the functions of checks.py found of both models' answers; or why they found nothing."""

    found: tuple[Check, ...] = ()
    fault: Reason | None = None


ALL_ROWS = ""


@dataclass(frozen=True)
class GateEvidence(Document):
    """Row by row: truth, both models' answers, slice columns. `champion` is None for a loop's first model."""

    ids: tuple[str, ...]
    y_true: tuple[object, ...]
    challenger: tuple[object, ...]
    champion: tuple[object, ...] | None = None
    slices: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    slice_edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Of columns of many numbers, whose slices are bands; in documents of before of none."""
    malformed: tuple[Reason, ...] = ()
    stated: tuple[float | None, ...] = ()
    """The probability that the challenger gives each of its answers; empty where it states none."""
    known_classes: tuple[str, ...] = ()
    """Every class of the training or of the holdout, by name; empty for numbers, and in documents of before."""
    scores: tuple[float | None, ...] = ()
    """Of a metric of probabilities: what the challenger states for the positive class, or for what came true."""
    champion_scores: tuple[float | None, ...] | None = None
    probabilities: tuple[Mapping[str, float | None], ...] = ()
    """What the challenger states for each class, kept where the loop has estimates made of it; else empty."""
    drawn: tuple[tuple[int, int], ...] = ()
    """How many rows are of which version, (version, rows) in the order of the rows; empty in documents of before."""
    own: OwnSeen | None = None
    """What a metric of the loop's own answered; None for every other one, and in documents of before."""
    functions: FunctionsSeen | None = None
    """Of `gate.functions`; None where the loop has none, and in documents of before."""


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
    reasons: tuple[Reason, ...]
    metric: str
    rows: int
    champion: Interval | None = None
    challenger: Interval | None = None
    difference: Interval | None = None
    """Challenger minus champion, turned so that positive is better, whatever the metric's direction."""
    slices: tuple[SliceVerdict, ...] = ()
    worst_slice: str | None = None
    rows_needed: int | None = None


@dataclass(frozen=True)
class GateRecord(Document):
    """What is stored of a gate: enough to judge it again."""

    evidence: GateEvidence
    policy: GatePolicy
    verdict: GateVerdict


def unusable(evidence: GateEvidence, metric: Metric) -> tuple[Outcome, Reason] | None:
    """Why no statistic may be computed: the challenger's fault fails, anybody else's settles nothing."""
    rows, answers = len(evidence.y_true), evidence.challenger
    if evidence.malformed:
        return Outcome.FAIL, reason(Code.GATE_MALFORMED, *evidence.malformed[:3])
    if len(answers) != rows:
        return Outcome.FAIL, reason(Code.GATE_UNANSWERED, answers=len(answers), rows=rows)
    if bad := bad_values(answers, metric.task):
        return Outcome.FAIL, reason(Code.GATE_UNUSABLE_ANSWERS, unusable=bad, rows=rows)
    if not rows:
        return Outcome.INCONCLUSIVE, reason(Code.GATE_NO_ROWS)
    for name, values in (("truth", evidence.y_true), ("champion", evidence.champion)):
        if values is not None and (len(values) != rows or bad_values(values, metric.task)):
            return Outcome.INCONCLUSIVE, reason(Code.GATE_UNUSABLE_VALUES, of=name)
    by_answers = metric.task == "classification" and not metric.of_probabilities
    if by_answers and spelt_otherwise(evidence.champion or (), evidence.y_true, evidence.known_classes):
        return Outcome.INCONCLUSIVE, reason(Code.GATE_UNUSABLE_VALUES, of="champion")
    if metric.name == "mape" and any(float(str(value)) == 0 for value in evidence.y_true):
        return Outcome.INCONCLUSIVE, reason(Code.GATE_MAPE_UNDEFINED)
    return None


def unscored(evidence: GateEvidence, metric: Metric, positive: str) -> tuple[Outcome, Reason] | None:
    """The same for a metric of probabilities: each model must state one a row, and a ranking needs its class."""
    if metric.ranks and not positive:
        return Outcome.INCONCLUSIVE, no_positive_class(metric, len(evidence.known_classes))
    rows = len(evidence.y_true)
    if unstated := without_probability(evidence.scores, rows):
        return Outcome.FAIL, reason(Code.GATE_PROBABILITIES_UNSTATED, unstated=unstated, metric=metric.name)
    scores = evidence.champion_scores
    if scores is not None and (unstated := without_probability(scores, rows)):
        why = reason(Code.GATE_CHAMPION_UNSTATED, unstated=unstated, metric=metric.name)
        return Outcome.INCONCLUSIVE, why
    return None


def without_cost(evidence: GateEvidence, metric: Metric) -> tuple[Outcome, Reason] | None:
    """The same where costs are given: of every answer to every truth."""
    for answers in (evidence.challenger, evidence.champion or evidence.challenger):
        if pair := uncosted(metric.costs, evidence.y_true, answers):
            return Outcome.INCONCLUSIVE, reason(Code.COST_UNSTATED, truth=pair[0], answer=pair[1])
    return None


def own_fault(evidence: GateEvidence) -> tuple[Outcome, Reason] | None:
    """The same of a metric of the loop's own: why its function gave nothing that can be used."""
    seen = evidence.own
    if seen is None or seen.fault is None:
        return None
    theirs = seen.fault.code is Code.GATE_PROBABILITIES_UNSTATED
    return (Outcome.FAIL if theirs else Outcome.INCONCLUSIVE), seen.fault


def least_rows(metric: Metric) -> int:
    """Fewer are not judged."""
    if metric.name == "accuracy":
        return 1
    return LEAST_FOR_OWN if metric.given else LEAST_ROWS


def slice_groups(
    slices: Mapping[str, Sequence[object]], columns: Sequence[str]
) -> dict[tuple[str, str], list[int]]:
    """The rows of each slice, by column and value."""
    groups: dict[tuple[str, str], list[int]] = {}
    for column in columns:
        for row, value in enumerate(slices.get(column, ())):
            groups.setdefault((column, class_name(value)), []).append(row)
    return groups


def slice_name(column: str, value: str) -> str:
    return f"{column}={value}"


def slice_confidence(policy: GatePolicy, judged: int, *, champion: bool) -> float:
    """Corrected for how many slices are judged, and twice where each is also compared (Bonferroni)."""
    compared = policy.slices is not None and policy.slices.margin is not None and champion and judged > 0
    return 1 - (1 - policy.confidence) / (max(1, judged) * (2 if compared else 1))


def no_positive_class(metric: Metric, classes: int) -> Reason:
    return reason(Code.METRIC_NO_POSITIVE_CLASS, metric=metric.name, classes=classes)


def without_probability(stated: Sequence[object], rows: int) -> int:
    """How many rows have none: all of them where their number is another."""
    if len(stated) != rows:
        return max(rows, 1)
    return sum(not isinstance(p, int | float) or isinstance(p, bool) or not 0 <= p <= 1 for p in stated)


def thin_class(
    evidence: GateEvidence, metric: Metric, positive: str = ""
) -> tuple[Reason, int | None] | None:
    """The class with the fewest holdout rows where those are too few for a mean over the classes; how many rows it
    would take if they were like these, None where the class is absent."""
    few = few_rows(evidence.y_true, evidence.known_classes, metric, positive)
    if not few:
        return None
    rows, (rarest, have) = len(evidence.y_true), few[0]
    needed = math.ceil(least_of_class(metric) * rows / have) if have else None
    facts: dict[str, Fact] = {"metric": metric.name, "name": rarest, "have": have, "rows": rows}
    least: dict[str, Fact] = {"least": least_of_class(metric), "others": len(few) - 1, "rows_needed": needed}
    return reason(Code.GATE_CLASS_TOO_RARE, **facts, **least), needed


def few_rows(
    y_true: Sequence[object], known: Collection[str], metric: Metric, positive: str = ""
) -> list[tuple[str, int]]:
    """Known classes with too few rows for a mean over the classes, and how many they have, the rarest first; of a
    ranking the class that is looked for, and all others together."""
    have = Counter(map(class_name, y_true))
    if metric.ranks or (metric.given and positive):
        sides = {positive: have[positive], f"not {positive}": len(y_true) - have[positive]}
    else:
        means = metric.name in MACRO or (metric.given and metric.task == "classification")
        sides = {name: have[name] for name in known} if means else {}
    few = ((name, rows) for name, rows in sides.items() if rows < least_of_class(metric))
    return sorted(few, key=lambda one: (one[1], one[0]))


def least_of_class(metric: Metric) -> int:
    return LEAST_FOR_OWN if metric.given else LEAST_OF_CLASS


def spelt_otherwise(answers: Sequence[object], y_true: Sequence[object], known: Iterable[str]) -> bool:
    """Whether no answer is one of several classes that are known: numbers where labels are names, say, or 1 where they
    are true. A model that is never right answers another class all the same."""
    classes = {*map(class_name, y_true), *known}
    return len(classes) > 1 and bool(answers) and classes.isdisjoint(map(class_name, answers))


def bad_values(values: Sequence[object], task: str) -> int:
    """How many values are not a class, or not a finite number."""
    if task == "classification":
        return sum(
            value is None
            or isinstance(value, list | tuple | Mapping)
            or value != value
            or class_name(value).strip() == ""
            for value in values
        )
    return sum(
        isinstance(value, bool | str) or not isinstance(value, int | float) or not math.isfinite(value)
        for value in values
    )

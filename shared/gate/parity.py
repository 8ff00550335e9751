"""Whether a model treats the groups of a column alike: how often it chooses each of them, and how often rightly.

Of each group the share of rows that get the positive class: of all its rows (selection rate, "demographic parity"), of
those that are positive (true positive rate, "equal opportunity") and of those that are not (false positive rate; with
the one before "equalised odds"): M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised Learning", NIPS
29 (2016). The gap is the greatest share of a group less the smallest.

H0 of a failure: in no column and no measure do two groups differ by more than its limit. Each share has exact one-sided
bounds (Clopper-Pearson) whose level is parted equally among all groups, measures and sides (Bonferroni), so that all of
them hold at once at `confidence`: a gap is shown when one group's lower bound lies above another's upper one by more
than the limit. Rows are independent; n is any, though few rows show nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.reason import Code, Fact, reason
from shared.domain.release import Outcome
from shared.gate.gate_record import Finding, GateEvidence, ParityPolicy
from shared.stats.metrics import class_name

MEASURES: Mapping[str, Callable[[bool], bool]] = {
    "selection_rate": lambda positive: True,
    "true_positive_rate": lambda positive: positive,
    "false_positive_rate": lambda positive: not positive,
}
"""Which rows count, by whether their truth is the positive class."""


@dataclass(frozen=True)
class _Question:
    """One column and measure: of each group large enough how many rows were chosen, and of how many."""

    column: str
    measure: str
    limit: float
    chosen: Mapping[str, tuple[int, int]]
    before: Mapping[str, tuple[int, int]]
    """The champion's, of the same groups; empty for a first model."""
    small: Sequence[str]


def judge_parity(evidence: GateEvidence, policy: ParityPolicy, confidence: float) -> list[Finding]:
    """A finding for each column and measure with a limit.

    It fails when the gap is shown to be above the limit; one above it that may be chance is inconclusive.
    """
    names = {class_name(value) for side in (evidence.y_true, evidence.challenger) for value in side}
    if policy.positive not in names:
        return [(Outcome.INCONCLUSIVE, reason(Code.GATE_PARITY_NO_CLASS, positive=policy.positive), None)]
    found, questions = list[Finding](), list[_Question]()
    for column in policy.by:
        groups = evidence.slices.get(column)
        if groups is None or len(groups) != len(evidence.y_true):
            found.append((Outcome.INCONCLUSIVE, reason(Code.GATE_SLICE_COLUMN, column=column), None))
            continue
        questions += [
            _question(evidence, policy, column, groups, name) for name in MEASURES if name in policy.limits
        ]
    sides = 2 * max(1, sum(len(one.chosen) for one in questions))
    return found + [_answer(one, 1 - (1 - confidence) / sides) for one in questions]


def _question(
    evidence: GateEvidence, policy: ParityPolicy, column: str, groups: Sequence[object], measure: str
) -> _Question:
    counts = MEASURES[measure]
    truth = [class_name(value) == policy.positive for value in evidence.y_true]
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(class_name(group), [])
        if counts(truth[row]):
            rows[class_name(group)].append(row)
    large = {group: at for group, at in sorted(rows.items()) if len(at) >= policy.min_rows}

    def of(answers: Sequence[object] | None) -> dict[str, tuple[int, int]]:
        if answers is None:
            return {}
        return {
            group: (sum(class_name(answers[row]) == policy.positive for row in at), len(at))
            for group, at in large.items()
        }

    small = [f"{group} ({len(at)})" for group, at in sorted(rows.items()) if group not in large]
    limit = policy.limits[measure]
    return _Question(column, measure, limit, of(evidence.challenger), of(evidence.champion), small)


def _answer(asked: _Question, confidence: float) -> Finding:
    facts: dict[str, Fact] = {
        "column": asked.column,
        "measure": asked.measure.replace("_", " "),
        "limit": asked.limit,
        "small": ", ".join(asked.small[:5]),
    }
    if len(asked.chosen) < 2:
        return Outcome.PASS, reason(Code.GATE_PARITY_FEW, **facts), None
    most, least, value = _gap(asked.chosen)
    low, high = _bounds(asked.chosen, confidence)
    outcome = (
        Outcome.PASS if value <= asked.limit else Outcome.FAIL if low > asked.limit else Outcome.INCONCLUSIVE
    )
    facts |= {
        "most": most,
        "least": least,
        "value": value,
        "low": low,
        "high": high,
        "outcome": outcome.value,
    }
    facts["most_share"], facts["least_share"] = (_share(asked.chosen[group]) for group in (most, least))
    facts["champion"] = _gap(asked.before)[2] if asked.before else None
    return outcome, reason(Code.GATE_PARITY, **facts), None


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1]


def _gap(chosen: Mapping[str, tuple[int, int]]) -> tuple[str, str, float]:
    ordered = sorted(chosen, key=lambda group: _share(chosen[group]))
    most, least = ordered[-1], ordered[0]
    return most, least, _share(chosen[most]) - _share(chosen[least])


def _bounds(chosen: Mapping[str, tuple[int, int]], confidence: float) -> tuple[float, float]:
    """Of the greatest share less the smallest, whichever groups have them."""
    from shared.stats.exact import clopper_pearson

    bounds = [clopper_pearson(hits, n, confidence) for hits, n in chosen.values()]
    lows, highs = [low for low, _ in bounds], [high for _, high in bounds]
    return max(0.0, max(lows) - min(highs)), max(highs) - min(lows)

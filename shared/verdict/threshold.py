"""What a champion's metric is judged by: the loop file's number, or what its own gate showed, less a margin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.reason import Code, reason
from shared.loopfile.published import Published
from shared.own.measured import own_metric
from shared.release.gate import gate_evidence
from shared.runtime.unit_of_work import Unit
from shared.stats.metrics import metric_of
from shared.verdict.metric import Threshold
from shared.verdict.task import positive_class, task_of

if TYPE_CHECKING:
    from shared.release.gate.holdout import GateRecord, Interval


def of_champion(unit: Unit, published: Published) -> Threshold:
    """The stricter of `metric.at_least` or `at_most`, and of the gate's value less `metric.worse_by`.

    A champion without a gate, or whose gate had another metric, has shown nothing: then only a given number counts.
    """
    wanted, champion = published.definition.metric, unit.state.champion
    assert wanted is not None
    given = Threshold(wanted.threshold)
    if wanted.worse_by is None or champion is None:
        return given
    record = gate_evidence.known(unit, unit.release(champion.release)[0])
    if record is None or not _is_of(record, unit, published):
        return given
    sign = metric_of(wanted.name, record.policy.costs, record.policy.own).sign
    shown = _shown(record, wanted.confidence)
    if shown is None:
        return given
    end = shown.low if sign > 0 else shown.high
    if shown.value is None or end is None:
        return given
    value = shown.value - sign * wanted.worse_by
    if given.value is not None and sign * given.value >= sign * value:
        return given
    told = reason(Code.METRIC_OF_GATE, release=champion.release, value=shown.value, worse_by=wanted.worse_by)
    return Threshold(value, abs(shown.value - end), (told,))


def _is_of(record: GateRecord, unit: Unit, published: Published) -> bool:
    """Whether the gate had the metric that the loop has now: its table of costs, its code and its class as well."""
    definition, policy = published.definition, record.policy
    wanted, own = definition.metric, own_metric(published, task_of(unit, definition))
    assert wanted is not None
    positive = positive_class(wanted.name, definition, record.evidence.known_classes)
    now = (wanted.name, wanted.costs, own, own.positive if own else positive)
    return now == (policy.metric, policy.costs, policy.own, policy.positive)


def _shown(record: GateRecord, confidence: float) -> Interval | None:
    """What the gate found of its challenger; with bounds at this confidence, where the gate's own was another.

    A function of the loop's own that answers one number is not asked again: its bounds stay as they are.
    """
    from shared.release.gate.gate_judge import judge_gate

    policy = record.policy
    if policy.confidence == confidence:
        return record.verdict.challenger
    policy = replace(policy, confidence=confidence, floor=None, slices=None, parity=None, calibration=None)
    return judge_gate(
        replace(record.evidence, champion=None, champion_scores=None, slices={}), policy
    ).challenger

"""What a champion's metric is judged by: the loop file's number, or what it has shown itself, less a margin.

It has shown what its gate found, and what the labelled drops did on which it was judged since, but for those that
breached. Drops vary by more than their rows explain; how much they did so far, under this champion or earlier ones, is
part of the threshold (`shared/stats/drop_spread.py`). Before that is known the gate speaks alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.domain.version import DataVersion
from shared.gate import gate_evidence
from shared.loopfile.published import Published
from shared.own.measured import own_metric
from shared.runtime.unit_of_work import Unit
from shared.stats import drop_spread
from shared.stats.drop_spread import Sample
from shared.stats.metrics import metric_of
from shared.verdict.metric import Threshold
from shared.verdict.task import positive_class, task_of

if TYPE_CHECKING:
    from shared.gate.gate_record import GateRecord, Interval
    from shared.loopfile.definition import Metric

MOST_PAST = 30
"""Versions back that are looked at."""


def of_champion(unit: Unit, published: Published, drop: DataVersion | None = None) -> Threshold:
    """The stricter of `metric.at_least` or `at_most`, and of the gate's value less `metric.worse_by`.

    A champion without a gate, or whose gate had another metric, has shown nothing: then only a given number counts.
    A `drop` is compared with the drops before it as well. A holdout by time is the newest rows of one drop, which tell
    of that time alone: there drops are compared with drops and not with the gate, once the model has had one and it is
    known how much the metric varies between them.
    """
    wanted, champion = published.definition.metric, unit.state.champion
    assert wanted is not None
    given = Threshold(wanted.threshold)
    if wanted.worse_by is None or champion is None:
        return given
    record = gate_evidence.known(unit, unit.release(champion.release)[0])
    if record is None or not _is_of(record, unit, published):
        return given
    shown = _shown(record, wanted.confidence)
    if shown is None or shown.value is None or shown.low is None or shown.high is None:
        return given
    sign = metric_of(wanted.name, record.policy.costs, record.policy.own).sign
    gate = (shown.value, shown.low, shown.high)
    drops_alone = drop is not None and published.definition.data.holdout.by == "time"
    past = _past(unit, drop) if drop is not None else []
    own = [v for v in past if v.judged_against == champion.release and not v.metric_breached]
    runs = _runs(past, champion.release, wanted.confidence)
    if drop_spread.later(runs) >= drop_spread.FEWEST_LATER and (own or not drops_alone):
        at_gate = None if drops_alone else gate
        value, spread, told = _over_drops(at_gate, own, runs, champion.release, wanted)
    elif drops_alone:
        return given
    else:
        value, spread = shown.value, abs(shown.value - (shown.low if sign > 0 else shown.high))
        told = reason(Code.METRIC_OF_GATE, release=champion.release, value=value, worse_by=wanted.worse_by)
    limit = value - sign * wanted.worse_by
    if given.value is not None and sign * given.value >= sign * limit:
        return given
    return Threshold(limit, spread, (told,))


def _over_drops(
    gate: tuple[float, float, float] | None,
    own: Sequence[DataVersion],
    runs: Sequence[drop_spread.Run],
    release: int,
    wanted: Metric,
) -> tuple[float, float, Reason]:
    """What a champion has shown at its gate and on drops of its own, and how far off the next drop may be by chance."""
    samples = [_sample(version, wanted.confidence) for version in own]
    if gate is not None:
        samples.append(drop_spread.sample_of(*gate, wanted.confidence))
    found = drop_spread.shown(samples, runs, wanted.confidence)
    told = reason(
        Code.METRIC_OF_DROPS if gate is not None else Code.METRIC_OF_DROPS_ALONE,
        release=release,
        value=found.value,
        worse_by=wanted.worse_by,
        drops=len(own),
        between=found.between,
    )
    return found.value, found.spread, told


def _past(unit: Unit, version: DataVersion) -> list[DataVersion]:
    """Drops before this one that a champion of this loop file was measured on; oldest first."""
    numbers = range(max(1, version.number - MOST_PAST), version.number)
    return [
        one
        for one in (unit.versions(numbers) if numbers else [])
        if one.metric_found is not None and one.created_at >= unit.state.published_at
    ]


def _runs(past: Sequence[DataVersion], serving: int, confidence: float) -> list[list[Sample]]:
    """Drops in a row that one and the same model was measured on.

    A breach under the release that is serving is set against its neighbour alone: a loss that stays is in one such
    difference and does not pass for variation at each drop, and a loss by chance is not left out, or the next ones
    would be called breached too often.
    """
    runs = list[list[DataVersion]]()
    for release, group in groupby(past, key=lambda version: version.judged_against):
        run = list(group)
        if release == serving:
            runs += [[before, one] for before, one in pairwise(run) if one.metric_breached]
            run = [one for one in run if not one.metric_breached]
        runs.append(run)
    return [[_sample(version, confidence) for version in run] for run in runs]


def _sample(version: DataVersion, confidence: float) -> Sample:
    assert version.metric_found is not None
    return drop_spread.sample_of(*version.metric_found, confidence)


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
    from shared.gate.gate_judge import judge_gate

    policy = record.policy
    if policy.confidence == confidence:
        return record.verdict.challenger
    policy = replace(policy, confidence=confidence, floor=None, slices=None, parity=None, calibration=None)
    return judge_gate(
        replace(record.evidence, champion=None, champion_scores=None, slices={}), policy
    ).challenger

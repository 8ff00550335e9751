"""What a champion's metric is judged by: the loop file's number, or what its own gate showed, less a margin."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.reason import Code, Reason, reason
from shared.loopfile import Definition
from shared.release.gate import gate_evidence
from shared.runtime.unit_of_work import Unit
from shared.stats.metrics import metric_of


@dataclass(frozen=True)
class Threshold:
    value: float | None
    """None: the metric is measured, and never breached."""
    spread: float = 0.0
    """From the gate's value to the worse end of its interval; 0 where a person gave the number."""
    because: tuple[Reason, ...] = ()


def of_champion(unit: Unit, definition: Definition) -> Threshold:
    """The stricter of `metric.at_least` or `at_most`, and of the gate's value less `metric.worse_by`.

    A champion without a gate, or whose gate had another metric, has shown nothing: then only a given number counts.
    """
    wanted, champion = definition.metric, unit.state.champion
    assert wanted is not None
    given = Threshold(wanted.threshold)
    if wanted.worse_by is None or champion is None:
        return given
    record = gate_evidence.known(unit, unit.release(champion.release)[0])
    if record is None or record.policy.metric != wanted.name or record.verdict.challenger is None:
        return given
    sign, shown = (
        metric_of(wanted.name, record.policy.costs, record.policy.own).sign,
        record.verdict.challenger,
    )
    end = shown.low if sign > 0 else shown.high
    if shown.value is None or end is None:
        return given
    value = shown.value - sign * wanted.worse_by
    if given.value is not None and sign * given.value >= sign * value:
        return given
    told = reason(Code.METRIC_OF_GATE, release=champion.release, value=shown.value, worse_by=wanted.worse_by)
    return Threshold(value, abs(shown.value - end), (told,))

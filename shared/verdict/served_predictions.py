"""The champion's live predictions are compared with those that it made in its gate, as often as the loop file asks.

This needs no label and no drop: predictions that moved show drift, or broken inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, reason
from shared.domain.release import Trigger, TriggerKind
from shared.gate import gate_evidence
from shared.retraining import start
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft
from shared.verdict.task import task_of

if TYPE_CHECKING:
    import drift
    from shared.loopfile import Definition

COLUMN = "predictions"


def next_at(state: LoopState, definition: Definition) -> datetime | None:
    """When the champion's predictions are judged again; None: the loop does not ask for it, or no model serves."""
    every, champion = definition.drift.predictions, state.champion
    if every is None or champion is None:
        return None
    return max(champion.live_at, state.predictions_through or champion.live_at) + every


def answer(current: Unit) -> bool:
    """Judge the predictions collected since the last time, each of them once; True when it was due."""
    published, state, now = current.published(), current.state, current.ports.clock.now()
    definition, due = published.definition, next_at(current.state, published.definition)
    if due is None or now < due or state.open_release is not None:
        return False
    assert state.champion is not None and definition.drift.predictions is not None
    since = due - definition.drift.predictions
    collected = current.ports.evidence.predictions(
        definition.serve.endpoint, state.champion.deployment, since, now, id=definition.data.id or ""
    )
    report = _report(current, definition, [row["output"] for row in collected])
    seen = (
        reason(Code.PREDICTIONS_COMPARED, headline=report.headline)
        if report is not None
        else reason(Code.PREDICTIONS_NO_REFERENCE)
    )
    verdict = reason(
        Code.PREDICTIONS_JUDGED, seen, predictions=len(collected), release=state.champion.release
    )
    looked = replace(state, predictions_through=now)
    cause = f"predictions-{now.isoformat()}"
    moved = report is not None and report.material
    reasons = [Trigger(TriggerKind.DRIFT, verdict, "driftloop", cause, now)] if moved else []
    outcome = start.answer(current, looked, reasons)
    entry = Draft(
        "predictions.judged",
        f"release {state.champion.release}",
        "driftloop",
        cause,
        detail={"verdict": verdict, "decision": outcome.reason or reason(Code.NO_TRIGGER)},
    )
    current.commit(outcome.state, [entry, *outcome.drafts], outcome.changes)
    return True


def _report(current: Unit, definition: Definition, outputs: Sequence[object]) -> drift.Report | None:
    import drift

    assert current.state.champion is not None
    release, _ = current.release(current.state.champion.release)
    gate = gate_evidence.recorded(current, release)
    if gate is None:
        return None
    classes = task_of(current, definition) == "classification"
    reference = drift.profile(_frame(gate.evidence.challenger, classes=classes))
    return drift.compare(
        reference,
        drift.profile(_frame(outputs, classes=classes), grid=reference),
        drift.Policy(
            false_alarm_rate=definition.drift.false_alarm_rate,
            material_numeric=definition.drift.material.numeric,
            material_categorical=definition.drift.material.categorical,
        ),
    )


def _frame(outputs: Sequence[object], *, classes: bool) -> object:
    import pandas as pd

    from shared.stats.metrics import class_name

    plain = [output for output in outputs if not isinstance(output, dict | list)]
    named = [class_name(each) for each in plain if each is not None] if classes else plain
    return pd.DataFrame({COLUMN: named})

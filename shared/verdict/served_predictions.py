"""What the serving model says is held against what it said when it was let through, as often as the loop file asks.

It needs no label and no drop: answers that have moved tell of a world that has moved, or of inputs that are broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.release import Trigger, TriggerKind
from shared.release.gate import gate_evidence
from shared.retraining import policy, start
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    import drift
    from shared.loopfile import Definition

COLUMN = "predictions"


def next_at(state: LoopState, definition: Definition) -> datetime | None:
    """When the champion's answers are looked at again; None: the loop does not ask for it, or nobody serves."""
    every, champion = definition.drift.predictions, state.champion
    if every is None or champion is None:
        return None
    return max(champion.live_at, state.predictions_through or champion.live_at) + every


def answer(current: Unit) -> bool:
    """Judge the answers collected since the last look, each of them once; True when a look was due."""
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
    told = f"{len(collected)} answers of release {state.champion.release}: " + (
        report.headline if report else "there are no answers of its gate to compare them with"
    )
    looked = replace(state, predictions_through=now)
    cause = f"predictions-{now.isoformat()}"
    moved = report is not None and report.material
    reasons = [Trigger(TriggerKind.DRIFT, told, "driftloop", cause, now)] if moved else []
    newest = current.newest_labelled()
    decision = policy.decide(looked, reasons, definition, now, newest_version=newest) if reasons else None
    outcome = start.apply(current, looked, reasons, decision, published, now)
    entry = Draft(
        "predictions.judged",
        f"release {state.champion.release}",
        "driftloop",
        cause,
        detail={"verdict": told, "decision": outcome.words or "no retraining: nothing asks for it"},
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
    reference = drift.profile(_frame(gate.evidence.challenger))
    return drift.compare(
        reference,
        drift.profile(_frame(outputs), grid=reference),
        drift.Policy(
            false_alarm_rate=definition.drift.false_alarm_rate,
            material_numeric=definition.drift.material.numeric,
            material_categorical=definition.drift.material.categorical,
        ),
    )


def _frame(outputs: Sequence[object]) -> object:
    import pandas as pd

    plain = [output for output in outputs if not isinstance(output, dict | list)]
    return pd.DataFrame({COLUMN: plain})

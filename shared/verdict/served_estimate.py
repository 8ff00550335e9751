"""What the metric comes to on a window of served inputs, before labels come.

The champion is asked for the window's inputs once more, as it is for a drop's: what the data collector keeps of its
answers has no probabilities. `shared/stats/unlabelled.py` says what an estimate rests on. It never gates and never
rolls back: where the concept changed, it is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.domain.reason import Code, Reason, reason
from shared.gate import gate_evidence, holdout
from shared.port_rules import sampled
from shared.runtime.unit_of_work import Unit
from shared.verdict import predictions, row_values, served_rows, threshold
from shared.verdict.estimate import Asked, Estimated, checks, widening
from shared.verdict.predictions import Predictions
from shared.verdict.task import positive_class, task_of

if TYPE_CHECKING:
    import pandas as pd

    from shared.domain.release import Champion
    from shared.gate.gate_record import GateEvidence
    from shared.loopfile import Definition
    from shared.loopfile.published import Published
    from shared.stats.unlabelled import Estimate, Floats, Ints, Rows
    from shared.verdict.metric import Threshold

MOST_ROWS = 1_000
"""Inputs of a window that the champion is asked for once more."""

Served = Sequence[Mapping[str, object]]

if TYPE_CHECKING:
    Found = tuple[Estimate, str, Floats | None]


def of_window(
    current: Unit, definition: Definition, served: Served, past: Sequence[Estimated], stamp: str
) -> tuple[Estimated | None, tuple[Reason, ...]]:
    """The estimate for what was served, or why there is none; `past` are those of the same champion."""
    metric, champion = definition.metric, current.state.champion
    if metric is None or not metric.estimate or champion is None:
        return None, ()
    held = _held(current, definition, champion)
    if isinstance(held, Reason):
        return None, (held,)
    evidence, frame = held
    chosen = sampled(served, MOST_ROWS)
    given = _frame(chosen, frame)
    said = predictions.predict(
        current.ports, definition.serve, champion.deployment, given, f"estimate-{stamp}"
    )
    kept = [n for n, answer in enumerate(said.values) if answer is not None]
    answered = said.some(kept)
    found = _estimate(current.published(), evidence, frame, answered, given.iloc[kept], len(served))
    if isinstance(found, Reason):
        return None, (found, *said.problems)
    estimate, positive, values = found
    if not estimate.believed:
        return None, (_unlike(definition, estimate),)
    about = _about(definition, [chosen[n] for n in kept], answered, estimate, positive, evidence)
    if values is not None:
        about = replace(about, values=tuple(tuple(round(v, 6) for v in row) for row in values.tolist()))
    document = current.ports.documents.put(json.dumps(vars(about), sort_keys=True).encode())
    limit = threshold.of_champion(current, current.published())
    sign = row_values.metric_in(current.published(), task_of(current, definition)).sign
    return _told(definition, limit, sign, estimate, past, document, len(kept))


def _no(code: Code, definition: Definition, *because: Reason, **facts: str | int) -> Reason:
    assert definition.metric is not None
    return reason(code, *because, metric=definition.metric.name, **facts)


def _unlike(definition: Definition, estimate: Estimate) -> Reason:
    from shared.stats.unlabelled import LEAST_EFFECTIVE

    effective = round(estimate.effective)
    return _no(Code.ESTIMATE_UNLIKE, definition, effective=effective, least=LEAST_EFFECTIVE)


def _held(
    current: Unit, definition: Definition, champion: Champion
) -> tuple[GateEvidence, pd.DataFrame] | Reason:
    """What the champion answered in its gate, and what it was asked there."""
    release, _ = current.release(champion.release)
    record = gate_evidence.known(current, release)
    if record is None:
        return _no(Code.ESTIMATE_NO_GATE, definition)
    frame, _ = holdout.rows(current, release, definition)
    if gate_evidence.row_ids(frame, definition) != record.evidence.ids:
        return _no(Code.ESTIMATE_NO_GATE, definition)
    return record.evidence, predictions.features(frame, definition)


def _frame(chosen: Served, asked: pd.DataFrame) -> pd.DataFrame:
    """Served inputs as the model was `asked` in its gate; values as they were sent."""
    columns, times = list(asked.columns), served_rows.times_of(asked)
    inputs = [row["inputs"] for row in chosen]
    flat = [served_rows.flat(each, columns) for each in inputs if isinstance(each, Mapping)]
    named = [served_rows.timed(each, times) for each in flat]
    rows = [[served_rows.plain(each.get(name)) for name in columns] for each in named]
    return predictions.untyped(rows, columns)


def _estimate(
    published: Published,
    evidence: GateEvidence,
    frame: pd.DataFrame,
    said: Predictions,
    given: pd.DataFrame,
    of_inputs: int,
) -> Found | Reason:
    """The estimate, the class that a ranking looks for, and what each row comes to where the metric is made of that."""
    from shared.stats import unlabelled
    from shared.stats.metrics import METRICS

    definition = published.definition
    assert definition.metric is not None
    if min(len(frame) - unlabelled.LEAST_HELD, len(given) - unlabelled.LEAST_SERVED) < 0:
        least = {"least_held": unlabelled.LEAST_HELD, "least_served": unlabelled.LEAST_SERVED}
        return _no(Code.ESTIMATE_TOO_FEW, definition, held=len(frame), served=len(given), **least)
    columns = [{name: _values(part[name]) for name in frame.columns} for part in (frame, given)]
    if definition.metric.name not in METRICS:
        return _of_values(published, evidence, said, (frame, given), columns, of_inputs)
    if METRICS[definition.metric.name].task == "regression":
        return _of_numbers(definition, evidence, said, columns, of_inputs), "", None
    return _of_classes(definition, evidence, said, columns, of_inputs)


def _values(column: pd.Series) -> list[object]:
    """As Python has them; None where one is missing."""
    found: list[object] = column.astype(object).where(column.notna(), None).tolist()
    return found


Columns = Sequence[Mapping[str, Sequence[object]]]


def _of_numbers(
    definition: Definition, evidence: GateEvidence, said: Predictions, columns: Columns, of_inputs: int
) -> Estimate:
    import numpy as np

    from shared.stats import unlabelled

    assert definition.metric is not None
    name = definition.metric.name
    truth, answers, served = (
        np.array(part, dtype=float) for part in (evidence.y_true, evidence.challenger, said.values)
    )
    off = np.abs(answers - truth)
    losses = off**2 if name == "rmse" else off / np.maximum(np.abs(truth), 1e-12) if name == "mape" else off
    rows = [
        unlabelled.Rows(part, np.zeros(len(one), dtype=np.int64), one[:, None])
        for part, one in zip(columns, (answers, served), strict=True)
    ]
    return unlabelled.numbers(
        name, rows[0], losses, rows[1], of_inputs=of_inputs, confidence=definition.metric.confidence
    )


def _of_classes(
    definition: Definition, evidence: GateEvidence, said: Predictions, columns: Columns, of_inputs: int
) -> Found | Reason:
    from shared.stats import unlabelled
    from shared.stats.metrics import METRICS

    assert definition.metric is not None
    name, classes = definition.metric.name, list(evidence.known_classes)
    positive = positive_class(name, definition, classes)
    if METRICS[name].ranks and classes and positive not in classes:
        return _no(Code.METRIC_NO_POSITIVE_CLASS, definition, classes=len(classes))
    known = _known(definition, evidence, said, columns)
    if isinstance(known, Reason):
        return known
    (held, served), truth = known
    estimate = unlabelled.classes(
        name,
        held,
        truth,
        served,
        positive=classes.index(positive) if positive in classes else -1,
        of_inputs=of_inputs,
        confidence=definition.metric.confidence,
    )
    return estimate, positive, None


def _of_values(
    published: Published,
    evidence: GateEvidence,
    said: Predictions,
    frames: Sequence[pd.DataFrame],
    columns: Columns,
    of_inputs: int,
) -> Found | Reason:
    """Of a metric that is the mean of one number a row: costs, or a function of the loop's own."""
    from shared.stats import unlabelled

    definition = published.definition
    assert definition.metric is not None
    known = _known(definition, evidence, said, columns)
    if isinstance(known, Reason):
        return known
    (held, served), truth = known
    values = []
    for one, frame in zip(_sides(evidence, said), frames, strict=True):
        found = row_values.of(published, evidence.known_classes, one, frame)
        if isinstance(found, Reason):
            return _no(Code.ESTIMATE_NO_VALUES, definition, found)
        values.append(found)
    estimate = unlabelled.valued(
        row_values.metric_in(published, "classification"),
        held,
        truth,
        served,
        (values[0], values[1]),
        of_inputs=of_inputs,
        confidence=definition.metric.confidence,
    )
    return estimate, "", values[1]


def _sides(evidence: GateEvidence, said: Predictions) -> tuple[Predictions, Predictions]:
    return Predictions(evidence.challenger, (), (), evidence.probabilities or evidence.stated), said


def _known(
    definition: Definition, evidence: GateEvidence, said: Predictions, columns: Columns
) -> tuple[list[Rows], Ints] | Reason:
    """Holdout and served rows, with what is stated of each class, and the truth of the holdout."""
    import numpy as np

    from shared.stats import unlabelled
    from shared.stats.metrics import class_name

    classes, sides = list(evidence.known_classes), _sides(evidence, said)
    if not classes:
        return _no(Code.ESTIMATE_NO_GATE, definition)
    if len(classes) > unlabelled.MOST_CLASSES:
        return _no(Code.ESTIMATE_CLASSES, definition, classes=len(classes), most=unlabelled.MOST_CLASSES)
    stated = _both_stated(definition, sides, classes)
    if isinstance(stated, Reason):
        return stated
    number = {one: at for at, one in enumerate(classes)}
    rows = [
        unlabelled.Rows(
            part, np.array([number.get(class_name(v), len(number)) for v in one.values], dtype=np.int64), p
        )
        for part, one, p in zip(columns, sides, stated, strict=True)
    ]
    return rows, np.array([number.get(class_name(value), -1) for value in evidence.y_true], dtype=np.int64)


def _both_stated(
    definition: Definition, sides: Sequence[Predictions], classes: Sequence[str]
) -> list[Floats] | Reason:
    """Of holdout and served rows the probability of each class; or that of the answer, which accuracy can do with."""
    assert definition.metric is not None
    found = [p for one in sides if (p := _stated(one, classes)) is not None]
    if len(found) == len(sides):
        return found
    held, served = (_stated(one, None) for one in sides)
    if served is None:
        return _no(Code.ESTIMATE_UNSTATED, definition)
    if held is None:
        return _no(Code.ESTIMATE_NO_GATE, definition)
    if definition.metric.name != "accuracy":
        return _no(Code.ESTIMATE_ONE_PROBABILITY, definition)
    return [held, served]


def _stated(said: Predictions, classes: Sequence[str] | None) -> Floats | None:
    """rows x classes; without `classes` the probability of each answer. None where a row does not state it."""
    import numpy as np

    if classes is None:
        columns = [said.stated]
    else:
        columns = [said.of([one] * len(said.values), two=len(classes) == 2) for one in classes]
    usable = all(column and all(_usable(p) for p in column) for column in columns)
    return np.array(columns, dtype=float).T if usable and columns else None


def _usable(p: float | None) -> bool:
    return p is not None and 0 <= p <= 1


def _about(
    definition: Definition,
    chosen: Served,
    said: Predictions,
    estimate: Estimate,
    positive: str,
    evidence: GateEvidence,
) -> Asked:
    return Asked(
        ids=tuple(_id(row, definition.data.id or "") for row in chosen),
        rows=tuple(str(row["id"]) for row in chosen),
        answers=said.values,
        probabilities=said.probabilities,
        losses=tuple(round(float(loss), 6) for loss in estimate.losses),
        positive=positive,
        classes=evidence.known_classes,
    )


def _id(row: Mapping[str, object], id: str) -> str:
    from shared.stats.metrics import class_name

    inputs = row["inputs"]
    named = inputs.get(id) if isinstance(inputs, Mapping) else None
    return class_name(named if named is not None else row["id"])


def _told(
    definition: Definition,
    limit: Threshold,
    sign: int,
    found: Estimate,
    past: Sequence[Estimated],
    document: str,
    rows: int,
) -> tuple[Estimated, tuple[Reason, ...]]:
    wanted = definition.metric
    assert wanted is not None
    factor = widening(past, wanted.confidence)
    low = found.value - factor * (found.value - found.low)
    high = found.value + factor * (found.high - found.value)
    worst = high if sign > 0 else low
    beyond = None if limit.value is None else limit.breached(sign, found.value, worst)
    kept = Estimated(wanted.name, found.value, low, high, found.effective, document, beyond, widened=factor)
    facts: dict[str, Any] = {"metric": wanted.name, "value": found.value, "low": low, "high": high}
    told = reason(
        Code.ESTIMATED,
        checks(past),
        **facts,
        rows=rows,
        effective=round(found.effective),
        stated=found.stated,
    )
    if not beyond:
        return kept, (told,)
    side = "below" if sign > 0 else "above"
    facts |= {"side": side, "threshold": limit.value}
    return kept, (reason(Code.ESTIMATE_PAST_THRESHOLD, *limit.because, **facts), told)

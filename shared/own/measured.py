"""A metric of the loop's own, asked of rows: numbers a row, or a number with bounds for all rows and for each slice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from shared.domain.reason import Code, reason
from shared.gate.gate_record import ALL_ROWS, Interval, OwnFound, OwnSeen, bad_values, without_probability
from shared.loopfile.published import Published
from shared.own import sandbox, source_text
from shared.stats.metrics import Metric, OwnMetric, class_name, is_own, metric_of

if TYPE_CHECKING:
    import pandas as pd

    from shared.verdict.predictions import Predictions
    from shared.verdict.task import Task

RESAMPLES = 1000
SEED = 20070101


@dataclass(frozen=True)
class Group:
    """Rows of which the metric is asked, by their place, with the confidence of its bounds."""

    at: Sequence[int]
    confidence: float


def own_metric(published: Published, task: Task) -> OwnMetric | None:
    """What the loop's metric is, where it is a function of its own."""
    metric = published.definition.metric
    if metric is None or not is_own(metric.name):
        return None
    code = source_text.digest(published.code[source_text.METRICS_FILE])
    span = (metric.range[0], metric.range[1]) if metric.range else None
    return OwnMetric(metric.better or "higher", task, span, metric.positive or "", code, metric.costs)


def of_champion(
    published: Published,
    own: OwnMetric,
    truth: Sequence[object],
    answers: Predictions,
    rows: pd.DataFrame,
    *,
    two: bool,
) -> OwnSeen | None:
    """One model on all these rows; None where its answers, or the truth, cannot be used, which the judge says."""
    metric = published.definition.metric
    assert metric is not None
    if (
        bad_values(truth, own.task)
        or bad_values(answers.values, own.task)
        or len(answers.values) != len(truth)
    ):
        return None
    told: Sequence[object] = answers.values
    if own.positive:
        told = answers.of([own.positive] * len(truth), two=two)
        if unstated := without_probability(told, len(truth)):
            code = Code.METRIC_PROBABILITIES_UNSTATED
            return OwnSeen(fault=reason(code, metric=metric.name, unstated=unstated, rows=len(truth)))
    groups = {ALL_ROWS: Group(range(len(truth)), metric.confidence)}
    return measure(published.code[source_text.METRICS_FILE], metric.name, own, truth, [told], rows, groups)


def measure(
    code: str,
    name: str,
    own: OwnMetric,
    truth: Sequence[object],
    models: Sequence[Sequence[object]],
    rows: pd.DataFrame,
    groups: Mapping[str, Group],
    resamples: int = RESAMPLES,
) -> OwnSeen:
    """`models` are each model's answers, or with `own.positive` what it states for that class.

    Without `resamples` there are values alone.
    """
    metric = metric_of(name, own=own)
    kind, wanted = _kind(metric, own), _told(truth, models, own)
    question = {
        "task": "measure",
        "function": name.partition(".")[2],
        "kind": kind,
        "truth": wanted[0],
        "models": wanted[1],
        "range": own.range,
        "costs": {truth: dict(row) for truth, row in own.costs.items()},
        "groups": {key: {"at": list(one.at), "confidence": one.confidence} for key, one in groups.items()},
        "sign": metric.sign,
        "resamples": resamples,
        "seed": SEED,
    }
    try:
        answer = sandbox.run(source_text.METRICS_FILE, code, question, [table_of(rows)])
        return _read(answer, len(models), len(truth), own)
    except sandbox.Stopped as stopped:
        return OwnSeen(fault=stopped.reason)


def _kind(metric: Metric, own: OwnMetric) -> str:
    if metric.task == "regression":
        return "numbers"
    return "probabilities" if own.positive else "classes"


def _told(
    truth: Sequence[object], models: Sequence[Sequence[object]], own: OwnMetric
) -> tuple[list[object], list[list[object]]]:
    """Classes by name, whether a row is of the positive class, or numbers."""
    if own.task == "regression":
        return [float(str(value)) for value in truth], [[float(str(v)) for v in each] for each in models]
    if own.positive:
        return [class_name(value) == own.positive for value in truth], [list(each) for each in models]
    return list(map(class_name, truth)), [list(map(class_name, each)) for each in models]


def table_of(rows: pd.DataFrame) -> bytes:
    """Rows as Arrow, columns of mixed values as text."""
    import pyarrow as pa

    plain = rows.reset_index(drop=True)
    for name in plain.columns:
        try:
            pa.Array.from_pandas(plain[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            plain[name] = plain[name].astype(str)
    table = pa.Table.from_pandas(plain, preserve_index=False)
    stream = BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


def _read(answer: Mapping[str, Any], models: int, rows: int, own: OwnMetric) -> OwnSeen:
    """What the process said, believed only where it has the form that was asked for: the code could have said it."""
    try:
        if own.range is not None:
            values = tuple(tuple(map(float, each)) for each in answer["rows"])
            least, most = own.range
            if len(values) != models or any(len(each) != rows for each in values):
                raise ValueError("another number of rows")
            if not all(least <= value <= most for each in values for value in each):
                raise ValueError("a value out of range")
            return OwnSeen(rows=values)
        return OwnSeen(found={str(key): _found(one, models) for key, one in answer["found"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"an answer of another form ({type(error).__name__})"
        return OwnSeen(fault=reason(Code.OWN_CODE_UNFIT, where=source_text.METRICS_FILE, what=what))


def _found(one: Mapping[str, Any], models: int) -> OwnFound:
    ends = [_interval(each) for each in one["models"]]
    if len(ends) != models:
        raise ValueError("another number of models")
    both = _interval(one["difference"]) if models == 2 else None
    return OwnFound(ends[0], ends[1] if models == 2 else None, both)


def _interval(three: Sequence[Any]) -> Interval:
    value, low, high = (None if end is None else float(end) for end in three)
    if any(end is not None and not math.isfinite(end) for end in (value, low, high)):
        raise ValueError("not finite")
    return Interval(value, low, high)

"""What the loop predicts, classes or a number, settled once and used by gate, smoke test, metric and backtest alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.loopfile import Definition
    from shared.ports import Ports
    from shared.runtime.unit_of_work import Unit

Task = Literal["classification", "regression"]

DEFAULT_METRIC = {"classification": "f1_macro", "regression": "rmse"}
"""Of the gate, where the loop file names no metric."""


def task_of(unit: Unit, definition: Definition) -> Task:
    """`data.task` of the loop file, else the task of its metric, else what the first labelled version showed."""
    from shared.stats.metrics import is_own, metric_of

    if definition.data.task != "auto":
        return definition.data.task
    if definition.metric is not None and not is_own(definition.metric.name):
        return metric_of(definition.metric.name).task
    if unit.state.task:
        return "regression" if unit.state.task == "regression" else "classification"
    return _of_older_rows(unit, definition)


def _of_older_rows(unit: Unit, definition: Definition) -> Task:
    """Of a loop whose first labelled version came in before the task was kept: by the target's type."""
    newest = unit.newest_labelled()
    kind = unit.version(newest)[0].columns.get(definition.data.target) if newest else None
    return "regression" if kind == "number" else "classification"


def trained_classes(ports: Ports, profile: str, target: str) -> set[str] | None:
    """The classes in the data that a model was trained on, by name; None where its profile no longer has them all."""
    import drift
    from shared.stats.metrics import class_name

    kept = drift.Profile.from_bytes(ports.documents.get(profile)) if profile else None
    column = kept.columns.get(target) if kept else None
    if column is not None and column.counts is not None and column.counts.closed:
        keys = column.counts.keys
        return {class_name(key == "true" if column.kind == "boolean" else key) for key in keys}
    if column is not None and column.grid is not None and column.grid.exact:
        return {class_name(float(value)) for value in column.grid.values()[column.grid.counts > 0]}
    return None


def metric_name(unit: Unit, definition: Definition) -> str:
    """The loop's metric; else macro F1 for classes and RMSE for numbers."""
    if definition.metric is not None:
        return definition.metric.name
    return DEFAULT_METRIC[task_of(unit, definition)]


def positive_class(metric: str, definition: Definition, classes: Sequence[str]) -> str:
    """The class whose probability a ranking metric ranks by: `metric.positive`; of two classes the last by name, which
    for the area under the ROC curve is as good as the first. Empty where the metric has none, or it is not known."""
    from shared.stats.metrics import is_own, metric_of

    if is_own(metric) or not metric_of(metric).ranks or definition.metric is None:
        return ""
    return definition.metric.positive or (max(classes) if len(classes) == 2 else "")


def scored_classes(metric: str, y_true: Sequence[object], positive: str) -> Sequence[object] | None:
    """The class of each row whose probability a metric of probabilities takes; None for every other metric."""
    from shared.stats.metrics import is_own, metric_of

    if is_own(metric) or not metric_of(metric).of_probabilities:
        return None
    return y_true if metric == "log_loss" else [positive] * len(y_true)

"""Every metric that a loop file may name, with its direction and exactly one definition.

Classification labels are compared as text (`1`, `1.0` and `"1"` are one class): a CSV column and a JSON
answer name classes differently. Macro averages run over the classes that occur in the truth: what
scikit-learn computes wherever every predicted class occurs there too, without halving a slice's score for
one stray answer. Every metric also takes row weights, one set per resample, which is what the intervals
need. Metrics of stated probabilities take one probability a row in place of an answer (`of_probabilities`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


Costs = Mapping[str, Mapping[str, float]]
"""What an answer costs: truth, then answer. A right answer costs nothing where the table does not say it."""

_WHOLE_TEXT = re.compile(r"(-?\d+)\.0+")


@dataclass(frozen=True)
class RowSpan:
    """Of a metric that is a mean over the rows: what one row can come to."""

    least: float
    most: float
    apart: float
    """The most by which two models can differ in one row."""


@dataclass(frozen=True)
class Metric:
    """A number for how good predictions are; `function(y_true, y_pred)` computes it.

    Of a metric of probabilities `y_pred` is one probability a row: of the positive class, `y_true` saying whether a row
    is positive; of `log_loss` that of the class that came true, whatever `y_true`.
    """

    name: str
    direction: Literal["higher", "lower"]
    task: Literal["classification", "regression"]
    function: Callable[[Sequence[object], Sequence[object]], float]
    of_probabilities: bool = False
    span: RowSpan | None = None
    """Given where it is the mean of one number a row, which its sample then holds in place of the answers."""
    costs: Costs = field(default_factory=dict)
    given: bool = False
    """A function of the loop's own that answers one number: its bounds are found where it is run."""

    @property
    def ranks(self) -> bool:
        """It says how well the rows of one class are put before the others, so it must be told which class."""
        return self.name in ("roc_auc", "average_precision")

    @property
    def sign(self) -> int:
        """Times this, greater is better."""
        return 1 if self.direction == "higher" else -1


def class_name(value: object) -> str:
    """A label as text: whole numbers without a decimal point (also `"1.0"`, as a column of floats is written as text),
    everything else as it is written."""
    if isinstance(value, str):
        whole = _WHOLE_TEXT.fullmatch(value)
        return whole[1] if whole else value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    item = getattr(value, "item", None)  # a numpy scalar
    return class_name(item()) if callable(item) else str(value)


def key_name(value: object) -> str:
    """The same as a key of JSON, where a truth value is spelt otherwise: of an object of one probability a class."""
    name = class_name(value)
    return name.lower() if name in ("True", "False") else name


def encode(y_true: Sequence[object], *predictions: Sequence[object]) -> list[NDArray[np.int64]]:
    """Labels as numbers: first the classes of the truth, in order, then classes that were only predicted."""
    import numpy as np

    columns = [[class_name(value) for value in column] for column in (y_true, *predictions)]
    known = sorted(set(columns[0]))
    names = known + sorted(set().union(*columns[1:]) - set(known))
    number = {name: index for index, name in enumerate(names)}
    return [np.array([number[name] for name in column], dtype=np.int64) for column in columns]


def _ratio(above: Floats, below: Floats) -> Floats:
    import numpy as np

    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def classification_score(
    name: str, truth: NDArray[np.int64], predicted: NDArray[np.int64], weights: Floats
) -> Floats:
    """One score per row of `weights` (resamples x rows), for encoded labels."""
    import numpy as np

    if name == "accuracy":
        return np.asarray(weights @ (truth == predicted) / weights.sum(axis=-1))
    classes = np.unique(truth)
    is_true, is_predicted = truth[:, None] == classes, predicted[:, None] == classes
    true, hit = weights @ is_true.astype(float), weights @ (is_true & is_predicted).astype(float)
    if name in ("balanced_accuracy", "recall_macro"):
        return np.asarray(_ratio(hit, true).mean(axis=-1))
    called = weights @ is_predicted.astype(float)
    if name == "precision_macro":
        return np.asarray(_ratio(hit, called).mean(axis=-1))
    f1 = _ratio(2 * hit, true + called)
    if name == "f1_macro":
        return np.asarray(f1.mean(axis=-1))
    return np.asarray((f1 * true).sum(axis=-1) / true.sum(axis=-1))


def regression_score(name: str, truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """One score per row of `weights` (resamples x rows). NaN where the metric is not defined."""
    import numpy as np

    error, total = predicted - truth, weights.sum(axis=-1)
    if name == "mae":
        return np.asarray(weights @ np.abs(error) / total)
    if name == "mape":
        zero = truth == 0
        relative = np.abs(error) / np.where(zero, 1.0, np.abs(truth))
        return np.asarray(weights @ np.where(zero, np.nan, relative) / total)
    squared = weights @ error**2 / total
    if name == "rmse":
        return np.asarray(np.sqrt(squared))
    centred = truth - truth.mean()
    spread = weights @ centred**2 / total - (weights @ centred / total) ** 2
    return np.asarray(np.where(spread > 0, 1 - squared / np.where(spread > 0, spread, 1.0), np.nan))


def _classification(name: str) -> Metric:
    def function(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
        import numpy as np

        truth, predicted = encode(y_true, y_pred)
        return float(classification_score(name, truth, predicted, np.ones((1, len(truth))))[0])

    return Metric(name, "higher", "classification", function)


def _regression(name: str, direction: Literal["higher", "lower"]) -> Metric:
    def function(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
        import numpy as np

        truth, predicted = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
        return float(regression_score(name, truth, predicted, np.ones((1, len(truth))))[0])

    return Metric(name, direction, "regression", function)


def _of_probabilities(name: str, direction: Literal["higher", "lower"]) -> Metric:
    def function(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
        import numpy as np

        from shared.stats.probability_scores import probability_score

        stated, weights = np.asarray(y_pred, dtype=float), np.ones((1, len(y_true)))
        return float(probability_score(name, np.asarray(y_true, dtype=bool), stated, weights)[0])

    return Metric(name, direction, "classification", function, of_probabilities=True)


COST, OWN = "cost", "metrics."
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _classification("accuracy"),
        _classification("balanced_accuracy"),
        _classification("f1_macro"),
        _classification("f1_weighted"),
        _classification("precision_macro"),
        _classification("recall_macro"),
        _of_probabilities("roc_auc", "higher"),
        _of_probabilities("average_precision", "higher"),
        _of_probabilities("log_loss", "lower"),
        _regression("mae", "lower"),
        _regression("rmse", "lower"),
        _regression("mape", "lower"),
        _regression("r2", "higher"),
    )
}


@dataclass(frozen=True)
class OwnMetric:
    """What a loop file says of a function of its own, `metrics.NAME`, and of its source."""

    direction: Literal["higher", "lower"]
    task: Literal["classification", "regression"]
    range: tuple[float, float] | None
    """What one row can come to: the function answers one number a row. None: it answers one number."""
    positive: str
    """The class whose stated probability it takes in place of answers; empty: it takes answers."""
    code: str
    """SHA-256 of the source."""
    costs: Costs = field(default_factory=dict)
    """A table that the function gets a number a row of; empty: it gets none."""


def is_own(name: str) -> bool:
    return name.startswith(OWN)


def metric_of(name: str, costs: Costs | None = None, own: OwnMetric | None = None) -> Metric:
    """A metric by the name that the loop file gives it; `cost` is made from its table."""
    if own is not None:
        span = RowSpan(*own.range, own.range[1] - own.range[0]) if own.range else None
        return Metric(name, own.direction, own.task, _elsewhere, span=span, given=span is None)
    if name != COST:
        return METRICS[name]
    table = costs or {}
    rows = [_row_of(table, truth) for truth in table]
    every = [cost for row in rows for cost in row]
    apart = max((max(row) - min(row) for row in rows), default=0.0)

    def function(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
        paid = row_costs(table, y_true, y_pred)
        return sum(paid) / len(paid)

    span = RowSpan(min(every, default=0.0), max(every, default=0.0), apart)
    return Metric(COST, "lower", "classification", function, span=span, costs=table)


def _elsewhere(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    raise NotImplementedError("a function of the loop's own runs in a process of its own")


def _row_of(costs: Costs, truth: str) -> list[float]:
    return list({truth: 0.0, **costs[truth]}.values())


def uncosted(costs: Costs, y_true: Sequence[object], y_pred: Sequence[object]) -> tuple[str, str] | None:
    """The first truth and answer of which the table says nothing."""
    for pair in dict.fromkeys(zip(map(class_name, y_true), map(class_name, y_pred), strict=True)):
        truth, answer = pair
        if truth not in costs or (answer != truth and answer not in costs[truth]):
            return pair
    return None


def row_costs(costs: Costs, y_true: Sequence[object], y_pred: Sequence[object]) -> list[float]:
    """What each answer costs."""
    pairs = zip(map(class_name, y_true), map(class_name, y_pred), strict=True)
    return [costs[truth].get(answer, 0.0) for truth, answer in pairs]

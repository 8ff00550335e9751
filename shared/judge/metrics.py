"""Every metric that a loop file may name, with its direction and exactly one definition.

Classification labels are compared as text (`1`, `1.0` and `"1"` are one class): a CSV column and a JSON
answer name classes differently. Macro averages run over the classes that occur in the truth: what
scikit-learn computes wherever every predicted class occurs there too, without halving a slice's score for
one stray answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number that tells how good predictions are; `function(y_true, y_pred)` computes it."""

    name: str
    direction: Literal["higher", "lower"]
    task: Literal["classification", "regression"]
    function: Callable[[Sequence[object], Sequence[object]], float]


def _unbuilt(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    raise NotImplementedError


METRICS: dict[str, Metric] = {
    name: Metric(name, direction, task, _unbuilt)  # type: ignore[arg-type]  # stub
    for name, direction, task in [
        ("accuracy", "higher", "classification"),
        ("balanced_accuracy", "higher", "classification"),
        ("f1_macro", "higher", "classification"),
        ("f1_weighted", "higher", "classification"),
        ("precision_macro", "higher", "classification"),
        ("recall_macro", "higher", "classification"),
        ("mae", "lower", "regression"),
        ("rmse", "lower", "regression"),
        ("mape", "lower", "regression"),
        ("r2", "higher", "regression"),
    ]
}

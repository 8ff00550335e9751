"""What each row comes to for each class that may be its truth: by a table of costs, or a function of the loop's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.loopfile.published import Published
from shared.own import source_text
from shared.own.measured import measure, own_metric
from shared.stats.metrics import Metric, class_name, metric_of, row_costs, uncosted

if TYPE_CHECKING:
    import pandas as pd

    from shared.stats.unlabelled import Floats
    from shared.verdict.predictions import Predictions
    from shared.verdict.task import Task


def metric_in(published: Published, task: Task) -> Metric:
    """The loop's metric."""
    wanted = published.definition.metric
    assert wanted is not None
    return metric_of(wanted.name, wanted.costs, own_metric(published, task))


def of(
    published: Published, classes: Sequence[str], said: Predictions, rows: pd.DataFrame
) -> Floats | Reason:
    """rows x classes; or why there is none."""
    import numpy as np

    wanted = published.definition.metric
    assert wanted is not None
    truth = [one for one in classes for _ in said.values]
    answers = [class_name(value) for value in said.values]
    if wanted.costs and (pair := uncosted(wanted.costs, truth, answers * len(classes))):
        return reason(Code.COST_UNSTATED, truth=pair[0], answer=pair[1])
    own = own_metric(published, "classification")
    if own is None:
        values: Sequence[float] = row_costs(wanted.costs, truth, answers * len(classes))
    else:
        import pandas as pd

        told = said.of([own.positive] * len(answers), two=len(classes) == 2) if own.positive else answers
        code, every = published.code[source_text.METRICS_FILE], pd.concat([rows] * len(classes))
        seen = measure(code, wanted.name, own, truth, [list(told) * len(classes)], every, {}, resamples=0)
        if seen.fault is not None:
            return seen.fault
        values = seen.rows[0]
    return np.array(values, dtype=float).reshape(len(classes), len(answers)).T

"""The metric of the model that served, on the rows of a drop that no model has been trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cli.past.model import Model
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.gate.gate_record import ALL_ROWS
from shared.loopfile.published import Published
from shared.own import measured, source_text
from shared.ports import Ports
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.stats.metrics import Metric, OwnMetric, class_name, metric_of
from shared.verdict import predictions, sampled_rows, task
from shared.words import say


@dataclass(frozen=True)
class Scores:
    """Of one loop."""

    ports: Ports
    published: Published

    @property
    def _loop(self) -> Unit:
        return unit_of_work.read(self.ports, self.published.definition.loop)

    @property
    def metric(self) -> str:
        return task.metric_name(self._loop, self.published.definition)

    @property
    def own(self) -> OwnMetric | None:
        return measured.own_metric(self.published, task.task_of(self._loop, self.published.definition))

    @property
    def measure(self) -> Metric:
        metric = self.published.definition.metric
        return metric_of(self.metric, metric.costs if metric else None, self.own)

    @property
    def need_probabilities(self) -> bool:
        """Whether a model must state them: for the metric, or for its estimate before labels come."""
        metric = self.published.definition.metric
        estimated = bool(metric and metric.estimate) and self.measure.task == "classification"
        return self.measure.of_probabilities or bool(self.own and self.own.positive) or estimated

    def features(self, numbers: Sequence[int]) -> pd.DataFrame:
        """Of the rows of these versions."""
        return predictions.features(self._rows(numbers), self.published.definition)

    def _rows(self, numbers: Sequence[int]) -> pd.DataFrame:
        current = self._loop
        return sampled_rows.everything(self.ports, [current.version(number)[0] for number in numbers])

    def score(self, model: Model, version: DataVersion) -> float | None:
        """None without labels."""
        if not version.labelled:
            return None
        definition = self.published.definition
        target = definition.data.target
        frame = self._rows([version.number])
        frame = frame[frame[target].notna()]
        asked = predictions.features(frame, definition)
        truth = [class_name(value) for value in frame[target]] if model.classes else frame[target].tolist()
        if self.own:
            return self._by_own_code(self.own, truth, model, asked, frame.drop(columns=[target]))
        positive = task.positive_class(self.metric, definition, model.classes)
        wanted = task.scored_classes(self.metric, truth, positive)
        if wanted is None:
            return float(self.measure.function(truth, model.predict(asked)))
        rows = zip(model.probabilities(asked), wanted, strict=True)
        stated = [said.get(str(name), 0.0) for said, name in rows]
        return float(self.measure.function([name == positive for name in truth], stated))

    def _by_own_code(
        self, own: OwnMetric, truth: list[object], model: Model, asked: pd.DataFrame, rows: pd.DataFrame
    ) -> float | None:
        """What a function of metrics.py answers, without bounds; None where it answers nothing."""
        told = model.predict(asked)
        if own.positive:
            told = [said.get(own.positive, 0.0) for said in model.probabilities(asked)]
        groups = {ALL_ROWS: measured.Group(range(len(truth)), 0.5)}
        code = self.published.code[source_text.METRICS_FILE]
        seen = measured.measure(code, self.metric, own, truth, [told], rows, groups, resamples=0)
        if seen.fault:
            raise ConfigurationError(say(seen.fault), code=seen.fault.code)
        return sum(seen.rows[0]) / len(truth) if seen.rows else seen.found[ALL_ROWS].challenger.value

"""What late labels say of the champion slice by slice, the worst first.

H0 of each slice: the metric keeps the loop's floor for slices. Valid n: the labelled rows of a slice that reach
`gate.slices.min_rows` and what the metric needs at least; intervals hold for all judged slices together (Bonferroni).
Told, and no reason to retrain: labels come again and again, and the worst of many slices is often one by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from shared.domain.reason import Code, Reason, reason
from shared.gate.gate_record import OwnSeen, least_rows, slice_groups, slice_name
from shared.verdict.metric import MetricVerdict, Threshold, judge_metric

if TYPE_CHECKING:
    from shared.loopfile import Definition
    from shared.stats.metrics import Metric

T = TypeVar("T")

TOLD = 5
"""Slices that are told: the worst ones."""
MOST = 50
"""Slices that are judged: the largest ones."""


def by_slice(
    definition: Definition,
    metric: Metric,
    inputs: Sequence[Mapping[str, object]],
    labels: Sequence[object],
    predictions: Sequence[object],
    *,
    seen: OwnSeen | None = None,
    worth: Sequence[float] | None = None,
) -> tuple[Reason, ...]:
    """One reason, or none where the loop names no slices or no slice has enough rows."""
    wanted, judged = definition.gate.slices, definition.metric
    if wanted is None or judged is None or metric.given or not labels:
        return ()
    groups = slice_groups(_names(inputs, wanted.by), wanted.by)
    least = max(wanted.min_rows, least_rows(metric))
    large = sorted((where for where, at in groups.items() if len(at) >= least), key=lambda w: -len(groups[w]))
    large = large[:MOST]
    level = _level(judged.confidence, len(large))
    found = []
    for where in large:
        at = groups[where]
        verdict = judge_metric(
            _some(labels, at),
            _some(predictions, at),
            metric,
            Threshold(wanted.floor),
            seen=replace(seen, rows=tuple(tuple(_some(row, at)) for row in seen.rows)) if seen else None,
            confidence=level,
            worth=_some(worth, at) if worth else None,
            whole=False,
        )
        found.append((where, verdict))
    if not found:
        return ()
    found.sort(key=lambda one: _rank(one[1], metric))
    told = [reason(Code.LABELS_SLICE, v.reason, slice=slice_name(*where)) for where, v in found[:TOLD]]
    facts = {"slices": len(found), "small": len(groups) - len(found), "told": len(told)}
    return (reason(Code.LABELS_BY_SLICE, *told, **facts),)


def _level(confidence: float, slices: int) -> float:
    """Of each interval, so that all of them hold together (Bonferroni)."""
    return 1 - (1 - confidence) / max(1, slices)


def _rank(verdict: MetricVerdict, metric: Metric) -> float:
    """The least good first; where nothing could be measured, last."""
    return float("inf") if verdict.value is None else metric.sign * verdict.value


def _names(inputs: Sequence[Mapping[str, object]], columns: Sequence[str]) -> Mapping[str, Sequence[object]]:
    """The slice of each row by every column that the collected inputs have."""
    import pandas as pd

    from shared.gate.slice_names import slice_edges, slice_names
    from shared.verdict.served_rows import plain

    known = [name for name in columns if any(name in row for row in inputs)]
    values = {name: pd.Series([plain(row.get(name)) for row in inputs]) for name in known}
    return {name: slice_names(column, slice_edges(column)) for name, column in values.items()}


def _some(values: Sequence[T], at: Sequence[int]) -> list[T]:
    return [values[n] for n in at]

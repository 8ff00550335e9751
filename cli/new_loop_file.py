"""The loop file that `driftloop new` writes, with a comment where a person knows better."""

from __future__ import annotations

import glob
import math
from typing import TYPE_CHECKING

from cli import contract_proposal, new_prospects
from cli.yaml_values import quoted
from shared.values.column_kinds import NUMBER

if TYPE_CHECKING:
    from cli.new_data import Seen

FEWEST_OF_A_VECTOR = 8
"""Fewer are counters of something rather than an embedding."""
WINDOW = "  window: since_breach   # all rows, until the metric is breached; then those that breach it"
WORSE_BY = 1 / 3
"""Of the gate's margin: a loss that nobody would retrain for. Chance is in the interval, whatever the margin."""
METRIC = {"classification": "balanced_accuracy", "regression": "rmse"}
"""Balanced accuracy counts every class alike: a model that never says the rare one gets no more than chance."""


def loop_text(name: str, seen: Seen, schedule: str) -> str:
    """The loop file. Texts are written as JSON, which YAML reads."""
    lines = [f"loop: {name}", "data:", f"  landing: landing/{name}/", f"  target: {quoted(seen.target)}"]
    lines.append(f"  task: {seen.task}")
    if seen.id:
        lines.append(f"  id: {quoted(seen.id)}")
    if seen.time:
        lines.append(f"  time: {quoted(seen.time)}")
    if seen.ignore:
        lines.append(f"  ignore: {quoted(seen.ignore)}")
    if seen.said:
        lines.append(f"  columns: {quoted(seen.said)}")
    if seen.nulls:
        lines.append(f"  nulls: {quoted(list(seen.nulls))}")
    by = "by: hash, fraction: 0.2"
    if column := seen.time or seen.cluster:
        by = f"by: {'time' if seen.time else 'group'}, fraction: 0.2, column: {quoted(column)}"
    lines += contract_proposal.proposal(seen.table, seen.kinds, seen.id, (seen.time, *seen.ignore))
    lines += [f"  holdout: {{{by}}}", WINDOW, "train:", "  pipeline: train.yml", "serve:"]
    lines.append(f"  endpoint: {(name if len(name) > 2 else name + '-loop')[:32]}")
    lines += _drift_lines(seen)
    lines.append("retrain:")
    if schedule:
        lines.append(f"  schedule: {quoted(schedule)}")
    lines.append("  new_data: 1   # also when as many labelled rows have landed as the newest training had")
    return "\n".join([*lines, *_metric(seen)]) + "\n"


def _drift_lines(seen: Seen) -> list[str]:
    lines = []
    judged = [c for c in seen.features if c not in (seen.time, *seen.clocks)] if seen.time else []
    if judged:
        lines.append(f"  columns: {quoted(judged)}   # not the time itself, which always moves")
    if found := _vectors(seen):
        lines.append(
            f"  vectors: {quoted(found)}   # columns that are one thing together, judged by one test"
        )
    if seen.cluster:
        lines.append(
            f"  cluster: {quoted(seen.cluster)}   # one row of each is compared: the others depend on it"
        )
    if seen.time or seen.alike:
        lines.append(
            "  reference: {last: 8}   # rows depend on each other: a drop is ranked among those before it"
        )
    return ["drift:", *lines] if lines else []


def _vectors(seen: Seen) -> dict[str, list[str]]:
    """Features of numbers that are counted through from 0, as those of a list are, and of an embedding that is wide."""
    places: dict[str, set[int]] = {}
    for name in seen.features:
        head, _, place = name.rpartition("_")
        if head and place.isdecimal() and seen.kinds.get(name) == NUMBER:
            places.setdefault(head, set()).add(int(place))
    return {
        head: [f"{glob.escape(head)}_[0-9]*"]
        for head, found in places.items()
        if len(found) >= FEWEST_OF_A_VECTOR and found == set(range(len(found)))
    }


def _metric(seen: Seen) -> list[str]:
    """A model that is no better than guessing, or worse than it was, is a reason to retrain; what is good enough, a
    person knows."""
    lines = ["metric:", f"  name: {METRIC[seen.task]}   # measured on each labelled version"]
    if seen.task == "classification":
        classes = max(2, seen.distinct[seen.target])
        guessing = math.floor(1000 / classes) / 1000
        lines.append(f"  at_least: {guessing:g}   # guessing one of {classes}; below it the loop retrains")
        margin, unit = 0.03, "of balanced accuracy"
        if (sample := new_prospects.sample_for(seen.answers)) > new_prospects.SAMPLED:
            lines.append(
                f"  sample: {sample}   # rows of a version, enough to have the rarest class among them"
            )
    else:
        spread = max(seen.spread, 1e-8)
        lines.append(f"  at_most: {spread:.3g}   # always answering the mean; above it the loop retrains")
        margin, unit = spread * 0.1, f"of RMSE, a tenth of the spread of {quoted(seen.target)}"
    worse = f"  worse_by: {margin * WORSE_BY:.3g}   # than the live model was, beyond chance: then it retrains, too"
    return [*lines, worse, "gate:", f"  margin: {margin:.3g}   # {unit}", "  on_inconclusive: hold"]

"""What a new loop has to expect of its data, told before anything trains: its holdout, its rare classes, its canary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from shared.gate.gate_judge import GateVerdict
    from shared.loopfile import Definition

ROWS_TRIED = 500
"""Holdout rows of the trial at most: what more rows would show follows from these."""
RIGHT, SHARED = 0.9, 0.5
"""The trial's models: each is right so often; of one's errors this share is the other's too."""
WITHIN_SAMPLE = 30
"""Rows of the rarest class that a version's metric should be measured on."""
MOST_SAMPLED, SAMPLED = 20_000, 1_000
DROPS, FOUND = 8, 0.8
"""A loss is told that is found at its first drop so often, when so many drops have been measured."""
OFTEN = 20
"""Rows that each value of a column has on average, from which on it is no chance that it tells the class."""
BACKWARDS = 0.01
"""A column whose moves against the direction of time are less than this share of all only says what time it is."""
ALIGNED = 0.99
"""So does one whose ranks correlate so much with the time's: a few rows may be out of order."""


def prospects(definition: Definition, answers: Sequence[object]) -> Iterator[str]:
    """Sentences for the person who makes a loop from rows whose known targets are `answers`."""
    share = definition.data.holdout.fraction
    kept, rows = round(len(answers) * share), len(answers)
    if definition.data.task == "classification":
        yield from _rare(answers, share)
    yield f"holdout: about {kept:,} of {rows:,} rows are kept back, to compare a new model with the live one"
    yield _shown(definition, _trial(definition, answers, kept), kept)
    yield _found(definition, answers)
    yield _canary(definition)


def _rare(answers: Sequence[object], share: float) -> Iterator[str]:
    from shared.gate.gate_record import LEAST_OF_CLASS
    from shared.stats.metrics import class_name

    (name, fewest), *_ = reversed(Counter(map(class_name, answers)).most_common())
    if fewest * share < LEAST_OF_CLASS:
        yield (
            f"class {name} has {fewest} of {len(answers):,} rows, about {fewest * share:.0f} of them kept back; a "
            f"comparison takes {LEAST_OF_CLASS} of each class: until drops have brought more, releases after the first "
            "wait for your decision"
        )
    elif fewest < 0.05 * len(answers):
        yield f"class {name} is rare ({fewest / len(answers):.2%} of the rows): the metric counts every class alike"


def _trial(definition: Definition, answers: Sequence[object], kept: int) -> GateVerdict:
    """The loop's own gate on as many of these rows, between two models that are equally good."""
    from shared.gate.gate_judge import GateEvidence, GatePolicy, judge_gate

    assert definition.metric is not None
    draw = np.random.default_rng(1)
    truth = [answers[n] for n in draw.choice(len(answers), min(kept, ROWS_TRIED), replace=False)]
    classifies = definition.data.task == "classification"
    champion, challenger = (_wrong_at_times if classifies else _off)(truth, draw)
    policy = GatePolicy(definition.metric.name, definition.gate.margin, resamples=500)
    ids = tuple(map(str, range(len(truth))))
    return judge_gate(GateEvidence(ids, tuple(truth), challenger, champion), policy)


def _found(definition: Definition, answers: Sequence[object]) -> str:
    """What loss of the metric drops of this size let be seen: how far it may be off by chance, on such rows."""
    from scipy.special import ndtri, stdtrit

    from shared.stats.drop_spread import sample_of as error_of
    from shared.stats.intervals import bounds, sample_of
    from shared.stats.metrics import METRICS

    metric = definition.metric
    assert metric is not None and metric.worse_by is not None
    draw, rows = np.random.default_rng(1), min(len(answers), metric.sample)
    truth = [answers[n] for n in draw.choice(len(answers), min(rows, ROWS_TRIED), replace=False)]
    classifies = definition.data.task == "classification"
    said = (_wrong_at_times if classifies else _off)(truth, draw)[0]
    found = bounds(sample_of(METRICS[metric.name], truth, said), metric.confidence, ROWS_TRIED, 1)
    error = error_of(found.value, found.low, found.high, metric.confidence).error * math.sqrt(
        len(truth) / rows
    )
    past = stdtrit(DROPS - 1, metric.confidence) / math.sqrt(DROPS)
    loss = metric.worse_by + error * float(math.hypot(ndtri(metric.confidence), past) + ndtri(FOUND))
    return (
        f"metric: on drops of {rows:,} rows, a loss of about {loss:.2g} of {metric.name} is found at its first drop "
        f"in {10 * FOUND:.0f} of 10 cases, once {DROPS} drops are measured; a smaller one later, or not at all "
        "(more rows, and a larger `metric.sample`, show more)"
    )


Answers = tuple[tuple[object, ...], tuple[object, ...]]


def _wrong_at_times(truth: list[object], draw: np.random.Generator) -> Answers:
    """Both err equally often on these very rows, so that the difference is nought whatever the draw."""
    names = sorted(set(truth), key=str)
    other = {name: names[n - 1] for n, name in enumerate(names)}
    wrong = max(2, round(len(truth) * (1 - RIGHT)))
    both = round(wrong * SHARED)
    rows = draw.permutation(len(truth))
    first, second = set(rows[:wrong]), {*rows[:both], *rows[wrong : 2 * wrong - both]}
    return (
        tuple(other[value] if n in first else value for n, value in enumerate(truth)),
        tuple(other[value] if n in second else value for n, value in enumerate(truth)),
    )


def _off(truth: list[object], draw: np.random.Generator) -> Answers:
    values = np.array(truth, dtype=float)
    errors = draw.normal(0, 0.5 * float(values.std() or 1), (2, len(values)))
    mixed = SHARED * errors[0] + math.sqrt(1 - SHARED**2) * errors[1]
    scale = float(np.sqrt(np.mean(errors[0] ** 2) / np.mean(mixed**2))) if len(values) else 1.0
    return tuple((values + errors[0]).tolist()), tuple((values + scale * mixed).tolist())


def _shown(definition: Definition, verdict: GateVerdict, kept: int) -> str:
    from shared.domain.release import Outcome
    from shared.gate.gate_record import LEAST_ROWS

    margin, needed = f"{definition.gate.margin:g}", verdict.rows_needed
    if kept < LEAST_ROWS:
        return f"that is too few: every release waits for your decision until {LEAST_ROWS} are kept back"
    if verdict.outcome is Outcome.PASS or (needed is not None and needed <= kept):
        return f"that is enough to show that an equally good model is not worse by {margin} (`gate.margin`)"
    enough = "more" if needed is None else f"about {needed:,}"
    waits = (
        "until drops have brought them, releases after the first may wait for your decision; a wider margin takes "
        "fewer"
    )
    if definition.data.holdout.by == "time":
        waits = (
            "a release is judged on the newest drop's alone, so with drops of this size releases after the first wait "
            "for your decision: land larger drops, or widen the margin"
        )
    return (
        f"that is few: to show that an equally good model is not worse by {margin} (`gate.margin`) it takes "
        f"{enough}; {waits}"
    )


def _canary(definition: Definition) -> str:
    from shared.canary.traffic_needs import traffic_needs

    first, step = traffic_needs(definition)[0], definition.canary.step
    return (
        f"canary: a release after the first needs live traffic, {step.min_requests} requests at {first.weight_pct} % "
        f"within {step.max_hours:g} hours, which is {first.requests_per_hour:,} an hour to the endpoint; with less, "
        f"lower `canary.step.min_requests`; on a laptop `driftloop traffic {definition.loop}` sends them"
    )


def sample_for(answers: Sequence[object]) -> int:
    """Rows to measure a version's metric on, so that the rarest class is among them."""
    counts = Counter(answers)
    wanted = math.ceil(WITHIN_SAMPLE * len(answers) / min(counts.values())) if counts else SAMPLED
    return min(MOST_SAMPLED, max(SAMPLED, math.ceil(wanted / 1000) * 1000))


def telling(rows: pd.DataFrame, target: str, columns: Sequence[str]) -> Iterator[str]:
    """Sentences on columns of a few values, each of them often, that leave no doubt about the class."""
    for name in columns:
        known = rows[[name, target]].dropna()
        values = known[name].nunique()
        if not 1 < values <= len(known) / OFTEN or known[target].nunique() < 2:
            continue
        if known.groupby(name, observed=True)[target].nunique().max() == 1:
            yield (
                f"column {name} tells {target} without error; if it is only known afterwards, the model learns nothing "
                f"of use: remove the folder and make the loop again with --column {name}=ignore"
            )


def sorted_by(target: pd.Series) -> bool:
    """Whether a file is sorted by its classes: then neighbours are alike because of that. Its holdout comes first, then
    its other rows, each in the file's order."""
    classes: int = target.nunique()
    changes = int((target != target.shift()).sum())
    return changes <= 2 * classes and 1 < classes < len(target) / OFTEN


def clocks(rows: pd.DataFrame, time: str, columns: Sequence[str]) -> list[str]:
    """Columns of numbers that rise (or fall) with the time: they always move, as the time does."""
    ordered = rows.sort_values(time, kind="stable")
    moments = ordered[time].rank()
    return [
        name
        for name in columns
        if _orderly(ordered[name]) or abs(ordered[name].rank().corr(moments)) >= ALIGNED
    ]


def _orderly(column: pd.Series) -> bool:
    steps = np.diff(column.dropna().to_numpy(dtype=float))
    if (steps != 0).sum() < 2 or len(steps) < 10:
        return False
    up, down = float(steps[steps > 0].sum()), float(-steps[steps < 0].sum())
    return min(up, down) <= BACKWARDS * (up + down)

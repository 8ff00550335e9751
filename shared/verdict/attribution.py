"""Why a deployed model answers as it does for one row: it is asked for mixtures of that row and rows of its holdout.

Nothing is stored, and nothing follows from it. The requests bear our stamp, so no statistic counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared.errors import ConfigurationError
from shared.gate import holdout
from shared.runtime.unit_of_work import Unit
from shared.verdict import predictions, sampled_rows
from shared.verdict.task import task_of, trained_classes

if TYPE_CHECKING:
    import pandas as pd

    from shared.domain.reason import Reason
    from shared.domain.release import Release
    from shared.loopfile import Definition
    from shared.stats.shapley import Floats, Mixing
    from shared.verdict.predictions import Predictions

SEED = 20140801

Measured = Literal["number", "probability", "share"]
"""What adds up: the number that the model answers; the probability that it states for its answer; or, of a classifier
that states none, the share of rows to which it answers the same."""


@dataclass(frozen=True)
class Part:
    """One column's."""

    column: str
    value: object
    adds: float
    error: float
    """Its standard error, for a sample is asked."""


@dataclass(frozen=True)
class Attribution:
    """Base and parts add up to `said`."""

    deployment: str
    answer: object
    measured: Measured
    said: float
    base: float
    """The mean over the reference rows."""
    parts: tuple[Part, ...]
    """The largest first."""
    references: int
    asked: int
    """Rows that the model was asked for."""


@dataclass(frozen=True)
class Unanswered:
    """The model refuses this row, or mixtures of it with rows of its holdout."""

    rows: int
    asked: int
    problems: tuple[Reason, ...]


def of_row(unit: Unit, release: Release, row: Mapping[str, object]) -> Attribution | Unanswered:
    """ConfigurationError, which says what to do, where the release is not deployed or the row is none of its."""
    import numpy as np

    from shared.stats import shapley

    definition = unit.published(release.definition).definition
    _check_deployed(unit, release, definition)
    reference = _reference(unit, release, definition)
    given = _values(row, reference, release)
    mixed = shapley.mixing(len(given), len(reference), SEED)
    frame = _frame(given, reference, mixed)
    stamp = f"explain-{release.job_name}"
    said = predictions.predict(unit.ports, definition.serve, release.deployment, frame, stamp)
    if unanswered := sum(value is None for value in said.values):
        return Unanswered(unanswered, len(frame), said.problems)
    measured, numbers = _numbers(unit, release, definition, said)
    if endless := int((~np.isfinite(numbers)).sum()):
        return Unanswered(endless, len(frame), said.problems)
    found = shapley.added(mixed, numbers[1:], float(numbers[0]))
    parts = [Part(*one) for one in zip(given, given.values(), found.values, found.errors, strict=True)]
    return Attribution(
        release.deployment,
        said.values[0],
        measured,
        float(numbers[0]),
        found.base,
        tuple(sorted(parts, key=lambda part: -abs(part.adds))),
        len(set(mixed.references.tolist())),
        len(frame),
    )


def _check_deployed(unit: Unit, release: Release, definition: Definition) -> None:
    endpoint, champion = definition.serve.endpoint, unit.state.champion
    if definition.serve.type == "batch":
        raise ConfigurationError(
            f"{release.loop} serves by a batch endpoint, whose jobs take minutes; explain --row asks an online endpoint"
        )
    if release.deployment and unit.ports.serving.deployment_state(endpoint, release.deployment) == "ready":
        return
    serves = f"; release {champion.release} serves" if champion else ""
    raise ConfigurationError(
        f"the model of release {release.loop}/{release.number} is not deployed, so it cannot be asked{serves}"
    )


def _reference(unit: Unit, release: Release, definition: Definition) -> pd.DataFrame:
    """Rows of its gate; of a model that was not trained here, those of the newest labelled version."""
    if release.judged_on or release.versions:
        frame, _ = holdout.rows(unit, release, definition)
    else:
        newest = unit.newest_labelled()
        frame, _ = sampled_rows.holdout(unit.ports, unit.versions([newest] if newest else [0]))
    found = predictions.features(frame, definition)
    if found.empty:
        raise ConfigurationError(
            f"{release.loop} has no labelled holdout rows to compare with; drop labelled data first"
        )
    return found


def _values(row: Mapping[str, object], reference: pd.DataFrame, release: Release) -> dict[str, object]:
    """The row's values of the model's columns, in their order; other columns are left out."""
    from shared.stats.shapley import MOST_COLUMNS
    from shared.verdict import served_rows

    names = list(map(str, reference.columns))
    row = served_rows.timed(served_rows.flat(row, names), served_rows.times_of(reference))
    if len(names) > MOST_COLUMNS:
        raise ConfigurationError(
            f"{release.loop} has {len(names)} columns; at most {MOST_COLUMNS} can be told apart in one explanation"
        )
    if missing := [name for name in names if name not in row]:
        raise ConfigurationError(
            f"the row has no {', '.join(missing[:10])}: give every column of the model, null where it is not known"
        )
    return {name: served_rows.plain(row[name]) for name in names}


def _frame(given: Mapping[str, object], reference: pd.DataFrame, mixed: Mixing) -> pd.DataFrame:
    """The row itself, then the mixed rows, pair by pair."""
    plain = reference.astype(object).where(reference.notna(), None)
    own = list(given.values())
    rows: list[Sequence[object]] = [own]
    for pair, place in enumerate(mixed.references.tolist()):
        theirs = plain.iloc[place].tolist()
        rows += [
            [mine if taken else other for mine, other, taken in zip(own, theirs, mask, strict=True)]
            for mask in mixed.masks(pair)
        ]
    return predictions.untyped(rows, list(given))


def _numbers(
    unit: Unit, release: Release, definition: Definition, said: Predictions
) -> tuple[Measured, Floats]:
    """What adds up, of each row that was asked; the first is the row itself."""
    import numpy as np

    from shared.stats.metrics import class_name

    if task_of(unit, definition) == "regression":
        try:
            return "number", np.array([float(str(value)) for value in said.values])
        except ValueError as error:
            raise ConfigurationError(
                f"an answer is no number ({error}), and data.task is regression"
            ) from None
    classes = trained_classes(unit.ports, release.profile, definition.data.target)
    own = said.values[0]
    stated = said.of([own] * len(said.values), two=classes is not None and len(classes) == 2)
    known = [value for value in stated if value is not None]
    if len(known) == len(said.values):
        return "probability", np.array(known)
    same = [class_name(value) == class_name(own) for value in said.values]
    return "share", np.array(same, dtype=float)

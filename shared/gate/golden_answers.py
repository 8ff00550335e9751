"""The challenger is asked the rows whose answers its training recorded, in golden.json, before it gets traffic."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason
from shared.domain.release import Release
from shared.errors import ConfigurationError
from shared.gate.gate_record import bad_values
from shared.gate.smoke import answers_of
from shared.redaction import words_of
from shared.runtime.unit_of_work import Unit
from shared.verdict import predictions
from shared.verdict.task import Task, task_of

if TYPE_CHECKING:
    import pandas as pd

    from shared.gate.smoke import SmokeEvidence
    from shared.loopfile import Definition


def asked(unit: Unit, release: Release, definition: Definition) -> tuple[SmokeEvidence, ...]:
    """Nothing where the pipeline recorded none; that both are alike is the smoke test's matter."""
    recorded = unit.ports.training.recorded(release.job) if release.job else b""
    if not recorded:
        return ()
    try:
        rows, answers = _read(recorded, task_of(unit, definition))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"golden.json of job {release.job} cannot be used ({words_of(error)}); "
            "docs/your-own-loop.md says what a pipeline may record; abort this release and fix the pipeline",
            code=Code.GOLDEN_UNUSABLE,
        ) from error
    rows, answers = rows.head(predictions.ROWS_PER_REQUEST), answers[: predictions.ROWS_PER_REQUEST]
    stamp = f"golden-{release.job_name}"
    said = predictions.predict(unit.ports, definition.serve, release.deployment, rows, stamp)
    return tuple(replace(answer, golden=answers) for answer in said.answers)


def _read(recorded: bytes, task: Task) -> tuple[pd.DataFrame, tuple[object, ...]]:
    document = json.loads(recorded)
    table, answers = document["input_data"], answers_of(document["answers"])
    if isinstance(answers, Reason):
        raise ValueError("its answers are no list")
    rows = predictions.untyped(table["data"], table["columns"])
    if rows.columns.has_duplicates:
        raise ValueError("a column stands in it twice")
    if len(rows) != len(answers):
        raise ValueError(f"{len(answers)} answers for {len(rows)} rows")
    if bad := bad_values(answers, task):
        raise ValueError(f"{bad} of {len(rows)} answers are no answers of a {task}")
    return rows, answers

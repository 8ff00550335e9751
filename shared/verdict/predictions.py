"""Rows of data versions become requests, and answers become predictions or a named reason why not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from shared.ports import Answer, Ports

if TYPE_CHECKING:
    import pandas as pd

    from shared.domain.version import DataVersion
    from shared.loopfile import Definition
    from shared.release.gate.smoke import SmokeEvidence

ROWS_PER_REQUEST = 50
MAX_ROWS = 2_000
"""A bound on what a gate asks of two deployments; the newest versions come first."""


@dataclass(frozen=True)
class Predictions:
    """One prediction a row, None where the deployment gave none; what was wrong, in words."""

    values: tuple[object, ...]
    problems: tuple[str, ...]
    answers: tuple[SmokeEvidence, ...]
    """What came back, request by request, for the smoke test."""
    stated: tuple[float | None, ...] = ()
    """The probability that was given to each prediction; empty where a request's answer states none."""


def holdout(ports: Ports, versions: Sequence[DataVersion]) -> pd.DataFrame:
    """Holdout rows of these versions, newest first, at most MAX_ROWS."""
    return _rows(ports, versions, ("holdout",))


def everything(ports: Ports, versions: Sequence[DataVersion]) -> pd.DataFrame:
    """All rows of versions that no deployed model has been trained on."""
    return _rows(ports, versions, ("holdout", "train"))


def _rows(ports: Ports, versions: Sequence[DataVersion], parts: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for version in sorted(versions, key=lambda v: -v.number):
        for part in parts:
            frames += [
                _frame(ports.versions.read(path)) for path in ports.versions.list(f"{version.path}/{part}/")
            ]
    if not frames:
        return pd.DataFrame()
    common = set.intersection(*(set(frame.columns) for frame in frames))
    for frame in frames:  # where another version has no such column, its rows have nulls
        for name in set(frame.columns) - common:
            if frame[name].dtype == "int64":
                frame[name] = frame[name].astype("Int64")
    return pd.concat(frames, ignore_index=True).head(MAX_ROWS)


def _frame(content: bytes) -> pd.DataFrame:
    """Rows as pandas has them, but whole numbers stay whole beside a null: 2 is asked about as 2, never as 2.0."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(BytesIO(content))
    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count:
            frame[name] = column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
    return frame


def features(frame: pd.DataFrame, definition: Definition) -> pd.DataFrame:
    """What the model may see: no target, no id, nothing that the loop ignores."""
    data = definition.data
    hidden = {data.target, data.id, *data.ignore}
    return frame[[column for column in frame.columns if column not in hidden]]


def predict(ports: Ports, endpoint: str, deployment: str, frame: pd.DataFrame, stamp: str) -> Predictions:
    """Ask one deployment for all rows, in batches, stamped as ours."""
    from shared.release.gate.smoke import SmokeEvidence

    payloads, sizes = [], []
    for start in range(0, len(frame), ROWS_PER_REQUEST):
        batch = frame.iloc[start : start + ROWS_PER_REQUEST]
        payloads.append(payload(batch))
        sizes.append(len(batch))
    answers = ports.serving.predict(endpoint, deployment, payloads, stamp)
    values: list[object] = []
    problems: list[str] = []
    evidence: list[SmokeEvidence] = []
    stated: list[float | None] = []
    for answer, size in zip(answers, sizes, strict=True):
        body = _decoded(answer)
        given, problem = read_answer(answer.status, body, size)
        values += given
        stated += read_stated(body, given)
        evidence.append(
            SmokeEvidence(rows=size, status=answer.status, answer=body, latency_ms=answer.latency_ms)
        )
        if problem and problem not in problems:
            problems.append(problem)
    complete = len(stated) == len(values)
    return Predictions(tuple(values), tuple(problems), tuple(evidence), tuple(stated) if complete else ())


def payload(frame: pd.DataFrame) -> str:
    """The request body that Azure ML's MLflow deployments and the examples' scoring code take."""
    table = json.loads(frame.to_json(orient="split", date_format="iso"))
    return json.dumps({"input_data": {key: table[key] for key in ("columns", "index", "data")}})


def _decoded(answer: Answer) -> object:
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body


def read_answer(status: int, body: object, size: int) -> tuple[list[object], str]:
    """`size` predictions, or as many None and what is wrong: an error status, an error text with 200, a wrong count."""
    from shared.release.gate.smoke import answers_of

    nothing: list[object] = [None] * size
    if status != 200:
        return nothing, f"status {status}: {str(body)[:200]}"
    content = answers_of(body)
    if isinstance(content, str):
        return nothing, f"status 200, but {content}"
    if len(content) != size:
        return nothing, f"{len(content)} predictions for {size} rows"
    return list(content), ""


def read_stated(body: object, given: Sequence[object]) -> list[float | None]:
    """The probability of each prediction, where an object's `probabilities` has one a row, or one a class and row."""
    from shared.stats.metrics import class_name

    rows = body.get("probabilities") if isinstance(body, dict) else None
    if not isinstance(rows, list) or len(rows) != len(given):
        return []
    named = [
        each.get(class_name(value)) if isinstance(each, dict) else each
        for each, value in zip(rows, given, strict=True)
    ]
    return [float(p) if isinstance(p, int | float) and not isinstance(p, bool) else None for p in named]

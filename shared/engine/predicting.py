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

    from shared.loopfile import Definition
    from shared.model import DataVersion

ROWS_PER_REQUEST = 50
MAX_ROWS = 2_000
"""A bound on what a gate asks of two deployments; the newest versions come first."""


@dataclass(frozen=True)
class Predictions:
    """One prediction a row, None where the deployment gave none; what was wrong, in words."""

    values: tuple[object, ...]
    problems: tuple[str, ...]
    latencies_ms: tuple[float, ...]


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
                pd.read_parquet(BytesIO(ports.versions.read(path)))
                for path in ports.versions.list(f"{version.path}/{part}/")
            ]
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).head(MAX_ROWS)


def features(frame: pd.DataFrame, definition: Definition) -> pd.DataFrame:
    """What the model may see: no target, no id, nothing that the loop ignores."""
    data = definition.data
    hidden = {data.target, data.id, *data.ignore}
    return frame[[column for column in frame.columns if column not in hidden]]


def predict(ports: Ports, endpoint: str, deployment: str, frame: pd.DataFrame, stamp: str) -> Predictions:
    """Ask one deployment for all rows, in batches, stamped as ours."""
    payloads, sizes = [], []
    for start in range(0, len(frame), ROWS_PER_REQUEST):
        batch = frame.iloc[start : start + ROWS_PER_REQUEST]
        payloads.append(payload(batch))
        sizes.append(len(batch))
    answers = ports.serving.predict(endpoint, deployment, payloads, stamp)
    values: list[object] = []
    problems: list[str] = []
    for answer, size in zip(answers, sizes, strict=True):
        given, problem = read_answer(answer, size)
        values += given
        if problem and problem not in problems:
            problems.append(problem)
    return Predictions(tuple(values), tuple(problems), tuple(answer.latency_ms for answer in answers))


def payload(frame: pd.DataFrame) -> str:
    """The request body that Azure ML's MLflow deployments and the examples' scoring code take."""
    table = json.loads(frame.to_json(orient="split", date_format="iso"))
    return json.dumps({"input_data": {key: table[key] for key in ("columns", "index", "data")}})


def read_answer(answer: Answer, size: int) -> tuple[list[object], str]:
    """`size` predictions, or as many None and what is wrong: an error status, an error text with 200, a wrong count."""
    nothing: list[object] = [None] * size
    if answer.status != 200:
        return nothing, f"status {answer.status}: {answer.body[:200]}"
    try:
        content = json.loads(answer.body)
    except ValueError:
        return nothing, f"status 200, but the body is not JSON: {answer.body[:200]}"
    if isinstance(content, dict):
        content = content.get("predictions", content)
    if not isinstance(content, list):
        return nothing, f"status 200, but no list of predictions: {json.dumps(content)[:200]}"
    if len(content) != size:
        return nothing, f"{len(content)} predictions for {size} rows"
    return content, ""

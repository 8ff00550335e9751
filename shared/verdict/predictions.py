"""Rows become requests, and answers become predictions or a named reason why not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.ports import Answer, Ports

if TYPE_CHECKING:
    import pandas as pd

    from shared.gate.smoke import SmokeEvidence
    from shared.loopfile import Definition
    from shared.loopfile.definition import Serve

ROWS_PER_REQUEST = 50


@dataclass(frozen=True)
class Predictions:
    """One prediction a row, None where the deployment gave none; and what was wrong."""

    values: tuple[object, ...]
    problems: tuple[Reason, ...]
    answers: tuple[SmokeEvidence, ...]
    """What came back, request by request, for the smoke test."""
    probabilities: tuple[object, ...] = ()
    """What was stated with each prediction, its probability or one a class; empty where an answer states none."""

    @property
    def stated(self) -> tuple[float | None, ...]:
        """The probability that was given to each prediction."""
        return self.of(self.values)

    def of(self, classes: Sequence[object], *, two: bool = False) -> tuple[float | None, ...]:
        """The probability that was given to one class a row, None where it is not known; of `two` classes one's says
        the other's."""
        rows = zip(self.probabilities, self.values, classes, strict=True) if self.probabilities else ()
        return tuple(_of_class(said, answer, wanted, two) for said, answer, wanted in rows)

    def some(self, rows: Sequence[int]) -> Predictions:
        """Those of these rows, by their place."""
        stated = tuple(self.probabilities[n] for n in rows) if self.probabilities else ()
        return replace(self, values=tuple(self.values[n] for n in rows), probabilities=stated)


def features(frame: pd.DataFrame, definition: Definition) -> pd.DataFrame:
    """What the model may see: no target, no id, nothing that the loop ignores."""
    data = definition.data
    hidden = {data.target, data.id, *data.left_out}
    return frame[[column for column in frame.columns if column not in hidden]]


def predict(ports: Ports, serve: Serve, deployment: str, frame: pd.DataFrame, stamp: str) -> Predictions:
    """Ask one deployment for all rows, in batches, stamped as ours. AnswersAwaited while a batch job scores them."""
    from shared.gate.smoke import SmokeEvidence

    payloads, sizes = [], []
    for start in range(0, len(frame), ROWS_PER_REQUEST):
        batch = frame.iloc[start : start + ROWS_PER_REQUEST]
        payloads.append(payload(batch))
        sizes.append(len(batch))
    answers = ports.server(serve.type).predict(serve.endpoint, deployment, payloads, stamp)
    values: list[object] = []
    problems: list[Reason] = []
    evidence: list[SmokeEvidence] = []
    stated: list[object] = []
    for answer, size in zip(answers, sizes, strict=True):
        body = _decoded(answer)
        given, problem = read_answer(answer.status, body, size)
        values += given
        stated += read_stated(body, size)
        evidence.append(
            SmokeEvidence(rows=size, status=answer.status, answer=body, latency_ms=answer.latency_ms)
        )
        if problem and problem not in problems:
            problems.append(problem)
    complete = len(stated) == len(values)
    return Predictions(tuple(values), tuple(problems), tuple(evidence), tuple(stated) if complete else ())


def payload(frame: pd.DataFrame) -> str:
    """The request body that Azure ML's MLflow deployments and the examples' scoring code take."""
    table = {"columns": frame.columns.tolist(), "index": frame.index.tolist(), "data": sent(frame)}
    return json.dumps({"input_data": table})


def sent(frame: pd.DataFrame) -> list[list[object]]:
    """Rows as JSON has them. No number is rounded, as pandas' `to_json` does (pandas-dev/pandas#23328); a time is UTC
    without a zone, the only form that an MLflow model with a datetime in its signature takes."""
    whole = frame.astype(object).where(frame.notna(), None)
    return [list(map(_sent, row)) for row in whole.itertuples(index=False, name=None)]


def _sent(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | str() | int():
            return value
        case datetime():
            return time_text(value)
        case Mapping():
            return {name: _sent(one) for name, one in value.items()}
        case list() | tuple():
            return list(map(_sent, value))
    plain = getattr(value, "tolist", None)  # numpy's arrays and numbers
    return _sent(plain()) if callable(plain) else str(value)


def time_text(moment: datetime) -> str:
    """In UTC, which a time without a zone is taken to be in."""
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds")


def untyped(
    rows: Sequence[Sequence[object]] | Sequence[Mapping[str, object]], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Rows of JSON as a table in which each value stays what it is: 2 is not 2.0 because another row has a null."""
    import pandas as pd

    return pd.DataFrame(rows, columns=columns, dtype=object)


def _decoded(answer: Answer) -> object:
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body


def read_answer(status: int, body: object, size: int) -> tuple[list[object], Reason | None]:
    """`size` predictions, or as many None and what is wrong: an error status, an error text with 200, a wrong count."""
    from shared.gate.smoke import answers_of

    nothing: list[object] = [None] * size
    if status != 200:
        return nothing, reason(Code.SMOKE_STATUS, status=status, answer=str(body)[:200])
    content = answers_of(body)
    if isinstance(content, Reason):
        return nothing, reason(Code.SMOKE_NO_PREDICTIONS, content)
    if len(content) != size:
        return nothing, reason(Code.SMOKE_COUNT, predictions=len(content), rows=size)
    return list(content), None


def read_stated(body: object, size: int) -> list[object]:
    """An answer's `probabilities` where it has one a row: a number, or an object of one a class."""
    from shared.gate.smoke import stated_in

    rows = stated_in(body)
    return rows if isinstance(rows, list) and len(rows) == size else []


def _of_class(said: object, answer: object, wanted: object, two: bool) -> float | None:
    from shared.stats.metrics import class_name, key_name

    if isinstance(said, Mapping):
        return probability({key_name(name): p for name, p in said.items()}.get(key_name(wanted)))
    found = probability(said)
    if found is None or answer is None or class_name(answer) == class_name(wanted):
        return found if answer is not None else None
    return 1 - found if two else None


def probability(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

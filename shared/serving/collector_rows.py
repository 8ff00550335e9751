"""Lines of Azure ML's data collector become rows of inputs and output; what cannot be told apart is not evidence.

The collector puts requests that come close together into one line under one request's id, each collection in its own
way, and its lines say nothing of who sent them (how-to-collect-production-data.md, "Data collector batching"). So a
row counts when it bears an id of its own in the loop's id column, which no request of ours does; or when its line is
about exactly one request, and the traffic log has that request as somebody else's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from shared.gate.smoke import ANSWERS, answers_of, only

Row = Mapping[str, object]
Fetch = Callable[[str], bytes | None]
"""The content of a blob by its address; None for one that is not the collector's."""


@dataclass(frozen=True)
class Line:
    """One line of one collection: rows of one request, or of several."""

    id: str
    """The request's, or the first one's of several."""
    at: datetime
    rows: Sequence[object]
    single: bool
    """Whether it is one request's for certain: only lists are put together, and a row is not cut."""


def line_of(text: bytes, since: datetime, until: datetime, fetch: Fetch) -> Line | None:
    """None for what cannot be read, or is not within the span."""
    try:
        event = json.loads(text)
        at = datetime.fromisoformat(event["time"])
        if not since <= at < until:
            return None
        data, named = event["data"], event.get("xrequestid") or event["correlationid"]
        if str(event.get("datainblob")).lower() == "true":
            data = json.loads(fetch(str(data)) or b"")
        rows = _rows(data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Line(str(named), at, rows, single=not isinstance(data, list) or len(rows) == 1)


def joined(
    inputs: Sequence[Line],
    outputs: Sequence[Line],
    strangers: Callable[[], Set[str]],
    sizes: Callable[[], Mapping[str, int]],
    id: str = "",
) -> list[Row]:
    """Rows of which both sides are known, oldest first.

    `strangers` are the ids of requests that are known not to be ours, `sizes` says how many rows a request had; both
    are asked for only where a line needs it. `id` is the loop's id column.
    """
    named = list(_by_column(inputs, outputs, id)) if id else []
    asked, said = _without(inputs, id), _without(outputs, id)
    whole = list(_by_line(asked, said, strangers, sizes)) if asked and said else []
    return sorted(named + whole, key=lambda row: (str(row["time"]), str(row["id"])))


def alone(
    inputs: Sequence[Line],
    strangers: Callable[[], Set[str]],
    sizes: Callable[[], Mapping[str, int]],
    id: str = "",
) -> list[Row]:
    """Rows of inputs by the rules of `joined`, whether their answer was collected or not."""
    found = _identified(inputs, id) if id else {}
    named = [_given(name, rows[0][0].at, rows[0][1]) for name, rows in found.items() if len(rows) == 1]
    lines = _alone(_without(inputs, id))
    whole = [
        _given(f"{name}_{index}", line.at, row)
        for name, line in lines.items()
        if (line.single or sizes().get(name) == len(line.rows)) and name in strangers()
        for index, row in enumerate(line.rows)
    ]
    return named + whole


def sizes_of(requests: Sequence[Line]) -> dict[str, int]:
    """How many rows each request had, as far as its payload says so."""
    return {line.id: len(line.rows) for line in requests if line.single}


def _by_column(inputs: Sequence[Line], outputs: Sequence[Line], id: str) -> Iterator[Row]:
    """Rows by the id that both sides bear; one that comes twice names no row."""
    asked, said = _identified(inputs, id), _identified(outputs, id)
    for name in asked.keys() & said.keys():
        (line, given), *more = asked[name]
        (answered, answer), *others = said[name]
        if not more and not others:
            output = {column: value for column, value in answer.items() if column != id}
            yield _joined(name, line.id, answered.at, given, output)


def _identified(lines: Sequence[Line], id: str) -> dict[str, list[tuple[Line, Row]]]:
    found: dict[str, list[tuple[Line, Row]]] = {}
    for line in lines:
        for row in line.rows:
            if isinstance(row, Mapping) and row.get(id) is not None:
                found.setdefault(_named(row[id]), []).append((line, row))
    return found


def _named(value: object) -> str:
    """A frame with a gap has its whole numbers as floats: 7 and 7.0 are one id."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _without(lines: Sequence[Line], id: str) -> list[Line]:
    """The lines none of whose rows bears an id: the others are joined by it, or not at all."""
    return [
        line
        for line in lines
        if not any(isinstance(row, Mapping) and row.get(id) is not None for row in line.rows)
    ]


def _by_line(
    inputs: Sequence[Line],
    outputs: Sequence[Line],
    strangers: Callable[[], Set[str]],
    sizes: Callable[[], Mapping[str, int]],
) -> Iterator[Row]:
    """Rows of lines that are about one request each: as many rows as it had, on both sides, and under its id alone."""
    asked, said = _alone(inputs), _alone(outputs)
    for name in asked.keys() & said.keys():
        given, answer = asked[name], said[name]
        single = given.single or sizes().get(name) == len(given.rows)
        if single and len(given.rows) == len(answer.rows) and name in strangers():
            for index, (row, output) in enumerate(zip(given.rows, answer.rows, strict=True)):
                yield _joined(f"{name}_{index}", name, answer.at, row, output)


def _alone(lines: Sequence[Line]) -> dict[str, Line]:
    """Lines by id, without ids that several have: a scoring script may give them all the same."""
    often = Counter(line.id for line in lines)
    return {line.id: line for line in lines if often[line.id] == 1}


def _given(name: str, at: datetime, row: object) -> Row:
    return {"id": name, "time": at.isoformat(), "inputs": row}


def _joined(name: str, request: str, at: datetime, given: object, output: object) -> Row:
    """`request`: the line's id; rows that came together have the same."""
    return {"id": name, "request": request, "time": at.isoformat(), "inputs": given, "output": only(output)}


def _rows(data: object) -> list[object]:
    """A frame as records, a payload in pandas' split form, predictions as a gate reads them, or a single value."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError:
            return [data]
    if isinstance(data, dict):
        if isinstance(data.get("input_data"), dict | list):
            data = data["input_data"]
        elif data.keys() & set(ANSWERS) and isinstance(answers := answers_of(data), tuple):
            return list(answers)
    if isinstance(data, dict) and {"columns", "data"} <= set(data):
        return [dict(zip(data["columns"], values, strict=False)) for values in data["data"]]
    return data if isinstance(data, list) else [data]

"""Lines of Azure ML's data collector become rows of inputs and output; what cannot be read is missing, not guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.port_rules import OWN_REQUESTS


class Collected(NamedTuple):
    """One row of one collection."""

    time: datetime
    value: object


def rows_of(line: bytes, since: datetime, until: datetime) -> Iterator[tuple[str, Collected]]:
    """A line's rows, each with the key by which inputs and outputs join; none for our own requests."""
    try:
        event = json.loads(line)
        time = datetime.fromisoformat(event["time"])
        rows, correlation = _rows(event["data"]), event["correlationid"]
        wanted = since <= time < until and not _is_ours(event)
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    for index, row in enumerate(rows if wanted else []):
        yield f"{correlation}_{index}", Collected(time, row)


def joined(inputs: Mapping[str, Collected], outputs: Mapping[str, Collected]) -> list[Mapping[str, object]]:
    """Only rows of which both sides are known, oldest first."""
    rows: list[Mapping[str, object]] = [
        {
            "id": key,
            "time": output.time.isoformat(),
            "inputs": inputs[key].value,
            "output": _single(output.value),
        }
        for key, output in outputs.items()
        if key in inputs
    ]
    return sorted(rows, key=lambda row: (str(row["time"]), str(row["id"])))


def _is_ours(event: Mapping[str, object]) -> bool:
    """Scoring scripts may give the request's id as the correlation id."""
    return any(str(event.get(key) or "").startswith(OWN_REQUESTS) for key in ("xrequestid", "correlationid"))


def _rows(data: object) -> list[object]:
    """A frame as records, a payload in pandas' split form, or a single value."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError:
            return [data]
    if isinstance(data, dict) and isinstance(data.get("input_data"), dict | list):
        data = data["input_data"]
    if isinstance(data, dict) and {"columns", "data"} <= set(data):
        return [dict(zip(data["columns"], values, strict=False)) for values in data["data"]]
    return data if isinstance(data, list) else [data]


def _single(output: object) -> object:
    """A frame of one column is that column's value."""
    return next(iter(output.values())) if isinstance(output, dict) and len(output) == 1 else output

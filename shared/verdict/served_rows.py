"""What strangers sent becomes rows with the columns of the champion's reference, matched by name, and their profile."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.verdict import predictions

if TYPE_CHECKING:
    import pandas as pd

    import drift
    from shared.loopfile import Definition

LONGEST_TEXT = 4_096
_LARGEST = 2**63


@dataclass(frozen=True)
class Given:
    """Served inputs as the drift report takes them."""

    reference: drift.Profile
    """The champion's, of what a request can hold: features, by the names that they have in it."""
    profile: drift.Profile | None
    """Of the whole inputs, on the reference's grid; None where there is none."""
    rows: int
    """Inputs that are whole."""
    incomplete: int
    """Inputs without a usable value of a column: none where the reference is never null, or none of the column's type
    where that is numbers or times. What is missing is no value that moved."""
    lacking: str
    """One such column, of the first of them."""
    unnamed: int
    """Inputs that are bare values: which column is which cannot be known."""
    whole: tuple[int, ...] = ()
    """Which inputs are whole, by their place."""


def given(inputs: Sequence[object], reference: bytes, definition: Definition) -> Given:
    """`reference` is the champion's stored profile. Columns that it does not know are left out."""
    import pandas as pd

    import drift

    features = _features(drift.Profile.from_bytes(reference), definition)
    times = [name for name, column in features.columns.items() if column.kind == "datetime"]
    places, named = [], []
    for place, row in enumerate(inputs):
        if isinstance(row, Mapping):
            places.append(place)
            named.append(timed(flat(row, features.columns), times))
    lacks = [
        next((name for name in features.columns if _lacks(row, features.columns[name])), None)
        for row in named
    ]
    whole = [row for row, lack in zip(named, lacks, strict=True) if lack is None]
    known = [name for name in features.columns if any(name in row for row in whole)]
    profile = None
    if known:
        frame = pd.DataFrame({name: [plain(row.get(name)) for row in whole] for name in known})
        for name in times:
            if name in known:  # a request is JSON, which has texts for times
                read = pd.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce")
                frame[name] = read.dt.tz_localize(None)
        profile = drift.profile(
            frame, grid=features, by=[name for name in definition.slices if name in known]
        )
    lacking = next((lack for lack in lacks if lack is not None), "")
    unnamed, incomplete = len(inputs) - len(named), len(named) - len(whole)
    kept = tuple(place for place, lack in zip(places, lacks, strict=True) if lack is None)
    return Given(features, profile, len(whole), incomplete, lacking, unnamed, kept)


def flat(row: Mapping[str, object], columns: Collection[str]) -> Mapping[str, object]:
    """A row whose lists of numbers stand under the names that a drop's have: `embedding_0`, `embedding_1`, …"""
    lists = {
        name: value
        for name, value in row.items()
        if isinstance(value, list) and name not in columns and f"{name}_0" in columns
    }
    if not lists:
        return row
    spread = {f"{name}_{place}": one for name, value in lists.items() for place, one in enumerate(value)}
    return {**{name: value for name, value in row.items() if name not in lists}, **spread}


def times_of(frame: pd.DataFrame) -> list[str]:
    """The columns that are times."""
    return [name for name in frame.columns if frame[name].dtype.kind == "M"]


def timed(row: Mapping[str, object], times: Collection[str]) -> Mapping[str, object]:
    """A row whose times are texts, as requests have them: what a scoring process had read as a time, Azure's collector
    keeps in milliseconds since 1970 (azureml-ai-monitoring 1.0.0, payload/logdata.py)."""
    return {**row, **{name: _time(row[name]) for name in times if name in row}}


def _time(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    try:
        return predictions.time_text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value))
    except OverflowError:
        return value


def _lacks(row: Mapping[str, object], column: drift.ColumnProfile) -> bool:
    value = row.get(column.name)
    if value is None:
        return column.name not in row and not column.nulls
    if column.kind == "numeric":
        return not isinstance(value, int | float)
    return column.kind == "datetime" and not _is_time(value)


def _is_time(value: object) -> bool:
    try:
        return bool(datetime.fromisoformat(str(value)))
    except ValueError:
        return False


def _features(reference: drift.Profile, definition: Definition) -> drift.Profile:
    """Without target and id, and without returns, which no single request has."""
    from shared.intake import returns

    data, wanted = definition.data, definition.drift.returns
    hidden = {data.target, data.id, *data.left_out, *map(returns.named, wanted.columns if wanted else ())}
    return _without(reference, hidden)


def _without(profile: drift.Profile, hidden: Collection[str | None]) -> drift.Profile:
    columns = {name: column for name, column in profile.columns.items() if name not in hidden}
    sample = {name: values for name, values in profile.sample.items() if name in columns}
    segments = {name: _without(part, hidden) for name, part in profile.segments.items()}
    return replace(profile, columns=columns, sample=sample, segments=segments)


def plain(value: object) -> object:
    """A value that Arrow takes, whatever a stranger sent: no half character, no endless number or text."""
    if isinstance(value, Mapping | list):
        value = json.dumps(value)
    if isinstance(value, str):
        return value[:LONGEST_TEXT].encode(errors="replace").decode()
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return plain(str(value)) if abs(value) > 10**300 else float(value)
    return value

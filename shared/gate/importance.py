"""What a model goes by, as its training measured it: kept as evidence, and held beside what the champion goes by.

Nothing follows from it. Two trainings on like data also differ by chance, and a model may well go by other columns
because the world does; a person sees that it does, and by which.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.reason import Code, Fact, Reason, reason
from shared.release.document import Document

MOST_COLUMNS = 2_000
_MOST = 1e300
"""Sums of larger numbers are none."""
TOLD = 5
"""Columns that are told, the most important first."""

MOVED_BELOW = 0.9
"""Agreement below which the two go by different columns: the threshold that Azure ML's monitors begin with
(azure-ai-ml, `FeatureAttributionDriftMetricThreshold`)."""


@dataclass(frozen=True)
class Importance(Document):
    """How much each column matters to a model."""

    method: str
    columns: Mapping[str, float]
    metric: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class Explanation(Document):
    """A challenger's, and its champion's where that has one by the same method."""

    challenger: Importance
    champion: Importance | None = None
    agreement: float | None = None


def read(content: bytes) -> Importance:
    """ValueError, which says what is wrong, for anything but `{"method": …, "columns": {name: number}}`."""
    found = json.loads(content)
    if not isinstance(found, dict) or not isinstance(found.get("columns"), dict) or not found["columns"]:
        raise ValueError("no columns with numbers")
    columns = found["columns"]
    if len(columns) > MOST_COLUMNS:
        raise ValueError(f"{len(columns)} columns; at most {MOST_COLUMNS}")
    for name, value in columns.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
            raise ValueError(f"column {name[:80]!r} has {str(value)[:40]!r}, which is no number")
    rows = found.get("rows")
    return Importance(
        method=str(found.get("method") or "importance")[:80],
        columns={str(name)[:256]: float(value) for name, value in columns.items()},
        metric=str(found.get("metric") or "")[:80],
        rows=rows if isinstance(rows, int) and not isinstance(rows, bool) else None,
    )


def explained(challenger: Importance, champion: Importance | None) -> Explanation:
    """Beside a champion only where both were measured by one method in one metric."""
    if champion is None or not _alike(challenger, champion):
        return Explanation(challenger)
    return Explanation(challenger, champion, agreement(challenger.columns, champion.columns))


def _alike(one: Importance, other: Importance) -> bool:
    """Numbers of two methods, or of two metrics, say nothing beside each other."""
    return (one.method, one.metric) == (other.method, other.metric)


def ranked(columns: Mapping[str, float]) -> list[str]:
    """The most important first; ties by name."""
    return sorted(columns, key=lambda name: (-columns[name], name))


def agreement(challenger: Mapping[str, float], champion: Mapping[str, float]) -> float | None:
    """Normalised discounted cumulative gain of the challenger's ranking, by what each column is worth to the champion:
    1 where both rank alike, less the more important the columns are that changed places. None where the champion goes
    by nothing. K. Järvelin, J. Kekäläinen, ACM TOIS 20 (2002), 422-446; below 0 counts as 0."""
    worth = {name: max(0.0, value) for name, value in champion.items()}
    ideal = _gain([worth[name] for name in ranked(champion)])
    order = [*ranked(challenger), *(name for name in ranked(champion) if name not in challenger)]
    return _gain([worth.get(name, 0.0) for name in order]) / ideal if ideal else None


def _gain(worths: Sequence[float]) -> float:
    return sum(worth / math.log2(place + 1) for place, worth in enumerate(worths, 1))


def told(found: Explanation, champion: int) -> Reason:
    """In words; `champion` is the release that served."""
    facts: dict[str, Fact] = {
        "method": found.challenger.method,
        "metric": found.challenger.metric,
        "rows": found.challenger.rows,
        "columns": _first(found.challenger.columns),
    }
    if found.champion is None or found.agreement is None:
        return reason(Code.EXPLAINED, **facts)
    facts |= {"agreement": found.agreement, "champion": champion}
    if found.agreement >= MOVED_BELOW:
        return reason(Code.EXPLAINED, **facts)
    theirs = _first(found.champion.columns)
    return reason(Code.EXPLAINED_OTHERWISE, **facts, theirs=theirs)


def _first(columns: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {columns[name]:.3g}" for name in ranked(columns)[:TOLD])

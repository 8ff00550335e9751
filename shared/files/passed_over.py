"""Names of files that are no data: markers and bookkeeping, and what somebody is still writing."""

from __future__ import annotations

from collections.abc import Iterable

_UNFINISHED = (
    "._copying_",
    ".filepart",
    ".crdownload",
    ".partial",
    ".part",
    ".tmp",
    ".temp",
    ".inprogress",
    "~",
)
"""How a file ends while `hadoop fs -put` (._COPYING_), WinSCP (.filepart, by default) and others write it. They rename
it when it is whole; where they broke off, half a file keeps this name."""


def is_hidden(parts: Iterable[str]) -> bool:
    """Whether a folder or the file is named as Spark names what is no data (`_SUCCESS`, `_temporary`), or is hidden. A
    partition of a column whose name begins so (`_season=2007`) is data to Spark, too (SPARK-16975)."""
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in parts)


def is_unfinished(name: str) -> bool:
    """Whether a file is named as while it is written."""
    return name.casefold().endswith(_UNFINISHED)


def is_data(name: str) -> bool:
    """Whether a file of this name below a folder may hold data."""
    return not is_hidden(name.split("/")) and not is_unfinished(name)

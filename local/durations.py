"""ISO 8601 durations, as far as Azure's services take them: days, hours, minutes, seconds."""

from __future__ import annotations

import re
from datetime import timedelta

_SHAPE = re.compile(r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def parsed(text: str) -> timedelta | None:
    """The duration, for example of PT5M; None for any other text."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

"""The time, read in one place, so that everything else can be given any time."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, aware and in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

"""A clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DAWN = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """`current` may be set; `advance` moves it on."""

    def __init__(self, current: datetime = DAWN) -> None:
        self.current = current

    def now(self) -> datetime:
        return self.current

    def advance(self, seconds: float) -> None:
        self.current += timedelta(seconds=seconds)

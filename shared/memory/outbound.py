"""Published ledger entries and queued messages, kept for tests to read."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.ledger import LedgerEntry


class MemoryTopic:
    """`published` holds (loop, entry) in the order of publication, repeats included."""

    def __init__(self) -> None:
        self.published: list[tuple[str, LedgerEntry]] = []

    def publish(self, loop: str, entries: Sequence[LedgerEntry]) -> None:
        self.published.extend((loop, entry) for entry in entries)


class MemoryQueue:
    """`messages` holds what was put, oldest first."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def put(self, message: str) -> None:
        self.messages.append(message)

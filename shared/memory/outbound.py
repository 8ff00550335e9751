"""Published ledger entries, lineage and queued messages, kept for tests to read."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.ledger import LedgerEntry
from shared.ports import Poisoned, Traced


class MemoryTopic:
    """`published` holds (loop, entry) in the order of publication, repeats included."""

    def __init__(self) -> None:
        self.published: list[tuple[str, LedgerEntry]] = []

    def publish(self, loop: str, entries: Sequence[LedgerEntry]) -> None:
        self.published.extend((loop, entry) for entry in entries)


class MemoryLineage:
    """`told` holds (loop, traced) in the order of publication, repeats included."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Traced]] = []

    def publish(self, loop: str, traced: Sequence[Traced]) -> None:
        self.told.extend((loop, one) for one in traced)


class MemoryQueue:
    """`messages` holds what was put, oldest first; `failed` what failed five times."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.failed: list[str] = []

    def put(self, message: str) -> None:
        self.messages.append(message)

    def poisoned(self) -> list[Poisoned]:
        return [Poisoned(text, number) for number, text in enumerate(self.failed)]

    def remove(self, poisoned: Poisoned) -> None:
        if poisoned.text in self.failed:
            self.failed.remove(poisoned.text)

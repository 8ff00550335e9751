"""What a run keeps of its documents: each is asked for once, as much as fits, and none is made up."""

from __future__ import annotations

import pytest

from shared.errors import InvariantBroken
from shared.memory.data import MemoryDocuments
from shared.runtime import run_documents
from shared.runtime.run_documents import RunDocuments


class Asked(MemoryDocuments):
    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []

    def get(self, digest: str) -> bytes:
        self.got.append(digest)
        return super().get(digest)


def test_what_was_read_or_stored_in_a_run_is_not_read_again() -> None:
    beneath = Asked()
    before = beneath.put(b"of an earlier run")
    documents = RunDocuments(beneath)
    mine = documents.put(b"of this run")
    assert (documents.get(before), documents.get(before), documents.get(mine)) == (
        b"of an earlier run",
        b"of an earlier run",
        b"of this run",
    )
    assert beneath.got == [before]
    assert beneath.get(mine) == b"of this run", "it is stored, not only kept"


def test_the_next_run_asks_again_and_is_told_what_is_gone() -> None:
    beneath = Asked()
    digest = RunDocuments(beneath).put(b"a profile")
    beneath.contents.clear()
    with pytest.raises(InvariantBroken, match="is gone"):
        RunDocuments(beneath).get(digest)


def test_what_does_not_fit_any_more_is_what_was_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_documents, "MOST_BYTES", 30)
    beneath = Asked()
    documents = RunDocuments(beneath)
    first, second = documents.put(b"1" * 10), documents.put(b"2" * 10)
    documents.get(first)
    third = documents.put(b"3" * 20)
    assert {len(documents.get(each)) for each in (first, third)} == {10, 20} and beneath.got == []
    documents.get(second)
    assert beneath.got == [second]
    huge = documents.put(b"4" * 31)
    assert documents.get(huge) == b"4" * 31 and documents._bytes <= 30

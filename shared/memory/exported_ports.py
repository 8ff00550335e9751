"""A file of `driftloop export` as ports, so that whoever reads a loop reads the file; it reaches nothing else."""

from __future__ import annotations

import json

from shared.audit.exported_release import ExportedRelease
from shared.domain.loop import LoopState
from shared.domain.reason import Code
from shared.errors import InvariantBroken
from shared.memory import memory_ports
from shared.memory.data import MemoryDocuments
from shared.memory.manual_clock import FakeClock
from shared.ports import Insert, Ports
from shared.state import rows


class _Kept(MemoryDocuments):
    """Documents under their original digests; those that the export altered are given as they are."""

    def __init__(self, exported: ExportedRelease) -> None:
        super().__init__()
        self.contents = {digest: text.encode() for digest, text in exported.documents.items()}
        self._altered = frozenset(exported.altered)

    def get(self, digest: str) -> bytes:
        if digest not in self.contents:
            raise InvariantBroken(
                f"Document {digest} is not in the exported file. Read it in the loop.",
                code=Code.DOCUMENT_LOST,
            )
        return self.contents[digest] if digest in self._altered else super().get(digest)


def exported_ports(exported: ExportedRelease) -> Ports:
    """The time is that of the export."""
    ports = memory_ports(FakeClock(exported.exported_at))
    release, ledger = exported.kept, exported.ledger
    state = LoopState(
        loop=exported.loop,
        definition=release.definition,
        published_by="",
        published_at=exported.exported_at,
        next_release=exported.number + 1,
        open_release=None if release.ended else exported.number,
        ledger_seq=ledger[-1].seq,
        ledger_head=ledger[-1].hash,
    )
    wanted = {rows.LOOP: rows.encode(state), rows.release_key(exported.number): json.dumps(exported.release)}
    wanted |= {rows.ledger_key(entry.seq): rows.encode(entry) for entry in ledger}
    for key, doc in wanted.items():
        ports.store.commit(exported.loop, [Insert(key, doc)])
    return Ports(**{**vars(ports), "documents": _Kept(exported)})

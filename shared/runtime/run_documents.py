"""The documents of one run: what it stored or read it does not ask for again. A name is the hash of its content, so
what is kept cannot grow stale; drops of one run are compared with the same profile."""

from __future__ import annotations

from collections import OrderedDict

from shared.ports import Documents

MOST_BYTES = 16 * 2**20
"""Profiles, reports and evidence: most take some kilobytes, the largest two megabytes."""


class RunDocuments:
    """`Documents` that keeps what was used last."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def put(self, content: bytes) -> str:
        digest = self._documents.put(content)
        self._keep(digest, content)
        return digest

    def get(self, digest: str) -> bytes:
        content = self._kept.get(digest)
        if content is None:
            content = self._documents.get(digest)
        self._keep(digest, content)
        return content

    def _keep(self, digest: str, content: bytes) -> None:
        if digest not in self._kept:
            self._bytes += len(content)
        self._kept[digest] = content
        self._kept.move_to_end(digest)
        while self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])

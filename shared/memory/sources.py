"""A source whose answers a test sets; the URLs requested are kept."""

from __future__ import annotations

from shared.ports import Fetched


class MemorySources:
    """Answers `content` under `etag`, 304 when the caller has it; raises `fails` while that is set."""

    def __init__(self) -> None:
        self.content = b""
        self.etag = ""
        self.kind = "text/csv"
        self.fails: Exception | None = None
        self.asked: list[str] = []

    def fetch(self, url: str, *, etag: str, modified: str, limit_bytes: int, timeout_s: float) -> Fetched:
        self.asked.append(url)
        if self.fails is not None:
            raise self.fails
        if etag and etag == self.etag:
            return Fetched(b"", True, etag, modified, "")
        return Fetched(self.content, False, self.etag, "", self.kind)

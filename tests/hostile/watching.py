"""What this process opens, starts and connects to while a stranger's text is handled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_EVENTS = ("open", "os.", "shutil.", "subprocess.", "socket.", "exec", "import", "urllib.", "ctypes.")

_watchers: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _watchers and event.startswith(_EVENTS):
        for seen in _watchers:
            seen.append(f"{event} {arguments!r}")


sys.addaudithook(_note)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Audit events of Python itself: nothing that opens a file or a socket can leave them out."""
    seen: list[str] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)

"""What a service writes here is on disk when the call returns, and survives the end of the process.

Documents are JSON, each under a kind and a key. Keys compare without regard to case, as ARM ids do.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]
"""JSON as the SDK sent it: its shape is the service's business, not ours."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
  kind TEXT NOT NULL, key TEXT NOT NULL COLLATE NOCASE, position INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (kind, key));
CREATE INDEX IF NOT EXISTS document_order ON document (kind, position);
"""


class State:
    """A store of documents. Safe from any thread; `transaction()` makes several calls one."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    @property
    def written(self) -> int:
        """It grows with each document that is written or deleted: what was read is true while it stays."""
        return self._connection.total_changes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested transactions join the outer one."""
        with self._lock:
            outermost = self._depth == 0
            self._depth += 1
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if outermost:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            row = self._connection.execute(
                "SELECT body FROM document WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return None if row is None else _parsed(row[0])

    def put(self, kind: str, key: str, body: Document) -> None:
        """Write, keeping the place in the order of creation when the key is there already."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO document (kind, key, position, body) VALUES (?, ?,"
                " (SELECT COALESCE(MAX(position), 0) + 1 FROM document WHERE kind = ?), ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (kind, key, kind, json.dumps(body)),
            )

    def add(self, kind: str, key: str, body: Document) -> bool:
        """Write unless the key is there: False then, and nothing changes."""
        with self.transaction():
            if self.get(kind, key) is not None:
                return False
            self.put(kind, key, body)
            return True

    def delete(self, kind: str, key: str) -> bool:
        with self._lock:
            return (
                self._connection.execute(
                    "DELETE FROM document WHERE kind = ? AND key = ?", (kind, key)
                ).rowcount
                > 0
            )

    def keys(self, kind: str, prefix: str = "") -> list[str]:
        return [key for key, _ in self.items(kind, prefix)]

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Document]]:
        """All documents of a kind whose key begins with `prefix`, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT key, body FROM document WHERE kind = ? AND substr(key, 1, ?) = ? COLLATE NOCASE"
                " ORDER BY position",
                (kind, len(prefix), prefix),
            ).fetchall()
        return [(key, _parsed(body)) for key, body in rows]

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _parsed(text: str) -> Document:
    parsed: Document = json.loads(text)
    return parsed
